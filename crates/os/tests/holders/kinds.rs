//! The kernel's kinds of locks, told apart; and how soon the end of a process is seen.

use std::time::{Duration, Instant};

use dbmux_os::{
    file_id::FileId,
    holders::{self, Access, Layout, Part},
    process::{self, ExitWatch},
    range_lock,
};

use crate::foreign::{Foreign, held_by};

/// `F_OFD_SETLK` of Linux; Python does not name it.
const OFD: &str = "fcntl.fcntl(file, 37, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 5, 10, 0))";

#[test]
fn posix_locks_and_those_of_open_files_have_holders_and_flocks_are_their_own() {
    let named = tempfile::NamedTempFile::new().expect("a file");
    let (path, id) = (named.path(), FileId::of_open(named.as_file()).expect("it is open"));
    let mut process = Foreign::start(path);
    process.does("file = open(path, 'r+b')");

    process.does("fcntl.lockf(file, fcntl.LOCK_SH, 10, 5)");
    let holder = held_by(path, Part::Database, &process);
    assert_eq!((holder.access, holder.layout), (Access::Read, Layout::Other));
    assert!(holders::of_byte(id, 7).is_empty(), "it belongs to the process");
    process.does("fcntl.lockf(file, fcntl.LOCK_UN)");

    process.does(OFD);
    let holder = held_by(path, Part::Database, &process);
    assert_eq!((holder.access, holder.layout), (Access::Write, Layout::Other));
    let pids = |byte| holders::of_byte(id, byte).iter().map(|found| found.id.pid).collect::<Vec<_>>();
    assert_eq!((pids(5), pids(14), pids(15)), (vec![process.pid()], vec![process.pid()], vec![]));
    process.does("file.close()");

    // Databases do not use it, and are not hindered by it.
    process.does("file = open(path, 'r+b'); fcntl.flock(file, fcntl.LOCK_EX)");
    assert!(holders::holders_of(path).expect("a look").is_empty());
    assert_eq!(holders::of_whole_file(id).iter().map(|found| found.id.pid).collect::<Vec<_>>(), [process.pid()]);
}

/// The kernel tells its table page by page, and passes over a line when others go in between.
#[test]
fn a_holder_is_not_passed_over_while_hundreds_of_locks_come_and_go() {
    let named = tempfile::NamedTempFile::new().expect("a file");
    let (path, id) = (named.path(), FileId::of_open(named.as_file()).expect("it is open"));
    let mut holder = Foreign::start(path);
    holder.does("file = open(path, 'r+b'); fcntl.flock(file, fcntl.LOCK_EX); fcntl.lockf(file, fcntl.LOCK_EX, 1, 0)");
    let other = tempfile::NamedTempFile::new().expect("a file");
    let mut others = [Foreign::start(other.path()), Foreign::start(other.path())];
    for (number, process) in others.iter_mut().enumerate() {
        process.does("import threading; file = open(path, 'r+b')");
        process.does(&format!("mine = [i * 4 + {number} * 2 for i in range(300)]"));
        process.does("take = lambda kind: [fcntl.lockf(file, kind, 1, i) for i in mine]");
        process.does("comes_and_goes = lambda: [take(kind) for kind in [fcntl.LOCK_EX, fcntl.LOCK_UN] * 100000]");
        process.does("threading.Thread(target=comes_and_goes, daemon=True).start()");
    }
    for look in 0..100 {
        let found: Vec<_> = holders::of_whole_file(id).iter().map(|found| found.id.pid).collect();
        assert_eq!(found, [holder.pid()], "look {look}");
        held_by(path, Part::Database, &holder);
    }
}

/// Only dbmux's own half of a database's lock counts as that.
#[test]
fn another_lock_of_ours_is_not_taken_for_the_databases() {
    let named = tempfile::NamedTempFile::new().expect("a file");
    let id = FileId::of_open(named.as_file()).expect("it is open");
    let ours = || holders::own_ofd_lock(id.device, id.inode);
    let take = |range| range_lock::try_lock_range(named.as_file(), range, range_lock::Kind::Exclusive).expect("a lock");
    assert!(take(range_lock::Range::byte(1 << 40)));
    assert!(!ours());
    assert!(take(range_lock::Range::from(1 << 62)));
    assert!(ours());
    let holder = &holders::holders_of(named.path()).expect("a look")[0];
    assert!(holder.mine);
}

#[test]
fn a_stopped_holder_is_shown_as_stopped() {
    let named = tempfile::NamedTempFile::new().expect("a file");
    let mut process = Foreign::start(named.path());
    process.does("file = open(path, 'r+b'); fcntl.lockf(file, fcntl.LOCK_EX)");
    let stop = i32::try_from(process.pid()).ok().and_then(rustix::process::Pid::from_raw).expect("a number");
    rustix::process::kill_process(stop, rustix::process::Signal::STOP).expect("a signal");
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let found = holders::holders_of(named.path()).expect("a look");
        match &found[0].who {
            holders::Who::Process(who) if who.stopped => break,
            who => assert!(Instant::now() < until, "{who:?}"),
        }
    }
}

#[test]
fn the_end_of_a_holder_is_seen_at_once() {
    let named = tempfile::NamedTempFile::new().expect("a file");
    let mut times = Vec::new();
    for _ in 0..11 {
        let mut process = Foreign::start(named.path());
        process.does("file = open(path, 'r+b'); fcntl.lockf(file, fcntl.LOCK_EX)");
        let watch = ExitWatch::open(process::id(process.pid()).expect("it runs")).expect("a watch");
        assert!(!watch.wait(Some(Duration::ZERO)).expect("a wait"), "it runs");
        let (sender, ended) = std::sync::mpsc::channel();
        let waits = std::thread::spawn(move || {
            let seen = watch.wait(Some(Duration::from_secs(20))).expect("a wait");
            sender.send((seen, Instant::now())).expect("somebody listens");
        });
        let killed = Instant::now();
        process.kill();
        let (seen, at) = ended.recv().expect("an answer");
        assert!(seen);
        times.push(at.saturating_duration_since(killed));
        waits.join().expect("no panic");
    }
    times.sort();
    println!("killed, and seen: median {:?}, worst {:?}", times[5], times[10]);
    assert!(times[5] < Duration::from_millis(50), "{times:?}");
}
