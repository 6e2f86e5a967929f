//! All brokers of this user.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use dbmux_proto::StatusReply;
use futures::future::join_all;

use crate::{
    ClientError,
    connect::{Deadline, Link, NoLink, Silence, Trouble},
};

/// How long a broker may take to answer.
const ANSWER: Duration = Duration::from_secs(1);

/// What every broker of this user is doing, by database. Starts nothing, makes nothing.
///
/// A broker that does not answer, because it is stopped or hangs, is there with its process id, its database and its
/// socket, and with no state.
///
/// # Errors
/// When the runtime directory cannot be read; one that is not there has no brokers.
pub async fn brokers() -> Result<Vec<StatusReply>, ClientError> {
    let directory = dbmux_os::runtime::runtime_path();
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(crate::connect::place("read", &directory, &error)),
    };
    let sockets: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    let sockets = sockets.iter().filter(|path| path.extension().is_some_and(|extension| extension == "sock"));
    let mut found: Vec<_> = join_all(sockets.map(|socket| ask(socket))).await.into_iter().flatten().collect();
    found.sort_by(|one: &StatusReply, other| one.database_path.cmp(&other.database_path));
    Ok(found)
}

/// A socket that nobody listens on was left behind by a broker that was killed.
async fn ask(socket: &Path) -> Option<StatusReply> {
    let deadline = Deadline::after(ANSWER);
    let answer = match Link::connect(socket, deadline).await {
        Ok(link) => link.status(deadline).await,
        Err(NoLink::Silent(silence)) => Err(Trouble::Silent(silence)),
        Err(NoLink::Nobody | NoLink::Refused(_)) => return None,
    };
    match answer {
        Ok(status) => Some(status),
        Err(Trouble::Silent(silence)) => Some(unanswered(socket, silence)),
        Err(_) => None,
    }
}

fn unanswered(socket: &Path, silence: Silence) -> StatusReply {
    let holder = silence.holder.unwrap_or_default();
    let database = holder.command.split_once("--database ").map(|(_, rest)| rest.split(" --").next().unwrap_or(rest));
    StatusReply {
        database_path: database.unwrap_or("?").to_owned(),
        pid: holder.pid,
        socket: socket.display().to_string(),
        ..StatusReply::default()
    }
}
