//! The command line of `dbmux shim`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

pub(super) const EXAMPLES: &str = "Examples:
  dbmux shim install dbt          then put the directory that it names first in PATH
  dbmux shim list
  dbmux shim remove dbt

With the shim first in PATH, a plain `dbt build`, from a Makefile or an editor, is `dbmux dbt build`.
It finds the real dbt in the active virtual environment, in uv's, or later in PATH.";

#[derive(Debug, Subcommand)]
pub(crate) enum ShimCommand {
    /// Put a program of this name into the directory, which calls dbmux.
    Install(ShimArgs),
    /// Take it away again.
    Remove(ShimArgs),
    /// Show which there are, and whether they come first in PATH.
    List(ShimListArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shim {
    Dbt,
}

#[derive(Debug, Args)]
pub(crate) struct ShimArgs {
    /// Which program.
    pub(crate) program: Shim,
    #[command(flatten)]
    pub(crate) place: ShimPlace,
}

#[derive(Debug, Args)]
pub(crate) struct ShimListArgs {
    #[command(flatten)]
    pub(crate) place: ShimPlace,
    /// One JSON array.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShimPlace {
    /// The directory of shims. Default: $XDG_DATA_HOME/dbmux/shims, else ~/.local/share/dbmux/shims.
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) dir: Option<PathBuf>,
}
