// The official TypeScript SDK as a client of `dbmux mcp`, which checks each answer by its tool's output schema.
//
// `official.mjs TRANSPORT DATABASE …`: `stdio BINARY`, or `http URL TOKEN_FILE`. The SDK is where NODE_PATH says.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.env.NODE_PATH}/`);
const sdk = async (name) => import(pathToFileURL(require.resolve(`@modelcontextprotocol/sdk/client/${name}.js`)));
const { Client } = await sdk("index");

const [kind, where, ...rest] = process.argv.slice(2);
const database = rest.at(-1);

async function transport() {
  if (kind === "stdio") {
    const { StdioClientTransport } = await sdk("stdio");
    return new StdioClientTransport({ command: where, args: ["mcp", "--db", database], env: { ...process.env } });
  }
  const { StreamableHTTPClientTransport } = await sdk("streamableHttp");
  const Authorization = `Bearer ${readFileSync(rest[0], "utf8").trim()}`;
  return new StreamableHTTPClientTransport(new URL(where), { requestInit: { headers: { Authorization } } });
}

const client = new Client({ name: "the test", version: "1" });
await client.connect(await transport());
const { tools } = await client.listTools();
assert.ok(tools.length >= 8 && tools.every((tool) => tool.outputSchema && tool.description));

const call = async (name, args = {}) => client.callTool({ name, arguments: args });
const good = async (name, args) => {
  const answer = await call(name, args);
  assert.ok(!answer.isError, JSON.stringify(answer));
  return answer.structuredContent;
};

await good("execute", { sql: "CREATE TABLE t (id BIGINT PRIMARY KEY, v VARCHAR)" });
const statements = Array.from({ length: 120 }, (_, id) => `INSERT INTO t VALUES (${id}, 'row ${id}')`);
assert.equal((await good("execute", { statements })).rows_changed.length, 120);
await good("execute", { sql: "INSERT INTO t VALUES (?, ?)", parameters: ["9007199254740993", "beyond a double"] });
const first = await good("query", { sql: "SELECT * FROM t ORDER BY id" });
assert.deepEqual(first.rows[7], [7, "row 7"]);
const last = await good("query", { cursor: first.next_cursor });
assert.deepEqual(last.rows.at(-1), ["9007199254740993", "beyond a double"]);
assert.equal(first.row_count + last.row_count, 121);

// Many at once, each gets its own.
const many = await Promise.all(Array.from({ length: 50 }, (_, n) => good("query", { sql: "SELECT ? + 0 AS n", parameters: [n] })));
assert.deepEqual(many.map((answer) => answer.rows[0][0]), Array.from({ length: 50 }, (_, n) => n));

for (const [name, args, code] of [
  ["query", { sql: "DELETE FROM t" }, "READ_ONLY"],
  ["query", { sql: "SELECT" }, "SQL"],
  ["query", { sql: 1 }, "INVALID_ARGUMENT"],
  ["describe_table", {}, "INVALID_ARGUMENT"],
]) {
  const answer = await call(name, args);
  assert.ok(answer.isError && answer._meta["dbmux/failure"].code === code, JSON.stringify(answer));
}
for (const name of ["list_databases", "list_tables", "lock_status", "who_holds", "get_concurrent_access_stats"]) {
  await good(name, {});
}
assert.equal((await good("describe_table", { table: "t" })).row_count, 121);
await client.close();
console.log('{"ok": true}');
process.exit(0);
