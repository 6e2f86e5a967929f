//! Measures dbmux beside its rivals, and prints one table. `benches/run.sh` builds what it needs and runs it; what is
//! measured, and how, stands in `docs/benchmarks.md`.
//!
//! What always holds: the sides of a comparison run in turn, in this one run, on the same file system; a figure is the
//! median of the rounds' own, unless its row says otherwise. Each row is a file in `row/`, a rival in a language of its
//! own a script in `rivals/`.

mod agent;
mod context;
mod figures;
mod machine;
mod place;
mod report;
mod rival;
mod row;

use clap::{Parser, Subcommand};

use crate::{context::Context, report::Format};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures dbmux beside its rivals.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    worker: Option<Worker>,
    #[command(flatten)]
    context: Option<Context>,
    /// Only these rows.
    #[arg(long, value_name = "ROW")]
    only: Vec<String>,
    /// One JSON object.
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// The README's table.
    #[arg(long)]
    markdown: bool,
}

/// What this program starts itself as.
#[derive(Debug, Subcommand)]
enum Worker {
    /// A process with a lock, told what to do on standard input.
    #[command(hide = true)]
    Lock(row::peer::Arguments),
    /// A process that writes to an SQLite file, told for how long on standard input.
    #[command(hide = true)]
    Sqlite(row::sqlite::writer::Arguments),
    /// A process that writes to LanceDB or searches it, told for how long on standard input.
    #[command(hide = true)]
    Lance(row::lance::worker::Arguments),
    /// A process with a store of memories, told what to do on standard input.
    #[command(hide = true)]
    Memories(row::memories::worker::Arguments),
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.worker {
        Some(Worker::Lock(lock)) => return row::peer::serve(&lock),
        Some(Worker::Sqlite(writer)) => return row::sqlite::writer::serve(&writer),
        Some(Worker::Lance(worker)) => return row::lance::worker::serve(&worker),
        Some(Worker::Memories(worker)) => return row::memories::worker::serve(&worker),
        None => {}
    }
    let context =
        arguments.context.ok_or("--dbmux, --python, --rivals and --directory are needed: see benches/run.sh")?;
    let format = match (arguments.json, arguments.markdown) {
        (true, _) => Format::Json,
        (_, true) => Format::Markdown,
        _ => Format::Table,
    };
    let mut report = report::Report::new(machine::Machine::here(&context)?, context.quick);
    for row in row::chosen(&arguments.only)? {
        eprintln!("{}: {}", row.name, row.about);
        report.add(row.name, (row.measure)(&context)?);
    }
    report.print(format)
}
