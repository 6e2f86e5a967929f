//! What was learned of columns whose values do not keep to one type.

use std::{collections::HashSet, sync::Arc};

use parking_lot::Mutex;

/// Columns that are remembered.
const KEPT: usize = 1024;

/// Columns, by their statement's text and their place, in which a value did not fit after the first rows.
#[derive(Default)]
pub(crate) struct Learned(Mutex<HashSet<(Arc<str>, usize)>>);

impl Learned {
    /// The column is a union from now on.
    pub(crate) fn is_mixed(&self, sql: &Arc<str>, column: usize) {
        let mut columns = self.0.lock();
        if columns.len() >= KEPT {
            columns.clear();
        }
        columns.insert((Arc::clone(sql), column));
    }

    /// Those of a statement.
    pub(crate) fn of(&self, sql: &str) -> Vec<usize> {
        let columns = self.0.lock();
        columns.iter().filter(|(text, _)| &**text == sql).map(|(_, column)| *column).collect()
    }
}
