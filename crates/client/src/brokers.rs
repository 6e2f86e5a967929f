//! All brokers of this user.

use dbmux_proto::StatusReply;

use crate::{ClientError, connect::Link};

/// What every broker of this user is doing, by database. Starts nothing, makes nothing.
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
    let mut found = Vec::new();
    for socket in entries.flatten().map(|entry| entry.path()) {
        if socket.extension().is_none_or(|extension| extension != "sock") {
            continue;
        }
        // A socket that nobody listens on was left behind by a broker that was killed.
        if let Ok(mut link) = Link::connect(&socket).await
            && let Ok(status) = link.status().await
        {
            found.push(status);
        }
    }
    found.sort_by(|one: &StatusReply, other| one.database_path.cmp(&other.database_path));
    Ok(found)
}
