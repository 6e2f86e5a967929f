//! What a command meets that runs under a lock or a lease: as if it had been started alone, with the terminal's end, with
//! signals that nobody is to hear, and with job control.

#![expect(clippy::expect_used, reason = "a test ends by panicking")]

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use dbmux_testkit::{Place, Terminal, until};
use rustix::process::{Pid, Signal, kill_process};

/// What protects a command.
const PROTECTIONS: [[&str; 2]; 2] = [["run", "a.duckdb"], ["lock", "job"]];

fn place() -> Place {
    Place::new(env!("CARGO_BIN_EXE_dbmux"))
}

/// A command line that begins with this `dbmux`.
fn guarded<'a>(place: &'a Place, protection: [&'a str; 2], program: &'a [&'a str]) -> Vec<&'a str> {
    let binary = place.binary().to_str().expect("text");
    [binary].into_iter().chain(protection).chain(["--"]).chain(program.iter().copied()).collect()
}

fn start(place: &Place, words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    place.set_up(&mut command);
    command.args(&words[1..]).stdin(Stdio::null());
    command
}

/// A shell on a terminal, with job control.
fn shell(place: &Place) -> Terminal {
    let mut command = start(place, &["sh", "-i"]);
    command.env("PS1", "ready: ").env_remove("ENV");
    let terminal = Terminal::start(command);
    terminal.wait_for("the shell", is_ready);
    terminal
}

fn is_ready(screen: &str) -> bool {
    screen.trim_end().ends_with("ready:")
}

fn is_free(place: &Place, [command, name]: [&str; 2]) -> bool {
    place.run([command, name, "--wait", "0", "--", "true"]).status.success()
}

/// Written by the command; waited for.
fn number_in(path: &Path) -> i32 {
    let mut number = None;
    until("a number", || {
        number =
            fs::read_to_string(path).ok().filter(|text| text.ends_with('\n')).and_then(|text| text.trim().parse().ok());
        number.is_some()
    });
    number.expect("a number")
}

fn state(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).expect("a number"), signal).expect("a signal");
}

/// `ssh -t`, `docker run -it`, `xterm -e`: the kernel tells the leader of the session alone that its terminal is gone.
#[test]
fn the_end_of_the_terminal_ends_the_command() {
    for protection in PROTECTIONS {
        let place = place();
        let program = ["sh", "-c", "echo $$ > number; exec sleep 60"];
        let terminal = Terminal::start(start(&place, &guarded(&place, protection, &program)));
        let command = number_in(&place.path("number"));
        assert!(!is_free(&place, protection));
        let status = terminal.hang_up().end();
        assert_eq!(status.code(), Some(129), "{protection:?}");
        assert_eq!(state(command), None, "the command outlived its terminal");
        assert!(is_free(&place, protection));
    }
}

/// One that hears of the end itself may go on as long as it likes, and is protected for that long.
#[test]
fn a_command_that_ignores_the_end_of_the_terminal_keeps_its_protection() {
    for protection in PROTECTIONS {
        let place = place();
        let program = ["sh", "-c", "trap '' HUP; mkfifo end; echo $$ > number; read end < end; exit 3"];
        let terminal = Terminal::start(start(&place, &guarded(&place, protection, &program)));
        let command = number_in(&place.path("number"));
        let hung_up = terminal.hang_up();
        assert!(!is_free(&place, protection) && state(command).is_some());
        fs::write(place.path("end"), "now\n").expect("it listens");
        assert_eq!(hung_up.end().code(), Some(3), "{protection:?}");
        assert!(is_free(&place, protection));
    }
}

