// The official TypeScript SDK as a client of `dbmux mcp --dbt`, which checks each answer by its tool's output schema.
//
// `dbt_official.mjs BINARY PROJECT`: nothing of the project has been built. The SDK is where NODE_PATH says.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.env.NODE_PATH}/`);
const sdk = async (name) => import(pathToFileURL(require.resolve(`@modelcontextprotocol/sdk/client/${name}.js`)));
const { Client } = await sdk("index");
const { StdioClientTransport } = await sdk("stdio");

// Each tool, what it does not take, and what is not enough where it needs something.
const TOOLS = {
  get_project_info: [{ wait: "soon" }],
  list_resources: [{ limit: "all" }],
  get_resource_info: [{ resource: 5 }, {}],
  get_lineage: [{ resource: "employees", direction: "sideways" }, { depth: 1 }],
  get_column_lineage: [{ resource: "employees", column: ["salary"] }, { column: "salary" }],
  analyze_impact: [{ resource: { name: "employees" } }, {}],
  query_database: [{ sql: 1 }, {}],
  run_models: [{ select: 5 }],
  test_models: [{ exclude: { a: 1 } }],
  build_models: [{ threads: 1.5 }],
  load_seeds: [{ full_refresh: "yes" }],
  snapshot_models: [{ vars: "a: 1" }],
  compile_models: [{ select: [null] }],
  install_deps: [{ upgrade: "now" }],
};

const [command, project] = process.argv.slice(2);
const client = new Client({ name: "the test", version: "1" });
const args = ["mcp", "--wait", "2m", "--dbt", project];
await client.connect(new StdioClientTransport({ command, args, env: { ...process.env } }));

const { tools } = await client.listTools();
for (const name of Object.keys(TOOLS)) {
  const tool = tools.find((tool) => tool.name === name);
  assert.ok(tool?.outputSchema && tool.description, name);
}

// dbt is imported by the first call that needs it.
const timeout = 180_000;
const call = async (name, args = {}, options = {}) =>
  client.callTool({ name, arguments: args }, undefined, { timeout, ...options });
const good = async (name, args, options) => {
  const answer = await call(name, args, options);
  assert.ok(!answer.isError && answer.content[0].text, `${name}: ${JSON.stringify(answer)}`);
  return answer.structuredContent;
};
const bad = async (name, args, code) => {
  const answer = await call(name, args);
  assert.ok(answer.isError && answer._meta["dbmux/failure"].code === code, `${name}: ${JSON.stringify(answer)}`);
  assert.ok(answer.content[0].text.startsWith(code) && !answer.structuredContent, name);
};

const info = await good("get_project_info");
assert.deepEqual([info.name, info.problems], ["company", []]);
const models = await good("list_resources", { resource_type: "model" });
assert.equal(models.total, info.resources.model);
assert.ok(models.resources.some((one) => one.unique_id === "model.company.employees"));

// A call that takes a while, and tells of it.
const heard = [];
const hears = { onprogress: (news) => heard.push(news.message) };
const selection = { select: "+department_headcount", exclude: ["test_type:unit"], vars: { employees: 50 } };
const built = await good("build_models", selection, hears);
assert.ok(built.success && built.counts.pass >= 4, JSON.stringify(built));
assert.ok(heard.some((message) => message.includes("employees")), JSON.stringify(heard));

const rows = await good("query_database", { sql: "select count(*) as n from {{ ref('employees') }}" });
assert.deepEqual([rows.rows, rows.columns[0].name], [[[50]], "n"]);
const lineage = await good("get_lineage", { resource: "employees" });
assert.ok(lineage.upstream.some((one) => one.name === "stg_departments"));
assert.ok(lineage.downstream.some((one) => one.name === "department_headcount"));
const impact = await good("analyze_impact", { resource: "stg_employees" });
assert.equal(impact.selection, "stg_employees+");

for (const [name, wrong] of Object.entries(TOOLS)) {
  for (const args of [...wrong, { nonsense: 1 }]) {
    await bad(name, args, "INVALID_ARGUMENT");
  }
}
await bad("get_resource_info", { resource: "nobody" }, "INVALID_ARGUMENT");
await bad("build_models", { select: "no_such_model" }, "INVALID_ARGUMENT");
await bad("query_database", { sql: "select * from {{ ref('nobody') }}" }, "DBT");

// It lives on. Two at once are one after the other, or one.
const both = await Promise.all(["employees", "hires"].map((select) => good("run_models", { select })));
assert.ok(both.every((answer) => answer.success && answer.nodes.length === 1), JSON.stringify(both));
await client.close();
console.log('{"ok": true}');
process.exit(0);
