//! Searches: by a vector, by words, by both, or by a condition alone.

use dbmux_engine::EngineError;
use futures::StreamExt;
use lancedb::{
    DistanceType, Table,
    index::scalar::FullTextSearchQuery,
    query::{ExecutableQuery, Query, QueryBase, QueryExecutionOptions, Select, VectorQuery},
};

use crate::{
    errors,
    ffi::{self, TheirSchema},
    names,
    opened::{At, Source},
    operations::{Metric, Search},
    rows::Found,
};

/// Rows of a batch at most.
const BATCH_ROWS: u32 = 8192;

/// A search that is ready to run.
enum Ready {
    Plain(Query),
    Vector(VectorQuery),
}

impl From<Metric> for DistanceType {
    fn from(metric: Metric) -> Self {
        match metric {
            Metric::L2 => Self::L2,
            Metric::Cosine => Self::Cosine,
            Metric::Dot => Self::Dot,
            Metric::Hamming => Self::Hamming,
        }
    }
}

/// The columns that a search answers with.
pub(crate) async fn schema(source: &Source, at: At, search: &Search) -> Result<TheirSchema, EngineError> {
    let table = source.table(&search.table, at).await?;
    // The ranks of both are merged when both are there: only the answer tells its columns.
    if search.vector.is_some() && search.text.is_some() {
        let first = Search { limit: Some(1), ..search.clone() };
        let ready = ready(&table, &first, source).await?;
        return Ok(ready.run(source).await?.schema());
    }
    let ready = ready(&table, search, source).await?;
    let schema = match &ready {
        Ready::Plain(query) => query.output_schema().await,
        Ready::Vector(query) => query.output_schema().await,
    };
    schema.map_err(|error| errors::of(&error, source.path()))
}

/// Begins a search; its rows come as they are found.
pub(crate) async fn begin(source: &Source, at: At, search: &Search) -> Result<Found, EngineError> {
    let table = source.table(&search.table, at).await?;
    let stream = ready(&table, search, source).await?.run(source).await?;
    let schema = ffi::schema_to_ours(&stream.schema())?;
    let path = source.path().to_owned();
    let batches = stream.map(move |batch| batch.map_err(|error| errors::of(&error, &path)));
    Ok(Found::Stream { schema, batches: Box::pin(batches) })
}

impl Ready {
    async fn run(&self, source: &Source) -> Result<lancedb::arrow::SendableRecordBatchStream, EngineError> {
        let mut options = QueryExecutionOptions::default();
        options.max_batch_length = BATCH_ROWS;
        let stream = match self {
            Self::Plain(query) => query.execute_with_options(options).await,
            Self::Vector(query) => query.execute_with_options(options).await,
        };
        stream.map_err(|error| errors::of(&error, source.path()))
    }
}

async fn ready(table: &Table, search: &Search, source: &Source) -> Result<Ready, EngineError> {
    let failed = |error: lancedb::Error| errors::of(&error, source.path());
    let schema = table.schema().await.map_err(failed)?;
    let named = search.select.iter().flatten().chain(search.text_columns.iter().flatten()).chain(&search.column);
    for name in named {
        names::check(&schema, &search.table, name, true)?;
    }
    let plain = plain(table, search).map_err(failed)?;
    let Some(vector) = &search.vector else {
        let vectors_own = [
            ("column", search.column.is_some()),
            ("metric", search.metric.is_some()),
            ("nprobes", search.nprobes.is_some()),
            ("refine", search.refine.is_some()),
            ("ef", search.ef.is_some()),
        ];
        if let Some((name, _)) = vectors_own.iter().find(|(_, given)| *given) {
            return Err(errors::sql("42601", format!("\"{name}\" is of a search with \"vector\", and there is none")));
        }
        return Ok(Ready::Plain(plain));
    };
    let query = plain.nearest_to(vector.as_slice()).map_err(failed)?;
    with_vector(query, search).map(Ready::Vector).map_err(failed)
}

fn plain(table: &Table, search: &Search) -> lancedb::Result<Query> {
    let mut query = table.query();
    if let Some(words) = &search.text {
        let mut words = FullTextSearchQuery::new(words.clone());
        if let Some(columns) = &search.text_columns {
            words = words.with_columns(columns)?;
        }
        query = query.full_text_search(words);
    }
    if let Some(filter) = &search.filter {
        query = query.only_if(filter);
    }
    if let Some(columns) = &search.select {
        query = query.select(Select::columns(columns));
    }
    if let Some(limit) = search.limit {
        query = query.limit(limit);
    }
    if let Some(offset) = search.offset {
        query = query.offset(offset);
    }
    if search.postfilter {
        query = query.postfilter();
    }
    if search.indexed_only {
        query = query.fast_search();
    }
    if search.with_row_id {
        query = query.with_row_id();
    }
    Ok(query)
}

fn with_vector(mut query: VectorQuery, search: &Search) -> lancedb::Result<VectorQuery> {
    if let Some(column) = &search.column {
        query = query.column(column);
    }
    if let Some(metric) = search.metric {
        query = query.distance_type(metric.into());
    }
    if let Some(nprobes) = search.nprobes {
        query = query.nprobes(nprobes)?;
    }
    if let Some(refine) = search.refine {
        query = query.refine_factor(refine);
    }
    if let Some(ef) = search.ef {
        query = query.ef(ef);
    }
    if search.exact {
        query = query.bypass_vector_index();
    }
    Ok(query)
}
