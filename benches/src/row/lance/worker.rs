//! A process that writes to, or searches, a LanceDB database through dbmux. Told for how many seconds on standard input.
//! A writer answers with the seconds that it took, its writes, its new rows, and its conflicts; a reader with the seconds of
//! each search.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use arrow::{
    array::{ArrayRef, FixedSizeListArray, Float32Array, Int64Array, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema},
};
use dbmux_client::{Session, Statement};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::SEED;
use crate::{Result, place, rival::Rival};

const DIMENSIONS: usize = 128;
const PROVIDERS: [&str; 4] = ["one", "two", "three", "four"];

/// Which one, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    role: Role,
    path: PathBuf,
    number: i64,
    /// The `dbmux` binary.
    dbmux: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Role {
    Writer,
    Reader,
}

/// Starts one.
pub(crate) fn start(role: &str, path: &Path, number: usize, dbmux: &Path) -> Result<Rival> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["lance", role]).arg(path).arg(number.to_string()).arg(dbmux);
    Rival::start(command)
}

/// Does what it is told.
pub(crate) fn serve(arguments: &Arguments) -> Result<()> {
    let runtime = place::runtime()?;
    let client = place::client(&arguments.dbmux, &arguments.path)?;
    let session = runtime.block_on(client.session())?;
    println!("ready");
    let mut writer = Writer { number: arguments.number, next: 0 };
    for line in std::io::stdin().lines() {
        let time = Duration::from_secs_f64(line?.parse()?);
        let told = match arguments.role {
            Role::Writer => writer.write(&runtime, &session, time)?,
            Role::Reader => read(&runtime, &session, arguments.number, time)?,
        };
        println!("{}", told.iter().map(f64::to_string).collect::<Vec<_>>().join(" "));
    }
    Ok(())
}

struct Writer {
    number: i64,
    /// Of its own keys.
    next: i64,
}

impl Writer {
    fn write(&mut self, runtime: &Runtime, session: &Session, time: Duration) -> Result<Vec<f64>> {
        let (began, mut writes, mut new_rows, mut conflicts) = (Instant::now(), 0.0, 0.0, 0.0);
        while began.elapsed() < time {
            let (operation, ids, new) = self.operation();
            let rows = rows(ids)?;
            loop {
                match runtime.block_on(session.execute(with_rows(&operation, rows.clone()))) {
                    Ok(_) => break,
                    Err(error) if error.is_conflict() || error.is_temporary() => conflicts += 1.0,
                    Err(error) => return Err(error.into()),
                }
            }
            (writes, new_rows) = (writes + 1.0, new_rows + new);
        }
        Ok(vec![began.elapsed().as_secs_f64(), writes, new_rows, conflicts])
    }

    /// What to do, the keys of its rows, and how many of them are new.
    fn operation(&mut self) -> (Value, Vec<i64>, f64) {
        let own = |next: Range<i64>| next.map(|key| (self.number + 1) * 1_000_000_000 + key);
        if self.number % 2 == 0 {
            let ids = own(self.next..self.next + 10).collect();
            self.next += 10;
            return (json!({"add": {"table": "chunks"}}), ids, 10.0);
        }
        // Old ones that others change too.
        let old = (0..5).map(|one| (self.next * 7919 + one * 4001) % SEED as i64);
        let ids = old.chain(own(self.next..self.next + 5)).collect();
        self.next += 5;
        (json!({"merge_insert": {"table": "chunks", "on": ["id"]}}), ids, 5.0)
    }
}

fn read(runtime: &Runtime, session: &Session, number: i64, time: Duration) -> Result<Vec<f64>> {
    let (began, mut times) = (Instant::now(), Vec::new());
    while began.elapsed() < time {
        let vector = vector(number * 1_000_003 + times.len() as i64);
        let filter = format!("provider = '{}'", PROVIDERS[times.len() % PROVIDERS.len()]);
        let search = json!({"table": "chunks", "vector": vector, "where": filter, "select": ["id"], "limit": 10});
        let begun = Instant::now();
        let found = runtime
            .block_on(async { session.query(json!({ "search": search }).to_string()).await?.collect().await })?;
        times.push(begun.elapsed().as_secs_f64());
        if found.iter().map(RecordBatch::num_rows).sum::<usize>() != 10 {
            return Err("not the ten nearest".into());
        }
    }
    Ok(times)
}

/// The operation, with the rows that it takes.
pub(crate) fn with_rows(operation: &Value, rows: RecordBatch) -> Statement {
    Statement::new(operation.to_string()).rows(rows)
}

/// Rows with these keys.
pub(crate) fn rows(ids: impl IntoIterator<Item = i64>) -> Result<RecordBatch> {
    let ids: Vec<i64> = ids.into_iter().collect();
    let providers = ids.iter().map(|id| PROVIDERS[*id as usize % PROVIDERS.len()]);
    let texts = ids.iter().map(|id| format!("the text of {id}"));
    let numbers = Float32Array::from_iter_values(ids.iter().flat_map(|id| vector(*id)));
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let vectors = FixedSizeListArray::try_new(item, DIMENSIONS as i32, Arc::new(numbers), None)?;
    let columns: [(&str, ArrayRef); 4] = [
        ("provider", Arc::new(StringArray::from_iter_values(providers))),
        ("text", Arc::new(StringArray::from_iter_values(texts))),
        ("embedding", Arc::new(vectors)),
        ("id", Arc::new(Int64Array::from(ids))),
    ];
    let fields: Vec<_> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), false)).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.map(|(_, array)| array).to_vec())?)
}

/// Which numbers does not matter.
fn vector(id: i64) -> Vec<f32> {
    let number = |place: u64| {
        let hash = (id as u64).wrapping_mul(128).wrapping_add(place + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (hash >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..DIMENSIONS as u64).map(number).collect()
}
