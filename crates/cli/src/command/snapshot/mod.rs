//! `dbmux snapshot`: a consistent copy of a database, for keeping.
//!
//! The broker keeps the file still, and this process copies it: it has no lock on it that closing it could cost. The copy
//! has no name before it is whole and on the disk; then it has the one that was asked for, and nothing is replaced that was
//! not to be. A database that is a directory is copied into one beside its future name.

mod bar;
mod target;

use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Instant,
};

use dbmux_client::{ClientOptions, LeaseProgress, Still, blocking::Client};
use dbmux_os::file_copy::{self, CopyError, How};
use serde_json::json;
use tempfile::TempDir;

use self::{
    bar::Bar,
    target::{Made, Target},
};
use super::guarded;
use crate::{
    args::SnapshotArgs,
    exit::Exit,
    failure::Failure,
    render::{self, person},
};

pub(crate) fn run(args: &SnapshotArgs) -> Result<Exit, Failure> {
    let target = Target::new(&args.target, args.force)?;
    let options = ClientOptions {
        wait: args.waiting.wait,
        priority: args.waiting.priority.into(),
        create: false,
        broker_program: super::sql::chosen_program().map(Into::into),
        ..ClientOptions::default()
    };
    let client = Client::open(&args.database, options)?;
    target.differs_from(client.database())?;
    if !client.database().exists() {
        return Err(dbmux_client::ClientError::NoSuchDatabase { database: client.database().to_owned() }.into());
    }
    let still = guarded::shown(super::run::for_whom, |tell| {
        Still::begin(&client, &mut |progress: &LeaseProgress| tell((progress.clone(), Instant::now())))
    })?;
    let began = Instant::now();
    let (copy, how, bytes) = copy(&still.engine(), client.database(), &target)?;
    let (as_of, took) = (still.as_of().to_owned(), began.elapsed());
    still.end()?;
    // Others write again while the copy reaches the disk.
    target.name(copy)?;
    tell(args, &client, &as_of, how, bytes, took)?;
    Ok(Exit::Done)
}

fn tell(
    args: &SnapshotArgs,
    client: &Client,
    as_of: &str,
    how: How,
    bytes: u64,
    took: std::time::Duration,
) -> io::Result<()> {
    if args.json {
        let report = json!({
            "database": client.database(),
            "target": args.target,
            "as_of": as_of,
            "bytes": bytes,
            "shared": how == How::Shared,
            "copied_s": took.as_secs_f64(),
        });
        return writeln!(render::report_output(), "{report}");
    }
    let how = if how == How::Shared { "shares its blocks with the original" } else { "copied" };
    let (size, took) = (person::bytes(bytes), person::duration(took));
    render::note(&format!("{} as of {as_of}: {size}, {how} in {took}", args.target.display()));
    Ok(())
}

/// Copies the file, which is kept still; where foreign programs may write all the same, by the engine's own way first.
fn copy(engine: &str, database: &Path, target: &Target) -> Result<(Made, How, u64), Failure> {
    let failed = |what: &str, path: &Path, error: &io::Error| failure(what, path, error);
    let moment = match by_the_engine(engine, database, target)? {
        Some((folder, copy)) if copy.is_dir() => {
            let size = size(&copy).map_err(|error| failed("look at", &copy, &error))?;
            return Ok((Made::Directory { copy, _folder: folder }, How::Copied, size));
        }
        moment => moment,
    };
    let source = moment.as_ref().map_or(database, |(_, copy)| copy.as_path());
    let source = File::open(source).map_err(|error| failed("open", database, &error))?;
    let found = source.metadata().map_err(|error| failed("look at", database, &error))?;
    let mode = fs::metadata(database).map_err(|error| failed("look at", database, &error))?.mode();
    let copy = file_copy::unnamed(&target.folder, &target.folder)
        .map_err(|error| failed("write to", &target.folder, &error))?;
    let bar = Bar::new(found.size());
    let how = file_copy::copy(&source, &copy, u64::MAX, |done, _| bar.at(done)).map_err(|error| match error {
        CopyError::Io(error) => failed("copy to", &target.path, &error),
        other => Failure::system(other.to_string()),
    })?;
    let mode = Permissions::from_mode(mode & 0o7777);
    copy.set_permissions(mode).map_err(|error| failed("set the mode of", &target.path, &error))?;
    Ok((Made::File(copy), how, found.size()))
}

/// What a directory's files have, in bytes.
fn size(directory: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let found = entry.metadata()?;
        sum += if found.is_dir() { size(&entry.path())? } else { found.size() };
    }
    Ok(sum)
}

/// A copy that the engine makes, in a folder of its own, which goes with it; `None`: the file itself is copied.
#[cfg(feature = "broker")]
fn by_the_engine(engine: &str, database: &Path, target: &Target) -> Result<Option<(TempDir, PathBuf)>, Failure> {
    let Some(engine) = crate::engine::named(engine).filter(|engine| engine.copies_by_itself()) else { return Ok(None) };
    let folder = tempfile::Builder::new().prefix(".dbmux-").tempdir_in(&target.folder);
    let folder = folder.map_err(|error| failure("write to", &target.folder, &error))?;
    let copy = folder.path().join("copy");
    engine.back_up(database, &copy).map_err(|error| {
        let mut error = dbmux_engine::ServiceError::from(error);
        error.0.db_path = database.display().to_string();
        Failure::from(dbmux_client::ClientError::Broker(error.0))
    })?;
    Ok(Some((folder, copy)))
}

/// Without engines the broker is another dbmux, and so is who copies what is not DuckDB's.
#[cfg(not(feature = "broker"))]
fn by_the_engine(engine: &str, database: &Path, _: &Target) -> Result<Option<(TempDir, PathBuf)>, Failure> {
    if engine == "duckdb" {
        return Ok(None);
    }
    let text = format!("this dbmux was built without engines: it cannot copy {}", database.display());
    Err(Failure::system(text))
}

fn failure(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::system(format!("{what} {}: {error}", path.display()))
}
