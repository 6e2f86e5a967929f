//! All brokers of this user.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use dbmux_os::runtime::{canonical_database_path, socket_path_in};
use dbmux_proto::{Holder, StatusReply};
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
    let directory = crate::connect::usual_runtime_directory()?;
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
    StatusReply {
        database_path: database(socket, &holder).map_or_else(|| "?".to_owned(), |path| path.display().to_string()),
        pid: holder.pid,
        socket: socket.display().to_string(),
        ..StatusReply::default()
    }
}

/// The database that a broker was started for: what stands on its command line and has this socket.
fn database(socket: &Path, broker: &Holder) -> Option<PathBuf> {
    let command = &broker.command;
    let flag = command.split_once("--database ").map(|(_, rest)| rest.split(" --").next().unwrap_or(rest));
    let directory = socket.parent()?;
    let canonical = |argument: &str| {
        let path = canonical_database_path(&Path::new(&broker.working_directory).join(argument)).ok()?;
        let listens = socket_path_in(directory, &path).is_ok_and(|its| its.file_name() == socket.file_name());
        listens.then_some(path)
    };
    flag.into_iter().chain(command.split_whitespace()).find_map(canonical)
}
