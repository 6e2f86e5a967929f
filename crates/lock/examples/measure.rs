//! Measures the lock beside a bare `flock`, in turn in one run: `cargo run --release -p dbmux-lock --example measure`.
//!
//! Uncontended: one acquisition and release. Hand-off: one process's thread holds, another sleeps; from the release to the
//! moment at which the next one runs.
#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a program for people")]

use std::{
    fs::File,
    sync::mpsc,
    time::{Duration, Instant},
};

use dbmux_lock::{Lock, LockName, Mode, Request, Wait};
use rustix::fs::{FlockOperation, flock};

const PAIRS: u32 = 20_000;
const ROUNDS: usize = 7;
const HAND_OFFS: usize = 100;

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let plain = directory.path().join("flock");
    File::create(&plain).unwrap();
    let lock = Lock::open(&directory.path().join("dbmux.lock"), LockName::Plain).unwrap();
    let request = Request::new(Mode::Exclusive).wait(Wait::For(Duration::from_secs(30)));

    let file = File::open(&plain).unwrap();
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(each(|| {
            flock(&file, FlockOperation::LockExclusive).unwrap();
            flock(&file, FlockOperation::Unlock).unwrap();
        }));
        ours.push(each(|| drop(lock.acquire(&request).unwrap())));
    }
    show("uncontended acquire and release", median(&mut bare), median(&mut ours));

    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..HAND_OFFS {
        let take = || {
            let file = File::open(&plain).unwrap();
            flock(&file, FlockOperation::LockExclusive).unwrap();
            file
        };
        bare.push(hand_off(take, drop));
        ours.push(hand_off(|| lock.acquire(&request).unwrap(), drop));
    }
    show("hand-off to a sleeping waiter, 10 ms holds", median(&mut bare), median(&mut ours));
}

fn each(mut pair: impl FnMut()) -> Duration {
    let began = Instant::now();
    (0..PAIRS).for_each(|_| pair());
    began.elapsed() / PAIRS
}

fn hand_off<G>(take: impl Fn() -> G + Sync, give: impl Fn(G)) -> Duration {
    let held = take();
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        let take = &take;
        scope.spawn(move || {
            let taken = take();
            sender.send(Instant::now()).unwrap();
            drop(taken);
        });
        std::thread::sleep(Duration::from_millis(10));
        let released = Instant::now();
        give(held);
        receiver.recv().unwrap() - released
    })
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn show(what: &str, bare: Duration, ours: Duration) {
    let ratio = ours.as_secs_f64() / bare.as_secs_f64();
    println!("{what}: flock {bare:?}, dbmux-lock {ours:?}, {ratio:.1} times");
}
