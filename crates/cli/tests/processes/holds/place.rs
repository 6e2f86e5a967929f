//! Places that cannot be: each is refused by name, makes nothing, and is served as soon as it is as it should be. On each
//! engine.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
    process::{Command, Stdio},
};

use dbmux_testkit::{Foreign, Kind, Place, T, until};
use serde_json::Value;

on_each_engine_with_sql!(
    a_directory_without_write_permission_is_named,
    a_file_that_may_not_be_read_is_named,
    what_is_no_database_is_named_and_left_as_it_is,
    a_database_with_two_names_is_refused_and_loses_nothing,
    a_damaged_file_is_told_as_that,
    a_file_that_is_moved_away_is_told_with_what_to_do,
);
on_each_engine!(a_database_of_another_engine_is_named_with_both_engines, a_path_that_leads_nowhere_is_named);
// What is found before an engine is asked, with DuckDB's names; and what only its files can be.
on_duckdb!(
    serve_refuses_at_once_what_is_no_database,
    a_log_of_another_state_is_told_as_that,
    what_is_refused_leaves_nothing_behind,
    a_sidecar_that_is_none_is_named_with_what_to_do,
    what_is_committed_is_not_done_again_where_the_path_cannot_be_looked_at,
);

const NOBODY: u32 = 65534;

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux"))
}

fn says(error: &Value, code: &str, words: &[&str]) {
    assert_eq!(error["code"], code, "{error}");
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "it does not say {word:?}: {error}");
    }
}

fn output(mut command: Command) -> (i32, String, Value) {
    let output = command.output().expect("it runs");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let error = errors.lines().rev().find_map(|line| serde_json::from_str(line).ok()).unwrap_or_default();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned() + &errors, error)
}

/// A place in which commands run as a user who may not do everything: root is no judge of permissions.
struct AsNobody {
    place: Place,
}

