//! Foreign processes: tools that open the file themselves, by Python's own module of the engine.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use crate::{
    Kind, Place, Table,
    kind::{as_json, insert_values},
};

/// The Python in which `testkit/venv.sh` has installed DuckDB 1.5 and ADBC.
pub fn python() -> PathBuf {
    interpreter("DBMUX_TEST_PYTHON", "venv", "testkit/venv.sh")
}

/// The Python in which `testkit/memories/venv.sh` has installed the programs whose memories are imported.
pub fn memories_python() -> PathBuf {
    interpreter("DBMUX_TEST_MEMORIES_PYTHON", "memories-venv", "testkit/memories/venv.sh")
}

/// The folder in which `testkit/node/install.sh` has installed the packages that JavaScript needs.
pub fn node_packages() -> PathBuf {
    cached("DBMUX_TEST_NODE", "node", "testkit/node/install.sh")
}

/// The interpreter that a variable names, else that of an environment in the user's cache.
pub(crate) fn interpreter(variable: &str, environment: &str, maker: &str) -> PathBuf {
    cached(variable, &format!("{environment}/bin/python"), maker)
}

/// What a variable names, else what a script has put into the user's cache.
fn cached(variable: &str, name: &str, maker: &str) -> PathBuf {
    let given = std::env::var_os(variable).map(PathBuf::from);
    let path = given.unwrap_or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
        cache.unwrap_or_else(home).join("dbmux").join(name)
    });
    assert!(path.exists(), "{} is missing: run {maker}", path.display());
    path
}

/// A Python process that does what it is told, a line at a time, and answers with a line.
pub struct Foreign {
    kind: Kind,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

const LOOP: &str = "
import importlib, sys
globals()[sys.argv[1]] = importlib.import_module(sys.argv[1])
connection = reads = None
for line in sys.stdin:
    try:
        print('ok', repr(eval(compile(line.strip(), 'told', 'eval'))), flush=True)
    except BaseException as error:
        print('error', type(error).__name__, str(error).replace(chr(10), ' '), flush=True)
";

impl Foreign {
    /// Starts one with DuckDB.
    pub fn start() -> Self {
        Self::of(Kind::DuckDb)
    }

    /// Starts one with this engine.
    pub fn of(kind: Kind) -> Self {
        Self::below(kind, Command::new(kind.python()))
    }

    /// Starts it as the command of a `dbmux run`, and waits until it has the files. Killed, that one is, and not Python,
    /// which ends with this.
    pub fn leased(place: &Place, arguments: &[&str]) -> Self {
        Self::leased_of(Kind::DuckDb, place, arguments)
    }

    /// The same, of this engine.
    pub fn leased_of(kind: Kind, place: &Place, arguments: &[&str]) -> Self {
        let mut command = place.dbmux(["run"]);
        command.args(arguments).arg("--").arg(kind.python());
        let mut foreign = Self::below(kind, command);
        assert_eq!(foreign.tell("'here'"), "ok 'here'");
        foreign
    }

