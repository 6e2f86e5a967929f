"""The official Python SDK as a client of `dbmux mcp --dbt`, which checks arguments and answers by the tools' own schemas.

`dbt_official.py BINARY PROJECT`: nothing of the project has been built. Every tool is called with good, wrong-typed, missing
and unknown arguments; the first thing that is not as it must be ends it.
"""

import asyncio
import json
import sys

import jsonschema

from official import Tools, connected

# Each tool, and what it does not take.
WRONG = {
    "get_project_info": {"wait": "soon"},
    "list_resources": {"resource_type": 5},
    "get_resource_info": {"resource": ["employees"]},
    "get_lineage": {"resource": "employees", "depth": "far"},
    "get_column_lineage": {"resource": "employees", "column": 1},
    "analyze_impact": {"resource": None},
    "query_database": {"sql": {"text": "select 1"}},
    "run_models": {"select": 5},
    "test_models": {"select": {"model": "employees"}},
    "build_models": {"threads": "many"},
    "load_seeds": {"full_refresh": "yes"},
    "snapshot_models": {"vars": ["a"]},
    "compile_models": {"select": [1]},
    "install_deps": {"upgrade": 1},
}
# What is not enough for those that need something.
MISSING = {
    "get_resource_info": {},
    "get_lineage": {"direction": "up"},
    "get_column_lineage": {"resource": "employees"},
    "analyze_impact": {},
    "query_database": {"limit": 5},
}
READING = {name for name in WRONG if name.startswith(("get_", "list_", "analyze_", "query_"))}


def offered(tools):
    assert set(WRONG) <= set(tools), set(WRONG) - set(tools)
    for name in WRONG:
        tool = tools[name]
        for schema in (tool.input_schema, tool.output_schema):
            jsonschema.Draft202012Validator.check_schema(schema)
            assert schema["type"] == "object" and schema["properties"], name
        assert tool.input_schema["additionalProperties"] is False, name
        assert len(tool.description) > 30 and tool.annotations.read_only_hint is (name in READING), name
        assert not tool.input_schema.get("required") or name in MISSING, name
        assert not jsonschema.Draft202012Validator(tool.input_schema).is_valid(WRONG[name]), name


async def refused(tools):
    for arguments in (WRONG, MISSING, {name: {"nonsense": 1} for name in WRONG}):
        for name, given in arguments.items():
            found = await tools.bad(name, "INVALID_ARGUMENT", given)
            assert found["temporary"] is False, found
    for name, given in (
        ("get_resource_info", {"resource": "nobody"}),
        ("list_resources", {"resource_type": "nonsense"}),
        ("build_models", {"select": "no_such_model"}),
        ("build_models", {"select": "--profiles-dir=/tmp"}),
        ("query_database", {"sql": "{{ run_query('drop table x') }}"}),
    ):
        await tools.bad(name, "INVALID_ARGUMENT", given)
    await tools.bad("query_database", "DBT", {"sql": "select * from {{ ref('nobody') }}"})
    await tools.bad("query_database", "READ_ONLY", {"sql": "drop table employees"})


async def described(tools, project):
    info = await tools.good("get_project_info")
    assert (info["name"], info["directory"], info["problems"]) == ("company", project, []), info
    models = await tools.good("list_resources", resource_type="model")
    assert models["total"] == info["resources"]["model"] == len(models["resources"]), models
    assert {one["resource_type"] for one in models["resources"]} == {"model"}, models
    found = await tools.good("get_resource_info", resource="employees")
    assert found["resource"]["unique_id"] == "model.company.employees" and len(found["parents"]) == 3, found
    lineage = await tools.good("get_lineage", resource="employees")
    assert "stg_departments" in [one["name"] for one in lineage["upstream"]], lineage
    assert "department_headcount" in [one["name"] for one in lineage["downstream"]], lineage
    columns = await tools.good("get_column_lineage", resource="department_headcount", column="department", direction="up")
    assert columns["upstream"][-1]["from_resource"] == "seed.company.departments", columns
    impact = await tools.good("analyze_impact", resource="stg_employees")
    assert impact["selection"] == "stg_employees+" and impact["tests"], impact


async def built(tools):
    news = []

    async def hears(progress, total, message):
        news.append((progress, message))

    selection = {"select": ["+department_headcount"], "exclude": "test_type:unit", "vars": {"employees": 50}}
    jsonschema.validate(selection, tools.tools["build_models"].input_schema)
    # The SDK itself checks the answer, too.
    result = await tools.session.call_tool("build_models", selection, progress_callback=hears)
    answer = result.structured_content
    jsonschema.validate(answer, tools.tools["build_models"].output_schema)
    assert not result.is_error and answer["success"] and answer["counts"]["pass"] >= 4, result
    told = [told for told, _ in news]
    assert told == sorted(set(told)) and any("employees" in message for _, message in news), news
    rows = {node["unique_id"]: node["rows"] for node in answer["nodes"]}
    assert rows["model.company.employees"] == 50, rows
    found = await tools.good("query_database", sql="select count(*) as n from {{ ref('employees') }}")
    assert (found["rows"], found["columns"][0]["name"]) == ([[50]], "n"), found
    page = await tools.good("query_database", sql="select name from employees order by 1", limit=30)
    rest = await tools.good("query_database", cursor=page["next_cursor"])
    assert (page["row_count"], rest["row_count"], rest["next_cursor"]) == (30, 20, None), (page, rest)


async def run(tools):
    for name, arguments, nodes in (
        ("load_seeds", {"select": "departments", "full_refresh": True}, 1),
        ("run_models", {"select": "hires"}, 1),
        ("test_models", {"select": "hires"}, 1),
        ("snapshot_models", {}, 1),
    ):
        answer = await tools.good(name, **arguments)
        assert answer["success"] and answer["exit_code"] == 0 and len(answer["nodes"]) == nodes, (name, answer)
    compiled = await tools.good("compile_models", select="hires")
    assert "max(hired_on)" in compiled["compiled"][0]["sql"], compiled
    assert (await tools.good("install_deps"))["log"].strip()


async def main(binary, project):
    async with connected(["stdio", binary], "--wait", "2m", "--dbt", project) as session:
        tools = Tools(session, (await session.list_tools()).tools)
        offered(tools.tools)
        await described(tools, project)
        await built(tools)
        await refused(tools)
        await run(tools)
        assert (await tools.good("query_database", sql="select count(*) from employees"))["rows"] == [[50]]
    print(json.dumps({"ok": True}))


asyncio.run(main(*sys.argv[1:]))