#[test]
fn what_was_ignored_stays_ignored_for_the_command_too() {
    for protection in PROTECTIONS {
        let place = place();
        let program = ["sh", "-c", "mkfifo end; echo $$ > number; read end < end; grep SigIgn /proc/$$/status"];
        let words = [vec!["nohup"], guarded(&place, protection, &program)].concat();
        let started = start(&place, &words).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let command = number_in(&place.path("number"));
        let own = i32::try_from(started.id()).expect("a number");
        signal(own, Signal::HUP);
        signal(own, Signal::WINCH);
        signal(command, Signal::HUP);
        fs::write(place.path("end"), "now\n").expect("it listens");
        let output = started.wait_with_output().expect("its end");
        assert_eq!(output.status.code(), Some(0), "{protection:?}");
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        let ignored = shown.trim().rsplit('\t').next().and_then(|mask| u64::from_str_radix(mask, 16).ok());
        assert_eq!(ignored.map(|mask| mask & 0b111), Some(1), "HUP alone, not INT, not QUIT: {shown}");
    }
}

#[test]
fn a_command_that_stops_gives_the_terminal_back_to_the_shell() {
    for protection in PROTECTIONS {
        for how in ["kill -STOP $$", "kill -TSTP $$"] {
            let place = place();
            let script = format!("echo $$ > number; {how}; echo went on; exit 3");
            let mut line: Vec<_> = guarded(&place, protection, &["sh", "-c"]).into_iter().map(str::to_owned).collect();
            line.push(format!("'{script}'"));
            let mut terminal = shell(&place);
            terminal.type_(&format!("{}\r", line.join(" ")));
            terminal.wait_for("the stop", |screen| screen.contains("Stopped") && is_ready(screen));
            assert!(!is_free(&place, protection), "what has stopped keeps what it has");
            terminal.type_("fg; echo exit $?\r");
            terminal.wait_for("the end", |screen| screen.contains("\nwent on") && screen.contains("\nexit 3"));
            assert!(is_free(&place, protection));
        }
    }
}

/// Ctrl-Z reaches the whole group; whoever continues this process alone means the command.
#[test]
fn a_key_stops_both_and_both_go_on() {
    let place = place();
    let words =
        guarded(&place, PROTECTIONS[0], &["sh", "-c", "'echo $$ > number; sleep 0.2; echo begun; read x; exit 3'"]);
    let mut terminal = shell(&place);
    terminal.type_(&format!("{}\r", words.join(" ")));
    terminal.wait_for("the command", |screen| screen.contains("\nbegun"));
    for round in 1..=3 {
        terminal.type_("\x1a");
        let stopped = |screen: &str| screen.matches("Stopped").count() == round && is_ready(screen);
        terminal.wait_for("the stop", stopped);
        // The shell sees our stop, and the command's may come a moment later.
        until("the command's stop", || state(number_in(&place.path("number"))) == Some('T'));
        terminal.type_(if round < 3 { "fg\r" } else { "fg; echo left with $?\r" });
        until("it goes on", || state(number_in(&place.path("number"))) != Some('T'));
    }
    terminal.type_("\r");
    terminal.wait_for("the end", |screen| screen.contains("\nleft with 3"));
}

/// Nobody would continue us: the stop is waited out, and a continuation is passed on.
#[test]
fn without_a_shell_that_watches_a_stop_is_waited_out() {
    for protection in PROTECTIONS {
        let place = place();
        let program = ["sh", "-c", "echo $$ > number; kill -STOP $$; kill -STOP $$; exit 3"];
        let words = [vec!["setsid"], guarded(&place, protection, &program)].concat();
        let mut started = Killed(start(&place, &words).spawn().expect("it starts"));
        let command = number_in(&place.path("number"));
        let own = i32::try_from(started.0.id()).expect("a number");
        until("its stop", || state(command) == Some('T'));
        signal(command, Signal::CONT);
        until("its second stop", || state(command) == Some('T'));
        assert_ne!(state(own), Some('T'), "nobody would continue it");
        signal(own, Signal::CONT);
        let mut ended = None;
        until("its end", || {
            ended = started.0.try_wait().expect("a look");
            ended.is_some()
        });
        assert_eq!(ended.and_then(|status| status.code()), Some(3), "{protection:?}");
    }
}

/// Killed when the test is over; the kernel ends a stopped command that it leaves behind.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
