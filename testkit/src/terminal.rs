//! A terminal with a process in it: what a person sees, types, and interrupts.
//!
//! A real pseudo-terminal, so that the process has one; what it writes is drawn on a screen in memory.

use std::{
    io::{PipeReader, PipeWriter, Read, Write},
    num::NonZeroU16,
    os::fd::OwnedFd,
    process::{Child, Command, ExitStatus},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, poll};

use crate::PATIENCE;

/// Its size.
const ROWS: NonZeroU16 = NonZeroU16::new(30).unwrap();
const COLUMNS: NonZeroU16 = NonZeroU16::new(120).unwrap();

/// What a program asks to hear where the cursor is, and waits for the answer.
const WHERE_IS_THE_CURSOR: &[u8] = b"\x1b[6n";

/// A terminal, and the process in it. Dropped, the process is killed.
pub struct Terminal {
    process: Started,
    keyboard: std::fs::File,
    shared: Arc<Shared>,
    /// Closed, nobody draws any more.
    drawing: PipeWriter,
}

struct Shared {
    drawn: Mutex<Drawn>,
    changed: Condvar,
}

struct Drawn {
    parser: vt100::Parser,
    /// Everything that was ever written, as it was.
    raw: Vec<u8>,
    over: bool,
}

impl Terminal {
    /// Starts a process in a new terminal.
    pub fn start(mut command: Command) -> Self {
        command.env("TERM", "xterm-256color");
        // `CI` is one too: where it is set, `anstream` trusts a dumb terminal with colours.
        for said_about_looks in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI", "COLUMNS"] {
            command.env_remove(said_about_looks);
        }
        let (pty, pts) = pty_process::blocking::open().expect("a pseudo-terminal");
        pty.resize(pty_process::Size::new(ROWS.get(), COLUMNS.get())).expect("its size");
        let child = pty_process::blocking::Command::from(command).spawn(pts).expect("the process starts");
        let keyboard = std::fs::File::from(OwnedFd::from(pty));
        let drawn = Drawn { parser: vt100::Parser::new(ROWS, COLUMNS, 500), raw: Vec::new(), over: false };
        let shared = Arc::new(Shared { drawn: Mutex::new(drawn), changed: Condvar::new() });
        let (output, drawing) = (keyboard.try_clone().expect("its output"), Arc::clone(&shared));
        let (drawn_for, drawing_for) = std::io::pipe().expect("a pipe");
        std::thread::spawn(move || drawing.draw(output, &drawn_for));
        Self { process: Started(child), keyboard, shared, drawing: drawing_for }
    }

    /// Types; `\x03` is Ctrl-C, `\x04` Ctrl-D, `\r` Return.
    pub fn type_(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal listens");
    }

    /// Waits until the screen is as wanted, and answers with it.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut drawn = self.shared.lock();
        loop {
            let screen = drawn.parser.screen().contents();
            if wanted(&screen) {
                return screen;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero() && !drawn.over, "it never came: {what}. The screen:\n{screen}");
            drawn = self.shared.changed.wait_timeout(drawn, left).expect("the drawing goes on").0;
        }
    }

    /// Closes the terminal, as the end of a connection or of its window does. The process leads the terminal's session.
    pub fn hang_up(self) -> Started {
        let Self { process, keyboard, shared, drawing } = self;
        drop((keyboard, drawing));
        let mut drawn = shared.lock();
        while !drawn.over {
            drawn = shared.changed.wait(drawn).expect("the drawing ends");
        }
        process
    }

    /// Waits for the process's end. Answers with it, and with everything that it has ever written.
    pub fn end(mut self) -> (ExitStatus, String) {
        let status = self.wait();
        let raw = String::from_utf8_lossy(&self.shared.lock().raw).into_owned();
        (status, raw)
    }

    /// Waits for the process's end, and answers with what the screen shows then.
    pub fn last_screen(mut self) -> String {
        self.wait();
        self.shared.lock().parser.screen().contents()
    }

    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.process.0.try_wait().expect("a look") {
                break status;
            }
            let late = Instant::now() > deadline;
            assert!(!late, "it does not end. The screen:\n{}", self.shared.lock().parser.screen().contents());
            std::thread::sleep(Duration::from_millis(2));
        };
        let mut drawn = self.shared.lock();
        while !drawn.over {
            drawn = self.shared.changed.wait(drawn).expect("the drawing goes on");
        }
        status
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Drawn> {
        self.drawn.lock().expect("the drawing goes on")
    }

    /// Draws what the process writes, until nobody has the terminal any more.
    fn draw(&self, mut terminal: std::fs::File, drawn_for: &PipeReader) {
        let mut buffer = [0; 4096];
        // Its end is an error on a pseudo-terminal.
        while comes(&terminal, drawn_for)
            && let Some(length) = terminal.read(&mut buffer).ok().filter(|length| *length > 0)
        {
            let mut drawn = self.lock();
            let asked = count(&drawn.raw);
            drawn.raw.extend_from_slice(&buffer[..length]);
            drawn.parser.process(&buffer[..length]);
            let (row, column) = drawn.parser.screen().cursor_position();
            for _ in asked..count(&drawn.raw) {
                // A process that has ended does not listen.
                let _ = write!(terminal, "\x1b[{};{}R", row + 1, column + 1);
            }
            self.changed.notify_all();
        }
        drop(terminal);
        self.lock().over = true;
        self.changed.notify_all();
    }
}

/// Waits for what the process writes, or for its end; `false`: nobody wants to see it any more.
fn comes(terminal: &std::fs::File, drawn_for: &PipeReader) -> bool {
    let mut both = [PollFd::new(terminal, PollFlags::IN), PollFd::new(drawn_for, PollFlags::IN)];
    poll(&mut both, None).is_ok() && both[1].revents().is_empty()
}

/// A process that was started in a terminal. Dropped, it is killed.
pub struct Started(Child);

impl Started {
    /// Its number.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Waits for its end.
    pub fn end(mut self) -> ExitStatus {
        let mut ended = None;
        crate::until("its end", || {
            ended = self.0.try_wait().expect("a look");
            ended.is_some()
        });
        ended.expect("it has ended")
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How often the program has asked where the cursor is.
fn count(raw: &[u8]) -> usize {
    raw.windows(WHERE_IS_THE_CURSOR.len()).filter(|window| *window == WHERE_IS_THE_CURSOR).count()
}
