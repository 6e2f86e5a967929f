//! What `dbmux vectors` takes.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};

use super::{Format, Waiting, values::duration};

pub(super) const EXAMPLES: &str = "Examples:
  dbmux vectors code.lancedb create-table chunks --column id:int64 --column \"v:vector(384)\"
  dbmux vectors code.lancedb add chunks rows.jsonl
  dbmux vectors code.lancedb merge-insert chunks rows.jsonl --on id
  dbmux vectors code.lancedb search chunks --vector @query.json --where \"lang = 'c'\" --limit 5
  dbmux vectors code.lancedb search chunks --text \"open a file\" --select id,text
  dbmux vectors code.lancedb create-index chunks v --type ivf-pq --metric cosine
  dbmux vectors code.lancedb run '{\"count\": {\"table\": \"chunks\"}}'
  dbmux sql code.lancedb \"select lang, count(*) from chunks group by lang\"

Rows are read from .json, .jsonl, .csv, .arrow (a file or a stream of Arrow's); - is JSON from
standard input. A new table takes its columns from the rows; lists of numbers of one length, in
columns whose names have \"vec\" or \"embedding\" in them, become vectors of float32.";

#[derive(Debug, Args)]
pub(crate) struct VectorsArgs {
    /// The directory of tables; `create-table` makes it where there is none.
    pub(crate) database: PathBuf,
    #[command(subcommand)]
    pub(crate) operation: Operation,
    /// How results are shown. Default: table on a terminal, csv elsewhere.
    #[arg(long, global = true)]
    pub(crate) format: Option<Format>,
    /// Rows that a table shows; 0: all. Default: 1000 on a terminal, all elsewhere.
    #[arg(long, global = true, value_name = "ROWS")]
    pub(crate) max_rows: Option<usize>,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
    /// Errors as one JSON object on standard error, results as --format json.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Operation {
    /// Name the tables.
    Tables,
    /// Name a table's columns.
    Schema(TableArg),
    /// Count rows.
    Count(CountArgs),
    /// Find the rows nearest to a vector, those with words in them, both, or all that a condition holds for.
    Search(Box<SearchArgs>),
    /// Append rows.
    Add(RowsArgs),
    /// Update rows by their key, and insert those that are not there.
    MergeInsert(MergeInsertArgs),
    /// Set columns of rows.
    Update(UpdateArgs),
    /// Delete rows.
    Delete(DeleteArgs),
    /// Make a table, of columns or of rows.
    CreateTable(CreateTableArgs),
    /// Remove a table and all its versions.
    DropTable(DropTableArgs),
    /// Name a table's versions.
    Versions(TableArg),
    /// Name a table's indices.
    Indices(TableArg),
    /// Make an index.
    CreateIndex(Box<CreateIndexArgs>),
    /// Remove an index.
    DropIndex(DropIndexArgs),
    /// Make few files of many, remove old versions, bring indices up to date.
    Optimize(OptimizeArgs),
    /// Run an operation as it is written, a JSON object.
    Run(RunArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TableArg {
    /// The table.
    pub(crate) table: String,
}

#[derive(Debug, Args)]
pub(crate) struct CountArgs {
    /// The table.
    pub(crate) table: String,
    /// Only rows for which this holds, in SQL.
    #[arg(long = "where", value_name = "CONDITION")]
    pub(crate) filter: Option<String>,
    /// As of this version of the table.
    #[arg(long)]
    pub(crate) version: Option<u64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Metric {
    L2,
    Cosine,
    Dot,
    Hamming,
}

#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// The table.
    pub(crate) table: String,
    /// The vector, as a JSON array; @FILE reads it from a file.
    #[arg(long, value_name = "JSON|@FILE", allow_hyphen_values = true)]
    pub(crate) vector: Option<String>,
    /// Words, in columns with an index of type fts.
    #[arg(long, value_name = "WORDS")]
    pub(crate) text: Option<String>,
    /// Only rows for which this holds, in SQL.
    #[arg(long = "where", value_name = "CONDITION")]
    pub(crate) filter: Option<String>,
    /// The columns to show.
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,…")]
    pub(crate) select: Vec<String>,
    /// Rows at most. Default: 10 of a search, all of a condition.
    #[arg(long)]
    pub(crate) limit: Option<usize>,
    /// Rows to pass over.
    #[arg(long)]
    pub(crate) offset: Option<usize>,
    /// The vector's column, where a table has several.
    #[arg(long)]
    pub(crate) column: Option<String>,
    /// How distance is measured.
    #[arg(long)]
    pub(crate) metric: Option<Metric>,
    /// Partitions of the index to look into.
    #[arg(long)]
    pub(crate) nprobes: Option<usize>,
    /// Compares this many times as many rows by their exact distance.
    #[arg(long)]
    pub(crate) refine: Option<u32>,
    /// Passes over the vector's index.
    #[arg(long)]
    pub(crate) exact: bool,
    /// As of this version of the table.
    #[arg(long)]
    pub(crate) version: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct RowsArgs {
    /// The table.
    pub(crate) table: String,
    /// The rows: .json, .jsonl, .csv, .arrow; - is JSON from standard input.
    pub(crate) rows: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct MergeInsertArgs {
    #[command(flatten)]
    pub(crate) rows: RowsArgs,
    /// The key's columns.
    #[arg(long, required = true, value_delimiter = ',', value_name = "COLUMN,…")]
    pub(crate) on: Vec<String>,
    /// Leaves rows alone that are there already.
    #[arg(long, conflicts_with = "update_only")]
    pub(crate) insert_only: bool,
    /// Passes over rows that are not there.
    #[arg(long)]
    pub(crate) update_only: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// The table.
    pub(crate) table: String,
    /// A column and its new value, in SQL: "price=price * 2".
    #[arg(long, required = true, value_name = "COLUMN=VALUE")]
    pub(crate) set: Vec<String>,
    /// Only rows for which this holds, in SQL. Default: every row.
    #[arg(long = "where", value_name = "CONDITION")]
    pub(crate) filter: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The table.
    pub(crate) table: String,
    /// The rows for which this holds, in SQL; true: all.
    #[arg(long = "where", value_name = "CONDITION")]
    pub(crate) filter: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum IfExists {
    Error,
    Keep,
    Overwrite,
}

#[derive(Debug, Args)]
pub(crate) struct CreateTableArgs {
    /// The table.
    pub(crate) table: String,
    /// The rows it begins with, which also tell its columns.
    #[arg(required_unless_present = "column")]
    pub(crate) rows: Option<PathBuf>,
    /// A column: NAME:TYPE, as id:int64, text:string, "v:vector(384)"; a ! behind it: never NULL.
    #[arg(long, value_name = "NAME:TYPE[!]")]
    pub(crate) column: Vec<String>,
    /// What becomes of a table of that name: an error (the default), it is kept, or it is replaced.
    #[arg(long, value_name = "WHAT")]
    pub(crate) if_exists: Option<IfExists>,
}

#[derive(Debug, Args)]
pub(crate) struct DropTableArgs {
    /// The table.
    pub(crate) table: String,
    /// No error where there is none.
    #[arg(long)]
    pub(crate) if_exists: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum IndexKind {
    Auto,
    IvfFlat,
    IvfSq,
    IvfPq,
    IvfRq,
    IvfHnswFlat,
    IvfHnswSq,
    IvfHnswPq,
    Btree,
    Bitmap,
    LabelList,
    Fts,
}

#[derive(Debug, Args)]
pub(crate) struct CreateIndexArgs {
    /// The table.
    pub(crate) table: String,
    /// The column.
    pub(crate) column: String,
    /// Its kind: ivf-… of vectors, fts of words, btree, bitmap and label-list of values. Default: auto, by the column's type.
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<IndexKind>,
    /// Its name.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// How distance is measured.
    #[arg(long)]
    pub(crate) metric: Option<Metric>,
    /// Partitions of an ivf index.
    #[arg(long)]
    pub(crate) num_partitions: Option<u32>,
    /// Parts of a vector, of pq.
    #[arg(long)]
    pub(crate) num_sub_vectors: Option<u32>,
    /// The words' language, of fts: English, German, …
    #[arg(long)]
    pub(crate) language: Option<String>,
    /// How text is cut into words, of fts: simple, whitespace, raw, ngram, …
    #[arg(long)]
    pub(crate) tokenizer: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DropIndexArgs {
    /// The table.
    pub(crate) table: String,
    /// The index.
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct OptimizeArgs {
    /// The table.
    pub(crate) table: String,
    /// Removes versions that are older, to the second. Default: 7 days.
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    pub(crate) older_than: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The operation.
    #[arg(value_name = "JSON")]
    pub(crate) operation: String,
    /// The rows that it takes.
    #[arg(long, value_name = "FILE")]
    pub(crate) rows: Option<PathBuf>,
}
