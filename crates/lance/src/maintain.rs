//! What keeps a table quick: indices, and few files instead of many.
//!
//! Lance lets a compaction, an index and writes go on beside each other, and whichever meets another's commit begins again:
//! nothing here waits for a table's turn, but one for the other. Only small files that pile up while nobody pauses are
//! brought together within a turn, by whoever has it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use arrow::{
    array::{ArrayRef, Int64Array, RecordBatch},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use dbmux_engine::EngineError;
use lance::{Dataset, index::DatasetIndexExt};
use lance_table::format::Fragment;
use lancedb::{
    Table,
    index::{
        Index,
        scalar::{BTreeIndexBuilder, BitmapIndexBuilder, FtsIndexBuilder, LabelListIndexBuilder},
        vector::{
            IvfFlatIndexBuilder, IvfHnswFlatIndexBuilder, IvfHnswPqIndexBuilder, IvfHnswSqIndexBuilder,
            IvfPqIndexBuilder, IvfRqIndexBuilder, IvfSqIndexBuilder,
        },
    },
    table::{CompactionOptions, Duration as Age, OptimizeAction, OptimizeOptions, OptimizeStats},
};
use tokio::sync::MutexGuard;

use crate::{
    catalog, errors, looks, names,
    opened::{Opened, Writable},
    operations::{CreateIndex, DropIndex, IndexKind, Optimize},
    wait::{Running, Work},
};

/// How old a version must be to be removed, unless told otherwise.
const KEPT: u32 = 7 * 24 * 3600;
/// Small files that are too many, when nobody waits.
const SMALL_FILES: usize = 16;
/// Rows of a file that is small.
const SMALL_ROWS: usize = 100_000;
/// While nobody pauses: after how many commits the files that have less than how many rows are brought together. Each row is
/// rewritten about eight times in each tier.
const TIERS: [(usize, usize); 2] = [(16, 256), (256, 4096)];
/// A file that is not rewritten then, in bytes.
const LARGE_FILE: u64 = 8 << 20;
/// How often one begins again that lost to a writer.
const ATTEMPTS: u32 = 3;
/// The wait before that.
const PAUSE: Duration = Duration::from_millis(100);

/// The columns that `optimize` answers with.
pub(crate) fn optimized_schema() -> SchemaRef {
    let names = [
        "fragments_removed",
        "fragments_added",
        "files_removed",
        "files_added",
        "old_versions_removed",
        "bytes_removed",
    ];
    Arc::new(Schema::new(names.map(|name| Field::new(name, DataType::Int64, true)).to_vec()))
}

/// Sets options of an index that a kind of index has: those that are given.
macro_rules! given {
    ($builder:ident, $ask:ident: $($option:ident)*) => {
        $(if let Some(value) = $ask.$option {
            $builder = $builder.$option(value);
        })*
    };
}

/// An index on vectors.
macro_rules! vectors {
    ($kind:ident($builder:ty), $ask:ident: $($option:ident)*) => {{
        let mut builder = <$builder>::default();
        if let Some(metric) = $ask.metric {
            builder = builder.distance_type(metric.into());
        }
        given!(builder, $ask: num_partitions sample_rate max_iterations $($option)*);
        if let Some(m) = $ask.m {
            builder = hnsw::edges(builder, m);
        }
        Index::$kind(builder)
    }};
}

mod hnsw {
    //! `m` is of the graphs only: on any other index it changes nothing, and is refused before.

    use super::{
        IvfFlatIndexBuilder, IvfHnswFlatIndexBuilder, IvfHnswPqIndexBuilder, IvfHnswSqIndexBuilder, IvfPqIndexBuilder,
        IvfRqIndexBuilder, IvfSqIndexBuilder,
    };

    pub(super) trait Edges: Sized {
        fn edges(self, _m: u32) -> Self {
            self
        }
    }

    impl Edges for IvfFlatIndexBuilder {}
    impl Edges for IvfSqIndexBuilder {}
    impl Edges for IvfPqIndexBuilder {}
    impl Edges for IvfRqIndexBuilder {}
    impl Edges for IvfHnswFlatIndexBuilder {
        fn edges(self, m: u32) -> Self {
            self.num_edges(m)
        }
    }
    impl Edges for IvfHnswSqIndexBuilder {
        fn edges(self, m: u32) -> Self {
            self.num_edges(m)
        }
    }
    impl Edges for IvfHnswPqIndexBuilder {
        fn edges(self, m: u32) -> Self {
            self.num_edges(m)
        }
    }

