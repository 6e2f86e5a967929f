"""How many rows the tables have that a run has made: dbt-duckdb does not tell.

Counted behind the run, before the database is released, through the connection that dbt has left open: nothing is opened
for it, no transaction of dbt's is about, and nothing of it is in what dbt prints, logs or writes.
"""

import sys

# What these make is a table. A view has its rows only when it is asked, and a file outside may be anywhere.
TABLES = ("table", "incremental", "snapshot")
# The commands that make them. `compile` and `clone` have results too.
MAKERS = ("run", "build", "snapshot", "retry")


def count_rows(results):
    """Fills in `rows_affected` where it is missing. `results`: nodes with what is told of each."""
    from dbt.flags import get_flags

    if getattr(get_flags(), "WHICH", None) not in MAKERS:
        return
    missing = [(node, told) for node, told in results if is_table(node) and told["rows_affected"] is None]
    connection = own_connection() if missing else None
    if connection is None:
        return
    try:
        cursor = connection.cursor()
    except Exception:
        return  # dbt has closed it: then nobody knows.
    try:
        # In a DuckDB file, counting is a look at the table's own figures. In whatever else is attached, it may be work.
        found = cursor.execute("select database_name from duckdb_databases() where type = 'duckdb'").fetchall()
        own = {name.lower() for (name,) in found}
        for node, told in missing:
            if (node.database or "").lower() in own and told["status"] in ("success", "partial success"):
                told["rows_affected"] = count(cursor, node)
    except Exception:
        pass  # The run is done all the same.
    finally:
        cursor.close()


def is_table(node):
    return node.resource_type in ("model", "snapshot") and getattr(node.config, "materialized", None) in TABLES


def own_connection():
    """dbt's connection to a database in this process; None: there is none, or it has been closed."""
    module = sys.modules.get("dbt.adapters.duckdb.connections")
    environment = module.DuckDBConnectionManager._ENV if module is not None else None
    # By its name: a subclass is another service's, where counting may be paid for.
    return environment.conn if type(environment).__name__ == "LocalEnvironment" else None


def count(cursor, node):
    relation = ".".join(quoted(part) for part in (node.database, node.schema, node.alias))
    try:
        return cursor.execute(f"select count(*) from {relation}").fetchone()[0]
    except Exception:
        return None  # Another name than usual, or gone by a hook.


def quoted(name):
    return '"' + name.replace('"', '""') + '"'
