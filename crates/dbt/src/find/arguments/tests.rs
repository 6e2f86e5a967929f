use std::path::Path;

use proptest::prelude::*;

use super::*;

fn reading(words: &[&str]) -> Reading {
    read(&words.iter().map(OsString::from).collect::<Vec<_>>(), None)
}

/// `dbt run`, `parses dbt ls`, `uv: dbt run`, …, with the project's directory where one is given.
fn said(words: &[&str]) -> String {
    let of = |dbt: &Invocation| {
        let parses = if dbt.work == Work::Parses { "parses " } else { "" };
        let at = dbt.project_dir.as_ref().map(|path| format!(" @{}", path.display())).unwrap_or_default();
        format!("{parses}dbt {}{at}", dbt.command)
    };
    match reading(words) {
        Reading::Dbt(dbt) => of(&dbt),
        Reading::Starts { program, dbt } => format!("{program}: {}", of(&dbt)),
        Reading::LanguageServer(_) => "lsp".to_owned(),
        Reading::Harmless(_) => "harmless".to_owned(),
        Reading::Keeper(_) => "keeper".to_owned(),
        Reading::Python => "python".to_owned(),
        Reading::Other => "other".to_owned(),
    }
}

#[test]
fn reads_dbt_in_all_its_forms() {
    for (words, expected) in [
        (&["dbt", "run"][..], "dbt run"),
        (&["/v/bin/python3", "/v/bin/dbt", "build", "--select", "marts"], "dbt build"),
        (&["python", "-m", "dbt", "run"], "dbt run"),
        (&["python3.11", "-I", "-u", "-X", "utf8", "-m", "dbt.cli.main", "test"], "dbt test"),
        (&["python", "-Wignore", "-um", "dbt.cli.main", "seed"], "dbt seed"),
        (&["python", "-mdbt", "seed"], "dbt seed"),
        (&["python", "/v/lib/python3.11/site-packages/dbt/cli/main.py", "run"], "dbt run"),
        (&["/nix/bin/.python3.11-wrapped", "/nix/bin/.dbt-wrapped", "run"], "dbt run"),
        (&["pypy3", "/v/bin/dbt", "run"], "dbt run"),
        (&["bash", "/root/.pyenv/shims/dbt", "run"], "dbt run"),
        (&[r"C:\v\Scripts\dbt.exe", "run"], "dbt run"),
        (&["DBT.EXE", "run"], "dbt run"),
        (&[r"C:\Python\python.exe", r"C:\v\Scripts\dbt.exe", "run"], "dbt run"),
        (&["/init", "/mnt/c/v/Scripts/dbt.exe", "dbt.exe", "run"], "dbt run"),
        (&["wine64", r"C:\v\dbt.exe", "run"], "dbt run"),
        (&["/lib64/ld-linux-x86-64.so.2", "/usr/bin/python3", "-m", "dbt", "run"], "dbt run"),
        (&["dbt", "--debug", "--log-format", "json", "run"], "dbt run"),
        (&["dbt", "--log-path", "run", "ls"], "parses dbt ls"),
        (&["dbt", "docs", "generate"], "dbt docs generate"),
        (&["dbt", "source", "freshness"], "dbt source freshness"),
        (&["dbt", "parse"], "parses dbt parse"),
        (&["dbt", "deps", "--upgrade"], "parses dbt deps"),
        (&["dbt", "run", "--project-dir", "Sales"], "dbt run @Sales"),
        (&["dbt", "run", "--project-dir=/A/b c"], "dbt run @/A/b c"),
        (&["dbt", "--project-dir", "a", "run", "--project-dir", "b"], "dbt run @b"),
        (&["dbt", "run", "--vars", "--project-dir", "--select", "x"], "dbt run"),
        (&["dbt", "run", "--vars", "{a: --help}", "--args", "--version"], "dbt run"),
        (&["dbt", "run", "--select", "a", "b", "parse"], "dbt run"),
    ] {
        assert_eq!(said(words), expected, "{words:?}");
    }
}

