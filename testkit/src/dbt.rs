//! Real dbt: the environment that `testkit/dbt/venv.sh` makes, and the test project, copied to a place of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The Python in which `testkit/dbt/venv.sh` has installed dbt-core, dbt-duckdb and DuckDB 2.0.
pub fn dbt_python() -> PathBuf {
    crate::foreign::interpreter("DBMUX_TEST_DBT_PYTHON", "dbt-venv", "testkit/dbt/venv.sh")
}

/// The `dbt` beside [`dbt_python`].
pub fn dbt_program() -> PathBuf {
    dbt_python().with_file_name("dbt")
}

/// A copy of the test project (`testkit/dbt/project`), with a database of its own. It is removed when this is dropped.
pub struct DbtProject {
    directory: PathBuf,
    /// Removes it.
    _owned: Option<tempfile::TempDir>,
}

impl DbtProject {
    /// Copies the project: nothing of it has been built.
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("dbmux-dbt-").tempdir_in("/tmp").expect("a directory");
        let source = crate::checkout().join("testkit/dbt/project");
        copy(&source, &directory.path().join("project"));
        Self { directory: directory.path().to_owned(), _owned: Some(directory) }
    }

    /// A project that another process has made, and removes: by its directory.
    pub fn at(root: PathBuf) -> Self {
        Self { directory: root.parent().expect("a directory around it").to_owned(), _owned: None }
    }

    /// The project's directory.
    pub fn root(&self) -> PathBuf {
        self.directory.join("project")
    }

    /// The database that the project is built in: what `DBMUX_TEST_DB` must say.
    pub fn database(&self) -> PathBuf {
        self.directory.join("company.duckdb")
    }

    /// A directory beside the project: for what a test makes.
    pub fn place(&self) -> &Path {
        &self.directory
    }

    /// The variables that dbt must see here.
    pub fn environment(&self) -> Vec<(String, String)> {
        vec![("DBMUX_TEST_DB".to_owned(), self.database().display().to_string())]
    }

    /// Plain dbt, in the project.
    pub fn dbt<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(dbt_program());
        command.args(arguments).current_dir(self.root()).envs(self.environment()).stdin(Stdio::null());
        command
    }

    /// Writes a file of the project.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
}

impl Default for DbtProject {
    fn default() -> Self {
        Self::new()
    }
}

/// Copies a tree of files, without what dbt makes in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("the test project") {
        let entry = entry.expect("a file of the test project");
        let name = entry.file_name();
        if ["target", "logs"].iter().any(|made| name == *made) {
            continue;
        }
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(name));
        } else {
            fs::copy(entry.path(), to.join(name)).expect("a copy");
        }
    }
}
