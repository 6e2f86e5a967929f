//! Measures the lock beside a bare `flock`, in turn in one run: `cargo run --release -p dbmux-lock --example measure`.
//!
//! Uncontended: one acquisition and release. Hand-off: one process holds for 100 ms, another sleeps; from the release to
//! the moment at which the next one runs. Killed: the same, when the holder is killed. A directory may be given.
#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a program for people")]

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use dbmux_lock::{Lock, LockName, Mode, Request, Wait};
use rustix::fs::{FlockOperation, flock};

const PAIRS: u32 = 100;
const ROUNDS: usize = 300;
const HAND_OFFS: usize = 40;
const KILLS: usize = 100;
const HOLD: Duration = Duration::from_millis(100);

fn main() {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("wait") => wait(&arguments.next().unwrap(), &PathBuf::from(arguments.next().unwrap())),
        place => measure(place.map_or_else(std::env::temp_dir, PathBuf::from)),
    }
}

fn measure(place: PathBuf) {
    let directory = tempfile::tempdir_in(place).unwrap();
    let (bare, ours) = (directory.path().join("flock"), directory.path().join("dbmux.lock"));
    let file = File::create(&bare).unwrap();
    let lock = Lock::open(&ours, LockName::Plain).unwrap();
    alone(&file, &lock);
    for waits in ["forever", "deadline"] {
        hand_off(&file, &bare, &lock, &ours, waits);
    }
    killed(&ours);
}

fn exclusive() -> Request {
    Request::new(Mode::Exclusive).wait(Wait::For(Duration::from_secs(30)))
}

fn alone(file: &File, lock: &Lock) {
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(each(|| {
            flock(file, FlockOperation::LockExclusive).unwrap();
            flock(file, FlockOperation::Unlock).unwrap();
        }));
        ours.push(each(|| drop(lock.acquire(&exclusive()).unwrap())));
    }
    show("uncontended acquire and release", &mut bare, &mut ours);
}

fn each(mut pair: impl FnMut()) -> Duration {
    let began = Instant::now();
    (0..PAIRS).for_each(|_| pair());
    began.elapsed() / PAIRS
}

/// Another process, which takes the lock when it is told to, and says when it had it.
struct Waiter(Child, BufReader<ChildStdout>);

impl Waiter {
    fn start(how: &str, path: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child =
            command.args(["wait", how]).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self(child, output)
    }

    fn go(&mut self) {
        self.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    /// How long after that moment it had the lock.
    fn had_it(&mut self, since: u128) -> Duration {
        let mut line = String::new();
        self.1.read_line(&mut line).unwrap();
        Duration::from_nanos(line.trim().parse::<u128>().unwrap().saturating_sub(since).try_into().unwrap())
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn now() -> u128 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos()
}

fn wait(how: &str, path: &Path) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let lock = (how != "flock").then(|| Lock::open(path, LockName::Plain).unwrap());
    let request = if how == "deadline" { exclusive() } else { exclusive().wait(Wait::Forever) };
    for _ in std::io::stdin().lines() {
        let guard = match &lock {
            None => {
                flock(&file, FlockOperation::LockExclusive).unwrap();
                None
            }
            Some(lock) => Some(lock.acquire(&request).unwrap()),
        };
        println!("{}", now());
        if how == "hold" {
            std::thread::sleep(Duration::from_secs(600));
        }
        if guard.is_none() {
            flock(&file, FlockOperation::Unlock).unwrap();
        }
    }
}

fn hand_off(file: &File, bare_path: &Path, lock: &Lock, path: &Path, waits: &str) {
    let (mut bare_waiter, mut waiter) = (Waiter::start("flock", bare_path), Waiter::start(waits, path));
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..HAND_OFFS {
        flock(file, FlockOperation::LockExclusive).unwrap();
        bare_waiter.go();
        std::thread::sleep(HOLD);
        let released = now();
        flock(file, FlockOperation::Unlock).unwrap();
        bare.push(bare_waiter.had_it(released));

        let guard = lock.acquire(&exclusive()).unwrap();
        waiter.go();
        std::thread::sleep(HOLD);
        let released = now();
        drop(guard);
        ours.push(waiter.had_it(released));
    }
    show(&format!("hand-off to a sleeping waiter ({waits}), 100 ms holds"), &mut bare, &mut ours);
}

fn killed(path: &Path) {
    let mut times = Vec::new();
    let mut next = Waiter::start("forever", path);
    for _ in 0..KILLS {
        let mut holder = Waiter::start("hold", path);
        holder.go();
        holder.had_it(0);
        next.go();
        std::thread::sleep(Duration::from_millis(10));
        let killed = now();
        holder.0.kill().unwrap();
        times.push(next.had_it(killed));
    }
    times.sort();
    let (median, p99, worst) = (times[KILLS / 2], times[KILLS * 99 / 100 - 1], times[KILLS - 1]);
    println!("holder killed, next one running: p50 {median:?}, p99 {p99:?}, worst of {KILLS} {worst:?}");
}

fn show(what: &str, bare: &mut [Duration], ours: &mut [Duration]) {
    bare.sort();
    ours.sort();
    let (bare, ours) = (bare[bare.len() / 2], ours[ours.len() / 2]);
    println!("{what}: flock {bare:?}, dbmux-lock {ours:?}, {:.1} times", ours.as_secs_f64() / bare.as_secs_f64());
}
