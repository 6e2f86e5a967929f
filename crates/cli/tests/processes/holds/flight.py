"""What a client does that knows Arrow Flight and nothing of Flight SQL: a statement's text is the command."""

import json
import sys

import pyarrow as pa
import pyarrow.flight as flight

client = flight.connect("grpc+unix://" + sys.argv[1], generic_options=[("grpc.default_authority", "localhost")])
is_sqlite = "sqlite" in str(client.do_get(flight.Ticket("select * from pragma_database_list")).read_all()["file"])


def ask(sql):
    return client.do_get(flight.Ticket(sql)).read_all().to_pylist()


def put(sql, rows):
    writer, answers = client.do_put(flight.FlightDescriptor.for_command(sql), rows.schema)
    with writer:  # it tells at its end what went wrong
        writer.write_table(rows)
        writer.done_writing()
        answer = answers.read()
    return json.loads(bytes(answer))


def operation(sql):
    answer = client.do_action(flight.Action("dbmux.Operation", sql.encode()))
    return [json.loads(bytes(row.body)) for row in answer]


def refused(work, *words):
    try:
        work()
    except (flight.FlightError, pa.ArrowException) as error:
        assert all(word in str(error) for word in words), error
    else:
        raise AssertionError(f"not refused: {words}")


assert ask("select 42 as answer") == [{"answer": 42}]
operation("create table t (i integer primary key, s text)")
assert operation("insert into t values (1, 'a')") == [{"Count": 1}]

# One row is what a statement's parameters are, for every engine.
one = pa.table({"1": [2], "2": ["b"]})
assert put("insert into t values (?, ?)", one) == {"count": 1}
assert put("insert into t values ($i, $s)", pa.table({"s": ["c"], "i": [3]})) == {"count": 1}
many = pa.table({"1": [4, 5, 6], "2": ["d", "e", None]})
if is_sqlite:
    assert put("insert into t values (?, ?)", many) == {"count": 3}
    clash = pa.table({"1": [7, 1], "2": ["x", "x"]})
    refused(lambda: put("insert into t values (?, ?)", clash), "UNIQUE")
    assert put("insert into t values (?, ?)", many.slice(0, 0)) == {"count": 0}
else:
    refused(lambda: put("insert into t values (?, ?)", many), "one row", "3")
    refused(lambda: put("insert into t values (?, ?)", many.slice(0, 0)), "one row")
expected = 6 if is_sqlite else 3
assert operation("select count(*) as n, max(s) as s from t") == [{"n": expected, "s": "e" if is_sqlite else "c"}]

# The text of a query is a descriptor, too: its ticket runs once if it writes.
info = client.get_flight_info(flight.FlightDescriptor.for_command("select i from t order by i"))
assert client.do_get(info.endpoints[0].ticket).read_all()["i"].to_pylist()[:3] == [1, 2, 3]

# All of it is in one session: what it begins, it ends.
operation("begin")
assert put("insert into t values (?, ?)", pa.table({"1": [100], "2": ["z"]})) == {"count": 1}
assert ask("select count(*) as n from t") == [{"n": expected + 1}]
operation("rollback")
assert ask("select count(*) as n from t") == [{"n": expected}]

refused(lambda: ask("select nonsense from t"), "nonsense")
refused(lambda: operation("select nonsense from t"), "nonsense")
print("done")