    pub(super) fn edges<B: Edges>(builder: B, m: u32) -> B {
        builder.edges(m)
    }
}

/// Makes an index.
pub(crate) async fn create_index(opened: &Opened, running: &Running, ask: &CreateIndex) -> Result<(), EngineError> {
    check_options(ask)?;
    let table = opened.own_table(&ask.table).await?;
    names::known(&table.table, std::iter::once(ask.column.as_str())).await?;
    let attempt = async || {
        let index = index(ask)?;
        let mut builder = table.table.create_index(&[ask.column.as_str()], index).replace(ask.replace);
        if let Some(name) = &ask.name {
            builder = builder.name(name.clone());
        }
        builder.execute().await
    };
    let _others_wait = rearranging(running, &table).await?;
    let made = running.committing(&table.committer, Work::Ends, retried(opened, attempt)).await;
    match made {
        Err(_) if table.committer.is_gone() => {
            catalog::remove_remains(opened, &ask.table).await;
            Err(errors::no_table(&ask.table))
        }
        made => made,
    }
}

/// Removes an index.
pub(crate) async fn drop_index(opened: &Opened, running: &Running, drop: &DropIndex) -> Result<(), EngineError> {
    let table = opened.own_table(&drop.table).await?;
    let _others_wait = rearranging(running, &table).await?;
    let work = retried(opened, async || table.table.drop_index(&drop.name).await);
    running.committing(&table.committer, Work::Ends, work).await
}

/// Compacts, prunes, and brings the indices up to date.
pub(crate) async fn optimize(opened: &Opened, running: &Running, ask: &Optimize) -> Result<RecordBatch, EngineError> {
    let table = opened.own_table(&ask.table).await?;
    let _others_wait = rearranging(running, &table).await?;
    let age = ask.older_than_seconds.unwrap_or(KEPT);
    let work = optimize_table(opened, &table, age);
    let stats = running.committing(&table.committer, Work::InSteps, work).await?;
    let compaction = stats.compaction.unwrap_or_default();
    let prune = stats.prune.unwrap_or_default();
    let number =
        |number: u64| -> ArrayRef { Arc::new(Int64Array::from(vec![i64::try_from(number).unwrap_or(i64::MAX)])) };
    let columns = vec![
        number(compaction.fragments_removed as u64),
        number(compaction.fragments_added as u64),
        number(compaction.files_removed as u64),
        number(compaction.files_added as u64),
        number(prune.old_versions),
        number(prune.bytes_removed),
    ];
    looks::batch(optimized_schema(), columns)
}

/// The same for every table that has many small files; stops when it is told to. Faults are for the log.
pub(crate) async fn optimize_idle(opened: &Opened, running: &Running) {
    let names = running.lightly(opened.names()).await.unwrap_or_default();
    for name in names {
        match optimize_if_small(opened, running, &name).await {
            Ok(()) => {}
            Err(EngineError::Interrupted) => return,
            Err(error) => tracing::debug!(table = name, %error, "compaction in an idle moment came to nothing"),
        }
    }
}

/// A table that has many small files is compacted.
async fn optimize_if_small(opened: &Opened, running: &Running, name: &str) -> Result<(), EngineError> {
    let (table, small) = running
        .lightly(async {
            let table = opened.own_table(name).await?;
            let native = table.table.as_native();
            let small = match native {
                Some(native) => native.num_small_files(SMALL_ROWS).await.map_err(|error| opened.error(error))?,
                None => 0,
            };
            Ok((table, small))
        })
        .await?;
    if small < SMALL_FILES {
        return Ok(());
    }
    let _others_wait = rearranging(running, &table).await?;
    let work = optimize_table(opened, &table, KEPT);
    let done = running.committing(&table.committer, Work::InSteps, work).await?;
    tracing::debug!(table = name, ?done, "compacted, as nobody waits");
    Ok(())
}

