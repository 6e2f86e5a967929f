//! Tools of a dbt project.

mod arguments;
mod columns;
mod deps;
mod impact;
mod info;
mod lineage;
mod node;
mod query;
mod resource;
mod resources;
mod run;

pub(crate) use node::described;

use crate::tool::{Does, Tool};

/// All of them.
pub(super) fn all() -> Vec<Tool> {
    let mut tools = reading();
    tools.extend(running());
    tools
}

/// What runs no model. dbt may have to parse the project for them, and then waits for its turn.
fn reading() -> Vec<Tool> {
    vec![
        Tool::new(
            "get_project_info",
            Does::Reads,
            "Describe the dbt project: its name, profile, adapter and databases, how many models, tests and others it has, \
             and who runs dbt in it now. A good first call.",
            info::run,
        ),
        Tool::new(
            "list_resources",
            Does::Reads,
            "List the dbt project's resources: of one type (model, source, seed, snapshot, test, exposure, metric, …), with \
             a tag, of a package, or whose name contains a text.",
            resources::run,
        ),
        Tool::new(
            "get_resource_info",
            Does::Reads,
            "Describe one dbt resource: description, columns, configuration, its SQL, and what is beside it in the graph. \
             Takes its unique_id, its name, source.table, a relation's name or its file.",
            resource::run,
        ),
        Tool::new(
            "get_lineage",
            Does::Reads,
            "Tell what a dbt resource is made from (up), and what is made from it (down), so many steps far.",
            lineage::run,
        ),
        Tool::new(
            "get_column_lineage",
            Does::Reads,
            "Tell which columns one column of a dbt model is made from (up), or which are made from it (down), by its \
             compiled SQL. dbt compiles the project first where it is not compiled. What cannot be told is listed.",
            columns::run,
        ),
        Tool::new(
            "analyze_impact",
            Does::Reads,
            "Tell what a change of a dbt resource may break: models, tests, snapshots and exposures below it, with how far \
             they are, and the selection that builds and tests them all.",
            impact::run,
        ),
        Tool::new(
            "query_database",
            Does::Reads,
            "Run one SQL statement that reads on the dbt project's database, in which ref() and source() may stand in \
             {{ }}: dbt resolves them. Refuses whatever writes, and other Jinja. Pages and limits are those of `query`.",
            query::run,
        ),
    ]
}

/// What runs dbt for its results.
fn running() -> Vec<Tool> {
    vec![
        Tool::new(
            "run_models",
            Does::Writes,
            "Run dbt models (`dbt run`): all, or those that are selected. Others may go on reading meanwhile. Requests that \
             wait at the same time become one invocation.",
            run::models,
        ),
        Tool::new(
            "test_models",
            Does::Writes,
            "Run dbt's tests (`dbt test`): of all, or of what is selected.",
            run::tests,
        ),
        Tool::new(
            "build_models",
            Does::Writes,
            "Build with dbt (`dbt build`): seeds, models, snapshots and tests in the order of the graph; what is below a \
             failed test is skipped.",
            run::build,
        ),
        Tool::new("load_seeds", Does::Writes, "Load dbt's seeds (`dbt seed`): CSV files into tables.", run::seeds),
        Tool::new(
            "snapshot_models",
            Does::Writes,
            "Take dbt's snapshots (`dbt snapshot`): notes what has changed since the last one.",
            run::snapshots,
        ),
        Tool::new(
            "compile_models",
            Does::Writes,
            "Compile dbt models (`dbt compile`), and answer with the SQL of those that are selected. Builds nothing, but \
             macros may run statements.",
            run::compile,
        ),
        Tool::new(
            "install_deps",
            Does::Writes,
            "Install the dbt packages that the project names (`dbt deps`). Needs the network.",
            deps::run,
        )
        .in_the_open(),
    ]
}
