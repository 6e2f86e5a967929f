//! One connection: a request, its deadline, and what it is told.

use std::{
    io::BufReader,
    os::unix::net::UnixStream,
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant},
};

use super::{
    protocol::{self, Reply, Said},
    shared::{Asked, Message, Shared, interrupted},
};

/// How soon it is looked again at a request whose time is up, and that waits for nobody.
const AGAIN: Duration = Duration::from_millis(50);

/// Hears a request and answers it.
pub(super) fn converse(stream: UnixStream, shared: &Arc<Shared>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?);
    let Some(Said::Ask(request)) = protocol::hear(&mut lines)? else { return Ok(()) };
    let (sender, inbox) = mpsc::channel();
    let Some(asked) = shared.enter(*request, sender.clone()) else { return Ok(()) };
    std::thread::spawn(move || listen(&mut lines, &sender));
    let answered = answer(&stream, shared, &asked, &inbox);
    if answered.is_err() {
        shared.cancel(asked.id);
    }
    shared.has_been_told();
    // Whoever listens hears the end.
    stream.shutdown(std::net::Shutdown::Both)
}

/// What comes from the other end while it waits.
fn listen(lines: &mut BufReader<UnixStream>, to: &Sender<Message>) {
    while let Ok(Some(said)) = protocol::hear(lines) {
        let message = match said {
            Said::Cancel => Message::Cancel,
            // One request a connection.
            Said::Ask(_) => break,
        };
        if to.send(message).is_err() {
            return;
        }
    }
    // Where nobody waits for it any more, it has been answered.
    let _ = to.send(Message::Gone);
}

fn answer(stream: &UnixStream, shared: &Shared, asked: &Asked, inbox: &Receiver<Message>) -> std::io::Result<()> {
    let wait = asked.wait();
    let mut deadline = Some(asked.arrived + wait);
    let mut to = stream;
    loop {
        match next(inbox, deadline) {
            Some(Message::Reply(reply)) => {
                if matches!(reply, Reply::Begins) {
                    deadline = None;
                }
                protocol::say(&mut to, &reply)?;
                if matches!(reply, Reply::Ended(_) | Reply::Failed(_)) {
                    return Ok(());
                }
            }
            Some(Message::Cancel) => {
                if shared.cancel(asked.id) {
                    return protocol::say(&mut to, &interrupted());
                }
            }
            Some(Message::Gone) => {
                shared.cancel(asked.id);
                return Ok(());
            }
            None => match shared.give_up(asked) {
                Some(trouble) => return protocol::say(&mut to, &Reply::Failed(trouble)),
                // Its turn has come at the last moment, or it waits for nobody.
                None => deadline = deadline.map(|_| Instant::now() + AGAIN),
            },
        }
    }
}

/// `None`: the time is up.
fn next(inbox: &Receiver<Message>, deadline: Option<Instant>) -> Option<Message> {
    let Some(deadline) = deadline else { return Some(inbox.recv().unwrap_or(Message::Gone)) };
    match inbox.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        Ok(message) => Some(message),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => Some(Message::Gone),
    }
}
