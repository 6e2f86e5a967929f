"""A standard Flight SQL client (ADBC) against a real broker: what it asserts is printed, a line each.

    $(testkit/venv.sh) testkit/python/adbc.py [path of the dbmux binary; else $DBMUX, else `dbmux`]

Everything it makes is in a directory of its own, and its broker ends with it.
"""

import contextlib
import datetime
import decimal
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import adbc_driver_flightsql.dbapi as flightsql
import pyarrow as pa

# A transaction stays open in it until it is killed.
CHILD = """
import sys, time
import adbc_driver_flightsql.dbapi as flightsql
connection = flightsql.connect(sys.argv[1])
connection.cursor().execute("INSERT INTO killed VALUES (1)")
print("open", flush=True)
time.sleep(600)
"""


class Broker:
    """A broker of a new database, started by `dbmux sql` as everybody's is."""

    def __init__(self, program, folder):
        self.program = program
        self.database = os.path.join(folder, "sales.duckdb")
        os.environ["DBMUX_RUNTIME_DIR"] = os.path.join(folder, "run")
        self.run("sql", self.database, "SELECT 1")
        status = self.status()
        self.pid = status["pid"]
        self.uri = "grpc+unix://" + status["socket"]

    def run(self, *arguments):
        command = [self.program, *arguments]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, (command, ran.stdout, ran.stderr)
        return ran.stdout

    def status(self):
        return json.loads(self.run("status", self.database, "--json"))

    def connect(self, **options):
        return flightsql.connect(self.uri, **options)

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
            for _ in range(500):
                os.kill(self.pid, 0)
                time.sleep(0.01)
            os.kill(self.pid, signal.SIGKILL)


def until(what, so, seconds=10):
    end = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.01)


