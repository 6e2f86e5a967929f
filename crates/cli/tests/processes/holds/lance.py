"""What pyarrow alone does with a database of LanceDB's: as docs/design/lance.md has it."""

import json
import sys

import pyarrow as pa
import pyarrow.flight as fl

client = fl.connect("grpc+unix://" + sys.argv[1], generic_options=[("grpc.default_authority", "localhost")])


def put(operation, rows):
    writer, answers = client.do_put(fl.FlightDescriptor.for_command(json.dumps(operation)), rows.schema)
    with writer:
        writer.write_table(rows)
        writer.done_writing()
        return json.loads(answers.read().to_pybytes())["count"]


def get(operation):
    return client.do_get(fl.Ticket(json.dumps(operation))).read_all()


def act(operation):
    action = fl.Action("dbmux.Operation", json.dumps(operation).encode())
    return [json.loads(result.body.to_pybytes()) for result in client.do_action(action)]


def rows(ids, text):
    vectors = pa.array([[float(i), 1.0] for i in ids], pa.list_(pa.float32(), 2))
    return pa.table({"id": pa.array(ids, pa.int64()), "text": [text] * len(ids), "v": vectors})


assert put({"add": {"table": "chunks"}}, rows(range(10), "first")) == 10
assert put({"merge_insert": {"table": "chunks", "on": ["id"]}}, rows([3, 50], "second")) == 2
assert act({"count": {"table": "chunks"}}) == [{"count": 11}]
found = get({"search": {"table": "chunks", "vector": [3.0, 1.0], "limit": 1}})
assert found.column("text").to_pylist() == ["second"] and found.column("id").to_pylist() == [3], found
assert get({"search": {"table": "chunks", "where": "text = 'second'", "select": ["id"]}}).num_rows == 2
table = client.do_get(fl.Ticket("select text, count(*) as n from chunks group by text order by n")).read_all()
assert table.column("n").to_pylist() == [2, 9], table
act({"create_index": {"table": "chunks", "column": "text", "type": "fts"}})
assert get({"search": {"table": "chunks", "text": "second"}}).num_rows == 2
act({"optimize": {"table": "chunks"}})
try:
    get({"serch": {"table": "chunks"}})
except (fl.FlightError, pa.ArrowException) as error:
    assert "expected one of `add`" in str(error), error
else:
    raise AssertionError("an unknown operation was done")

print("done")
