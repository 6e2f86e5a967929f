//! Starts a broker and hears from it whether it is ready, or the real reason why it is not.

use std::{
    fs::{File, OpenOptions},
    io::Read,
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use dbmux_proto::{Ready, ready::Outcome};
use prost::Message;
use tokio::{io::AsyncReadExt, net::unix::pipe};

use super::{
    Deadline, Target, millis, place,
    silence::{self, OWN_START},
};
use crate::ClientError;

/// How much of the log's end is read for a broker that died without a word, in bytes.
const LOG_TAIL: u64 = 2000;
/// The stack of the thread that waits for a broker's end, in bytes.
const REAPER_STACK: usize = 64 << 10;

/// Starts the broker. Answers with the socket on which it listens; `None`: it ended without its word.
pub(super) async fn start(target: &Target, deadline: Deadline) -> Result<Option<PathBuf>, ClientError> {
    let target_for_thread = target.clone();
    let child = tokio::task::spawn_blocking(move || launch(&target_for_thread, deadline)).await;
    let mut child = child.map_err(|error| failed(target, error.to_string()))??;
    let pid = child.id();
    let Some(output) = child.stdout.take() else { return Err(failed(target, "it has no standard output".into())) };
    reap(child);
    let heard = silence::answer(Some(pid), deadline, OWN_START, hear(output.into())).await;
    let bytes = heard.map_err(|silence| target.silent(silence))?.map_err(|error| failed(target, error.to_string()))?;
    match Ready::decode(bytes.as_slice()).map(|ready| ready.outcome) {
        Ok(Some(Outcome::Socket(socket))) => Ok(Some(PathBuf::from(socket))),
        Ok(Some(Outcome::Error(detail))) => Err(ClientError::Broker(Box::new(detail))),
        // Nothing, or half of it: it was killed before it had said it.
        Ok(None) | Err(_) => Ok(None),
    }
}

/// It ended before it could be talked to.
pub(super) fn died(target: &Target) -> ClientError {
    let tail = tail(&target.log());
    let log = if tail.is_empty() { String::new() } else { format!(". Its log ends:\n{tail}") };
    failed(target, format!("it ended without a word{log}"))
}

/// Reads its one word. Given up, it leaves nothing behind: no thread, no open pipe.
async fn hear(output: OwnedFd) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    pipe::Receiver::from_owned_fd(output)?.read_to_end(&mut bytes).await?;
    Ok(bytes)
}

fn launch(target: &Target, deadline: Deadline) -> Result<Child, ClientError> {
    let log = open_log(&target.log()).map_err(|error| place("open", &target.log(), &error))?;
    let program = program(target)?;
    let wait = millis(deadline.left());
    let mut command = Command::new(&program);
    command.arg("broker").arg("--database").arg(&target.database);
    command.arg("--start-wait").arg(format!("{wait}ms")).args(&target.options.broker_arguments);
    if let Some(engine) = &target.options.engine {
        command.arg("--engine").arg(engine);
    }
    if target.options.runtime_directory.is_some() {
        command.env("DBMUX_RUNTIME_DIR", &target.runtime);
    }
    // A daemon keeps no directory busy.
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    command.spawn().map_err(|error| failed(target, cannot_run(&program, &error)))
}

fn cannot_run(program: &Path, error: &std::io::Error) -> String {
    let found = program.components().count() > 1 || error.kind() != std::io::ErrorKind::NotFound;
    let hint = if found { "" } else { " (it is neither beside this program nor in PATH)" };
    format!("{}: {error}{hint}", program.display())
}

/// Whoever lives long must not leave a dead child behind.
fn reap(mut child: Child) {
    let thread = std::thread::Builder::new().name("dbmux-reaper".to_owned()).stack_size(REAPER_STACK);
    if let Err(error) = thread.spawn(move || child.wait()) {
        tracing::warn!(%error, "no thread is left to wait for the broker's end");
    }
}

fn open_log(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// The binary to start.
fn program(target: &Target) -> Result<PathBuf, ClientError> {
    if let Some(program) = &target.options.broker_program {
        // A bare name is looked for in PATH. Anything else means a file from here, not from where the broker will be.
        let bare = program.components().count() == 1 && program.file_name().is_some_and(|name| name == program);
        let absolute = || std::path::absolute(program).map_err(|error| place("find", program, &error));
        return if bare { Ok(program.clone()) } else { absolute() };
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
