//! Removes the probe's files when the probe itself cannot: somebody has killed it.

use std::{io::Read, time::Duration};

use dbmux_client::{ClientOptions, blocking::Client};

use crate::{
    command::probe::{connection::options, job::Job},
    exit::Exit,
};

/// How long the broker may take to leave.
const LEAVES: Duration = Duration::from_secs(5);

/// Waits for the end of standard input: the probe is gone. `job.database` is the one that a broker may serve; its folder is
/// the probe's.
pub(super) fn run(job: &Job) -> Exit {
    let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
    let Some(folder) = job.database.parent().filter(|folder| folder.exists()) else { return Exit::Done };
    let options = ClientOptions { start: false, create: false, ..options(&job.engine) };
    if let Ok(client) = Client::open(&job.database, options) {
        // None runs: nothing to stop.
        let _ = client.stop(LEAVES);
    }
    let _ = std::fs::remove_dir_all(folder);
    Exit::Done
}
