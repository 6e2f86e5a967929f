//! Copies of a database, each table as it is at one moment, whoever writes to it meanwhile.
//!
//! A file of Lance's is written once and never changed, and a version names all of its own. So the versions are copied
//! first: whatever they name is there, and what is written meanwhile belongs to versions that the copy does not have.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use dbmux_engine::EngineError;
use dbmux_os::file_kind;
use lance::{Dataset, index::DatasetIndexExt};

use crate::{commit::named, errors, threads::Threads};

/// Where a table's versions are.
const VERSIONS: &str = "_versions";
/// How often a table is copied whose versions another program removes meanwhile.
const ATTEMPTS: u32 = 5;
/// In the name of a file that is being written.
const BEING_WRITTEN: u8 = b'#';

/// Copies a database into a directory that is not there yet, and syncs the copy.
///
/// # Errors
/// Whatever reading or writing ends with; what was copied until then stays.
pub fn back_up(source: &Path, target: &Path) -> Result<(), EngineError> {
    let done = (|| {
        make_like(source, target)?;
        let threads = Threads::start().map_err(io::Error::other)?;
        for table in file_kind::lance_tables(source)? {
            copy_whole_table(&threads, &table, &target.join(table.file_name().unwrap_or_default()))?;
        }
        sync(target)
    })();
    done.map_err(|error: io::Error| errors::io(&error, source))
}

/// Copies a table until its newest version is whole: another program may remove a version, and its files, meanwhile.
fn copy_whole_table(threads: &Threads, table: &Path, target: &Path) -> io::Result<()> {
    for _ in 0..ATTEMPTS {
        copy_table(table, target)?;
        if !target.exists() || is_whole(threads, target) {
            return Ok(());
        }
        fs::remove_dir_all(target)?;
    }
    let text = format!("{}: another program removes versions of it faster than they are copied", table.display());
    Err(io::Error::other(text))
}

/// Whether all is there that a table's newest version names.
fn is_whole(threads: &Threads, table: &Path) -> bool {
    let work = async {
        let dataset = Dataset::open(&table.to_string_lossy()).await.map_err(|error| errors::of(&error, table))?;
        let indices = dataset.load_indices().await.map_err(|error| errors::of(&error, table))?;
        let files = named(dataset.manifest(), None, table).map_err(|error| errors::io(&error, table))?;
        let folders = indices.iter().map(|index| format!("_indices/{}", index.uuid));
        Ok(files.into_iter().chain(folders).all(|name| table.join(name).exists()))
    };
    threads.wait(work).unwrap_or(false)
}

fn copy_table(table: &Path, target: &Path) -> io::Result<()> {
    let versions = table.join(VERSIONS);
    // One whose making was cut short, or that was dropped meanwhile, is none.
    if !versions.is_dir() {
        return Ok(());
    }
    make_like(table, target)?;
    copy_directory(&versions, &target.join(VERSIONS))?;
    for entry in entries(table)?.into_iter().filter(|entry| entry.file_name() != Some(OsStr::new(VERSIONS))) {
        copy(&entry, &target.join(entry.file_name().unwrap_or_default()))?;
    }
    sync(target)
}

fn copy(entry: &Path, target: &Path) -> io::Result<()> {
    let kind = fs::symlink_metadata(entry)?;
    if kind.is_dir() {
        return copy_directory(entry, target);
    }
    let being_written = entry.file_name().is_some_and(|name| name.as_encoded_bytes().contains(&BEING_WRITTEN));
    if !kind.is_file() || being_written {
        return Ok(());
    }
    match fs::copy(entry, target) {
        Ok(_) => sync(target),
        // Removed meanwhile: whether a version that was copied names it is looked at when all is copied.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !entry.exists() => Ok(()),
        Err(error) => Err(error),
    }
}

fn copy_directory(directory: &Path, target: &Path) -> io::Result<()> {
    make_like(directory, target)?;
    for entry in entries(directory)? {
        copy(&entry, &target.join(entry.file_name().unwrap_or_default()))?;
    }
    sync(target)
}

/// A directory with another one's mode.
fn make_like(directory: &Path, target: &Path) -> io::Result<()> {
    fs::create_dir(target)?;
    fs::set_permissions(target, fs::metadata(directory)?.permissions())
}

fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path())).collect()
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