impl AsNobody {
    fn new() -> Self {
        let place = place();
        let inside = place.path("inside");
        fs::create_dir(&inside).expect("a directory");
        fs::copy(env!("CARGO_BIN_EXE_dbmux"), place.path("dbmux")).expect("a binary that everybody may run");
        if is_root() {
            fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755)).expect("everybody may pass");
            for path in [inside, place.path("run")] {
                chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
            }
        }
        Self { place }
    }

    fn dbmux(&self, arguments: &[&str]) -> (i32, String, Value) {
        let binary = self.place.path("dbmux");
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")]).arg("--clear-groups").arg(binary);
            command
        } else {
            Command::new(binary)
        };
        self.place.set_up(&mut command);
        command.args(arguments).arg("--json");
        output(command)
    }

    fn allow(&self, name: &str, mode: u32) {
        fs::set_permissions(self.place.path(name), fs::Permissions::from_mode(mode)).expect("it is there");
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn a_directory_without_write_permission_is_named(kind: Kind) {
    let nobody = AsNobody::new();
    let inside = format!("inside/{}", kind.file());
    nobody.allow("inside", 0o555);
    let (code, text, error) = nobody.dbmux(&["sql", &inside, &kind.create(T)]);
    assert_ne!(code, 0, "{text}");
    says(&error, "PERMISSION_DENIED", &[&inside]);
    assert_eq!(fs::read_dir(nobody.place.path("inside")).expect("a look").count(), 0, "something was made");

    nobody.allow("inside", 0o755);
    let (code, text, _) = nobody.dbmux(&["sql", &inside, "create table t (i int); insert into t values (1)"]);
    assert_eq!(code, 0, "{text}");
    let (_, text, _) = nobody.dbmux(&["sql", &inside, "select * from t", "--format", "csv"]);
    assert_eq!(text, "i\n1\n");
}

fn a_file_that_may_not_be_read_is_named(kind: Kind) {
    let nobody = AsNobody::new();
    let inside = format!("inside/{}", kind.file());
    let (code, text, _) = nobody.dbmux(&["sql", &inside, "create table t (i int); insert into t values (1)"]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(nobody.dbmux(&["stop", &inside]).0, 0);
    nobody.allow(&inside, 0o000);
    let (code, text, error) = nobody.dbmux(&["sql", &inside, "select * from t"]);
    assert_ne!(code, 0, "{text}");
    says(&error, "PERMISSION_DENIED", &[&inside]);
    // The same broker serves it as soon as it may.
    nobody.allow(&inside, 0o644);
    let (_, text, _) = nobody.dbmux(&["sql", &inside, "select * from t", "--format", "csv"]);
    assert_eq!(text, "i\n1\n");
}

fn what_is_no_database_is_named_and_left_as_it_is(kind: Kind) {
    let place = place();
    let names = ["directory", "text", "zeros", "short"].map(|stem| kind.named(stem));
    fs::create_dir(place.path(&names[0])).expect("a directory");
    fs::write(place.path(&names[1]), "id,name\n1,ada\n".repeat(1000)).expect("a file");
    fs::write(place.path(&names[2]), vec![0; 100_000]).expect("a file");
    fs::write(place.path(&names[3]), "x").expect("a file");
    for name in &names {
        let path = place.path(name);
        let before = fs::read(&path).ok();
        for sql in ["select 1", "create table t (i int)"] {
            let (code, error) = place.fails(&["sql", name, sql]);
            assert_eq!(code, 1, "{error}");
            let code = if before.is_some() { "NOT_A_DATABASE" } else { "INVALID_ARGUMENT" };
            says(&error, code, &[name]);
        }
        assert_eq!(fs::read(&path).ok(), before, "{name} was changed");
        if before.is_some() {
            fs::remove_file(&path).expect("it is there");
            assert_eq!(place.sql(name, "select 42"), "42", "the broker serves what is a database");
        }
    }
}

fn serve_refuses_at_once_what_is_no_database(_: Kind) {
    let place = place();
    fs::create_dir(place.path("directory.duckdb")).expect("a directory");
    fs::write(place.path("text.duckdb"), "id,name\n1,ada\n".repeat(1000)).expect("a file");
    fs::write(place.path("picture.duckdb"), b"\x89PNG\r\n and more").expect("a file");
    for name in ["directory.duckdb", "text.duckdb", "picture.duckdb"] {
        let mut serve = place.dbmux(["serve", name]).stderr(Stdio::piped()).spawn().expect("dbmux starts");
        let mut code = None;
        until("it refuses", || {
            code = serve.try_wait().expect("a look").and_then(|status| status.code());
            code.is_some()
        });
        let told = serve.wait_with_output().expect("its end");
        let told = String::from_utf8_lossy(&told.stderr).into_owned();
        let (by_sql, error) = place.fails(&["sql", name, "select 1"]);
        assert_eq!(code, Some(by_sql), "{told}");
        let message = error["message"].as_str().expect("a message");
        assert_eq!(told.trim_end(), format!("error: {message}"), "as `dbmux sql` says it");
        assert!(!place.path(&format!("{name}.dbmux")).exists(), "nothing is laid beside what is no database");
    }
    // What may become one, and what somebody else has now, is served.
    let mut foreign = Foreign::holding(&place.path("held.duckdb"), false);
    for name in ["new.duckdb", "held.duckdb"] {
        let mut serve = place.dbmux(["serve", name]).stderr(Stdio::piped()).spawn().expect("dbmux starts");
        let mut said = String::new();
        let mut words = BufReader::new(serve.stderr.take().expect("its words"));
        words.read_line(&mut said).expect("it speaks");
        assert!(said.starts_with("serving "), "{said}");
        assert!(place.run(["stop", name]).status.success());
        assert!(serve.wait().expect("its end").success());
    }
    foreign.kill();
}

fn a_database_of_another_engine_is_named_with_both_engines(kind: Kind) {
    let place = place();
    let path = place.path("a.db");
    let made_by = if kind == Kind::Sqlite { Kind::DuckDb } else { Kind::Sqlite };
    let mut tool = Foreign::of(made_by);
    tool.opened(&path);
    tool.make(T);
    tool.close();
    let before = fs::read(&path).expect("a file");
    for sql in ["select * from t", "create table u (i int)"] {
        let (code, error) = place.fails(&["sql", "a.db", sql, "--engine", kind.name()]);
        assert_eq!(code, 1, "{error}");
        says(&error, "INVALID_ARGUMENT", &["a.db"]);
        let message = error["message"].as_str().expect("a message").to_lowercase();
        assert!(message.contains(kind.name()) && message.contains(made_by.name()), "{error}");
    }
    assert_eq!(fs::read(&path).expect("a file"), before, "it was changed");
    for log in kind.logs() {
        assert!(!place.path(&format!("a.db{log}")).exists());
    }
    fs::remove_file(&path).expect("it is there");
    let served = place.run(["sql", "a.db", "select 42", "--engine", kind.name()]);
    assert!(served.status.success(), "the broker serves what is a database: {served:?}");
}

fn a_path_that_leads_nowhere_is_named(kind: Kind) {
    let place = place();
    let nowhere = format!("no/such/{}", kind.file());
    let (code, error) = place.fails(&["sql", &nowhere, "select 1"]);
    assert_eq!(code, 1, "{error}");
    says(&error, "NO_SUCH_DATABASE", &["no/such"]);
    assert_eq!(error["message"], format!("the directory of {nowhere} does not exist"), "told once");
    let told = place.run(["serve", &nowhere]);
    assert_eq!(told.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&told.stderr).starts_with(&format!("error: the directory of {nowhere} does not")));
    let (_, error) = place.fails(&["sql", kind.file(), "select 1", "--read-only"]);
    says(&error, "NO_SUCH_DATABASE", &[kind.file()]);
    assert!(!Path::new(&place.path(kind.file())).exists());
    assert!(place.brokers().is_empty(), "a broker was started for nothing");
}

/// Log and sidecar go by the name: by the other one, the rows in the log would not be there, and be lost.
fn a_database_with_two_names_is_refused_and_loses_nothing(kind: Kind) {
    let place = place();
    let (one, other) = (kind.named("hl"), kind.named("hm"));
    place.sql(&one, "create table t (i int); insert into t values (1)");
    assert_eq!(place.kill_brokers(), 1);
    assert!(place.path(&format!("{one}{}", kind.logs()[0])).exists(), "a row is in the log");
    fs::hard_link(place.path(&one), place.path(&other)).expect("a link");
    for name in [&other, &one] {
        let (code, error) = place.fails(&["sql", name, "insert into t values (2)"]);
        assert_eq!(code, 1, "{error}");
        says(&error, "REFUSED", &[name]);
        let hint = error["suggestion"].as_str().expect("a hint");
        assert!(hint.contains("2 names (hard links)") && hint.contains("copy"), "{hint}");
    }
    assert!(!place.path(&format!("{other}.dbmux")).exists() && place.brokers().is_empty(), "nothing was begun");
    fs::remove_file(place.path(&other)).expect("it is there");
    assert_eq!(place.sql(&one, "select * from t"), "1");
    // A link that is made while the broker lives is seen when it attaches again.
    until("the file is released", || place.status(&one)["state"] == "released");
    fs::hard_link(place.path(&one), place.path(&other)).expect("a link");
    says(&place.fails(&["sql", &one, "select * from t"]).1, "REFUSED", &[&one]);
    fs::remove_file(place.path(&other)).expect("it is there");
    assert_eq!(place.sql(&one, "select * from t"), "1");
}

fn a_log_of_another_state_is_told_as_that(_: Kind) {
    let place = place();
    place.sql("a.duckdb", "create table t (i int); insert into t values (1)");
    assert_eq!(place.kill_brokers(), 1);
    fs::copy(place.path("a.duckdb.wal"), place.path("old.wal")).expect("there is a log");
    place.sql("a.duckdb", "insert into t values (2)");
    assert!(place.run(["stop", "a.duckdb"]).status.success());
    fs::rename(place.path("old.wal"), place.path("a.duckdb.wal")).expect("a log");
    let (code, error) = place.fails(&["sql", "a.duckdb", "from t"]);
    assert_eq!(code, 1, "{error}");
    says(&error, "DATABASE_DAMAGED", &["a.duckdb"]);
    assert!(error["suggestion"].as_str().is_some_and(|hint| hint.contains("put the log aside")), "{error}");
    // The hint is true.
    fs::rename(place.path("a.duckdb.wal"), place.path("aside.wal")).expect("a log");
    assert_eq!(place.sql("a.duckdb", "select sum(i) from t"), "3");
}

fn a_damaged_file_is_told_as_that(kind: Kind) {
    let place = place();
    let [whole, broken, short] = ["whole", "broken", "short"].map(|stem| kind.named(stem));
    place.sql(&whole, &format!("create table t as {}", kind.rows(100_000, 1)));
    assert!(place.run(["stop", &whole]).status.success());
    let sound = fs::read(place.path(&whole)).expect("a file");
    let mut harmed = sound.clone();
    harmed[4096..16384].fill(0x5a);
    for (name, bytes) in [(&broken, harmed.as_slice()), (&short, &sound[..9000])] {
        fs::write(place.path(name), bytes).expect("a file");
        let (code, error) = place.fails(&["sql", name, "select * from t"]);
        assert_eq!(code, 1, "{error}");
        says(&error, "DATABASE_DAMAGED", &[name]);
        let todo = if kind == Kind::DuckDb { "restore" } else { "integrity_check" };
        assert!(error["suggestion"].as_str().is_some_and(|hint| hint.contains(todo)), "{error}");
        until("it is let go", || place.status(name)["state"] == "released");
        // The same broker serves it when it has been restored.
        fs::write(place.path(name), &sound).expect("a file");
        assert_eq!(place.sql(name, "select count(*) from t"), "100000");
    }
}

fn what_is_refused_leaves_nothing_behind(_: Kind) {
    let place = place();
    fs::write(place.path("empty.duckdb"), "").expect("a file");
    fs::write(place.path("text.csv"), "id,name\n1,ada\n").expect("a file");
    for (name, word) in [("empty.duckdb", "empty"), ("text.csv", "a text file")] {
        for sql in ["select 1", "create table t (i int)"] {
            let (code, error) = place.fails(&["sql", name, sql]);
            assert_eq!(code, 1, "{error}");
            says(&error, "NOT_A_DATABASE", &[name]);
            let message = error["message"].as_str().expect("a message");
            // Once in its name.
            assert_eq!(message.matches(word).count(), if word == "empty" { 2 } else { 1 }, "told once: {message}");
            assert_eq!(error["suggestion"].is_string(), word == "empty", "{error}");
        }
        assert!(!place.path(&format!("{name}.dbmux")).exists(), "a sidecar beside {name}");
        assert!(place.brokers().is_empty(), "a broker of {name}");
    }
    let (code, error) = place.fails(&["sql", ":memory:", "select 1"]);
    assert_eq!(code, 1, "{error}");
    says(&error, "INVALID_ARGUMENT", &[":memory:"]);
    assert!(error["suggestion"].as_str().is_some_and(|hint| hint.contains("name a file")), "{error}");
    assert!(!place.path(":memory:").exists() && !place.path(":memory:.dbmux").exists() && place.brokers().is_empty());
}

fn a_sidecar_that_is_none_is_named_with_what_to_do(_: Kind) {
    let place = place();
    fs::write(place.path("a.duckdb.dbmux"), "garbage").expect("a file");
    for command in [["sql", "a.duckdb", "select 1"].as_slice(), &["who", "a.duckdb"], &["stats", "a.duckdb"]] {
        let (code, error) = place.fails(command);
        assert_eq!(code, 1, "{error}");
        says(&error, "INVALID_ARGUMENT", &["a.duckdb.dbmux"]);
        assert!(error["db_path"].as_str().is_some_and(|path| path.ends_with("a.duckdb")), "{command:?}: {error}");
        assert!(error["suggestion"].as_str().is_some_and(|hint| hint.contains("move away")), "{command:?}: {error}");
    }
    fs::remove_file(place.path("a.duckdb.dbmux")).expect("it is there");
    assert_eq!(place.sql("a.duckdb", "select 42"), "42");
}

/// The file is put aside under an open session: nothing more is acknowledged, and the hint helps.
fn a_file_that_is_moved_away_is_told_with_what_to_do(kind: Kind) {
    let place = place().with("DBMUX_RELEASE_AFTER", "1h");
    kind.fill(&place, T, &[&[1]]);
    fs::rename(place.path(kind.file()), place.path("moved.duckdb")).expect("it is there");
    fs::write(place.path(kind.file()), "something else").expect("a file");
    let (code, error) = place.fails(&["sql", kind.file(), "insert into t values (2)"]);
    assert_eq!(code, 1, "{error}");
    says(&error, "FILE_LOST", &[kind.file()]);
    assert!(error["suggestion"].as_str().is_some_and(|hint| hint.contains("put the attached one back")), "{error}");
    fs::rename(place.path("moved.duckdb"), place.path(kind.file())).expect("it is there");
    until("it is served again", || place.run(["sql", kind.file(), "select * from t"]).status.success());
    let rows = place.sql(kind.file(), "select id from t order by id");
    assert!(rows.starts_with('1'), "what was acknowledged is there: {rows}");
}

/// Inserts that are committed together are not inserted once more because nobody can tell what their path names by then;
/// whoever sent them is told that.
fn what_is_committed_is_not_done_again_where_the_path_cannot_be_looked_at(_: Kind) {
    const WRITERS: i64 = 8;
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    std::fs::create_dir(place.path("inside")).expect("a directory");
    place.sql("inside/a.duckdb", "create table t (i bigint)");
    let client = place.blocking_client("inside/a.duckdb", dbmux_client::ClientOptions::default());
    let written = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (session, written) = (client.session().expect("a session"), &written);
            scope.spawn(move || {
                // Until it is told that nothing is known of the file any more.
                for turn in 0..1_000_000 {
                    let sql = format!("insert into t values ({})", turn * WRITERS + writer);
                    if let Err(error) = session.execute(sql) {
                        return assert_eq!(error.code(), dbmux_client::ErrorCode::OutcomeUnknown, "{error:?}");
                    }
                    written.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
        dbmux_testkit::until("all are at work", || written.load(std::sync::atomic::Ordering::Relaxed) > 200);
        // In one step: the path is neither the file nor nothing, it is no path.
        std::fs::write(place.path("file"), "a file").expect("a file");
        let (cwd, flag) = (rustix::fs::CWD, rustix::fs::RenameFlags::EXCHANGE);
        rustix::fs::renameat_with(cwd, place.path("inside"), cwd, place.path("file"), flag)
            .expect("they change places");
    });
    assert_eq!(place.kill_brokers(), 1, "its broker");
    let counts = place.sql("file/a.duckdb", "select count(*), count(distinct i) from t");
    let (rows, different) = counts.split_once(',').expect("two numbers");
    assert_eq!(rows, different, "some are there twice");
}
