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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn script(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().expect("a directory")).expect("directories");
        fs::write(path, text).expect("a script");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a program");
    }

    fn environment(pairs: &[(&str, &Path)]) -> Environment {
        pairs.iter().map(|(name, value)| (*name, value.as_os_str())).collect()
    }

    #[test]
    fn the_first_line_names_the_python_whatever_its_form() {
        let place = tempfile::tempdir().expect("a directory");
        let bin = place.path().join("bin");
        script(&bin.join("python3"), "");
        let dbt = bin.join("dbt");
        for (text, python) in [
            ("#!/opt/venv/bin/python3.11\nimport dbt\n", Some("/opt/venv/bin/python3.11")),
            ("#! /usr/bin/python -sE\n", Some("/usr/bin/python")),
            ("#!/bin/sh\n'''exec' \"/a path/bin/python\" \"$0\" \"$@\"\n' '''\n", Some("/a path/bin/python")),
            ("#!/bin/sh\n'''exec' /short/bin/python \"$0\" \"$@\"\n' '''\n", Some("/short/bin/python")),
            ("#!/bin/sh\nexec dbmux dbt \"$@\"\n", None),
            ("#!/usr/bin/pythonic\n", None),
            ("\u{7f}ELF", None),
        ] {
            script(&dbt, text);
            let found = Interpreter::of_script(&dbt).ok().map(|found| found.python);
            assert_eq!(found.as_deref(), python.map(Path::new), "{text}");
        }
        script(&dbt, "#!/usr/bin/env python3\n");
        assert_eq!(Interpreter::of_script(&dbt).expect("beside it").python, bin.join("python3"));
        let named = Interpreter::of_script(&bin.join("python3")).expect("a python");
        assert_eq!((named.python, named.script), (bin.join("python3"), dbt.clone()));
        assert_eq!(Interpreter::of_script(place.path()).expect("an environment").script, dbt);
        assert!(Interpreter::of_script(&place.path().join("nix")).is_err());
    }

    #[test]
    fn an_active_environment_goes_before_the_projects_and_both_before_the_path() {
        let place = tempfile::tempdir().expect("a directory");
        let project = place.path().join("project/warehouse");
        fs::create_dir_all(&project).expect("directories");
        for name in ["active", "project/.venv", "path"] {
            script(&place.path().join(name).join("bin/dbt"), &format!("#!/{name}/bin/python\n"));
        }
        // What stands on the path and is no dbt of a Python is passed by: our own shim, for example.
        script(&place.path().join("shim/dbt"), "#!/bin/sh\nexec dbmux dbt \"$@\"\n");
        let path = std::env::join_paths([place.path().join("shim"), place.path().join("path/bin")]).expect("a path");
        let active = place.path().join("active");
        let find = |variables: &Environment| Interpreter::find(None, &project, variables).expect("a dbt").python;
        let on_path = environment(&[("PATH", Path::new(&path))]);
        assert_eq!(find(&on_path), Path::new("/path/bin/python"));
        fs::write(place.path().join("project/uv.lock"), "").expect("a lock");
        assert_eq!(find(&on_path), Path::new("/project/.venv/bin/python"));
        let both = environment(&[("PATH", Path::new(&path)), ("VIRTUAL_ENV", &active)]);
        assert_eq!(find(&both), Path::new("/active/bin/python"));
        let named = Interpreter::find(Some(&place.path().join("path/bin/dbt")), &project, &both).expect("a dbt");
        assert_eq!(named.python, Path::new("/path/bin/python"));
        let none = Interpreter::find(None, place.path(), &environment(&[("PATH", &place.path().join("shim"))]));
        assert!(matches!(none, Err(DbtError::NoDbt { path, .. }) if path.ends_with("shim/dbt")));
    }
}
