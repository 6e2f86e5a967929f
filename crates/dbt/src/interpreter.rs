//! Which Python runs dbt here.

use std::{
    ffi::OsStr,
    fs::File,
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{DbtError, Environment};

/// The Python that dbt runs in, and the script `dbt` that was found with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interpreter {
    /// The interpreter, as it must be called: an environment's `python` is a link that may not be followed.
    pub python: PathBuf,
    /// The script.
    pub script: PathBuf,
}

/// The longest first line of a script that is looked at, in bytes.
const LONGEST_SHEBANG: u64 = 4096;

impl Interpreter {
    /// What `dbt` would be here: the one that is named, else that of the active virtual environment, else that of the
    /// project's own (`.venv` beside `uv.lock` or `pyproject.toml`, as `uv run` has it), else the first on `PATH`.
    ///
    /// # Errors
    /// [`DbtError::NoDbt`] when there is none, or what there is is no script of a Python.
    pub fn find(named: Option<&Path>, project: &Path, environment: &Environment) -> Result<Self, DbtError> {
        if let Some(named) = named {
            return Self::of_script(named);
        }
        let active = environment.get("VIRTUAL_ENV").filter(|value| !value.is_empty()).map(PathBuf::from);
        let candidates = active.into_iter().chain(uv_environment(project)).map(|place| place.join("bin/dbt"));
        let path = environment.get("PATH").unwrap_or_default();
        let on_path = std::env::split_paths(path).map(|directory| directory.join("dbt"));
        let mut reason = None;
        for candidate in candidates.chain(on_path).filter(|path| is_program(path)) {
            match Self::of_script(&candidate) {
                Ok(found) => return Ok(found),
                // Another one may follow: a shim of ours, or dbt's other engine, may stand before it.
                Err(error) => reason = reason.or(Some(error)),
            }
        }
        Err(reason.unwrap_or_else(|| DbtError::NoDbt {
            path: PathBuf::from("dbt"),
            reason: "there is none in a virtual environment here, nor on PATH".to_owned(),
        }))
    }

    /// The interpreter of a script `dbt` (or of an environment, or of a `python` that is named in its place).
    ///
    /// # Errors
    /// [`DbtError::NoDbt`] when it is not there, or no script of a Python.
    pub fn of_script(path: &Path) -> Result<Self, DbtError> {
        let no_dbt = |reason: String| DbtError::NoDbt { path: path.to_owned(), reason };
        if path.is_dir() {
            return Self::of_script(&path.join("bin/dbt"));
        }
        let absolute = std::path::absolute(path).map_err(|error| no_dbt(error.to_string()))?;
        if !absolute.exists() {
            return Err(no_dbt("it is not there".to_owned()));
        }
        if is_python(&absolute) {
            return Ok(Self { script: absolute.with_file_name("dbt"), python: absolute });
        }
        let python = shebang(&absolute).map_err(|error| no_dbt(error.to_string()))?;
        let python = python.filter(|python| is_python(python));
        let python = python.ok_or_else(|| no_dbt("it is not a script of a Python: dbt-core's is".to_owned()))?;
        Ok(Self { python, script: absolute })
    }
}

/// The environment that `uv run` would use: `.venv` beside the nearest `uv.lock`, else the nearest `pyproject.toml`.
fn uv_environment(project: &Path) -> Option<PathBuf> {
    let beside = |name: &'static str| project.ancestors().find(move |directory| directory.join(name).is_file());
    let root = beside("uv.lock").or_else(|| beside("pyproject.toml"))?;
    Some(root.join(".venv")).filter(|place| place.is_dir())
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

fn is_python(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    name.strip_prefix("python").or_else(|| name.strip_prefix("pypy")).is_some_and(|version| {
        version.strip_suffix(".exe").unwrap_or(version).chars().all(|c| c.is_ascii_digit() || c == '.')
    })
}

/// What a script's first line names; `None`: it names nothing. `/bin/sh` stands there where the interpreter's path is too
/// long for the kernel, or has a blank: pip and uv write `'''exec' "PYTHON" "$0" "$@"` into the second line then.
fn shebang(script: &Path) -> std::io::Result<Option<PathBuf>> {
    let mut lines = BufReader::new(File::open(script)?.take(LONGEST_SHEBANG));
    let mut line = Vec::new();
    lines.read_until(b'\n', &mut line)?;
    let Some(first) = line.strip_prefix(b"#!").map(|rest| String::from_utf8_lossy(rest).trim().to_owned()) else {
        return Ok(None);
    };
    let mut words = first.split_whitespace();
    let program = PathBuf::from(words.next().unwrap_or_default());
    if program.ends_with("sh") {
        let mut second = Vec::new();
        lines.read_until(b'\n', &mut second)?;
        let second = String::from_utf8_lossy(&second).into_owned();
        return Ok(second.strip_prefix("'''exec' ").map(|rest| {
            let quoted = rest.strip_prefix('"').and_then(|rest| rest.split('"').next());
            PathBuf::from(quoted.or_else(|| rest.split_whitespace().next()).unwrap_or_default())
        }));
    }
    if program.ends_with("env") {
        // `env python3`: whichever comes first on PATH. Beside the script is where its environment has it.
        return Ok(words.next().map(|name| script.with_file_name(name)).filter(|python| python.exists()));
    }
    // One word: the kernel takes the rest as one argument; an interpreter's path with a blank has no `#!` line.
    Ok(Some(program))
}
