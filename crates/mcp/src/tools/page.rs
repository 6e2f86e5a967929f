//! A part of a list that may be long.

use crate::failure::Failure;

/// Entries of one answer, where the caller does not say.
const USUAL: usize = 200;
/// The same, at most.
const MOST: usize = 2000;

/// Which part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    from: usize,
    most: usize,
}

/// That part of a list.
#[derive(Debug)]
pub(super) struct Part<T> {
    pub(super) entries: Vec<T>,
    /// How many the whole list has.
    pub(super) total: usize,
    /// Where the next part begins.
    pub(super) next: Option<usize>,
}

impl Page {
    /// `limit` entries from `offset` on, as a tool was asked.
    pub(super) fn of(limit: Option<usize>, offset: Option<usize>) -> Result<Self, Failure> {
        let most = limit.unwrap_or(USUAL);
        if !(1..=MOST).contains(&most) {
            return Err(Failure::usage(format!("\"limit\" is from 1 to {MOST}, not {most}"), ""));
        }
        Ok(Self { from: offset.unwrap_or_default(), most })
    }

    pub(super) fn cut<T>(self, list: Vec<T>) -> Part<T> {
        let total = list.len();
        let entries: Vec<_> = list.into_iter().skip(self.from).take(self.most).collect();
        let next = self.from.saturating_add(entries.len());
        let more = !entries.is_empty() && next < total;
        Part { entries, total, next: more.then_some(next) }
    }
}

impl<T> Part<T> {
    /// `(200 of 5000; the next ones with "offset": 200)`, where there are more.
    pub(super) fn rest(&self) -> String {
        let shown = self.entries.len();
        match self.next {
            Some(next) => format!("({shown} of {}; the next ones with \"offset\": {next})\n", self.total),
            None if shown < self.total => format!("({shown} of {})\n", self.total),
            None => String::new(),
        }
    }
}

/// Where the next parts of several lists begin that were cut alike.
pub(super) fn next<const N: usize>(each: [Option<usize>; N]) -> Option<usize> {
    each.into_iter().flatten().max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_go_on_where_the_last_one_ended() {
        let list: Vec<usize> = (0..450).collect();
        let mut all = Vec::new();
        let mut offset = None;
        loop {
            let part = Page::of(None, offset).expect("a page").cut(list.clone());
            assert_eq!(part.total, 450);
            all.extend_from_slice(&part.entries);
            match part.next {
                Some(next) => offset = Some(next),
                None => break,
            }
        }
        assert_eq!(all, list);
        let past = Page::of(Some(2000), Some(usize::MAX)).expect("a page").cut(list);
        assert_eq!((past.entries.len(), past.next, past.rest().as_str()), (0, None, "(0 of 450)\n"));
        assert!(Page::of(Some(0), None).is_err() && Page::of(Some(2001), None).is_err());
    }
}
