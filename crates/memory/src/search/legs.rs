//! The two ways to an order: words and meaning. Each gives numbers of memories, best first.

use std::sync::Arc;

use super::Search;
use crate::{
    MemoryError,
    ask::{Ask, Call},
    embed,
    rows::Rows,
    words,
};

/// So many times more vectors are compared exactly than are asked for: those whose codes are nearest.
const CANDIDATES: usize = 20;
/// As many are compared exactly in any case.
const FEWEST_CANDIDATES: usize = 1000;

/// Numbers of memories with their scores, best first.
#[derive(Debug, Default)]
pub(super) struct Leg {
    pub(super) best: Vec<(i64, f64)>,
    pub(super) as_of: Option<String>,
}

impl Leg {
    fn read(rows: Rows) -> Result<Self, MemoryError> {
        let mut best = Vec::new();
        for row in rows.iter() {
            best.push((row.integer(0)?, row.maybe_real(1)?.unwrap_or_default()));
        }
        Ok(Self { best, as_of: rows.as_of })
    }

    pub(super) fn ids(&self) -> Vec<i64> {
        self.best.iter().map(|(id, _)| *id).collect()
    }
}

/// By words: all of them, or any. The best one has 1.
pub(super) async fn words(call: &Call<'_>, search: &Search, all: bool, limit: usize) -> Result<Leg, MemoryError> {
    let Some(query) = words::query(&search.query, all) else { return Ok(Leg::default()) };
    let clause = search.filter.clause()?;
    // Without the plus SQLite would look into the index once for each memory that the filter lets through.
    let sql = format!(
        "SELECT rowid, 0.0 - rank FROM memory_words WHERE memory_words MATCH ?{} ORDER BY rank LIMIT ?",
        clause.restricts("+rowid")
    );
    let ask = Ask::read(sql).bind(query).bind_all(clause.values).bind(number(limit));
    let mut leg = Leg::read(call.run(&ask).await?)?;
    let first = leg.best.first().map_or(1.0, |(_, score)| score.max(f64::MIN_POSITIVE));
    leg.best.iter_mut().for_each(|(_, score)| *score = (*score / first).clamp(0.0, 1.0));
    Ok(leg)
}

/// By meaning: the nearest codes, of which the vectors are compared.
pub(super) async fn meaning(
    call: &Call<'_>,
    search: &Search,
    vector: &[f32],
    limit: usize,
) -> Result<Leg, MemoryError> {
    let model = call.shared.embedder.as_ref().map(|embedder| embedder.model()).unwrap_or_default();
    let clause = search.filter.clause()?;
    let sql = format!(
        "SELECT v.memory, 1.0 - vec_distance_cosine(v.vector, ?) AS score FROM (\
           SELECT memory FROM memory_codes WHERE model = ? AND length(code) = ?{} \
             ORDER BY vec_distance_hamming(vec_bit(code), vec_bit(?)) LIMIT ?\
         ) AS near JOIN memory_vectors AS v ON v.memory = near.memory \
         WHERE length(v.vector) = ? ORDER BY score DESC LIMIT ?",
        clause.restricts("memory")
    );
    let bytes = embed::bytes(vector);
    let ask = Ask::read(sql)
        .bind(bytes.as_slice())
        .bind(model)
        .bind(number(vector.len() / 8))
        .bind_all(clause.values)
        .bind(embed::code(vector))
        .bind(number((limit * CANDIDATES).max(FEWEST_CANDIDATES)))
        .bind(number(bytes.len()))
        .bind(number(limit));
    let mut leg = Leg::read(call.run(&ask).await?)?;
    leg.best.iter_mut().for_each(|(_, score)| *score = score.clamp(0.0, 1.0));
    Ok(leg)
}

fn number(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The query's vector, or why there is none.
pub(super) async fn query_vector(call: &Call<'_>, query: &str) -> (Option<Arc<[f32]>>, Option<String>) {
    let Some(embedder) = &call.shared.embedder else {
        let note = "there is no embedder: looked for by words";
        return (None, Some(note.to_owned()));
    };
    if let Some(kept) = call.shared.queries.get(query) {
        return (Some(kept), None);
    }
    match embed::all(embedder.as_ref(), vec![query.to_owned()], call).await {
        Ok(mut vectors) => {
            let vector: Option<Arc<[f32]>> = vectors.pop().map(Arc::from);
            if let Some(vector) = &vector {
                call.shared.queries.put(query.to_owned(), Arc::clone(vector));
            }
            (vector, None)
        }
        Err(error) => (None, Some(format!("looked for by words: {error}"))),
    }
}
