//! Searches among 100,000 memories: by words, and by words and meaning. Their vectors are drawn by chance, the queries' made
//! by the model, which is asked anew for each.

use std::{sync::Arc, time::Duration};

use dbmux_client::ClientOptions;
use dbmux_memory::{
    Embedding, Memories, MemoryOptions, NewMemory, Search, SearchMode,
    embed::{Embedder, Folder},
};
use rand::{RngExt, SeedableRng, rngs::SmallRng};

use super::{TOGETHER, texts};
use crate::{
    Result,
    context::Context,
    figures::{Figure, Goal, Line, Samples},
    place::runtime,
};

const MANY: usize = 100_000;
const SEARCHES: usize = 40;

pub(crate) fn measure(context: &Context) -> Result<Vec<Line>> {
    let folder = context.model.as_ref().ok_or("--model is needed: see benches/run.sh")?;
    let model = Arc::new(Folder::named(folder, "minilm")?);
    let directory = context.fresh()?;
    let client = ClientOptions { broker_program: Some(context.dbmux.clone()), ..ClientOptions::default() };
    let options = MemoryOptions {
        client,
        embedder: Some(Arc::clone(&model) as Arc<dyn Embedder>),
        kept_answers: 0,
        kept_queries: 0,
        ..MemoryOptions::default()
    };
    let memories = Memories::open(directory.path().join("memory.db"), options)?;
    let runtime = runtime()?;
    runtime.block_on(fill(&memories, model.dimensions()))?;
    let mut lines = Vec::new();
    for (mode, words, most) in [(SearchMode::Exact, "words", 0.01), (SearchMode::Hybrid, "words and meaning", 0.04)] {
        let mut times = Samples::default();
        for round in 0..=context.rounds(3, 2) {
            let mut taken = Vec::new();
            for turn in 0..SEARCHES {
                let search = Search::new(texts::query((round * SEARCHES + turn) * 613 % MANY)).mode(mode);
                let began = std::time::Instant::now();
                let found = runtime.block_on(memories.search(&search))?;
                taken.push(began.elapsed().as_secs_f64());
                if found.hits.is_empty() || found.mode_used != mode {
                    return Err(format!("found by {:?}: {}", found.mode_used, found.hits.len()).into());
                }
            }
            if round > 0 {
                times.push(taken);
            }
        }
        let what = format!("a search among {MANY} memories by {words}, p50");
        lines.push(Line::alone(&what, Figure::Seconds(times.typical(0.5)), Goal::AtMost(Figure::Seconds(most))));
    }
    runtime.block_on(memories.client().stop(Duration::from_secs(10)))?;
    Ok(lines)
}

async fn fill(memories: &Memories, dimensions: usize) -> Result<()> {
    let mut chance = SmallRng::seed_from_u64(1);
    for begin in (0..MANY).step_by(TOGETHER) {
        let new = (begin..begin + TOGETHER).map(|number| {
            let vector = (0..dimensions).map(|_| chance.random::<f32>() - 0.5).collect();
            let embedding = Some(Embedding { model: "minilm".to_owned(), vector });
            NewMemory { embedding, ..NewMemory::new(texts::of(number)) }
        });
        memories.store(new.collect()).await?;
    }
    Ok(())
}
