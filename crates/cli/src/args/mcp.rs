//! The command line of `dbmux mcp`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};

use super::duration;

pub(super) const EXAMPLES: &str = "Examples:
  dbmux mcp install claude-code --db sales.duckdb   so that Claude Code starts it
  dbmux mcp --db sales.duckdb                       what it starts: serves standard input and output
  dbmux mcp --dbt shop                              a dbt project: its models, lineage, runs and tests
  dbmux mcp --memory                                with a memory that all your agents share
  dbmux mcp --db sales.duckdb --http 127.0.0.1:8765   over HTTP; the token's file is told on standard error

Any number of these may run on one database, beside whoever else uses it. A server opens no database, and
asks a broker only when a tool is called. It ends when its client goes away.";

pub(super) const INSTALL_EXAMPLES: &str = "Examples:
  dbmux mcp install claude-code --db sales.duckdb   for all your projects
  dbmux mcp install cursor --project --db sales.duckdb   for the project of this directory
  dbmux mcp install codex --db sales.duckdb --print   only show the entry

Only the entry is changed in the program's file; what was there is kept beside it.";

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct McpArgs {
    #[command(subcommand)]
    pub(crate) command: Option<McpCommand>,
    #[command(flatten)]
    pub(crate) offer: McpOffer,
    /// Serves this address instead of standard input and output: `127.0.0.1:8765`, port 0 for any.
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<SocketAddr>,
    /// Where the token is written that HTTP clients must have. Default: a file of the runtime directory.
    #[arg(long, value_name = "FILE", requires = "http")]
    pub(crate) token_file: Option<PathBuf>,
}

/// What agents are offered.
#[derive(Debug, Args)]
pub(crate) struct McpOffer {
    /// A database that tools may use; several: once for each.
    #[arg(long = "db", value_name = "PATH")]
    pub(crate) databases: Vec<PathBuf>,
    /// Offers a dbt project: its directory.
    #[arg(long, value_name = "PROJECT")]
    pub(crate) dbt: Option<PathBuf>,
    /// Nothing is written, and the tools that write are not offered.
    #[arg(long)]
    pub(crate) read_only: bool,
    /// The folder that tools may export to. Without it there is no export.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) exports: Option<PathBuf>,
    /// Offers a store of memories: the database, or that of this user.
    #[arg(long, value_name = "PATH", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "without it, without a value, with one")]
    pub(crate) memory: Option<Option<PathBuf>>,
    #[command(flatten)]
    pub(crate) embedding: EmbeddingArgs,
    /// How long tools wait for others, where the agent does not say: 500ms, 30s, 2m.
    #[arg(long, env = "DBMUX_WAIT", default_value = "30s", value_parser = duration, value_name = "DURATION")]
    pub(crate) wait: Duration,
}

/// What makes vectors of memories' texts. Without it they are found by their words.
#[derive(Debug, Args)]
pub(crate) struct EmbeddingArgs {
    /// A folder with a sentence-transformers model, or the address of an OpenAI-compatible endpoint: http://localhost:11434/v1.
    #[arg(long, global = true, env = "DBMUX_EMBEDDER", value_name = "FOLDER|URL")]
    pub(crate) embedder: Option<String>,
    /// The endpoint's model.
    #[arg(long, global = true, env = "DBMUX_EMBEDDER_MODEL", value_name = "NAME", requires = "embedder")]
    pub(crate) embedder_model: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum McpCommand {
    /// Write the server into the configuration of a program that starts it.
    #[command(after_help = INSTALL_EXAMPLES)]
    Install(InstallArgs),
}

#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// The program.
    pub(crate) program: ProgramArg,
    #[command(flatten)]
    pub(crate) offer: McpOffer,
    /// For one project only: the folder, or this one.
    #[arg(long, value_name = "FOLDER", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "without it, without a value, with one")]
    pub(crate) project: Option<Option<PathBuf>>,
    /// What the entry is called.
    #[arg(long, default_value = "dbmux")]
    pub(crate) name: String,
    /// Only shows the entry, and where it belongs.
    #[arg(long)]
    pub(crate) print: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgramArg {
    ClaudeCode,
    ClaudeDesktop,
    Cursor,
    /// Visual Studio Code.
    #[value(name = "vscode")]
    VsCode,
    Codex,
}