def ask(connection, sql, parameters=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def fails(kind, *words):
    """Expects an error of this kind that says all of these words."""

    @contextlib.contextmanager
    def expected():
        try:
            yield
        except kind as error:
            missing = [word for word in words if word.lower() not in str(error).lower()]
            assert not missing, f"{missing} not in: {error}"
        else:
            raise AssertionError(f"no {kind.__name__}")

    return expected()


def queries(broker):
    with broker.connect(autocommit=True) as connection:
        assert ask(connection, "SELECT 42 AS answer, 'x' AS text, NULL AS nothing") == [(42, "x", None)]
        with connection.cursor() as cursor:
            cursor.execute("SELECT range AS n, 'row ' || range AS t FROM range(1000000)")
            table = cursor.fetch_arrow_table()
            assert table.num_rows == 1000000
            assert table.column("n").to_pylist()[::99999] == list(range(0, 1000000, 99999))
            cursor.execute("SELECT 1 AS a WHERE false")
            empty = cursor.fetch_arrow_table()
            assert (empty.num_rows, empty.column_names) == (0, ["a"])
            # A result that is not read to its end is let go.
            cursor.execute("SELECT * FROM range(100000000)")
            assert cursor.fetchone() == (0,)
        assert ask(connection, "SELECT 'still here'") == [("still here",)]


def types(broker):
    row = """SELECT 1::TINYINT a, 2::UBIGINT b, 3.25::DECIMAL(10, 2) c, 1.5::DOUBLE d, true e, 'é'::VARCHAR f,
        '\\xAB'::BLOB g, DATE '2024-02-29' h, TIME '12:34:56' i, TIMESTAMP '2024-02-29 12:34:56.789' j,
        TIMESTAMPTZ '2024-02-29 12:00:00+00' k, [1, NULL, 3] l, {'x': 1, 'y': 'z'} m, MAP {'k': 7} n,
        'b'::ENUM('a', 'b') o, '00000000-0000-0000-0000-000000000001'::UUID p, 170141183460469231731687303715884105727::HUGEINT q,
        INTERVAL '1 month 2 days' r, '101'::BIT s"""
    with broker.connect(autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(row)
        got = cursor.fetch_arrow_table().to_pylist()[0]
        assert got["c"] == decimal.Decimal("3.25") and got["f"] == "é" and got["g"] == b"\xab"
        assert got["h"] == datetime.date(2024, 2, 29) and got["i"] == datetime.time(12, 34, 56)
        assert got["j"] == datetime.datetime(2024, 2, 29, 12, 34, 56, 789000)
        assert got["k"].timestamp() == 1709208000
        assert got["l"] == [1, None, 3] and got["m"] == {"x": 1, "y": "z"} and got["n"] == [("k", 7)]
        assert got["o"] == "b" and got["q"] == 2**127 - 1, got
        assert "00000000-0000-0000-0000-000000000001" in str(got["p"]), got["p"]
        cursor.execute(f"SELECT * FROM ({row}) WHERE false UNION ALL SELECT {', '.join(['NULL'] * 19)}")
        assert set(cursor.fetch_arrow_table().to_pylist()[0].values()) == {None}


def parameters(broker):
    with broker.connect(autocommit=True) as connection:
        assert ask(connection, "SELECT ? + 1, ? || '!'", (41, "a")) == [(42, "a!")]
        assert ask(connection, "SELECT $2, $1", (1, None)) == [(None, 1)]
        ask_types = [1.5, True, b"\x00\x01", datetime.date(2024, 1, 2), datetime.datetime(2024, 1, 2, 3, 4, 5, 6)]
        assert ask(connection, "SELECT ?, ?, ?, ?, ?", ask_types) == [tuple(ask_types)]
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE bound (id INTEGER PRIMARY KEY, name VARCHAR)")
            cursor.execute("INSERT INTO bound VALUES (?, ?)", (0, "zero"))
            assert cursor.rowcount in (1, -1)
            cursor.executemany("INSERT INTO bound VALUES (?, ?)", [(1, "one"), (2, None), (3, "three")])
            assert cursor.rowcount == 3, cursor.rowcount
            # All rows or none.
            with fails(flightsql.Error, "duplicate"):
                cursor.executemany("INSERT INTO bound VALUES (?, ?)", [(4, "four"), (1, "again")])
        assert ask(connection, "SELECT * FROM bound ORDER BY id") == [(0, "zero"), (1, "one"), (2, None), (3, "three")]
        with connection.cursor() as cursor:
            assert cursor.adbc_prepare("SELECT name FROM bound WHERE id = ?") is not None
            found = [cursor.execute("SELECT name FROM bound WHERE id = ?", (id,)).fetchone() for id in (1, 3)]
            assert found == [("one",), ("three",)], found
            cursor.execute("UPDATE bound SET name = 'x' WHERE id > ? RETURNING id", (1,))
            assert sorted(cursor.fetchall()) == [(2,), (3,)]


def ingest(broker):
    table = pa.table({
        "id": pa.array([1, 2, 3], pa.int32()),
        "text": ["a", None, 'c"\''],
        "at": pa.array([datetime.datetime(2024, 1, 1), None, None], pa.timestamp("us")),
        "price": pa.array([decimal.Decimal("1.10"), None, None], pa.decimal128(9, 2)),
        "list": [[1, 2], [], None],
        "struct": [{"x": 1, "y": "z"}, None, {"x": None, "y": ""}],
        "kind": pa.array(["u", "v", None]).dictionary_encode(),
    })
    with broker.connect(autocommit=True) as connection, connection.cursor() as cursor:
        assert cursor.adbc_ingest("in gested", table, mode="create") == 3
        assert cursor.adbc_ingest("in gested", table, mode="append") == 3
        with fails(flightsql.Error, "exists"):
            cursor.adbc_ingest("in gested", table, mode="create")
        with fails(flightsql.Error, "missing"):
            cursor.adbc_ingest("missing", table, mode="append")
        cursor.execute('SELECT * FROM "in gested" ORDER BY id, text')
        got = cursor.fetch_arrow_table().to_pylist()
        assert got == sorted(table.to_pylist() * 2, key=lambda row: row["id"]), got
        assert cursor.adbc_ingest("in gested", table.slice(0, 1), mode="replace") == 1
        assert ask(connection, 'SELECT count(*) FROM "in gested"') == [(1,)]
        assert cursor.adbc_ingest("made", table, mode="create_append") == 3
        assert cursor.adbc_ingest("made", table, mode="create_append") == 3
        many = pa.table({"n": pa.array(range(300000), pa.int64()), "t": [f"row {n}" for n in range(300000)]})
        begun = time.monotonic()
        assert cursor.adbc_ingest("many", many.to_reader(max_chunksize=10000), mode="create") == 300000
        took = time.monotonic() - begun
        assert ask(connection, "SELECT count(*), sum(n), max(t) FROM many") == [(300000, 44999850000, "row 99999")]
        assert cursor.adbc_ingest("only mine", table, mode="create", temporary=True) == 3
        assert ask(connection, 'SELECT count(*) FROM "only mine"') == [(3,)]
        cursor.execute("CREATE SCHEMA target")
        assert cursor.adbc_ingest("t", table, mode="create", db_schema_name="target") == 3
        assert cursor.adbc_ingest("t", table, mode="append", db_schema_name="target", catalog_name="sales") == 3
        assert ask(connection, "SELECT count(*) FROM sales.target.t") == [(6,)]
    # A cursor of its own: the driver keeps the schema of the last ingest.
    with broker.connect(autocommit=True) as connection, connection.cursor() as cursor:
        # Halfway refused: nothing of it stays.
        cursor.execute("CREATE TABLE strict (n BIGINT CHECK (n < 250000), t VARCHAR)")
        with fails(flightsql.Error, "check"):
            cursor.adbc_ingest("strict", many.to_reader(max_chunksize=10000), mode="append")
        assert ask(connection, "SELECT count(*) FROM strict") == [(0,)]
    with broker.connect(autocommit=True) as other, fails(flightsql.Error, "only mine"):
        ask(other, 'SELECT * FROM "only mine"')
    return f"300,000 rows in {took:.2f} s"


def transactions(broker):
    with broker.connect() as one, broker.connect(autocommit=True) as two:
        ask(two, "CREATE TABLE ledger (n INTEGER)")
        one.cursor().execute("INSERT INTO ledger VALUES (1)")
        assert ask(one, "SELECT * FROM ledger") == [(1,)]
        assert ask(two, "SELECT * FROM ledger") == []
        one.commit()
        assert ask(two, "SELECT * FROM ledger") == [(1,)]
        one.cursor().execute("INSERT INTO ledger VALUES (2)")
        one.cursor().executemany("INSERT INTO ledger VALUES (?)", [(3,), (4,)])
        one.cursor().adbc_ingest("ledger", pa.table({"n": pa.array([5], pa.int32())}), mode="append")
        assert ask(one, "SELECT sum(n) FROM ledger") == [(15,)]
        one.rollback()
        assert ask(one, "SELECT * FROM ledger") == [(1,)]
        one.rollback()
        # Two that change the same row: one of them does it again.
        three = broker.connect()
        one.cursor().execute("UPDATE ledger SET n = n + 10")
        with fails(flightsql.Error, "conflict"):
            three.cursor().execute("UPDATE ledger SET n = n + 100")
        one.commit()
        three.rollback()
        three.cursor().execute("UPDATE ledger SET n = n + 100")
        three.commit()
        assert ask(two, "SELECT * FROM ledger") == [(111,)]
        # An error ends the statement, and the transaction can be rolled back and begun anew.
        with fails(flightsql.Error, "nowhere"):
            three.cursor().execute("INSERT INTO nowhere VALUES (1)")
        three.rollback()
        assert ask(three, "SELECT * FROM ledger") == [(111,)]
        three.close()


def objects(broker):
    with broker.connect(autocommit=True) as connection:
        for sql in (
            "CREATE TABLE parent (a INTEGER, b VARCHAR, PRIMARY KEY (a, b))",
            "CREATE TABLE child (id BIGINT PRIMARY KEY, x INTEGER, y VARCHAR NOT NULL, FOREIGN KEY (x, y) REFERENCES parent (a, b))",
            "CREATE SCHEMA other",
            "CREATE TABLE other.t (id INTEGER)",
            "CREATE VIEW looks AS SELECT id FROM child",
        ):
            ask(connection, sql)
        found = connection.adbc_get_objects(depth="all", table_name_filter="child").read_all().to_pylist()
        catalogs = {catalog["catalog_name"]: catalog for catalog in found}
        assert "sales" in catalogs and "memory" not in catalogs, list(catalogs)
        schemas = {schema["db_schema_name"]: schema for schema in catalogs["sales"]["catalog_db_schemas"]}
        assert {"main", "other"} <= set(schemas), list(schemas)
        (child,) = schemas["main"]["db_schema_tables"]
        assert (child["table_name"], child["table_type"]) == ("child", "BASE TABLE"), child
        assert [column["column_name"] for column in child["table_columns"]] == ["id", "x", "y"], child["table_columns"]
        tables = connection.adbc_get_objects(depth="tables", db_schema_filter="main").read_all().to_pylist()
        kinds = {
            table["table_name"]: table["table_type"]
            for catalog in tables
            for schema in catalog["catalog_db_schemas"]
            for table in schema["db_schema_tables"]
        }
        assert (kinds["parent"], kinds["looks"]) == ("BASE TABLE", "VIEW"), kinds
        assert connection.adbc_get_table_schema("child").names == ["id", "x", "y"]
        assert connection.adbc_get_table_schema("t", db_schema_filter="other").field("id").type == pa.int32()
        assert set(connection.adbc_get_table_types()) == {"BASE TABLE", "LOCAL TEMPORARY", "VIEW"}
        info = connection.adbc_get_info()
        assert info["vendor_name"] == "dbmux" and info["vendor_version"], info
        assert connection.adbc_current_catalog == "sales" and connection.adbc_current_db_schema == "main"
        with connection.cursor() as cursor:
            cursor.execute("SELECT x, y FROM child")
            assert [column[0] for column in cursor.description] == ["x", "y"]
            assert cursor.adbc_execute_schema("SELECT 1::BIGINT AS n").field("n").type == pa.int64()


def cancels(broker):
    with broker.connect(autocommit=True) as connection, connection.cursor() as cursor:
        begun = time.monotonic()

        def cancel():
            until("the statement runs", lambda: broker.status()["running"])
            cursor.adbc_cancel()

        canceller = threading.Thread(target=cancel)
        canceller.start()
        with fails(flightsql.Error, "cancel"):
            cursor.execute("SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range + b.range = 7")
            cursor.fetchall()
        canceller.join()
        took = time.monotonic() - begun
        assert took < 10, took
        until("nothing runs", lambda: not broker.status()["running"])
        assert ask(connection, "SELECT 'again'") == [("again",)]
    return f"after {took:.2f} s"


def errors(broker):
    with broker.connect(autocommit=True) as connection:
        with fails(flightsql.Error, "syntax"):
            ask(connection, "SELEKT 1")
        with fails(flightsql.Error, "nowhere"):
            ask(connection, "SELECT * FROM nowhere")
        with fails(flightsql.Error, "refused"):
            ask(connection, "DETACH sales")
        with fails(flightsql.Error, "convert"):
            ask(connection, "SELECT CAST(range || 'x' AS INTEGER) FROM range(10)")
        with fails(flightsql.Error, "parameter"):
            ask(connection, "SELECT ?, ?", (1,))
        # In the midst of a result.
        with fails(flightsql.Error):
            ask(connection, "SELECT CASE WHEN range = 900000 THEN error('late') ELSE 'x' END FROM range(1000000)")
        assert ask(connection, "SELECT 'well'") == [("well",)]


def killed(broker):
    with broker.connect(autocommit=True) as connection:
        ask(connection, "CREATE TABLE killed (n INTEGER)")
        child = subprocess.Popen([sys.executable, "-c", CHILD, broker.uri], stdout=subprocess.PIPE, text=True)
        try:
            assert child.stdout.readline() == "open\n"
            assert any(session["in_transaction"] for session in broker.status()["sessions"])
        finally:
            child.kill()
            child.wait()
            child.stdout.close()
        until("its session ends", lambda: all(s["pid"] != child.pid for s in broker.status()["sessions"]))
        assert ask(connection, "SELECT count(*) FROM killed") == [(0,)]


def killed_shell(broker):
    """Our own client, killed in a transaction, beside a standard one: its session ends with its connection."""
    command = [broker.program, "sql", broker.database]
    shell = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)

    def sessions():
        return [session for session in broker.status()["sessions"] if session["pid"] == shell.pid]

    try:
        shell.stdin.write("BEGIN;\nCREATE TABLE never (n INTEGER);\n")
        shell.stdin.flush()
        until("its transaction is open", lambda: any(session["in_transaction"] for session in sessions()))
    finally:
        shell.kill()
        shell.wait()
        shell.stdin.close()
    until("its session ends", lambda: not sessions())
    with broker.connect(autocommit=True) as connection, fails(flightsql.Error, "never"):
        ask(connection, "SELECT * FROM never")


def side_by_side(broker):
    def work(number):
        with broker.connect(autocommit=True) as connection:
            for step in range(25):
                ask(connection, "INSERT INTO shared VALUES (?, ?)", (number, step))
                assert ask(connection, "SELECT count(*) FROM shared WHERE w = ?", (number,)) == [(step + 1,)]

    with broker.connect(autocommit=True) as connection:
        ask(connection, "CREATE TABLE shared (w INTEGER, s INTEGER)")
        failures = []

        def guarded(number):
            try:
                work(number)
            except BaseException as error:  # told by the main thread
                failures.append(error)

        threads = [threading.Thread(target=guarded, args=(number,)) for number in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert not failures, failures
        assert ask(connection, "SELECT count(*), count(DISTINCT (w, s)) FROM shared") == [(200, 200)]


CHECKS = [queries, types, parameters, ingest, transactions, objects, cancels, errors, killed, killed_shell, side_by_side]


def passes(check, broker):
    begun = time.monotonic()
    try:
        told = check(broker) or ""
    except Exception:
        traceback.print_exc()
        print(f"FAILED  {check.__name__}", flush=True)
        return False
    print(f"ok  {check.__name__:<14} {time.monotonic() - begun:6.2f} s  {told}".rstrip(), flush=True)
    return True


def main():
    given = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("DBMUX", "dbmux")
    program = shutil.which(given)
    assert program, f"{given} is no program"
    only = sys.argv[2:]
    with tempfile.TemporaryDirectory(prefix="dbmux-adbc-") as folder:
        broker = Broker(program, folder)
        try:
            failed = sum(not passes(check, broker) for check in CHECKS if not only or check.__name__ in only)
        finally:
            broker.end()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
