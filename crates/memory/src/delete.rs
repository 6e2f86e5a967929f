//! Deleting memories.

use serde::Serialize;

use crate::{Filter, Memories, MemoryError, ask::Ask};

/// What to delete.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Delete {
    /// Which memories. An empty filter is refused, unless [`Delete::everything`] says that it is meant.
    pub filter: Filter,
    /// All memories are meant, where the filter is empty.
    pub everything: bool,
    /// Deletes nothing, and answers with what would be deleted.
    pub dry_run: bool,
}

impl Delete {
    /// Deletes these.
    pub fn of(filter: Filter) -> Self {
        Self { filter, ..Self::default() }
    }

    /// Only tells what would be deleted.
    #[must_use]
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }
}

/// What was deleted, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Deleted {
    /// The hashes of the memories.
    pub content_hashes: Vec<String>,
    /// Nothing was deleted.
    pub dry_run: bool,
}

impl Memories {
    /// Deletes memories, all of them or none, with their tags, words and vectors.
    ///
    /// # Errors
    /// [`MemoryError::InvalidArgument`] for an empty filter. When it is not known whether it has happened
    /// ([`MemoryError::is_outcome_unknown`]), a dry run tells.
    pub async fn delete(&self, delete: &Delete) -> Result<Deleted, MemoryError> {
        let clause = delete.filter.clause()?;
        // What is said may come to nothing: a tag of blanks is none.
        if clause.is_empty() && !delete.everything {
            let text = "nothing says which memories are to be deleted";
            return Err(MemoryError::InvalidArgument(text.to_owned()));
        }
        let which = clause.where_();
        let ask = if delete.dry_run {
            Ask::read(format!("SELECT m.hash FROM memories AS m{which}"))
        } else {
            let which = format!("SELECT m.id FROM memories AS m{which}");
            Ask::write(format!("DELETE FROM memories WHERE id IN ({which}) RETURNING hash"), false)
        };
        let rows = self.call()?.run(&ask.bind_all(clause.values)).await?;
        let mut content_hashes = rows.texts()?;
        content_hashes.sort_unstable();
        Ok(Deleted { content_hashes, dry_run: delete.dry_run })
    }
}
