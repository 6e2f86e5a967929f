//! Foreign processes that write beside us: SQLite's own shell, and Python's modules of the engines.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{Kind, Place, Table};

/// A process that inserts rows into a table of two columns, its own number and a running one, until its time is over.
pub struct Writer {
    child: Child,
}

/// Inserts one row at a time, each in a transaction of its own, and says in the end how many.
const PYTHON: &str = "
import sqlite3, sys, time
path, table, who, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
connection = sqlite3.connect(path, timeout=30, isolation_level=None)
written, end = 0, time.monotonic() + seconds
while time.monotonic() < end:
    connection.execute(f'insert into {table} values (?, ?)', (who, written))
    written += 1
    time.sleep(0.002)
print(written)
";

/// The same by a new shell for every few rows: each opens the file, and is the last one to close it now and then.
const SHELL: &str = "
written=0
end=$(($(date +%s) + $4))
while [ $(date +%s) -lt $end ]; do
    printf '.timeout 30000\\ninsert into %s values (%d, %d); insert into %s values (%d, %d);\\n' \\
        $2 $3 $written $2 $3 $((written + 1)) | sqlite3 -bail $1 || exit 1
    written=$((written + 2))
done
echo $written
";

/// Appends a row at a time, each a version of its own.
const LANCEDB: &str = "
import lancedb, sys, time
path, table, who, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
table = lancedb.connect(path).open_table(table)
columns = table.schema.names
written, end = 0, time.monotonic() + seconds
while time.monotonic() < end:
    table.add([dict(zip(columns, (who, written)))])
    written += 1
    # Of two that commit without any pause one waits inside of Lance, for longer each time it has lost.
    time.sleep(0.02)
print(written)
";

impl Kind {
    /// Starts foreign processes that write to the table for this long: with numbers from 100.
    ///
    /// # Panics
    ///
    /// With DuckDB, whose files have one process at a time.
    pub fn foreign_writers(self, place: &Place, table: Table, time: Duration) -> Vec<Writer> {
        let python = |script| {
            let mut command = Command::new(self.python());
            command.args(["-u", "-c", script]);
            command
        };
        let mut shell = Command::new("sh");
        shell.args(["-euc", SHELL, "sh"]);
        let commands = match self {
            Self::DuckDb => panic!("one process has its file"),
            Self::Sqlite => vec![python(PYTHON), shell],
            // One: of two of its own one gives up, as the other commits without a pause.
            Self::Lance => vec![python(LANCEDB)],
        };
        let start = |(number, mut command): (usize, Command)| {
            let (who, time) = ((100 + number).to_string(), time.as_secs().to_string());
            command.arg(place.path(self.file())).args([table.name, &who, &time]);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            Writer { child: command.spawn().expect("a foreign process starts") }
        };
        commands.into_iter().enumerate().map(start).collect()
    }
}

impl Writer {
    /// Waits for its end: how many rows it has written, all of them without an error.
    pub fn written(self) -> i64 {
        let output = self.child.wait_with_output().expect("its end");
        let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "a foreign writer failed: {errors}");
        said.trim().parse().unwrap_or_else(|error| panic!("{error}: {said} {errors}"))
    }
}
