//! Making the vectors that are missing, or all of them anew.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, StringArray};
use serde::Serialize;

use crate::{
    Memories, MemoryError,
    ask::{Ask, Call, rows_of},
    embed::{self, Embedder},
};

/// Memories that are embedded together.
const TOGETHER: i64 = 64;

/// Those without a vector of a model.
const WITHOUT: &str = "FROM memories AS m \
     WHERE NOT EXISTS (SELECT 1 FROM memory_codes AS c WHERE c.memory = m.id AND c.model = ?)";

/// A text that was changed meanwhile is not given the vector of what it was.
const WRITE: &str = "INSERT INTO memory_vectors (memory, model, vector) \
     SELECT id, ?, ? FROM memories WHERE id = ? AND hash = ? \
     ON CONFLICT (memory) DO UPDATE SET model = excluded.model, vector = excluded.vector";

/// What was embedded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reembedded {
    /// How many memories were given a vector.
    pub embedded: u64,
    /// How many had none before this began; of all of them, how many there were.
    pub of: u64,
}

impl Memories {
    /// Makes the vectors that the embedder's model is missing, or, with `all`, every one anew. Each call of `progress` is
    /// told how many are made, and how many are to be. What was made stays when it ends early; it may be begun again.
    ///
    /// Each few dozen of them may take as long as a call may.
    ///
    /// # Errors
    /// [`MemoryError::InvalidArgument`] without an embedder; [`MemoryError::Embed`].
    pub async fn reembed(
        &self,
        all: bool,
        mut progress: impl FnMut(u64, u64) + Send,
    ) -> Result<Reembedded, MemoryError> {
        let Some(embedder) = self.shared.embedder.clone() else {
            return Err(MemoryError::InvalidArgument("there is no embedder to make vectors with".to_owned()));
        };
        let of = if all {
            crate::list::count(&self.call()?, &crate::Filter::default()).await?
        } else {
            count_without(&self.call()?, embedder.model()).await?
        };
        let (mut embedded, mut last) = (0, 0);
        progress(0, of);
        while let Some(page) = self.page(embedder.as_ref(), all, last).await? {
            embedded += u64::try_from(page.len()).unwrap_or_default();
            last = page.last().map_or(i64::MAX, |(id, _)| *id);
            progress(embedded, of);
        }
        Ok(Reembedded { embedded, of })
    }

    /// Embeds the next few; `None`: there are no more.
    async fn page(
        &self,
        embedder: &dyn Embedder,
        all: bool,
        last: i64,
    ) -> Result<Option<Vec<(i64, String)>>, MemoryError> {
        // Each page has its own time.
        let call = self.call()?;
        let model = embedder.model();
        // Both have one value: a model's name is never null.
        let which = if all { "FROM memories AS m WHERE ? IS NOT NULL" } else { WITHOUT };
        let sql = format!("SELECT m.id, m.hash, m.content {which} AND m.id > ? ORDER BY m.id LIMIT {TOGETHER}");
        let rows = call.run(&Ask::read(sql).bind(model).bind(last)).await?;
        let (mut page, mut texts) = (Vec::new(), Vec::new());
        for row in rows.iter() {
            page.push((row.integer(0)?, row.text(1)?));
            texts.push(row.text(2)?);
        }
        if page.is_empty() {
            return Ok(None);
        }
        let vectors = embed::all(embedder, texts, &call).await?;
        let bytes: Vec<_> = vectors.iter().map(|vector| embed::bytes(vector)).collect();
        let columns: [ArrayRef; 4] = [
            Arc::new(StringArray::from(vec![model; page.len()])),
            Arc::new(BinaryArray::from_iter_values(&bytes)),
            Arc::new(Int64Array::from_iter_values(page.iter().map(|(id, _)| *id))),
            Arc::new(StringArray::from_iter_values(page.iter().map(|(_, hash)| hash))),
        ];
        call.run(&Ask::write(WRITE, true).rows(rows_of(columns)?)).await?;
        Ok(Some(page))
    }
}

/// How many memories have no vector of this model.
pub(crate) async fn count_without(call: &Call<'_>, model: &str) -> Result<u64, MemoryError> {
    let rows = call.run(&Ask::read(format!("SELECT count(*) {WITHOUT}")).bind(model)).await?;
    let count = rows.first().map(|row| row.integer(0)).transpose()?;
    Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default())
}
