"""What a standard client does with a broker: the ADBC driver for Flight SQL, on a new database.

Usage: adbc.py SOCKET. Ends with 0 and says `done` when all of it was as it must be.
"""

import sys
import threading

import adbc_driver_flightsql.dbapi as dbapi
import pyarrow as pa

URI = "grpc+unix://" + sys.argv[1]


def fails(what, *said):
    """The error that `what` ends with, which says all of that."""
    try:
        what()
    except dbapi.Error as error:
        assert all(part in str(error) for part in said), error
        return error
    raise AssertionError(f"it did not fail: {said}")


auto = dbapi.connect(URI, autocommit=True)
cursor = auto.cursor()


def ask(sql, *parameters, cursor=cursor):
    cursor.execute(sql, *parameters)
    return cursor.fetchall()


# Statements, parameters, errors.
assert ask("SELECT 42") == [(42,)]
assert ask("SELECT ? + 1, ?", (41, "x")) == [(42, "x")]
cursor.execute("CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR)")
cursor.execute("INSERT INTO t VALUES (1, 'a')")
fails(lambda: cursor.execute("INSERT INTO t VALUES (1, 'a')"), "Duplicate key")
fails(lambda: ask("SELECT * FROM nope"), "nope does not exist")
cursor.executemany("INSERT INTO t VALUES (?, ?)", [(i, str(i)) for i in range(2, 200)])
assert cursor.rowcount == 198
# All rows, or none.
fails(lambda: cursor.executemany("INSERT INTO t VALUES (?, ?)", [(500, "new"), (1, "there")]), "Duplicate key")
assert ask("SELECT count(*), max(a) FROM t") == [(199, 199)]
cursor.execute("SELECT range AS i, range / 2 AS h, (range % 1000)::INT AS g FROM range(1000000)")
assert cursor.fetch_arrow_table().num_rows == 1_000_000

# A result that is left half read, and one that is cancelled.
cursor.execute("SELECT range FROM range(5000000)")
assert cursor.fetchone() == (0,)
assert ask("SELECT 44") == [(44,)]
cursor.execute("SELECT count(*) FROM range(100000000000) t(i) WHERE i % 7 = 3")
threading.Timer(0.2, cursor.adbc_cancel).start()
fails(cursor.fetchall, "CANCELLED")
assert ask("SELECT 45") == [(45,)]

# Bulk ingestion.
table = pa.table({
    "i": pa.array(range(50_000), pa.int64()),
    "s": [f"r{i}" for i in range(50_000)],
    "l": [[i, None] for i in range(50_000)],
    "d": pa.array([f"c{i % 3}" for i in range(50_000)]).dictionary_encode(),
})
for mode, count in [("create", 1), ("append", 2), ("replace", 1), ("create_append", 2)]:
    assert cursor.adbc_ingest("many", table, mode=mode) == 50_000
    assert ask("SELECT count(*), count(DISTINCT i) FROM many") == [(count * 50_000, 50_000)], mode
assert ask("SELECT i, s, l, d FROM many WHERE i = 49999 LIMIT 1") == [(49_999, "r49999", [49_999, None], "c1")]
fails(lambda: cursor.adbc_ingest("many", table, mode="create"), "already exists")
fails(lambda: cursor.adbc_ingest("nothing", table, mode="append"), "nothing does not exist")
cursor.adbc_ingest("mine", table, mode="create", temporary=True)
assert ask("SELECT count(*) FROM mine") == [(50_000,)]

# Transactions, seen from another session.
other = dbapi.connect(URI)
mine = other.cursor()
mine.execute("INSERT INTO t VALUES (1000, 't')")
assert ask("SELECT count(*) FROM t WHERE a = 1000", cursor=mine) == [(1,)]
assert ask("SELECT count(*) FROM t WHERE a = 1000") == [(0,)]
other.rollback()
assert ask("SELECT count(*) FROM t WHERE a = 1000", cursor=mine) == [(0,)]
other.commit()
mine.execute("INSERT INTO t VALUES (1001, 't')")
other.commit()
assert ask("SELECT count(*) FROM t WHERE a = 1001") == [(1,)]
mine.adbc_ingest("taken_back", table, mode="create")
other.rollback()
fails(lambda: ask("SELECT * FROM taken_back"), "taken_back does not exist")
# A temporary table is its session's own.
fails(lambda: ask("SELECT * FROM mine", cursor=mine), "mine does not exist")
other.rollback()

# The catalog.
assert auto.adbc_get_table_types() == ["BASE TABLE", "LOCAL TEMPORARY", "VIEW"]
assert auto.adbc_get_table_schema("t").names == ["a", "b"]
assert auto.adbc_get_info()["vendor_name"] == "dbmux"
catalogs = auto.adbc_get_objects(depth="tables").read_all().to_pylist()
tables = {table["table_name"] for c in catalogs for s in c["catalog_db_schemas"] for table in s["db_schema_tables"]}
assert {"t", "many", "mine"} <= tables, tables
assert auto.adbc_current_db_schema == "main"

mine.close()
other.close()
cursor.close()
auto.close()
print("done")