/// After some commits, brings together the small files that they have made: every search opens each of them. The caller has
/// the table's turn, and its write is done: what goes wrong here is not its fault. That the disk fails is told to the next.
pub(crate) async fn keep_few_files(running: &Running, writable: &Writable) {
    let commits = writable.commits.fetch_add(1, Ordering::Relaxed) + 1;
    let Some((_, rows)) = TIERS.into_iter().rev().find(|(each, _)| commits.is_multiple_of(*each)) else {
        return;
    };
    // Whoever makes an index of these files goes before: it takes long, and would be in vain.
    let Ok(_others_wait) = writable.committer.rearranging().try_lock() else {
        return;
    };
    let work = async { bring_together(&writable.table, rows).await.map_err(|error| errors::internal(&error)) };
    match running.committing(&writable.committer, Work::InSteps, work).await {
        Ok(()) => {}
        Err(fatal @ EngineError::Fatal { .. }) => *writable.fault.lock() = Some(fatal),
        Err(error) => tracing::debug!(%error, "small files stay as they are"),
    }
}

/// Makes few files of those that have less than so many rows.
async fn bring_together(table: &Table, rows: usize) -> lancedb::Result<()> {
    let Some(dataset) = table.dataset() else { return Ok(()) };
    let options = CompactionOptions {
        target_rows_per_fragment: rows,
        // Rows that were deleted from a large file are left in it: it is not for us to write it anew.
        materialize_deletions: false,
        excluded_fragment_ids: left_alone(dataset.get().await?.as_ref()).await?,
        ..CompactionOptions::default()
    };
    table.optimize(OptimizeAction::Compact { options, remap_options: None }).await.map(drop)
}

/// Files that are not rewritten while somebody waits: large ones, and those that an index names, which would be written anew
/// with them.
async fn left_alone(dataset: &Dataset) -> lancedb::Result<Vec<u32>> {
    let indices = dataset.load_indices().await.map_err(|source| lancedb::Error::Lance { source })?;
    let is_large = |fragment: &Fragment| {
        let bytes = fragment.files.iter().filter_map(|file| file.file_size_bytes.get());
        bytes.map(u64::from).sum::<u64>() > LARGE_FILE
    };
    let is_indexed = |id| indices.iter().any(|index| index.fragment_bitmap.as_ref().is_none_or(|has| has.contains(id)));
    let ids = dataset.fragments().iter().filter_map(|fragment| {
        let id = u32::try_from(fragment.id).ok()?;
        (is_large(fragment) || is_indexed(id)).then_some(id)
    });
    Ok(ids.collect())
}

/// Compacts, prunes, and brings the indices up to date: each step is done again by itself.
async fn optimize_table(
    opened: &Opened,
    writable: &Writable,
    older_than_seconds: u32,
) -> Result<OptimizeStats, EngineError> {
    let table = &writable.table;
    let compact = async || {
        let compact = OptimizeAction::Compact { options: CompactionOptions::default(), remap_options: None };
        table.optimize(compact).await
    };
    let prune = async || {
        let prune = OptimizeAction::Prune {
            older_than: Some(Age::seconds(i64::from(older_than_seconds))),
            delete_unverified: None,
            error_if_tagged_old_versions: None,
        };
        table.optimize(prune).await
    };
    let compaction = retried(opened, compact).await?.compaction;
    let prune = retried(opened, prune).await?.prune;
    retried(opened, async || table.optimize(OptimizeAction::Index(OptimizeOptions::default())).await).await?;
    Ok(OptimizeStats { compaction, prune })
}

/// Waits for the right to rearrange a table's files.
async fn rearranging<'a>(running: &Running, writable: &'a Writable) -> Result<MutexGuard<'a, ()>, EngineError> {
    running.lightly(async { Ok(writable.committer.rearranging().lock().await) }).await
}

async fn retried<T>(opened: &Opened, attempt: impl AsyncFn() -> lancedb::Result<T>) -> Result<T, EngineError> {
    for _ in 1..ATTEMPTS {
        match attempt().await {
            Err(error) if opened.options.as_owner && errors::is_conflict(&error) => tokio::time::sleep(PAUSE).await,
            outcome => return outcome.map_err(|error| opened.error(error)),
        }
    }
    attempt().await.map_err(|error| opened.error(error))
}

