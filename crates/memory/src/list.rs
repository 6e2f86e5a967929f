//! Memories page by page.

use serde::Serialize;

use crate::{
    Filter, Memories, Memory, MemoryError,
    ask::{Ask, Call},
    rows,
};

/// The most on one page.
const MOST: usize = 1000;

/// Which page.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    /// Of which memories.
    pub filter: Filter,
    /// How many on it at most, up to 1000.
    pub limit: usize,
    /// How many to pass over. Pages that are found by [`List::after`] stay true while others store memories.
    pub offset: usize,
    /// Begins behind the page whose [`Page::next`] this was.
    pub after: Option<String>,
    /// Whether [`Page::total`] is wanted: all of them are counted for it.
    pub count: bool,
}

impl Default for List {
    fn default() -> Self {
        Self { filter: Filter::default(), limit: 20, offset: 0, after: None, count: false }
    }
}

/// A page of memories, the newest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Page {
    /// The memories.
    pub memories: Vec<Memory>,
    /// What [`List::after`] takes for the next page; `None`: this is the last one.
    pub next: Option<String>,
    /// How many there are on all pages, where that was asked for.
    pub total: Option<u64>,
    /// Set where a snapshot answered: the moment as of which it is true, RFC 3339.
    pub as_of: Option<String>,
}

impl Memories {
    /// A page of the memories, the newest first.
    ///
    /// # Errors
    /// [`MemoryError::InvalidArgument`] for a limit of 0 or above 1000, or an [`List::after`] that is none.
    pub async fn list(&self, list: &List) -> Result<Page, MemoryError> {
        if list.limit == 0 || list.limit > MOST {
            let text = format!("a page has 1 to {MOST} memories, not {}", list.limit);
            return Err(MemoryError::InvalidArgument(text));
        }
        let call = self.call()?;
        let total = if list.count { Some(count(&call, &list.filter).await?) } else { None };
        let mut clause = list.filter.clause()?;
        if let Some(after) = &list.after {
            let (created, id) = place(after)?;
            // The first one finds the place in the index.
            clause.and("m.created <= ?", created);
            clause.and_two("(m.created, m.id) < (?, ?)", created, id);
        }
        let sql = format!(
            "SELECT {} FROM memories AS m{} ORDER BY m.created DESC, m.id DESC LIMIT ? OFFSET ?",
            rows::MEMORY,
            clause.where_()
        );
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        // One more tells whether there is another page.
        let ask = Ask::read(sql).bind_all(clause.values).bind(number(list.limit + 1)).bind(number(list.offset));
        let rows = call.run(&ask).await?;
        let mut found = rows.memories()?;
        let more = found.len() > list.limit;
        found.truncate(list.limit);
        let last = found.last().filter(|_| more);
        let next = last.map(|(id, memory)| format!("{}.{id}", memory.created_at.as_microsecond()));
        let memories = found.into_iter().map(|(_, memory)| memory).collect();
        Ok(Page { memories, next, total, as_of: rows.as_of })
    }
}

/// How many memories there are, of these.
pub(crate) async fn count(call: &Call<'_>, filter: &Filter) -> Result<u64, MemoryError> {
    let clause = filter.clause()?;
    let sql = format!("SELECT count(*) FROM memories AS m{}", clause.where_());
    let rows = call.run(&Ask::read(sql).bind_all(clause.values)).await?;
    let count = rows.first().map(|row| row.integer(0)).transpose()?;
    Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default())
}

/// When a memory was made, and its number.
fn place(text: &str) -> Result<(i64, i64), MemoryError> {
    let parts = text.split_once('.').and_then(|(created, id)| Some((created.parse().ok()?, id.parse().ok()?)));
    parts.ok_or_else(|| MemoryError::InvalidArgument(format!("{text:?} is no place that a page has named")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_what_a_page_has_named() {
        assert_eq!(place("-12.3").unwrap(), (-12, 3));
        for text in ["", "1", "1.x", "1.2.3"] {
            assert!(matches!(place(text), Err(MemoryError::InvalidArgument(_))), "{text}");
        }
    }
}
