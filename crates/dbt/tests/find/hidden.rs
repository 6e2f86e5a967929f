//! Processes that may not be seen: another user's, and those that the system hides. Needs root, to be two users.

use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

use dbmux_dbt::find::{self, Blind, Kind};

use super::support::*;

const NOBODY: &str = "65534";

/// Not a test of its own: looks at a project, as whoever it is run by, and tells what it sees.
#[test]
#[ignore = "run by the other tests, as another user"]
fn looker() {
    let root = std::env::var_os("DBMUX_TEST_ROOT").expect("a project");
    let found = look(Path::new(&root));
    let kinds: Vec<Kind> = found.in_the_way().map(|find| find.kind).collect();
    println!(
        "found {kinds:?} blind {:?}",
        found.blind.map(|blind| match blind {
            Blind::All(_) => "all",
            Blind::Others(_) => "others",
        })
    );
    assert_eq!(find::is_dbt_running(&search(Path::new(&root))).expect("a look"), !kinds.is_empty());
}

/// Runs the looker by a shell's words, `$LOOK` among them, in a mount namespace of its own.
fn by(scene: &Scene, root: &Path, words: &str) -> String {
    let program = scene.path("looker");
    if !program.exists() {
        std::fs::copy(std::env::current_exe().expect("this program"), &program).expect("a copy");
        std::fs::set_permissions(scene.path(""), PermissionsExt::from_mode(0o755)).expect("a mode");
    }
    let look = format!("{} --exact hidden::looker --ignored --nocapture", program.display());
    let script = words.replace("$LOOK", &look);
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-ec", &script]).env("DBMUX_TEST_ROOT", root).current_dir("/");
    let Output { status, stdout, stderr } = command.output().expect("unshare runs");
    let (told, error) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{script}: {told}{error}");
    told.lines().find(|line| line.contains("found ")).unwrap_or_else(|| panic!("{told}{error}")).to_owned()
}

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("not run: only root can be two users");
    }
    root
}

/// Any dbt of the machine's root is unknown to another user: this one is among processes of its own only.
#[test]
fn anothers_dbt_is_unknown_and_never_safe() {
    if !is_root() {
        return;
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.arg(std::env::current_exe().expect("this program"));
    command.args(["--exact", "hidden::anothers_dbt_alone", "--ignored", "--nocapture"]);
    let Output { status, stdout, stderr } = command.output().expect("unshare runs");
    let (told, error) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success() && told.contains("1 passed"), "{told}{error}");
}

/// Not a test of its own: its processes are to be the only ones.
#[test]
#[ignore = "run by the test above, where no other process can be seen"]
fn anothers_dbt_alone() {
    let scene = Scene::new();
    let root = scene.project("proj");
    let nobody = format!("exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups $LOOK");
    assert_eq!(tail(&by(&scene, &root, &nobody)), "found [] blind None", "nothing runs");
    let dbt = scene.dbt(&root, &["run", "--select", "long"]);
    until_it_has_the_lock(&root, dbt.pid());
    // Its arguments are to be seen, and where it is, is not.
    assert_eq!(tail(&by(&scene, &root, &nobody)), "found [Unknown] blind None");
    assert_eq!(tail(&by(&scene, &root, "exec $LOOK")), "found [Running] blind None", "root sees it all");
}

#[test]
fn where_processes_are_hidden_that_is_said() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    let root = scene.project("proj");
    let nobody = format!("setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups $LOOK");
    for hides in ["invisible", "noaccess"] {
        let words = format!("mount -t proc -o hidepid={hides} proc /proc; exec {nobody}");
        assert_eq!(tail(&by(&scene, &root, &words)), "found [] blind Some(\"others\")", "{hides}");
    }
    let words = format!("mount -t tmpfs none /proc; exec {nobody}");
    assert_eq!(tail(&by(&scene, &root, &words)), "found [] blind Some(\"all\")");
}

/// What the test's own machinery writes before it is left out.
fn tail(line: &str) -> &str {
    line.find("found ").map_or(line, |at| &line[at..])
}
