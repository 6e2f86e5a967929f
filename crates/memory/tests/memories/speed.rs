//! How fast it is on this machine: for people to look at, so it is only run when it is asked for.

use std::time::{Duration, Instant};

use dbmux_memory::{MemoryOptions, NewMemory, Search, SearchMode, Update, content_hash};
use futures::future::join_all;

use crate::support::{Letters, open, options, place};

const TIME: Duration = Duration::from_secs(3);

fn half(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it measures"]
async fn stores_a_second() {
    for tell_new in [false, true] {
        for clients in [1, 4, 16] {
            let place = place();
            let stores: Vec<_> =
                (0..clients).map(|_| open(&place, MemoryOptions { tell_new, ..options(&place) })).collect();
            stores[0].store(vec![NewMemory::new("the first")]).await.expect("stored");
            let run = async |who: usize| {
                let (began, mut times) = (Instant::now(), Vec::new());
                while began.elapsed() < TIME {
                    let one = Instant::now();
                    let text = format!("memory {} of {who}: the quick brown fox jumps over the lazy dog", times.len());
                    stores[who].store(vec![NewMemory::new(text).tag("load")]).await.expect("stored");
                    times.push(one.elapsed());
                }
                times
            };
            let times = join_all((0..clients).map(run)).await.concat();
            let rate = times.len() as f64 / TIME.as_secs_f64();
            println!("{clients} clients, tell_new {tell_new}: {rate:.0} stores/s, p50 {:?}", half(times));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it measures"]
async fn operations_among_many() {
    let many: usize = std::env::var("DBMUX_TEST_MEMORIES").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let place = place();
    let embedder = std::sync::Arc::new(Letters::default());
    let memories =
        open(&place, MemoryOptions { embedder: Some(embedder), kept_answers: 0, kept_queries: 0, ..options(&place) });
    let text = |number: usize| {
        format!(
            "memory {number}: the {} fox number {} jumps over {}",
            number % 97,
            number % 1009,
            number * 7919 % 10_007
        )
    };
    let began = Instant::now();
    for begin in (0..many).step_by(500) {
        let new = (begin..(begin + 500).min(many))
            .map(|number| NewMemory::new(text(number)).tag(format!("t{}", number % 10)));
        memories.store(new.collect()).await.expect("stored");
    }
    println!("{many} in lists: {:.0} stores/s", many as f64 / began.elapsed().as_secs_f64());
    for (mode, query) in
        [(SearchMode::Exact, "fox number 17"), (SearchMode::Semantic, "fox"), (SearchMode::Hybrid, "number 17")]
    {
        let mut times = Vec::new();
        for _ in 0..20 {
            let one = Instant::now();
            memories.search(&Search::new(query).mode(mode)).await.expect("a search");
            times.push(one.elapsed());
        }
        println!("search {mode:?}: p50 {:?}", half(times));
    }
    let mut times = Vec::new();
    for number in 0..50 {
        let one = Instant::now();
        let update = Update { memory_type: Some("changed".to_owned()), ..Update::default() };
        memories.update(&content_hash(&text(number)), &update).await.expect("changed");
        times.push(one.elapsed());
    }
    println!("update: p50 {:?}", half(times));
}