fn index(ask: &CreateIndex) -> lancedb::Result<Index> {
    Ok(match ask.kind {
        IndexKind::Auto => Index::Auto,
        IndexKind::Btree => Index::BTree(BTreeIndexBuilder::default()),
        IndexKind::Bitmap => Index::Bitmap(BitmapIndexBuilder::default()),
        IndexKind::LabelList => Index::LabelList(LabelListIndexBuilder::default()),
        IndexKind::Fts => Index::FTS(words(ask)?),
        IndexKind::IvfFlat => vectors!(IvfFlat(IvfFlatIndexBuilder), ask:),
        IndexKind::IvfSq => vectors!(IvfSq(IvfSqIndexBuilder), ask:),
        IndexKind::IvfPq => vectors!(IvfPq(IvfPqIndexBuilder), ask: num_sub_vectors num_bits),
        IndexKind::IvfRq => vectors!(IvfRq(IvfRqIndexBuilder), ask: num_bits),
        IndexKind::IvfHnswFlat => vectors!(IvfHnswFlat(IvfHnswFlatIndexBuilder), ask: ef_construction),
        IndexKind::IvfHnswSq => vectors!(IvfHnswSq(IvfHnswSqIndexBuilder), ask: ef_construction),
        IndexKind::IvfHnswPq => {
            vectors!(IvfHnswPq(IvfHnswPqIndexBuilder), ask: ef_construction num_sub_vectors num_bits)
        }
    })
}

/// An index on words.
fn words(ask: &CreateIndex) -> lancedb::Result<FtsIndexBuilder> {
    let failed = |error| lancedb::Error::Lance { source: error };
    let mut builder = FtsIndexBuilder::default();
    if let Some(tokenizer) = &ask.tokenizer {
        builder = builder.base_tokenizer(tokenizer.clone());
    }
    if let Some(language) = &ask.language {
        builder = builder.language(language).map_err(failed)?;
    }
    given!(builder, ask: stem lower_case remove_stop_words ascii_folding with_position);
    Ok(builder)
}

/// Refuses options that an index of this kind has not.
fn check_options(ask: &CreateIndex) -> Result<(), EngineError> {
    use IndexKind::{Fts, IvfFlat, IvfHnswFlat, IvfHnswPq, IvfHnswSq, IvfPq, IvfRq, IvfSq};
    const VECTORS: &[IndexKind] = &[IvfFlat, IvfSq, IvfPq, IvfRq, IvfHnswFlat, IvfHnswSq, IvfHnswPq];
    const GRAPHS: &[IndexKind] = &[IvfHnswFlat, IvfHnswSq, IvfHnswPq];
    let options = [
        ("metric", ask.metric.is_some(), VECTORS),
        ("num_partitions", ask.num_partitions.is_some(), VECTORS),
        ("max_iterations", ask.max_iterations.is_some(), VECTORS),
        ("sample_rate", ask.sample_rate.is_some(), VECTORS),
        ("num_sub_vectors", ask.num_sub_vectors.is_some(), &[IvfPq, IvfHnswPq]),
        ("num_bits", ask.num_bits.is_some(), &[IvfPq, IvfRq, IvfHnswPq]),
        ("m", ask.m.is_some(), GRAPHS),
        ("ef_construction", ask.ef_construction.is_some(), GRAPHS),
        ("tokenizer", ask.tokenizer.is_some(), &[Fts]),
        ("language", ask.language.is_some(), &[Fts]),
        ("stem", ask.stem.is_some(), &[Fts]),
        ("lower_case", ask.lower_case.is_some(), &[Fts]),
        ("remove_stop_words", ask.remove_stop_words.is_some(), &[Fts]),
        ("ascii_folding", ask.ascii_folding.is_some(), &[Fts]),
        ("with_position", ask.with_position.is_some(), &[Fts]),
    ];
    match options.iter().find(|(_, given, kinds)| *given && !kinds.contains(&ask.kind)) {
        Some((name, ..)) => Err(errors::sql("42601", format!("an index of this \"type\" has no \"{name}\""))),
        None => Ok(()),
    }
}
