//! A process that inserts rows into an SQLite file, one by one, each acknowledged: through dbmux, or with the file open.
//! Told for how many seconds on standard input; answers with how many rows, and how many were refused because the file
//! was busy.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use dbmux_client::Statement;
use dbmux_engine::EngineError;
use dbmux_sqlite::plain::{Connection, Value};

use crate::{Result, place, rival::Rival};

const INSERT: &str = "INSERT INTO log VALUES (?, ?)";

/// How long a direct one waits for the others: sqlite3's own documentation has less.
const BUSY: Duration = Duration::from_secs(10);

/// Which way, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    way: Way,
    path: PathBuf,
    number: i64,
    /// The `dbmux` binary.
    dbmux: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Way {
    Direct,
    Dbmux,
}

/// Starts one; it is ready when this returns.
pub(crate) fn start(way: &str, path: &Path, number: usize, dbmux: &Path) -> Result<Rival> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["sqlite", way]).arg(path).arg(number.to_string()).arg(dbmux);
    let mut writer = Rival::start(command)?;
    match writer.hear()?.as_str() {
        "ready" => Ok(writer),
        other => Err(format!("not ready, but {other}").into()),
    }
}

/// Does what it is told.
pub(crate) fn serve(arguments: &Arguments) -> Result<()> {
    let row = |rows: usize| (arguments.number, format!("text {rows}"));
    match arguments.way {
        Way::Direct => {
            let connection = Connection::open(&arguments.path, BUSY)?;
            let mut insert = connection.prepare(INSERT)?;
            obey(|rows| {
                let (number, text) = row(rows);
                match insert.run(&[Value::Integer(number), Value::Text(text)]) {
                    Ok(_) => Ok(true),
                    Err(EngineError::Locked { .. }) => Ok(false),
                    Err(error) => Err(error.into()),
                }
            })
        }
        Way::Dbmux => {
            let runtime = place::runtime()?;
            let client = place::client(&arguments.dbmux, &arguments.path)?;
            let session = runtime.block_on(client.session())?;
            obey(|rows| {
                let (number, text) = row(rows);
                let insert = Statement::new(INSERT).bind(number).bind(text);
                match runtime.block_on(session.execute(insert)) {
                    Ok(_) => Ok(true),
                    Err(error) if error.is_temporary() => Ok(false),
                    Err(error) => Err(error.into()),
                }
            })
        }
    }
}

/// `insert` tells whether the row was acknowledged, or the file was busy.
fn obey(mut insert: impl FnMut(usize) -> Result<bool>) -> Result<()> {
    println!("ready");
    for line in std::io::stdin().lines() {
        let time = Duration::from_secs_f64(line?.parse()?);
        let (began, mut rows, mut busy) = (Instant::now(), 0, 0);
        while began.elapsed() < time {
            if insert(rows)? { rows += 1 } else { busy += 1 }
        }
        println!("{rows} {busy}");
    }
    Ok(())
}
