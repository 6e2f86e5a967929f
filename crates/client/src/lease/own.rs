//! Databases that this very program asks for, or has had. A ticket of this process that it has never taken itself was given
//! to it by the program that it was before: who started us, as the one who has the file, and waits for our end.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How often each was asked for by this program: now, or with success.
static ASKED: Mutex<BTreeMap<PathBuf, u64>> = Mutex::new(BTreeMap::new());

fn asked() -> MutexGuard<'static, BTreeMap<PathBuf, u64>> {
    ASKED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// This program asks for a database. Dropped, it has not got it.
pub(super) struct Asking<'a>(&'a Path);

impl<'a> Asking<'a> {
    pub(super) fn begin(database: &'a Path) -> Self {
        *asked().entry(database.to_owned()).or_default() += 1;
        Self(database)
    }

    /// A ticket of this process is none that this program has taken.
    pub(super) fn is_first(&self) -> bool {
        asked().get(self.0) == Some(&1)
    }

    /// It has got it.
    pub(super) fn succeed(self) {
        std::mem::forget(self);
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut asked = asked();
        if let Some(count) = asked.get_mut(self.0) {
            *count -= 1;
            if *count == 0 {
                asked.remove(self.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_to_ask_is_known_until_somebody_else_asks_or_has_got_it() {
        let database = Path::new("/nowhere/own.duckdb");
        let first = Asking::begin(database);
        assert!(first.is_first());
        let second = Asking::begin(database);
        assert!(!first.is_first() && !second.is_first());
        drop(second);
        assert!(first.is_first());
        first.succeed();
        assert!(!Asking::begin(database).is_first());
    }
}
