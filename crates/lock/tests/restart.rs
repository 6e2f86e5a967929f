//! After the machine has started anew, tokens still grow, and nobody of before has the lock.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

use std::{fs, os::unix::fs::FileExt};

use dbmux_lock::{Lock, LockName, Mode, Request};

/// The machine's start as the table has it, taken for another one.
fn as_if_written_before_the_start(path: &std::path::Path) {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let boot = u128::from_str_radix(&boot.trim().replace('-', ""), 16).unwrap();
    let bytes = fs::read(path).unwrap();
    let places: Vec<_> =
        bytes.windows(16).enumerate().filter(|(_, at)| *at == boot.to_le_bytes()).map(|(at, _)| at).collect();
    assert_eq!(places.len(), 1, "the start of the machine stands in the table once");
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&(!boot).to_le_bytes(), places[0] as u64).unwrap();
}

#[test]
fn tokens_grow_over_a_start_of_the_machine() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.lock");
    let take = || {
        let lock = Lock::open(&path, LockName::Plain).unwrap();
        lock.acquire(&Request::new(Mode::Exclusive)).unwrap().fence()
    };
    let (first, second) = (take(), take());
    assert!(second > first);
    as_if_written_before_the_start(&path);
    let third = take();
    assert!(third > second, "{second} came before {third}");
    assert!(take() > third);
}
