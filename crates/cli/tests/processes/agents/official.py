"""The official Python SDK as a client of `dbmux mcp`, which checks arguments and answers by the tools' own schemas.

`official.py TRANSPORT DATABASE …`: `stdio BINARY`, or `http URL TOKEN_FILE`. Every tool is called with good, missing,
wrong-typed, huge and hostile arguments; the first thing that is not as it must be ends it.
"""

import asyncio
import contextlib
import json
import os
import sys

import jsonschema
from mcp import ClientSession, MCPError, StdioServerParameters, stdio_client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client


@contextlib.asynccontextmanager
async def connected(arguments, *more):
    if arguments[0] == "stdio":
        server = StdioServerParameters(command=arguments[1], args=["mcp", *more], env=dict(os.environ))
        transport = stdio_client(server)
    else:
        token = open(arguments[2]).read().strip()
        client = create_mcp_http_client(headers={"Authorization": f"Bearer {token}"})
        transport = streamable_http_client(arguments[1], http_client=client)
    async with transport as streams, ClientSession(streams[0], streams[1]) as session:
        await session.initialize()
        yield session


class Tools:
    """Calls tools, and checks each answer by its tool's output schema."""

    def __init__(self, session, tools):
        self.session, self.tools = session, {tool.name: tool for tool in tools}

    async def good(self, name, **arguments):
        jsonschema.validate(arguments, self.tools[name].input_schema)
        result = await self.session.call_tool(name, arguments)
        assert not result.is_error, (name, arguments, result.content[0].text)
        jsonschema.validate(result.structured_content, self.tools[name].output_schema)
        assert result.content[0].text.strip(), name
        return result.structured_content

    async def bad(self, name, code, arguments):
        result = await self.session.call_tool(name, arguments)
        text = result.content[0].text
        assert result.is_error, (name, str(arguments)[:200], text[:200])
        assert result.structured_content is None, result
        found = result.meta["dbmux/failure"]
        assert found["code"] == code, (name, str(arguments)[:200], found)
        assert text.startswith(code) and "panicked" not in text and "Traceback" not in text, text
        return found


async def schemas(tools):
    assert {"query", "execute", "list_databases", "list_tables", "describe_table", "lock_status", "who_holds"} <= set(tools)
    for name, tool in tools.items():
        for schema in (tool.input_schema, tool.output_schema):
            jsonschema.Draft202012Validator.check_schema(schema)
            assert schema["type"] == "object", name
        assert tool.input_schema["additionalProperties"] is False, name
        for argument, meaning in tool.input_schema.get("properties", {}).items():
            assert meaning.get("description"), (name, argument)
        assert len(tool.description) > 30, name
        hints = tool.annotations
        assert hints.read_only_hint is (name not in ("execute", "export")), name
        assert hints.destructive_hint is (name in ("execute", "export")), name


async def databases(tools, name):
    made = await tools.good("execute", sql="CREATE TABLE t (id BIGINT PRIMARY KEY, v VARCHAR, d DECIMAL(20, 2))")
    assert made["database"] == name, made
    rows = [f"INSERT INTO t VALUES ({number}, 'row {number}', 1.50)" for number in range(250)]
    assert sum((await tools.good("execute", statements=rows))["rows_changed"]) == 250
    await tools.good("execute", sql="INSERT INTO t VALUES (?, ?, NULL)", parameters=[2**60, "a\nb\"c'"])
    found = await tools.good("query", sql="SELECT id, v FROM t WHERE id > 1000")
    assert found["rows"] == [[str(2**60), "a\nb\"c'"]], found
    found = await tools.good("query", sql="SELECT id FROM t ORDER BY id")
    assert found["row_count"] == 100 and found["rows"][:2] == [[0], [1]]
    seen = [row for row in found["rows"]]
    while found["next_cursor"]:
        again = await tools.good("query", cursor=found["next_cursor"], limit=70)
        found = await tools.good("query", cursor=found["next_cursor"], limit=70)
        assert again["rows"] == found["rows"]
        seen += found["rows"]
    assert len(seen) == 251 and not found["truncated"], len(seen)
    listed = await tools.good("list_tables")
    assert [table["name"] for table in listed["tables"]] == ["t"], listed
    described = await tools.good("describe_table", table="T", sample=2)
    assert described["row_count"] == 251 and described["sample"]["row_count"] == 2, described
    assert "CREATE TABLE" in described["definition"], described
    wide = await tools.good("query", sql="SELECT v, replace(hex(zeroblob(50000)), '00', 'x') AS w FROM t LIMIT 1") \
        if name == "lite" else await tools.good("query", sql="SELECT v, repeat('x', 50000) AS w FROM t LIMIT 1")
    assert wide["rows"][0][1].endswith("characters in all)"), wide["rows"][0][1][-80:]


