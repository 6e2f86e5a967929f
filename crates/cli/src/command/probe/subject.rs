//! What is probed: a fresh database of an engine, or a copy of somebody's.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use clap::ValueEnum;

use crate::{args::EngineArg, engine, exit::Exit, failure::Failure, render, terminal};

/// Before the names of tables beside somebody's own.
const PREFIX: &str = "dbmux_probe_";
/// How often it is looked whether the copy is made, or nobody wants it any more.
const LOOK: Duration = Duration::from_millis(20);

/// What is probed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Subject {
    /// As `--engine` names it.
    pub(super) engine: String,
    /// The database that is copied; `None`: a fresh one.
    pub(super) original: Option<PathBuf>,
}

impl Subject {
    /// An engine's name is the engine; anything else is a path.
    pub(super) fn of(what: &Path) -> Result<Self, Failure> {
        let engine = what.to_str().and_then(|name| EngineArg::from_str(name, true).ok());
        if let Some(engine) = engine {
            return Ok(Self { engine: name(engine), original: None });
        }
        let there = what.try_exists()?;
        if !there && what.extension().is_none() {
            let text = format!("{} is no engine, and no database is there", what.display());
            let engines: Vec<String> = EngineArg::value_variants().iter().map(|engine| name(*engine)).collect();
            return Err(
                Failure::usage(text).with_hint(format!("say {}, or the path of a database", engines.join(", ")))
            );
        }
        let found =
            engine::of(what, None).map_err(|error| Failure::from(dbmux_client::ClientError::Broker(error.0)))?;
        if there {
            render::note(&format!("{} is left alone: a copy of it is probed", what.display()));
        } else {
            render::note(&format!("there is no {}, and none is made: a fresh database is probed", what.display()));
        }
        Ok(Self { engine: name(found), original: there.then(|| what.to_owned()) })
    }

    /// Before the names of the probe's tables.
    pub(super) fn prefix(&self) -> &'static str {
        if self.original.is_some() { PREFIX } else { "" }
    }

    /// The name of a database of this engine.
    pub(super) fn file(&self, stem: &str) -> String {
        format!("{stem}.{}", self.engine)
    }

    /// Copies the original, where there is one, as of one moment.
    pub(super) fn copy_original(&self, target: &Path, stop: &AtomicBool) -> Result<(), Failure> {
        match &self.original {
            None => Ok(()),
            Some(original) => snapshot(original, target, stop),
        }
    }
}

fn name(engine: EngineArg) -> String {
    engine.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// `dbmux snapshot`: whoever has the database, and whoever writes to it. It says by itself what goes wrong.
fn snapshot(original: &Path, target: &Path, stop: &AtomicBool) -> Result<(), Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("snapshot").arg(original).arg(target).stdin(Stdio::null()).stdout(Stdio::null());
    if terminal::wants_json() {
        command.arg("--json");
    }
    let mut child = command.spawn()?;
    loop {
        if let Some(status) = child.try_wait()? {
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            return if status.success() { Ok(()) } else { Err(Failure::quiet(Exit::Child(code.unwrap_or(1)))) };
        }
        if stop.load(Ordering::Relaxed) {
            // It has ended, or it ends now.
            let _ = child.kill();
            child.wait()?;
            return Err(Failure::quiet(Exit::Interrupted));
        }
        thread::sleep(LOOK);
    }
}

/// Copies a file, or a directory with all that is in it, that nobody writes to.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        copy(&from.join(&name), &to.join(name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_an_engine_and_else_a_database() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("notes.db"), b"SQLite format 3\0").unwrap();
        let engine = |name: &str| Subject { engine: name.to_owned(), original: None };
        assert_eq!(Subject::of(Path::new("SQLite")).unwrap(), engine("sqlite"));
        assert_eq!(Subject::of(&at("new.sqlite3")).unwrap(), engine("sqlite"));
        let found = Subject::of(&at("notes.db")).unwrap();
        assert_eq!(found, Subject { engine: "sqlite".to_owned(), original: Some(at("notes.db")) });
        assert_eq!((found.prefix(), engine("sqlite").prefix()), (PREFIX, ""));
        let refused = Subject::of(Path::new("sqlit")).unwrap_err();
        assert!(refused.message.contains("sqlit is no engine") && refused.suggestion.contains("duckdb"), "{refused:?}");
    }

    #[test]
    fn a_directory_is_copied_with_all_that_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a"), folder.path().join("b"));
        fs::create_dir_all(from.join("t.lance/_versions")).unwrap();
        fs::write(from.join("t.lance/_versions/1"), "one").unwrap();
        fs::write(from.join("t.lance/data"), "two").unwrap();
        copy(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("t.lance/_versions/1")).unwrap(), "one");
        assert_eq!(fs::read_to_string(to.join("t.lance/data")).unwrap(), "two");
    }
}