    /// The command is Python's, or one that runs it.
    fn below(kind: Kind, mut command: Command) -> Self {
        command.args(["-u", "-c", LOOP, kind.module()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("Python starts");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Self { kind, child, input, output }
    }

    /// Starts it with the file open.
    pub fn holding(database: &Path, read_only: bool) -> Self {
        let mut foreign = Self::start();
        let answer = foreign.open(database, read_only);
        assert!(answer.starts_with("ok"), "{answer}");
        foreign
    }

    /// Opens the file to write, as soon as it may.
    pub fn opened(&mut self, database: &Path) {
        let mut answer = String::new();
        crate::until("the foreign process opens the file", || {
            answer = self.open(database, false);
            answer.starts_with("ok") || !answer.contains("lock")
        });
        assert!(answer.starts_with("ok"), "{answer}");
    }

    /// Keeps all others from writing, as this engine has it, until [`Foreign::let_go`].
    pub fn keep_writers_out(&mut self, database: &Path) {
        self.opened(database);
        if self.kind == Kind::Sqlite {
            assert_eq!(self.sql("begin immediate"), "ok []");
        }
    }

    /// Reads a table, and does not let go.
    pub fn keep_reading(&mut self, database: &Path, table: Table) {
        let answer = self.open(database, true);
        assert!(answer.starts_with("ok"), "{answer}");
        let answer = match self.kind {
            Kind::DuckDb | Kind::Sqlite => self.sql("begin"),
            Kind::Lance => self.tell(&format!("globals().update(reads=connection.open_table({:?}))", table.name)),
        };
        assert!(answer.starts_with("ok"), "{answer}");
        self.count(table);
    }

    /// Commits, and closes.
    pub fn let_go(&mut self) {
        if self.kind == Kind::Sqlite {
            assert_eq!(self.sql("commit"), "ok []");
        }
        self.close();
    }

    /// Opens the file; answers with `ok …` or `error …`.
    pub fn open(&mut self, database: &Path, read_only: bool) -> String {
        let path = database.display().to_string();
        let opening = match self.kind {
            Kind::DuckDb => {
                let read_only = if read_only { "True" } else { "False" };
                format!("duckdb.connect({path:?}, read_only={read_only})")
            }
            Kind::Sqlite => {
                let mode = if read_only { "ro" } else { "rwc" };
                let place = format!("file:{path}?mode={mode}");
                format!("sqlite3.connect({place:?}, uri=True, isolation_level=None, timeout=30)")
            }
            Kind::Lance => format!("lancedb.connect({path:?})"),
        };
        self.tell(&format!("globals().update(connection={opening})"))
    }

    /// Makes a table in what it has open.
    pub fn make(&mut self, table: Table) {
        let answer = match self.kind {
            Kind::DuckDb | Kind::Sqlite => self.sql(&self.kind.create(table)),
            Kind::Lance => {
                let fields = table.columns.iter().map(|column| format!("({column:?}, pa.int64())")).collect::<Vec<_>>();
                let schema = format!("(lambda pa: pa.schema([{}]))(__import__('pyarrow'))", fields.join(", "));
                self.tell(&format!("connection.create_table({:?}, schema={schema})", table.name))
            }
        };
        assert!(answer.starts_with("ok"), "{answer}");
    }

    /// Inserts a row.
    pub fn insert(&mut self, table: Table, row: &[i64]) {
        let answer = match self.kind {
            Kind::DuckDb | Kind::Sqlite => self.sql(&insert_values(table, &[row])),
            Kind::Lance => {
                self.tell(&format!("connection.open_table({:?}).add({})", table.name, as_json(table, &[row])))
            }
        };
        assert!(answer.starts_with("ok"), "{answer}");
    }

    /// How many rows there are: for one who keeps reading, as it was when it began.
    pub fn count(&mut self, table: Table) -> u32 {
        match self.kind {
            Kind::DuckDb | Kind::Sqlite => {
                self.number(&format!("connection.execute('select count(*) from {}').fetchall()[0][0]", table.name))
            }
            Kind::Lance => self
                .number(&format!("(connection.open_table({:?}) if reads is None else reads).count_rows()", table.name)),
        }
    }

    /// Lets the file go.
    pub fn close(&mut self) {
        let closing = match self.kind {
            Kind::DuckDb | Kind::Sqlite => "connection.close()",
            Kind::Lance => "globals().update(connection=None, reads=None)",
        };
        let answer = self.tell(closing);
        assert!(answer.starts_with("ok"), "{answer}");
    }

    /// Runs SQL; answers with `ok [rows]` or `error …`.
    pub fn sql(&mut self, sql: &str) -> String {
        self.tell(&format!("connection.execute({sql:?}).fetchall()"))
    }

    /// Evaluates an expression.
    pub fn tell(&mut self, expression: &str) -> String {
        writeln!(self.input.as_mut().expect("it was not told to end"), "{expression}").expect("it listens");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it answers");
        line.trim_end().to_owned()
    }

    /// Evaluates an expression that gives a number.
    pub fn number(&mut self, expression: &str) -> u32 {
        let answer = self.tell(expression);
        answer.strip_prefix("ok ").and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
    }

    /// Python's own process id, where it is not the one that was started here.
    pub fn own_pid(&mut self) -> u32 {
        self.number("__import__('os').getpid()")
    }

    /// Lets it end by itself, and waits for the end of what was started here.
    pub fn end(mut self) -> std::process::ExitStatus {
        // Its input ends, and nothing else refers to it.
        self.input = None;
        self.child.wait().expect("its end")
    }

    /// Its process id: of what was started here.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it, and waits for its end.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.kill();
    }
}
