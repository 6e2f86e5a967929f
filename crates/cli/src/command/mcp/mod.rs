//! `dbmux mcp`: the server for agents.

mod install;

use std::path::PathBuf;

use dbmux_dbt::Project;
use dbmux_mcp::{CatalogQuestions, DbtOptions, McpOptions};

use super::{memory, sql::chosen_program};
use crate::{
    args::{McpArgs, McpCommand, McpOffer},
    exit::Exit,
    failure::Failure,
};

/// Bytes of a thread's stack: as the main thread has it. A tool's work is many calls deep.
const STACK: usize = 8 << 20;

/// Serves until the client goes away, or writes the server into a program's configuration.
pub(crate) fn run(args: McpArgs) -> Result<Exit, Failure> {
    if let Some(McpCommand::Install(args)) = args.command {
        return install::run(&args);
    }
    let options = options(args.offer)?;
    let served = async {
        let Some(address) = args.http else { return Ok(dbmux_mcp::serve_stdio(options).await?) };
        let runtime = dbmux_os::runtime::runtime_dir()?;
        let named = args.token_file.clone();
        let token_file = |port: u16| named.unwrap_or_else(|| runtime.join(format!("mcp-{port}.token")));
        let told = dbmux_mcp::serve_http(options, address, token_file, |at, token: &PathBuf| {
            anstream::eprintln!("serving http://{at}/mcp; the token is in {}", token.display());
        });
        told.await.map_err(|error| Failure::system(error.to_string()))
    };
    // Two threads: an export, or a look at what there is, keeps no other call waiting.
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    let runtime = threads.worker_threads(2).thread_stack_size(STACK).enable_all().build()?;
    let done = runtime.block_on(served);
    // A thread that reads standard input may never come back.
    runtime.shutdown_background();
    done.map(|()| Exit::Done)
}

fn options(offer: McpOffer) -> Result<McpOptions, Failure> {
    let McpOffer { databases, dbt, read_only, exports, memory, embedding, wait } = offer;
    let memory = match memory {
        Some(named) => Some((memory::place(named.as_deref())?, memory::embedder(&embedding)?)),
        None => None,
    };
    let dbt = dbt.map(dbt_project).transpose()?;
    let broker_program = chosen_program().map(Into::into);
    Ok(McpOptions { databases, read_only, exports, dbt, memory, wait, broker_program, catalog })
}

/// The project must be there: a server that can never find it is no help.
fn dbt_project(directory: PathBuf) -> Result<DbtOptions, Failure> {
    let directory = Project::above(&directory)?.root;
    let dbt = std::env::var_os("DBMUX_DBT").map(PathBuf::from);
    // The project is the one that was named.
    let another = ["DBT_PROJECT_DIR", "DBT_ENGINE_PROJECT_DIR"];
    let environment = std::env::vars_os().filter(|(name, _)| another.iter().all(|other| name != other)).collect();
    Ok(DbtOptions { directory, dbt, program: std::env::current_exe()?, environment })
}

fn catalog(engine: &str) -> Option<CatalogQuestions> {
    #[cfg(feature = "broker")]
    return crate::engine::catalog(engine)
        .map(|sql| CatalogQuestions { tables: sql.tables, definitions: sql.definitions });
    #[cfg(not(feature = "broker"))]
    {
        let _ = engine;
        None
    }
}
