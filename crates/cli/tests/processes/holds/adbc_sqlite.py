"""What the ADBC driver for Flight SQL does with a database of SQLite's."""

import datetime
import decimal
import sys

import adbc_driver_flightsql.dbapi as flightsql
import pyarrow as pa

uri = "grpc+unix://" + sys.argv[1]


def refused(work, *words):
    try:
        work()
    except flightsql.Error as error:
        assert all(word in str(error) for word in words), error
    else:
        raise AssertionError(f"not refused: {words}")


with flightsql.connect(uri, autocommit=True) as connection, connection.cursor() as cursor:

    def one(sql):
        cursor.execute(sql)
        return cursor.fetchone()[0]

    rows = pa.table({
        "a": [1, 2, 3],
        "s": ["x", "y", None],
        "x": [1.5, None, -2.0],
        "d": [datetime.date(2024, 1, 2)] * 3,
        "t": [datetime.datetime(2024, 1, 2, 3, 4, 5)] * 3,
        "b": [b"\x00\xff"] * 3,
    })
    assert cursor.adbc_ingest("made", rows, mode="create") == 3
    cursor.execute("select * from made order by a")
    found = cursor.fetch_arrow_table()
    assert found.column("a").to_pylist() == [1, 2, 3] and found.column("b").to_pylist() == [b"\x00\xff"] * 3
    assert found.column("t").to_pylist() == ["2024-01-02 03:04:05"] * 3, found
    assert found.schema.field("x").type == pa.float64(), found.schema
    assert cursor.adbc_ingest("made", rows, mode="append") == 3 and one("select count(*) from made") == 6
    assert cursor.adbc_ingest("made", rows.slice(0, 1), mode="replace") == 1 and one("select count(*) from made") == 1
    refused(lambda: cursor.adbc_ingest("made", rows, mode="create"), "made", "exists")

    # Many rows of one statement: all of them, or none.
    cursor.execute("create table keys (i integer primary key)")
    cursor.executemany("insert into keys values (?)", [(i,) for i in range(1000)])
    assert cursor.rowcount == 1000
    refused(lambda: cursor.executemany("insert into keys values (?)", [(2000,), (5,)]), "UNIQUE")
    refused(lambda: cursor.adbc_ingest("keys", pa.table({"i": [5000, 1]}), mode="append"), "UNIQUE")
    assert one("select count(*) from keys") == 1000
    cursor.executemany("update keys set i = -i where i = ?", [(1,), (2,), (9999,)])
    assert cursor.rowcount == 2 and one("select min(i) from keys") == -2
    refused(
        lambda: cursor.adbc_ingest("bad", pa.table({"i": [decimal.Decimal("1.5")]}), mode="create"), "Decimal128(2, 1)"
    )

    with flightsql.connect(uri, autocommit=False) as other, other.cursor() as inside:
        inside.adbc_ingest("inner", rows, mode="create")
        inside.execute("insert into keys values (77777)")
        other.rollback()
        inside.execute("insert into keys values (78000)")
        other.commit()
    assert one("select count(*) from keys") == 1001
    tables = connection.adbc_get_objects().read_all().to_pylist()
    schemas = [schema for catalog in tables for schema in catalog["catalog_db_schemas"]]
    assert sorted(table["table_name"] for schema in schemas for table in schema["db_schema_tables"]) == ["keys", "made"]
    assert connection.adbc_get_table_schema("keys").field("i").type == pa.int64()

print("done")
