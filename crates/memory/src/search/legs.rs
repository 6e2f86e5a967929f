//! The two ways to an order: words and meaning. Each is one statement.

use std::sync::Arc;

use dbmux_client::Value;

use super::Search;
use crate::{
    Memory, MemoryError,
    ask::{Ask, Call},
    embed,
    rows::{self, Row},
    words,
};

/// So many times more vectors are compared exactly than are asked for: those whose codes are nearest.
const CANDIDATES: usize = 20;
/// As many are compared exactly in any case.
const FEWEST_CANDIDATES: usize = 1000;

pub(super) const NO_EMBEDDER: &str = "there is no embedder: looked for by words";

/// A way to an order: SQL that gives numbers of memories as `id` with their `score`, best first.
pub(super) struct Leg {
    sql: String,
    values: Vec<Value>,
    scale: Scale,
}

/// What the scores are.
#[derive(Clone, Copy)]
enum Scale {
    /// Whatever they are, the best one is 1.
    OfTheBest,
    /// Cosines.
    Cosine,
}

/// Memories with their scores, best first, or their numbers.
#[derive(Debug)]
pub(super) struct Ordered<T> {
    pub(super) best: Vec<(T, f64)>,
    pub(super) as_of: Option<String>,
}

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self { best: Vec::new(), as_of: None }
    }
}

impl Leg {
    /// The memories, by one statement.
    pub(super) async fn memories(self, call: &Call<'_>) -> Result<Ordered<Memory>, MemoryError> {
        let sql = format!(
            "SELECT {}, found.score FROM ({}) AS found JOIN memories AS m ON m.id = found.id \
             ORDER BY found.score DESC, found.id",
            rows::MEMORY,
            self.sql
        );
        let rows = call.run(&Ask::read(sql).bind_all(self.values)).await?;
        let read = |row: Row<'_>| Ok((rows::memory(row)?.1, row.maybe_real(rows::AFTER_MEMORY)?.unwrap_or_default()));
        let best = rows.iter().map(read).collect::<Result<_, MemoryError>>()?;
        Ok(self.scale.of(Ordered { best, as_of: rows.as_of }))
    }

    /// Their numbers alone.
    pub(super) async fn numbers(self, call: &Call<'_>) -> Result<Ordered<i64>, MemoryError> {
        let rows = call.run(&Ask::read(self.sql).bind_all(self.values)).await?;
        let read = |row: Row<'_>| Ok((row.integer(0)?, row.maybe_real(1)?.unwrap_or_default()));
        let best = rows.iter().map(read).collect::<Result<_, MemoryError>>()?;
        Ok(self.scale.of(Ordered { best, as_of: rows.as_of }))
    }
}

impl Scale {
    fn of<T>(self, mut ordered: Ordered<T>) -> Ordered<T> {
        let unit = match self {
            Self::OfTheBest => ordered.best.first().map_or(1.0, |(_, score)| score.max(f64::MIN_POSITIVE)),
            Self::Cosine => 1.0,
        };
        ordered.best.iter_mut().for_each(|(_, score)| *score = (*score / unit).clamp(0.0, 1.0));
        ordered
    }
}

/// By words: all of them, or any. `None`: there is none to look for.
pub(super) fn words(search: &Search, all: bool, limit: usize) -> Result<Option<Leg>, MemoryError> {
    let Some(query) = words::query(&search.query, all) else { return Ok(None) };
    let clause = search.filter.clause()?;
    // By `rank` FTS5 would prepare a statement of its own each time.
    // Without the plus SQLite would look into the index once for each memory that the filter lets through.
    let sql = format!(
        "SELECT rowid AS id, 0.0 - bm25(memory_words) AS score FROM memory_words WHERE memory_words MATCH ?{} \
         ORDER BY score DESC LIMIT ?",
        clause.restricts("+rowid")
    );
    let mut values = vec![Value::from(query)];
    values.extend(clause.values);
    values.push(number(limit));
    Ok(Some(Leg { sql, values, scale: Scale::OfTheBest }))
}

/// By meaning: the nearest codes, of which the vectors are compared.
pub(super) fn meaning(call: &Call<'_>, search: &Search, vector: &[f32], limit: usize) -> Result<Leg, MemoryError> {
    let model = call.shared.embedder.as_ref().map(|embedder| embedder.model()).unwrap_or_default();
    let clause = search.filter.clause()?;
    let candidates = number((limit * CANDIDATES).max(FEWEST_CANDIDATES));
    let code = Value::from(embed::code(vector));
    let (near, near_values) = if search.filter.is_empty() && call.shared.schema.is_current() {
        let near = "SELECT value AS memory FROM json_each((\
             SELECT nearest_codes(codes, block << 4, ?, ?) FROM memory_code_blocks WHERE model = ?))";
        (near.to_owned(), vec![code, candidates, Value::from(model)])
    } else {
        let near = format!(
            "SELECT memory FROM memory_codes WHERE model = ?{} ORDER BY bits_apart(code, ?) LIMIT ?",
            clause.restricts("memory")
        );
        let values = [vec![Value::from(model)], clause.values, vec![code, candidates]].concat();
        (near, values)
    };
    let sql = format!(
        "SELECT v.memory AS id, 1.0 - vec_distance_cosine(v.vector, ?) AS score \
         FROM ({near}) AS near JOIN memory_vectors AS v ON v.memory = near.memory \
         WHERE v.model = ? AND length(v.vector) = ? ORDER BY score DESC LIMIT ?"
    );
    let bytes = embed::bytes(vector);
    let mut values = vec![Value::from(bytes.as_slice())];
    values.extend(near_values);
    values.extend([Value::from(model), number(bytes.len()), number(limit)]);
    Ok(Leg { sql, values, scale: Scale::Cosine })
}

fn number(number: usize) -> Value {
    Value::from(i64::try_from(number).unwrap_or(i64::MAX))
}

/// The query's vector, or why there is none.
pub(super) async fn query_vector(call: &Call<'_>, query: &str) -> Result<Arc<[f32]>, String> {
    let Some(embedder) = &call.shared.embedder else {
        return Err(NO_EMBEDDER.to_owned());
    };
    if let Some(kept) = call.shared.queries.get(query) {
        return Ok(kept);
    }
    let mut vectors = embed::all(embedder.as_ref(), vec![query.to_owned()], call)
        .await
        .map_err(|error| format!("looked for by words: {error}"))?;
    let vector: Arc<[f32]> = vectors.pop().unwrap_or_default().into();
    call.shared.queries.put(query.to_owned(), Arc::clone(&vector));
    Ok(vector)
}
