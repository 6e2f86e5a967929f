//! Finding memories: by their words, by their meaning, or by both.

mod legs;

use serde::Serialize;

use crate::{
    Filter, Memories, Memory, MemoryError,
    ask::{Ask, Call},
    filter, fuse, rows,
};
use legs::Ordered;

/// How memories are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SearchMode {
    /// By meaning: the nearest vectors.
    Semantic,
    /// By words: all of them must be there.
    Exact,
    /// By meaning and by words, any of them: reciprocal rank fusion of both.
    #[default]
    Hybrid,
}

/// What to look for.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// In words. In the mode `exact`, words in double quotes stand side by side, and a star behind a word stands for its
    /// end. Empty: whatever the filter lets through, the newest first.
    pub query: String,
    /// How.
    pub mode: SearchMode,
    /// Among which memories.
    pub filter: Filter,
    /// How many to answer with at most, up to 1000.
    pub limit: usize,
    /// The least [`Hit::score`], from 0 to 1.
    pub min_score: f64,
}

impl Search {
    /// Ten memories, by words and meaning.
    pub fn new(query: impl Into<String>) -> Self {
        Self { query: query.into(), mode: SearchMode::default(), filter: Filter::default(), limit: 10, min_score: 0.0 }
    }

    /// Looks in this way.
    #[must_use]
    pub fn mode(mut self, mode: SearchMode) -> Self {
        self.mode = mode;
        self
    }

    /// Looks only among these.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Answers with this many at most.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }
}

/// A memory that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Hit {
    /// The memory.
    #[serde(flatten)]
    pub memory: Memory,
    /// How good it is, from 0 to 1. By meaning: the cosine of the angle between the vectors. By words: its rank (BM25), of
    /// which the best one of this answer has 1. By both: the fused rank, where the first of both has 1. Without a query: 1.
    pub score: f64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Found {
    /// The memories, best first.
    pub hits: Vec<Hit>,
    /// How they were looked for, in the end.
    pub mode_used: SearchMode,
    /// What should be known of this answer: why another mode was used, or that vectors are missing.
    pub note: Option<String>,
    /// Set where a snapshot answered: the moment as of which it is true, RFC 3339.
    pub as_of: Option<String>,
}

/// The most that is answered.
const MOST: usize = 1000;
/// The longest answer that is kept, in bytes of texts.
const LONGEST_KEPT: usize = 256 << 10;

impl Memories {
    /// Looks for memories.
    ///
    /// `semantic` without an embedder falls back to words, of which any counts then; `hybrid` is words alone then. When the
    /// embedder fails, both do the same. [`Found::mode_used`] and [`Found::note`] say so.
    ///
    /// # Errors
    /// [`MemoryError::InvalidArgument`] for a limit of 0 or above 1000, or a score that is no number from 0 to 1.
    pub async fn search(&self, search: &Search) -> Result<Found, MemoryError> {
        check(search)?;
        let call = self.call()?;
        let key = format!("{search:?}");
        let revision = if self.shared.answers.keeps() { revision(&call).await? } else { None };
        if let Some(found) = revision.and_then(|now| kept(&call, &key, now)) {
            return Ok(found);
        }
        let found = look(&call, search).await?;
        if let Some(revision) = revision.filter(|_| may_be_kept(&found)) {
            self.shared.answers.put(key, (revision, found.clone()));
        }
        Ok(found)
    }
}

/// A snapshot's answer is told to be one, and a long one would take too much of our memory.
fn may_be_kept(found: &Found) -> bool {
    found.as_of.is_none() && found.hits.iter().map(|hit| hit.memory.content.len()).sum::<usize>() <= LONGEST_KEPT
}

fn check(search: &Search) -> Result<(), MemoryError> {
    if search.limit == 0 || search.limit > MOST {
        let text = format!("a search answers with 1 to {MOST} memories, not with {}", search.limit);
        return Err(MemoryError::InvalidArgument(text));
    }
    if !(0.0..=1.0).contains(&search.min_score) {
        let text = format!("a score is a number from 0 to 1, not {}", search.min_score);
        return Err(MemoryError::InvalidArgument(text));
    }
    Ok(())
}

/// How often the memories have changed so far. `None`: a snapshot answers, which may be older than what is kept.
async fn revision(call: &Call<'_>) -> Result<Option<i64>, MemoryError> {
    let rows = call.run(&Ask::read("SELECT value FROM dbmux_memory WHERE key = 'revision'")).await?;
    let revision = rows.first().map(|row| row.integer(0)).transpose()?;
    Ok(revision.filter(|_| rows.as_of.is_none()))
}

fn kept(call: &Call<'_>, key: &str, now: i64) -> Option<Found> {
    call.shared.answers.get(key).filter(|(revision, _)| *revision == now).map(|(_, found)| found)
}

async fn look(call: &Call<'_>, search: &Search) -> Result<Found, MemoryError> {
    if search.query.trim().is_empty() {
        return newest(call, search).await;
    }
    let plan = Plan { call, search };
    match search.mode {
        SearchMode::Exact => plan.by_words(true, None).await,
        SearchMode::Semantic => plan.by_meaning().await,
        SearchMode::Hybrid => plan.by_both().await,
    }
}

/// A search that is under way.
struct Plan<'a> {
    call: &'a Call<'a>,
    search: &'a Search,
}