async def failures(tools):
    # All or none, and which one it was.
    failed = await tools.bad("execute", "SQL", {"statements": ["INSERT INTO t VALUES (-1, '', 0)", "INSERT INTO t VALUES (0, '', 0)"]})
    assert "statement 2" in failed["message"] and failed["sqlstate"] == "23505", failed
    assert (await tools.good("query", sql="SELECT count(*) FROM t WHERE id = -1"))["rows"] == [[0]]
    await tools.bad("query", "SQL", {"sql": "SELEC 1"})
    await tools.bad("query", "SQL", {"sql": "SELECT * FROM missing"})
    await tools.bad("describe_table", "INVALID_ARGUMENT", {"table": "t; DROP TABLE t"})
    wrong = [
        ("query", {}), ("execute", {"sql": ""}), ("query", {"sql": 5}), ("query", {"sql": "SELECT 1", "limit": -1}), ("query", {"cursor": "1.x"}),
        ("query", {"sql": "SELECT 1", "cursor": "1.0"}), ("query", {"sql": "SELECT 1", "wait": -1}),
        ("query", {"sql": "SELECT 1", "wait": "soon"}), ("query", {"sql": "SELECT 1", "nonsense": 1}),
        ("query", {"sql": "SELECT 1", "database": "../etc/passwd"}), ("query", {"sql": "SELECT ?", "parameters": [[1]]}),
        ("query", {"sql": "SELECT ?", "parameters": {"a": 1}}), ("execute", {}), ("execute", {"statements": []}),
        ("execute", {"sql": "SELECT 1", "statements": ["SELECT 1"]}), ("describe_table", {}), ("describe_table", {"table": None}),
        ("list_tables", {"database": 7}), ("lock_status", {"database": "none"}), ("who_holds", {"database": "\0"}),
        ("list_databases", {"x": 1}), ("get_concurrent_access_stats", {"database": []}),
    ]
    for name, arguments in wrong:
        await tools.bad(name, "INVALID_ARGUMENT", arguments)
    long = "SELECT " + "1+" * 200 + "1 AS s" + " " * 2_000_000
    assert (await tools.good("query", sql=long))["rows"] == [[201]]
    try:
        await tools.session.call_tool("no_such_tool", {})
        raise SystemExit("a tool that is not there was called")
    except MCPError as error:
        assert "no_such_tool" in str(error), error


HOSTILE = [
    "INSERT INTO t VALUES (-2, '', 0)", "UPDATE t SET v = ''", "DELETE FROM t", "DROP TABLE t", "CREATE TABLE u (a INTEGER)",
    "-- only reading\nDELETE FROM t", "/* SELECT */ DELETE FROM t", "WITH x AS (SELECT 1) DELETE FROM t",
    "SELECT 1; DELETE FROM t", "BEGIN; DELETE FROM t; COMMIT", "ALTER TABLE t ADD COLUMN z INTEGER", "VACUUM",
    "ATTACH 'other.db' AS o", "CREATE VIEW w AS SELECT 1", "EXPLAIN ANALYZE DELETE FROM t",
]
WRITES = [sql for sql in HOSTILE if not sql.startswith(("EXPLAIN", "VACUUM"))]
HOSTILE_DUCKDB = [
    "COPY t TO 'out.csv'", "EXPORT DATABASE 'out'", "INSTALL httpfs", "CREATE SEQUENCE s", 
    "DETACH duck", "COPY (SELECT 1) TO 'out.csv'", "PREPARE p AS DELETE FROM t", "CALL force_checkpoint()", "CHECKPOINT",
]
HOSTILE_SQLITE = [
    "PRAGMA journal_mode = DELETE", "PRAGMA user_version = 7", "VACUUM INTO 'out.db'", "REINDEX", "REPLACE INTO t VALUES (1, '', 0)",
    "EXPLAIN DELETE FROM t; DELETE FROM t",
]