#[test]
fn reads_what_starts_dbt_once_its_environment_is_ready() {
    for (words, expected) in [
        (&["uv", "run", "dbt", "build"][..], "uv: dbt build"),
        (&["uv", "--quiet", "run", "--with", "dbt-duckdb", "--", "dbt", "run", "--project-dir", "P"], "uv: dbt run @P"),
        (&["uv", "run", "-m", "dbt.cli.main", "run"], "uv: dbt run"),
        (&["uv", "run", "python", "-m", "dbt", "ls"], "uv: parses dbt ls"),
        (&["uv", "tool", "run", "--from", "dbt-core", "dbt", "run"], "uv: dbt run"),
        (&["uvx", "--from", "dbt-core", "dbt", "run"], "uvx: dbt run"),
        (&["/usr/bin/python3", "/usr/bin/poetry", "run", "dbt", "test"], "poetry: dbt test"),
        (&["python", "-m", "pipenv", "run", "dbt", "test"], "pipenv: dbt test"),
        (&["conda", "run", "-n", "env", "--no-capture-output", "dbt", "run"], "conda: dbt run"),
        (&["poetry", "run", "uv", "run", "dbt", "run"], "poetry: dbt run"),
        (&["uv", "run", "dbt", "--version"], "harmless"),
        (&["uv", "run", "dbmux", "dbt", "run"], "other"),
        (&["uv", "run", "pytest", "dbt"], "other"),
        (&["uv", "pip", "install", "dbt-duckdb"], "other"),
        (&["uv", "add", "dbt", "run"], "other"),
        (&["uv", "run"], "other"),
    ] {
        assert_eq!(said(words), expected, "{words:?}");
    }
}

#[test]
fn is_not_misled() {
    for (words, expected) in [
        (&["tail", "-f", "/proj/logs/dbt.log"][..], "other"),
        (&["tail", "-f", "/proj/dbt", "run"], "other"),
        (&["vim", "dbt"], "other"),
        (&["less", "/usr/bin/dbt"], "other"),
        (&["grep", "-r", "dbt", "run"], "other"),
        (&["git", "commit", "-m", "dbt", "run"], "other"),
        (&["python", "-m", "pip", "install", "dbt-core", "dbt-duckdb"], "python"),
        (&["pip", "install", "dbt"], "other"),
        (&["python", "/v/bin/pip", "install", "dbt"], "python"),
        (&["dbt"], "harmless"),
        (&["dbt", "--version"], "harmless"),
        (&["dbt", "-v"], "harmless"),
        (&["dbt", "--help"], "harmless"),
        (&["dbt", "run", "--help"], "harmless"),
        (&["dbt", "docs", "serve", "--port", "8080"], "harmless"),
        (&["dbt", "docs"], "harmless"),
        (&["dbt", "init", "run"], "harmless"),
        (&["dbt", "frobnicate", "run"], "harmless"),
        (&["python", "-m", "dbt.cli.main", "--version"], "harmless"),
        (&["dbt", "lsp", "--project-dir", "/proj"], "lsp"),
        (&["dbt-lsp"], "lsp"),
        (&["/home/me/dbt/run.sh"], "other"),
        (&["sleep", "60", "dbt"], "other"),
        (&["mydbt", "run"], "other"),
        (&["dbt-osmosis", "yaml", "refactor"], "other"),
        (&["python", "/v/bin/dbt-osmosis", "run"], "python"),
        (&["python", "/v/bin/dbt-core-mcp"], "python"),
        (&["python", "-m", "dbt_core_mcp", "--project-dir", "/proj"], "python"),
        (&["python", "-m", "http.server", "dbt", "run"], "python"),
        (&["python", "run.py", "-m", "dbt", "run"], "python"),
        (&["python", "-c", "import dbt", "dbt", "run"], "python"),
        (&["python", "-c", "from dbt.cli.main import dbtRunner; import time; time.sleep(9)"], "python"),
        (&["python", "-c", "from dbt.cli.main import dbtRunner\ndbtRunner().invoke(['run'])"], "keeper"),
        (&["python3", "/ext/python-bridge/node_python_bridge.py"], "keeper"),
        (&["sh", "-c", "cd /proj && dbt run"], "other"),
        (&["bash", "-lc", "dbt run"], "other"),
        (&["dbmux", "dbt", "run"], "other"),
        (&["dbmux", "run", "a.duckdb", "--", "dbt", "run"], "other"),
        (&["make", "dbt"], "other"),
        (&["airflow", "task", "runner:", "dbt"], "other"),
        (&["init", "3"], "other"),
        (&["python"], "python"),
        (&["python", "-"], "python"),
        (&[""], "other"),
        (&[], "other"),
    ] {
        assert_eq!(said(words), expected, "{words:?}");
    }
}