impl Plan<'_> {
    async fn by_words(&self, all: bool, note: Option<String>) -> Result<Found, MemoryError> {
        let found = match legs::words(self.search, all, self.search.limit)? {
            Some(leg) => leg.memories(self.call).await?,
            None => Ordered::default(),
        };
        Ok(self.found(found, SearchMode::Exact, note))
    }

    async fn by_meaning(&self) -> Result<Found, MemoryError> {
        let vector = match legs::query_vector(self.call, &self.search.query).await {
            Ok(vector) => vector,
            Err(missing) => return self.by_words(false, Some(missing)).await,
        };
        let found = legs::meaning(self.call, self.search, &vector, self.search.limit)?.memories(self.call).await?;
        let note = self.missing(found.best.len()).await?;
        Ok(self.found(found, SearchMode::Semantic, note))
    }

    async fn by_both(&self) -> Result<Found, MemoryError> {
        if self.call.shared.embedder.is_none() {
            return self.by_words(false, Some(legs::NO_EMBEDDER.to_owned())).await;
        }
        // What is far behind in one order may still win by the other one.
        let depth = (self.search.limit * 4).max(50);
        let words = async {
            match legs::words(self.search, false, depth)? {
                Some(leg) => leg.numbers(self.call).await,
                None => Ok(Ordered::default()),
            }
        };
        // The query is embedded while its words are looked for.
        let meaning = async {
            match legs::query_vector(self.call, &self.search.query).await {
                Ok(vector) => legs::meaning(self.call, self.search, &vector, depth)?.numbers(self.call).await.map(Ok),
                Err(missing) => Ok(Err(missing)),
            }
        };
        let (mut words, meaning) = futures::try_join!(words, meaning)?;
        let meaning = match meaning {
            Ok(meaning) => meaning,
            Err(missing) => {
                words.best.truncate(self.search.limit);
                return Ok(self.found(self.fetch(words).await?, SearchMode::Exact, Some(missing)));
            }
        };
        let note = self.missing(meaning.best.len()).await?;
        let ids = |ordered: &Ordered<i64>| ordered.best.iter().map(|(id, _)| *id).collect::<Vec<_>>();
        let mut best = fuse::fuse(&ids(&words), &ids(&meaning));
        best.truncate(self.search.limit);
        let fused = Ordered { best, as_of: words.as_of.or(meaning.as_of) };
        Ok(self.found(self.fetch(fused).await?, SearchMode::Hybrid, note))
    }

    /// Why there may be too few by meaning.
    async fn missing(&self, found: usize) -> Result<Option<String>, MemoryError> {
        if found >= self.search.limit {
            return Ok(None);
        }
        let model = self.call.shared.embedder.as_ref().map(|embedder| embedder.model()).unwrap_or_default();
        let count = crate::reembed::count_without(self.call, model).await?;
        Ok((count > 0).then(|| format!("{count} memories have no vector of {model} yet: reembed makes them")))
    }

    /// The memories themselves, in this order.
    async fn fetch(&self, ordered: Ordered<i64>) -> Result<Ordered<Memory>, MemoryError> {
        let Ordered { best, as_of } = ordered;
        if best.is_empty() {
            return Ok(Ordered { best: Vec::new(), as_of });
        }
        let ids: Vec<_> = best.iter().map(|(id, _)| *id).collect();
        let rows = self.call.run(&by_id(&ids)).await?;
        let mut memories: std::collections::HashMap<_, _> = rows.memories()?.into_iter().collect();
        // One that was deleted in between is not there any more.
        let best = best.into_iter().filter_map(|(id, score)| Some((memories.remove(&id)?, score))).collect();
        Ok(Ordered { best, as_of: as_of.or(rows.as_of) })
    }

    /// Those that are good enough.
    fn found(&self, ordered: Ordered<Memory>, mode_used: SearchMode, note: Option<String>) -> Found {
        let Ordered { best, as_of } = ordered;
        let good = best.into_iter().filter(|(_, score)| *score >= self.search.min_score);
        Found { hits: good.map(|(memory, score)| Hit { memory, score }).collect(), mode_used, note, as_of }
    }
}

fn by_id(ids: &[i64]) -> Ask {
    let sql = format!("SELECT {} FROM memories AS m WHERE m.id IN (SELECT value FROM json_each(?))", rows::MEMORY);
    Ask::read(sql).bind(filter::json(ids))
}

/// Whatever the filter lets through.
async fn newest(call: &Call<'_>, search: &Search) -> Result<Found, MemoryError> {
    let clause = search.filter.clause()?;
    let sql = format!(
        "SELECT {} FROM memories AS m{} ORDER BY m.created DESC, m.id DESC LIMIT ?",
        rows::MEMORY,
        clause.where_()
    );
    let limit = i64::try_from(search.limit).unwrap_or(i64::MAX);
    let rows = call.run(&Ask::read(sql).bind_all(clause.values).bind(limit)).await?;
    let hits = rows.memories()?.into_iter().map(|(_, memory)| Hit { memory, score: 1.0 }).collect();
    let note = Some("there is nothing to look for: these are the newest".to_owned());
    Ok(Found { hits, mode_used: SearchMode::Exact, note, as_of: rows.as_of })
}
