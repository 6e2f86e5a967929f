//! The hidden `dbmux dbt-runner`: a project's daemon.

use dbmux_dbt::runner::{self, Place, RunnerOptions};
use dbmux_os::daemon;

use crate::{args::DbtRunnerArgs, exit::Exit, failure::Failure};

/// Serves until it has been idle for long enough. Its first word, on standard output, says whether it listens.
pub(crate) fn run(args: &DbtRunnerArgs) -> Result<Exit, Failure> {
    // What whoever started it had open, locks above all, is none of its business.
    dbmux_os::daemon::close_inherited_files();
    // It may lead its group already.
    let _ = daemon::leave_session();
    let served = serve(args);
    if let Err(failure) = &served {
        say(&failure.message);
    }
    served
}

fn serve(args: &DbtRunnerArgs) -> Result<Exit, Failure> {
    let place = Place::of(&args.project)?;
    let options = RunnerOptions { idle_exit: args.idle_exit };
    runner::serve(&place, &options, || say(runner::LISTENS))?;
    Ok(Exit::Done)
}

/// Whoever started it reads to the end of it.
fn say(word: &str) {
    let _ = daemon::say_last(format!("{word}\n").as_bytes());
}