#[test]
fn a_program_that_titles_itself_is_known_by_its_file() {
    let title = [OsString::from("gunicorn: worker [flow]")];
    assert_eq!(read(&title, Some(Path::new("/usr/bin/python3.11"))), Reading::Python);
    assert_eq!(read(&title, Some(Path::new("/usr/bin/gunicorn"))), Reading::Other);
}

#[test]
fn a_project_is_told_by_option_then_variable_then_directory() {
    let with =
        |project_dir: Option<&str>| Invocation { project_dir: project_dir.map(Into::into), ..Invocation::default() };
    let variable = Some(OsString::from("/v"));
    assert_eq!(place(Some(&with(Some("Rel"))), variable.clone()), Place::Option("Rel".into()));
    assert_eq!(place(Some(&with(None)), variable.clone()), Place::Variable("/v".into()));
    assert_eq!(place(None, variable), Place::Variable("/v".into()));
    assert_eq!(place(Some(&with(None)), Some(OsString::new())), Place::Above);
    assert_eq!(place(None, None), Place::Above);
}

#[test]
fn knows_what_is_around_a_dbt() {
    for (words, expected) in [
        (&["uv", "run", "dbt", "run"][..], Some("uv")),
        (&["bash", "-c", "cd /proj && dbt run"], Some("bash")),
        (&["/bin/sh", "-ec", "dbt run"], Some("/bin/sh")),
        (&["bash", "nightly.sh"], Some("nightly.sh")),
        (&["bash"], None),
        (&["-bash"], None),
        (&["bash", "-l"], None),
        (&["bash", "--login", "-i"], None),
        (&["make", "dbt"], Some("make")),
        (&["python", "-m", "dagster", "api", "grpc"], Some("dagster")),
        (&["python3", "/v/bin/airflow", "tasks", "run"], Some("airflow")),
        (&["airflow task runner: nightly"], Some("airflow")),
        (&["/usr/local/bin/dbmux", "run", "a.duckdb", "--", "dbt", "run"], Some("dbmux")),
        (&["timeout", "60", "dbt", "run"], Some("timeout")),
        (&["/usr/sbin/cron", "-f"], None),
        (&["sshd: me@pts/0"], None),
        (&["python", "flow.py"], None),
        (&["systemd", "--user"], None),
    ] {
        let found = wrapper(words).map(|name| if name == "sh" { "/bin/sh" } else { name });
        assert_eq!(found, expected, "{words:?}");
    }
}

proptest! {
    /// Whatever the words are: from the grammar's own, so that every branch is met, and from anywhere.
    #[test]
    fn no_words_can_make_it_fail(words in proptest::collection::vec(
        prop_oneof![
            "\\PC{0,12}",
            proptest::sample::select(vec![
                "dbt", "python", "python3", "-m", "-c", "-um", "-X", "-W", "--", "-", "--project-dir", "--project-dir=",
                "--vars", "run", "docs", "serve", "uv", "uvx", "poetry", "tool", "--with", "bash", "init", "/x/dbt.exe",
                ".exe", "/", "\\", "é.exe", "--help", "=", "-cé", "-mé",
            ]).prop_map(str::to_owned),
        ], 0..12,
    )) {
        let words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
        let once = read(&words, None);
        prop_assert_eq!(&once, &read(&words, None));
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        let _ = wrapper(&words.iter().map(AsRef::as_ref).collect::<Vec<_>>());
    }
}
