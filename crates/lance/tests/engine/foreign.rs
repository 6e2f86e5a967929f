//! Python's `lancedb` on the same directory, at the same time.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use dbmux_engine::{Access, Engine};

use crate::support::{ADD, COUNT, Database, changed, chunks, numbers, python, python_runs, run, texts};

/// A Python that runs a line of program for each line that it is told, and says when it is done.
struct Python {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Python {
    fn start(path: &std::path::Path) -> Self {
        let program = "import sys, lancedb\ndb = lancedb.connect(sys.argv[1])\n\
                       for line in sys.stdin:\n    exec(line)\n    print('done', flush=True)\n";
        let mut child = Command::new(python())
            .args(["-c", program])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    /// Runs one line, and returns what it printed.
    fn tell(&mut self, line: &str) -> String {
        writeln!(self.input, "{line}").unwrap();
        let mut printed = String::new();
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "Python has ended");
            if line.trim() == "done" {
                return printed.trim().to_owned();
            }
            printed.push_str(&line);
        }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn python_reads_what_we_wrote_and_we_read_what_it_wrote() {
    let database = Database::with_chunks(20);
    let mut session = database.session();
    let session = session.as_mut();
    let mut python = Python::start(&database.path);
    assert_eq!(python.tell("t = db.open_table('chunks'); print(t.count_rows())"), "20");
    let nearest = "print([r['id'] for r in t.search([7.1] + [0.5] * 7).limit(2).to_list()])";
    assert_eq!(python.tell(nearest), "[7, 8]");
    // What it changes is seen at once, without opening anything again; and the other way round.
    python.tell("t.add([{'id': 100, 'provider': 'python', 'text': 'x', 'embedding': [0.0] * 8}])");
    assert_eq!(numbers(session, COUNT, None), [21]);
    assert_eq!(texts(session, "SELECT provider FROM chunks WHERE id = 100"), ["python"]);
    changed(session, ADD, Some(&chunks(20..25)));
    assert_eq!(python.tell("t.checkout_latest(); print(t.count_rows())"), "26");
    python.tell("t.delete('id < 10')");
    assert_eq!(numbers(session, COUNT, None), [16]);
    python.tell("db.create_table('theirs', [{'a': 1, 'b': 'x'}, {'a': 2, 'b': None}])");
    assert_eq!(texts(session, r#"{"tables": {}}"#), ["chunks", "theirs"]);
    assert_eq!(numbers(session, "SELECT sum(a) FROM theirs", None), [3]);
    // Dropped and made again beside us: another table of the same name.
    python.tell("db.drop_table('theirs'); db.create_table('theirs', [{'a': 10, 'c': 1.5}])");
    assert_eq!(numbers(session, "SELECT sum(a) FROM theirs", None), [10]);
    assert_eq!(texts(session, r#"{"schema": {"table": "theirs"}}"#), ["a", "c"]);
    python.tell("t.optimize()");
    assert_eq!(numbers(session, COUNT, None), [16]);
    run(session, r#"{"optimize": {"table": "chunks"}}"#, None).unwrap();
    assert_eq!(python.tell("t.checkout_latest(); print(t.count_rows())"), "16");
}

#[test]
fn both_write_at_once_and_nothing_is_lost() {
    const ROUNDS: i64 = 30;
    let database = Database::with_chunks(0);
    let mut python = Python::start(&database.path);
    python.tell("t = db.open_table('chunks')");
    let line = format!(
        "[(t.checkout_latest(), t.add([{{'id': 10000 + n, 'provider': 'python', 'text': 'x', 'embedding': [0.0] * 8}}])) \
         for n in range({ROUNDS})]"
    );
    writeln!(python.input, "{line}").unwrap();
    let mut session = database.session();
    let session = session.as_mut();
    for id in 0..ROUNDS {
        changed(session, ADD, Some(&chunks(id..id + 1)));
        if id % 5 == 4 {
            let update = format!(
                r#"{{"update": {{"table": "chunks", "where": "id = {id}", "set": {{"provider": "'ours'"}}}}}}"#
            );
            assert_eq!(changed(session, &update, None), 1);
        }
    }
    python.tell("None");
    // The first answer was to the line of adds.
    let mut line = String::new();
    python.output.read_line(&mut line).unwrap();
    assert_eq!(numbers(session, COUNT, None), [2 * ROUNDS]);
    assert_eq!(numbers(session, "SELECT count(DISTINCT id) FROM chunks", None), [2 * ROUNDS]);
    assert_eq!(numbers(session, r#"{"count": {"table": "chunks", "where": "provider = 'ours'"}}"#, None), [ROUNDS / 5]);
}

#[test]
fn a_database_of_pythons_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap().join("theirs.lancedb");
    let program = "import sys, lancedb, pyarrow as pa\n\
                   db = lancedb.connect(sys.argv[1])\n\
                   t = db.create_table('t', pa.table({'id': range(300), 'day': pa.array([None] * 300, pa.date32()), \
                   'colour': pa.array(['red', 'blue', None] * 100).dictionary_encode(), \
                   'v': pa.array([[float(i), 1.0] for i in range(300)], pa.list_(pa.float32(), 2))}))\n\
                   t.create_scalar_index('id')\nt.add(pa.table({'id': [1000], 'v': pa.array([[0.0, 0.0]], \
                   pa.list_(pa.float32(), 2))}))\nprint(t.version)";
    python_runs(program, &[path.to_str().unwrap()]);
    let database = Database::at(&path);
    database.engine.attach(Access::ReadWrite).unwrap();
    let mut session = database.session();
    let session = session.as_mut();
    assert_eq!(numbers(session, "SELECT count(*) FROM t", None), [301]);
    assert_eq!(
        numbers(session, r#"{"search": {"table": "t", "vector": [42.0, 1.0], "limit": 1, "select": ["id"]}}"#, None),
        [42]
    );
    assert_eq!(numbers(session, "SELECT count(*) FROM t WHERE colour = 'red'", None), [100]);
    assert_eq!(changed(session, r#"{"delete": {"table": "t", "where": "id >= 1000"}}"#, None), 1);
    let count = "import sys, lancedb\nprint(lancedb.connect(sys.argv[1]).open_table('t').count_rows())";
    assert_eq!(python_runs(count, &[path.to_str().unwrap()]), "300");
}
