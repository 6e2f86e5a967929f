//! Rows that were read and not told yet: the rest of an answer, by a name for it. Kept in memory, and not for ever.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arrow::array::RecordBatch;
use parking_lot::Mutex;

/// Answers that are kept at once; the oldest is forgotten first.
const KEPT: usize = 16;
/// Bytes of all of them.
const KEPT_BYTES: usize = 64 << 20;

/// An answer's rows, as far as they were read.
pub(crate) struct Found {
    pub(crate) database: String,
    pub(crate) batches: Vec<RecordBatch>,
    pub(crate) as_of: Option<String>,
    /// There were more than were read.
    pub(crate) cut: bool,
}

impl Found {
    pub(crate) fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    fn bytes(&self) -> usize {
        self.batches.iter().map(RecordBatch::get_array_memory_size).sum()
    }

    /// Rows from here on, so many at most.
    pub(crate) fn page(&self, from: usize, most: usize) -> Vec<RecordBatch> {
        let (mut skip, mut left, mut page) = (from, most, Vec::new());
        for batch in &self.batches {
            let rows = batch.num_rows();
            if skip < rows && left > 0 {
                let length = left.min(rows - skip);
                page.push(batch.slice(skip, length));
                left -= length;
            }
            skip = skip.saturating_sub(rows);
        }
        page
    }
}

/// All that are kept.
#[derive(Default)]
pub(crate) struct Cursors {
    kept: Mutex<VecDeque<(u64, Arc<Found>)>>,
    last: AtomicU64,
}

impl Cursors {
    /// Keeps an answer; what is told of it is a cursor to its row `from`.
    pub(crate) fn keep(&self, found: Arc<Found>, from: usize) -> String {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let mut kept = self.kept.lock();
        kept.push_back((number, found));
        let mut bytes: usize = kept.iter().map(|(_, found)| found.bytes()).sum();
        while kept.len() > KEPT || (bytes > KEPT_BYTES && kept.len() > 1) {
            if let Some((_, oldest)) = kept.pop_front() {
                bytes -= oldest.bytes();
            }
        }
        cursor(number, from)
    }

    /// What a cursor points to, and how the one behind it is called; `None`: it is kept no more, or never was.
    pub(crate) fn find(&self, cursor: &str) -> Option<(Arc<Found>, usize, u64)> {
        let (number, from) = cursor.split_once('.')?;
        let (number, from) = (number.parse().ok()?, from.parse().ok()?);
        let kept = self.kept.lock();
        let (_, found) = kept.iter().find(|(known, _)| *known == number)?;
        Some((Arc::clone(found), from, number))
    }
}

/// A cursor's name: asked for again, it tells the same rows again.
pub(crate) fn cursor(number: u64, from: usize) -> String {
    format!("{number}.{from}")
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array, RecordBatch};
    use arrow::datatypes::Int64Type;

    use super::*;

    fn found(batches: &[std::ops::Range<i64>]) -> Arc<Found> {
        let batch = |range: &std::ops::Range<i64>| {
            RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from_iter_values(range.clone())) as _)]).unwrap()
        };
        let batches = batches.iter().map(batch).collect();
        Arc::new(Found { database: "a".to_owned(), batches, as_of: None, cut: false })
    }

    fn numbers(page: &[RecordBatch]) -> Vec<i64> {
        page.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
    }

    #[test]
    fn pages_go_on_where_the_last_one_ended() {
        let found = found(&[0..3, 3..4, 4..10]);
        assert_eq!(found.rows(), 10);
        assert_eq!(numbers(&found.page(0, 2)), [0, 1]);
        assert_eq!(numbers(&found.page(2, 4)), [2, 3, 4, 5]);
        assert_eq!(numbers(&found.page(6, 100)), [6, 7, 8, 9]);
        assert_eq!(numbers(&found.page(10, 1)), [0; 0]);
    }

    #[test]
    fn a_cursor_tells_the_same_again_until_it_is_forgotten() {
        let cursors = Cursors::default();
        let first = cursors.keep(found(&[0..9, 9..9]), 5);
        for _ in 0..2 {
            let (rows, from, _) = cursors.find(&first).unwrap();
            assert_eq!(numbers(&rows.page(from, 2)), [5, 6]);
        }
        for _ in 0..KEPT {
            cursors.keep(found(&[0..1, 1..1]), 0);
        }
        assert!(cursors.find(&first).is_none());
        for wrong in ["", "1", "x.y", "999.0", "1.-1"] {
            assert!(cursors.find(wrong).is_none(), "{wrong}");
        }
    }
}
