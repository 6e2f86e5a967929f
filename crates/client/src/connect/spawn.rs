//! Starts a broker and hears from it whether it is ready, or the real reason why it is not.

use std::{
    fs::{File, OpenOptions},
    io::Read,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use dbmux_proto::{Ready, ready::Outcome};
use prost::Message;

use super::{Deadline, Target, place};
use crate::ClientError;

/// How much of the log's end is read for a broker that died without a word, in bytes.
const LOG_TAIL: u64 = 2000;

/// Starts the broker. Answers with the socket on which it listens.
pub(super) async fn start(target: &Target, deadline: Deadline) -> Result<PathBuf, ClientError> {
    let target_for_thread = target.clone();
    let child = tokio::task::spawn_blocking(move || launch(&target_for_thread)).await;
    let mut child = child.map_err(|error| failed(target, error.to_string()))??;
    let Some(output) = child.stdout.take() else { return Err(failed(target, "it has no standard output".into())) };
    // Whoever lives long must not leave a dead child behind.
    std::thread::spawn(move || child.wait());
    let heard = tokio::task::spawn_blocking(move || {
        let (mut output, mut bytes) = (output, Vec::new());
        output.read_to_end(&mut bytes).map(|_| bytes)
    });
    let bytes = match tokio::time::timeout(deadline.left(), heard).await {
        Ok(Ok(Ok(bytes))) => bytes,
        Ok(Ok(Err(error))) => return Err(failed(target, error.to_string())),
        Ok(Err(error)) => return Err(failed(target, error.to_string())),
        Err(_) => {
            return Err(ClientError::StartTimedOut {
                database: target.database.clone(),
                waited: deadline.began.elapsed(),
                holder: None,
            });
        }
    };
    if bytes.is_empty() {
        return Err(failed(target, format!("it ended without a word. Its log ends:\n{}", tail(&target.log()))));
    }
    match Ready::decode(bytes.as_slice()).map(|ready| ready.outcome) {
        Ok(Some(Outcome::Socket(socket))) => Ok(PathBuf::from(socket)),
        Ok(Some(Outcome::Error(detail))) => Err(ClientError::Broker(Box::new(detail))),
        Ok(None) | Err(_) => Err(failed(target, "its first word could not be understood".to_owned())),
    }
}

fn launch(target: &Target) -> Result<std::process::Child, ClientError> {
    let log = open_log(&target.log()).map_err(|error| place("open", &target.log(), &error))?;
    let program = program(target)?;
    let wait = target.options.wait.as_millis();
    let mut command = Command::new(&program);
    command.arg("broker").arg("--database").arg(&target.database);
    command.arg("--start-wait").arg(format!("{wait}ms")).args(&target.options.broker_arguments);
    // A daemon keeps no directory busy.
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    command.spawn().map_err(|error| failed(target, format!("{}: {error}", program.display())))
}

fn open_log(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// The binary to start.
fn program(target: &Target) -> Result<PathBuf, ClientError> {
    if let Some(program) = &target.options.broker_program {
        return Ok(program.clone());
    }
    let current = std::env::current_exe().map_err(|error| failed(target, error.to_string()))?;
    if current.file_stem().is_some_and(|stem| stem == "dbmux") {
        return Ok(current);
    }
    let beside = current.with_file_name("dbmux");
    Ok(if beside.is_file() { beside } else { PathBuf::from("dbmux") })
}

fn tail(log: &Path) -> String {
    let read = || -> std::io::Result<String> {
        use std::io::{Seek, SeekFrom};
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    read().unwrap_or_default()
}

fn failed(target: &Target, reason: String) -> ClientError {
    ClientError::Start { database: target.database.clone(), reason, log: target.log() }
}
