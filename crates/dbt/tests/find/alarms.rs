//! What only looks like dbt: each a real process, inside of the project.

use std::{fs, net::TcpListener, path::Path};

use dbmux_dbt::find::Kind;

use super::support::*;

/// Starts it, sees it run, and looks: it must be none.
fn is_none(scene: &Scene, root: &Path, words: &[&str]) {
    let mut process = scene.start(root, words);
    let found = look(root);
    assert!(!process.has_ended(), "{words:?}");
    assert!(find_of(&found, process.pid()).is_none(), "{words:?}: {:#?}", found.finds);
    assert!(!found.is_dbt_running(), "{words:?}");
}

#[test]
fn readers_editors_and_searches_are_none() {
    let scene = Scene::new();
    let root = scene.project("proj");
    fs::create_dir(root.join("logs")).expect("a directory");
    fs::write(root.join("logs/dbt.log"), "one\n").expect("a file");
    fs::write(root.join("dbt"), "one\n").expect("a file");
    assert!(std::process::Command::new("mkfifo").arg(root.join("run")).status().expect("mkfifo").success());
    for words in [
        &["tail", "-f", "logs/dbt.log"][..],
        &["tail", "-f", "dbt"],
        &["less", "+F", "logs/dbt.log"],
        &["vim", "-u", "NONE", "-es", "dbt"],
        &["grep", "dbt", "run"],
        &["git", "-c", "alias.dbt=run", "hash-object", "--stdin"],
        &["sh", "-c", "read line >> logs/dbt.log # dbt run"],
        &["sh", "-c", "read line", "dbt", "run"],
        &["bash", "-c", "exec -a dbt sleep 60"],
        &["bash", "-c", "read line; dbt run"],
    ] {
        is_none(&scene, &root, words);
    }
}

#[test]
fn an_installer_that_installs_dbt_is_none() {
    let scene = Scene::new();
    let root = scene.project("proj");
    // An index that never answers.
    let index = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", index.local_addr().expect("its address"));
    let python = dbt_python().display().to_string();
    let words = [&python, "-m", "pip", "install", "--isolated", "--index-url", &url, "dbt-core", "dbt"];
    let pip = scene.start(&root, &words);
    let (asks, _) = index.accept().expect("it asks");
    assert!(find_of(&look(&root), pip.pid()).is_none());
    assert!(!look(&root).is_dbt_running());
    drop(asks);
}

#[test]
fn dbt_that_touches_no_project_is_none() {
    let scene = Scene::new();
    let root = scene.project("proj");
    for words in [&["--version"][..], &["run", "--help"]] {
        let mut dbt = scene.dbt(&root, words);
        let mut looks = 0;
        while !dbt.has_ended() {
            let found = look(&root);
            assert!(found.finds.is_empty(), "{words:?}: {:#?}", found.finds);
            looks += 1;
        }
        assert!(looks > 3, "it was seen while it ran: {looks}");
    }
    fs::create_dir(root.join("target")).expect("a directory");
    let port = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port").port().to_string();
    let mut served = scene.dbt(&root, &["docs", "serve", "--no-browser", "--port", &port]);
    until("it serves", || {
        assert!(!served.has_ended(), "it serves for ever");
        assert!(!look(&root).is_dbt_running());
        std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_ok()
    });
    assert!(look(&root).finds.is_empty());
}

#[test]
fn python_that_imports_dbt_and_tools_with_its_name_are_none() {
    let scene = Scene::new();
    let root = scene.project("proj");
    let python = dbt_python().display().to_string();
    let code =
        "import dbt.cli.main, sys; from dbt.cli.main import dbtRunner; print('imported', flush=True); sys.stdin.read()";
    let mut imports = scene.start(&root, &[&python, "-c", code]);
    imports.hear("imported");
    assert!(look(&root).finds.is_empty());
    for tool in ["dbt-osmosis", "dbt_linter.py", "dbt-core-mcp", "run_dbt"] {
        let path = scene.path(tool);
        fs::write(&path, "import sys; sys.stdin.read()").expect("a file");
        is_none(&scene, &root, &[&python, &path.display().to_string(), "run", "dbt"]);
    }
}

#[test]
fn an_editors_language_server_is_seen_and_is_in_nobodys_way() {
    let scene = Scene::new();
    let root = scene.project("proj");
    let script = scene.path("dbt");
    fs::write(&script, "import sys; sys.stdin.read()").expect("a file");
    let (python, script) = (dbt_python().display().to_string(), script.display().to_string());
    let server = scene.start(&root, &[&python, &script, "lsp"]);
    let find = until_it_is(&root, server.pid(), Kind::LanguageServer);
    assert!(!find.is_in_the_way() && !look(&root).is_dbt_running());
}
