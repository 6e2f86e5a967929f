//! `dbmux snapshot`: a consistent copy of a database, for keeping.
//!
//! The broker keeps the file still, and this process copies it: it has no lock on it that closing it could cost. The copy
//! has no name before it is whole and on the disk; then it has the one that was asked for, and nothing is replaced that was
//! not to be.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use dbmux_client::{ClientOptions, LeaseProgress, Still, blocking::Client};
use dbmux_os::{
    file_copy::{self, CopyError, How},
    holders, new_file,
    theirs::{self, Theirs},
};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tempfile::TempDir;

use super::guarded;
use crate::{
    args::SnapshotArgs,
    exit::Exit,
    failure::Failure,
    render::{self, person},
    terminal,
};

/// A copy that takes longer shows how far it is.
const LONG: Duration = Duration::from_millis(500);

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

fn tell(args: &SnapshotArgs, client: &Client, as_of: &str, how: How, bytes: u64, took: Duration) -> io::Result<()> {
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
fn copy(engine: &str, database: &Path, target: &Target) -> Result<(File, How, u64), Failure> {
    let failed = |what: &str, path: &Path, error: &io::Error| failure(what, path, error);
    let moment = by_the_engine(engine, database, target)?;
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
    Ok((copy, how, found.size()))
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

/// Where the copy goes.
struct Target {
    path: PathBuf,
    folder: PathBuf,
    force: bool,
}

impl Target {
    fn new(path: &Path, force: bool) -> Result<Self, Failure> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = fs::canonicalize(parent).map_err(|error| failure("find", parent, &error))?;
        let name =
            path.file_name().ok_or_else(|| Failure::usage(format!("{} is no name of a file", path.display())))?;
        let target = Self { path: folder.join(name), folder, force };
        target.is_no_part()?;
        match fs::symlink_metadata(&target.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => target.has_no_log().map(|()| target),
            Err(error) => Err(failure("look at", path, &error)),
            Ok(_) if !force => Err(target.exists()),
            Ok(found) if !found.is_file() => Err(Failure::usage(format!("{} is no file", path.display()))),
            Ok(_) => target.is_free().and_then(|()| target.has_no_log()).map(|()| target),
        }
    }

    fn exists(&self) -> Failure {
        Failure::usage(format!("{} exists", self.path.display())).with_hint("--force replaces it")
    }

    /// It is not of what stands beside a database: its log, its locks.
    fn is_no_part(&self) -> Result<(), Failure> {
        let path = self.path.display();
        let is_log_of = |suffix| theirs::without_suffix(&self.path, suffix).filter(|database| database.exists());
        let text = match theirs::find(&self.path, &[]) {
            Some(Theirs::Sidecar) => format!("{path} is a name of dbmux's locks"),
            Some(Theirs::Scratch) => format!("{path} is where a database spills its data"),
            Some(Theirs::Runtime) => format!("{path} is in dbmux's runtime directory"),
            Some(Theirs::Database | Theirs::Log) | None => match theirs::LOGS.into_iter().find_map(is_log_of) {
                Some(database) => format!("{path} is the name of a log, that of {}", database.display()),
                None => return Ok(()),
            },
        };
        Err(Failure::usage(text).with_hint("write to another name"))
    }

    /// A log that stands beside the copy would be taken for the copy's own, and its changes for those of the database.
    fn has_no_log(&self) -> Result<(), Failure> {
        let beside = theirs::LOGS.map(|log| theirs::with_suffix(&self.path, log));
        let Some(log) = beside.into_iter().find(|log| log.symlink_metadata().is_ok()) else { return Ok(()) };
        let text = format!("{} is there: a log that would be taken for the copy's", log.display());
        Err(Failure::usage(text).with_hint("remove it if nothing in it is missed, or write to another name"))
    }

    /// Whoever has it open would go on with what nobody sees any more; and locks beside it are those of another database.
    fn is_free(&self) -> Result<(), Failure> {
        if dbmux_lock::sidecar_path(&self.path).exists() {
            let text = format!("{} is a database that dbmux keeps", self.path.display());
            return Err(Failure::usage(text).with_hint("write to another name"));
        }
        match holders::holders_of(&self.path) {
            Ok(holders) if !holders.is_empty() => {
                let text = format!("{} is in use", self.path.display());
                Err(Failure::usage(text).with_hint("write to another name, or end what has it open"))
            }
            _ => Ok(()),
        }
    }

    fn differs_from(&self, database: &Path) -> Result<(), Failure> {
        let same = fs::canonicalize(&self.path).is_ok_and(|path| path == database);
        if same { Err(Failure::usage("the snapshot would replace its database".to_owned())) } else { Ok(()) }
    }

    /// Gives the copy its name, once it is on the disk.
    fn name(&self, copy: File) -> Result<(), Failure> {
        let failed = |error: &io::Error| failure("write", &self.path, error);
        copy.sync_all().map_err(|error| failed(&error))?;
        match new_file::publish(&copy, &self.path, self.force) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(self.exists()),
            named => named.map_err(|error| failed(&error))?,
        }
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(|error| failed(&error))
    }
}

fn failure(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::system(format!("{what} {}: {error}", path.display()))
}

/// How far a long copy is, on a terminal.
struct Bar {
    began: Instant,
    bar: Option<ProgressBar>,
}

impl Bar {
    fn new(size: u64) -> Self {
        let bar = (terminal::stderr_is_terminal() && !terminal::wants_json()).then(|| {
            let style = ProgressStyle::with_template("{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}");
            ProgressBar::new(size).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { began: Instant::now(), bar }
    }

    fn at(&self, done: u64) -> bool {
        if let Some(bar) = self.bar.as_ref().filter(|_| self.began.elapsed() >= LONG) {
            bar.set_position(done);
        }
        true
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
