//! Where there is no `/proc`: nothing is seen, and that is said.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{Activity, OpenFile, Sight, Unseen};
use crate::OsError;

pub(super) fn processes() -> Result<Vec<u32>, OsError> {
    Err(OsError::Unsupported { what: "listing processes" })
}

pub(super) fn others_are_hidden() -> bool {
    true
}

pub(super) fn arguments_into(_pid: u32, _buffer: &mut Vec<u8>) -> Sight<bool> {
    Err(Unseen::Refused)
}

pub(super) fn executable(_pid: u32) -> Sight<PathBuf> {
    Err(Unseen::Refused)
}

pub(super) fn variables<const N: usize>(_pid: u32, _names: [&str; N]) -> Sight<[Option<OsString>; N]> {
    Err(Unseen::Refused)
}

pub(super) fn working_directory(_pid: u32) -> Sight<PathBuf> {
    Err(Unseen::Refused)
}

pub(super) fn reach(_pid: u32, path: &Path) -> PathBuf {
    path.to_owned()
}

pub(super) fn open_files(_pid: u32) -> Sight<Vec<OpenFile>> {
    Err(Unseen::Refused)
}

pub(super) fn appends(_pid: u32, _number: u32) -> Sight<bool> {
    Err(Unseen::Refused)
}

pub(super) fn has_loaded(_pid: u32, _library: &str) -> Sight<bool> {
    Err(Unseen::Refused)
}

pub(super) fn activity(_pid: u32) -> Sight<Activity> {
    Err(Unseen::Refused)
}
