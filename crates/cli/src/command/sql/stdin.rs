//! Statements of standard input, each run when its semicolon has come: a program may talk to one session for hours.

use std::io::Read;

use tokio::sync::mpsc;

use super::runner::Runner;
use crate::{
    exit::Exit,
    failure::Failure,
    split::{Splitter, Statement},
};

/// What errors call it.
const STDIN: &str = "standard input";

/// Pieces of the input that may wait to be run.
const AHEAD: usize = 16;

/// Runs what standard input says, until it ends or a statement fails.
pub(super) async fn run(runner: &mut Runner) -> Result<Exit, Failure> {
    let (sender, mut pieces) = mpsc::channel(AHEAD);
    // Its own thread: a read that never returns must not keep the process from ending.
    std::thread::spawn(move || read(&sender));
    let mut splitter = Splitter::default();
    // A character may be cut in two between two reads.
    let mut partial = Vec::new();
    loop {
        let piece = tokio::select! {
            piece = pieces.recv() => piece,
            _ = tokio::signal::ctrl_c() => return Err(Failure::quiet(Exit::Interrupted)),
        };
        let Some(piece) = piece else { break };
        partial.extend_from_slice(&piece.map_err(|error| Failure::system(format!("read standard input: {error}")))?);
        splitter.push(&take_text(&mut partial)?);
        while let Some(statement) = splitter.next() {
            run_one(runner, &statement).await?;
        }
    }
    if !partial.is_empty() {
        return Err(not_text());
    }
    if let Some(statement) = splitter.rest() {
        run_one(runner, &statement).await?;
    }
    Ok(Exit::Done)
}

async fn run_one(runner: &mut Runner, statement: &Statement) -> Result<(), Failure> {
    runner.run(&statement.sql).await.map_err(|failure| failure.at(STDIN, statement))
}

fn read(sender: &mpsc::Sender<std::io::Result<Vec<u8>>>) {
    let mut input = std::io::stdin().lock();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let piece = match input.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => Ok(buffer[..length].to_vec()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let failed = piece.is_err();
        if sender.blocking_send(piece).is_err() || failed {
            return;
        }
    }
}

/// Takes what is whole, and leaves the begin of a character that is not.
fn take_text(bytes: &mut Vec<u8>) -> Result<String, Failure> {
    let whole = match std::str::from_utf8(bytes) {
        Ok(text) => text.len(),
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Err(_) => return Err(not_text()),
    };
    let rest = bytes.split_off(whole);
    let text = std::mem::replace(bytes, rest);
    String::from_utf8(text).map_err(|_| not_text())
}

fn not_text() -> Failure {
    Failure::usage("standard input is not UTF-8 text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_may_come_in_two_pieces() {
        let mut bytes = b"select '\xc3".to_vec();
        assert_eq!(take_text(&mut bytes).unwrap(), "select '");
        bytes.extend_from_slice(b"\xbc'");
        assert_eq!(take_text(&mut bytes).unwrap(), "ü'");
        assert!(take_text(&mut vec![0xff]).is_err());
    }
}