async def hostile(tools, name):
    before = await tools.good("query", sql="SELECT count(*), sum(length(v)) FROM t")
    for sql in HOSTILE + (HOSTILE_DUCKDB if name == "duck" else HOSTILE_SQLITE):
        result = await tools.session.call_tool("query", {"sql": sql})
        # What an engine takes for reading, or for nothing, may succeed: it must have changed nothing, as below.
        assert result.is_error or sql not in WRITES, (sql, result.content[0].text)
    after = await tools.good("query", sql="SELECT count(*), sum(length(v)) FROM t")
    assert before["rows"] == after["rows"], (before, after)
    assert [table["name"] for table in (await tools.good("list_tables"))["tables"]] == ["t"]


async def looking(tools, session, name):
    listed = (await tools.good("list_databases"))["databases"]
    assert [(one["name"], one["exists"]) for one in listed] == [(name, True)], listed
    status = (await tools.good("lock_status"))["databases"]
    # It lets go of the file after a second without work.
    assert status[0]["state"] in ("attached", "released") and status[0]["owner_pid"] and status[0]["queue"] == [], status
    holders = await tools.good("who_holds")
    assert {holder["pid"] for holder in holders["holders"]} <= {status[0]["owner_pid"]}, holders
    figures = await tools.good("get_concurrent_access_stats")
    assert figures["total_acquisitions"] >= 1 and figures["failed_acquisitions"] == 0, figures
    resources = (await session.list_resources()).resources
    read = await session.read_resource(resources[0].uri)
    assert "CREATE TABLE" in read.contents[0].text, read
    prompts = (await session.list_prompts()).prompts
    prompt = await session.get_prompt(prompts[0].name, {"database": name})
    assert str(status[0]["owner_pid"]) in prompt.messages[0].content.text, prompt


async def exports(tools, folder):
    made = await tools.good("export", sql="SELECT id, v FROM t WHERE id < 3 ORDER BY id", file="t.csv")
    assert made["rows"] == 3 and open(f"{folder}/t.csv").read() == "id,v\n0,row 0\n1,row 1\n2,row 2\n", made
    await tools.bad("export", "INVALID_ARGUMENT", {"sql": "SELECT 1", "file": "t.csv"})
    await tools.good("export", sql="SELECT id FROM t", file="t.jsonl", overwrite=True)
    assert sum(1 for _ in open(f"{folder}/t.jsonl")) == 251
    for file in ("../t.csv", "/tmp/t.csv", "", "t.exe"):
        await tools.bad("export", "INVALID_ARGUMENT", {"sql": "SELECT 1", "file": file})
    await tools.bad("export", "READ_ONLY", {"sql": "DELETE FROM t", "file": "x.csv"})
    assert sorted(os.listdir(folder)) == ["t.csv", "t.jsonl"], os.listdir(folder)


async def main(arguments):
    database, folder = arguments.pop(), None
    name = os.path.basename(database).split(".")[0]
    more = ["--db", database]
    if arguments[0] == "stdio":
        folder = os.path.join(os.path.dirname(database), f"exports-{name}")
        os.mkdir(folder)
        more += ["--exports", folder]
    async with connected(arguments, *more) as session:
        tools = Tools(session, (await session.list_tools()).tools)
        await schemas(tools.tools)
        await databases(tools, name)
        await failures(tools)
        await hostile(tools, name)
        await looking(tools, session, name)
        if folder:
            await exports(tools, folder)
    if arguments[0] == "stdio":
        async with connected(arguments, "--db", database, "--read-only") as session:
            tools = Tools(session, (await session.list_tools()).tools)
            assert "execute" not in tools.tools and "query" in tools.tools
            assert (await tools.good("query", sql="SELECT count(*) FROM t"))["rows"] == [[251]]
            await tools.bad("query", "READ_ONLY", {"sql": "DELETE FROM t"})
    print(json.dumps({"ok": True}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
