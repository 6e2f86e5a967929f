//! A tree of real sources, and an index of it in a place of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use dbmux_testkit::{Place, checkout};
use serde_json::Value;

/// A copy of some of our own sources, which ends with it.
pub(crate) struct Tree {
    directory: tempfile::TempDir,
    files: u64,
}

impl Tree {
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("dbmux-tree-").tempdir_in("/tmp").unwrap();
        let from = checkout();
        let folders = [("crates/os", "os"), ("crates/lock", "lock"), ("docs", "docs")];
        let files = folders.iter().map(|(one, other)| copy(&from.join(one), &directory.path().join(other))).sum();
        Self { directory, files }
    }

    /// How many it had at first.
    pub(crate) fn files(&self) -> u64 {
        self.files
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.root().join(name), text).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.root().join(name)).unwrap();
    }

    /// What was found stands there.
    pub(crate) fn has(&self, hits: &[Value]) {
        for hit in hits {
            let (path, text) = (hit["path"].as_str().unwrap(), hit["text"].as_str().unwrap());
            assert!(path.starts_with(self.root().to_str().unwrap()), "{hit}");
            let content = fs::read_to_string(path).unwrap();
            let line = hit["line"].as_u64().unwrap() as usize;
            let begins = content.lines().nth(line - 1).unwrap().trim();
            assert!(content.contains(text) && text.lines().next().unwrap().contains(begins), "{hit}: {begins}");
        }
    }
}

/// Answers with the number of files. Those that are hidden stay behind.
fn copy(from: &Path, to: &Path) -> u64 {
    fs::create_dir(to).unwrap();
    let entries = fs::read_dir(from).unwrap().map(Result::unwrap);
    let seen = entries.filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
    seen.map(|entry| {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            return copy(&entry.path(), &target);
        }
        fs::copy(entry.path(), target).unwrap();
        1
    })
    .sum()
}

/// An index, in a place of its own.
pub(crate) struct Index {
    pub(crate) place: Place,
    database: String,
}

impl Index {
    pub(crate) fn new(database: &str) -> Self {
        // `dbmux` is built beside `code-index`, where `code-index` itself finds it.
        let dbmux: PathBuf = Path::new(env!("CARGO_BIN_EXE_code-index")).with_file_name("dbmux");
        assert!(dbmux.is_file(), "{} is missing: cargo build --release --workspace --bins", dbmux.display());
        Self { place: Place::new(dbmux.to_str().unwrap()), database: database.to_owned() }
    }

    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        self.place.set_up(&mut command);
        command.env_remove("DBMUX_BIN").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn code_index(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_code-index"));
        command.arg(&self.database).args(arguments).arg("--json");
        command
    }

    /// The same program in Python.
    pub(crate) fn python(&self, arguments: &[&str]) -> Child {
        let example = checkout().join("examples/code-index/python");
        // Made by `test.sh` already, or now.
        let made = Command::new("sh").arg(example.join("venv.sh")).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut command = self.command(String::from_utf8(made.stdout).unwrap().trim());
        command.env("DBMUX_BIN", self.place.binary()).arg(example.join("code_index.py"));
        command.arg(&self.database).args(arguments).arg("--json").spawn().unwrap()
    }

    pub(crate) fn start_index(&self, tree: &Tree, options: &[&str]) -> Child {
        let arguments = [&["index", tree.root().to_str().unwrap()], options].concat();
        self.code_index(&arguments).spawn().unwrap()
    }

    /// Indexes, and answers with what was done.
    pub(crate) fn index(&self, tree: &Tree, options: &[&str]) -> Value {
        told(self.start_index(tree, options))
    }

    pub(crate) fn search(&self, arguments: &[&str]) -> Vec<Value> {
        let search = self.code_index(&[&["search"], arguments].concat()).spawn().unwrap();
        told(search).as_array().unwrap().clone()
    }

    /// As long as there is no table to search, it fails.
    pub(crate) fn try_search(&self, arguments: &[&str]) -> Option<Vec<Value>> {
        let output = self.code_index(&[&["search"], arguments].concat()).output().unwrap();
        let hits = output.status.success().then(|| serde_json::from_slice::<Value>(&output.stdout).unwrap());
        hits.map(|hits| hits.as_array().unwrap().clone())
    }

    /// How many files are there whole; none before there are tables.
    pub(crate) fn files(&self) -> u64 {
        let sql = "SELECT count(*) FROM files WHERE hash <> ''";
        let output = self.place.run(["sql", &self.database, sql, "--format", "csv"]);
        String::from_utf8(output.stdout).unwrap().lines().nth(1).and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    /// How many chunks there are.
    pub(crate) fn size(&self) -> u64 {
        self.place.sql(&self.database, "SELECT count(*) FROM chunks").parse().unwrap()
    }

    /// All that stands in it, in order, with the paths as the tree has them.
    pub(crate) fn content(&self, tree: &Tree) -> String {
        let files = "SELECT path, language, hash, chunks FROM files ORDER BY path";
        let chunks =
            "SELECT path, number, line, language, provider, model, hash, text FROM chunks ORDER BY path, number";
        let all = [files, chunks].map(|sql| self.place.sql(&self.database, sql)).join("\n");
        all.replace(tree.root().to_str().unwrap(), "TREE")
    }
}

/// The JSON that a command printed, which must have succeeded.
pub(crate) fn told(child: Child) -> Value {
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}
