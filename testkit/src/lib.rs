//! Starts dbmux's processes in a place of their own, kills them at chosen points, and leaves nothing behind.
//!
//! A test's code: it panics where something is not as it must be.

mod dbt;
mod foreign;
mod hazards;
mod kind;
mod place;
mod shell;
mod terminal;
mod writer;

use std::time::{Duration, Instant};

pub use dbt::{DbtProject, dbt_program, dbt_python};
pub use foreign::{Foreign, memories_python, node_packages, python};
pub use hazards::Hazards;
pub use kind::{Kind, T, Table};
pub use place::{Place, Stopped};
pub use shell::Shell;
pub use terminal::{Started, Terminal};
pub use writer::Writer;

/// The longest that anything that must come may take. Nothing waits for it when it has come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for what must come.
pub fn until(what: &str, mut come: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !come() {
        assert!(Instant::now() < deadline, "it never came: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The processes that have this one as their parent, whichever of its threads has started them; ended ones that nobody has
/// waited for, too.
pub fn children_of(pid: u32) -> Vec<u32> {
    let parent = |stat: &str| stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok();
    let entries = std::fs::read_dir("/proc").expect("it is there").filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|child| {
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        parent(&stat) == Some(pid)
    })
    .collect()
}

/// The checkout. Asked when a test runs: a build that several checkouts share may have another one in it.
pub fn checkout() -> std::path::PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(std::path::PathBuf::from).expect("a test is run by cargo");
    let root = package.ancestors().find(|above| above.join("testkit/Cargo.toml").is_file()).expect("the checkout");
    root.to_owned()
}

/// A seed for a test's random choices: from `DBMUX_TEST_SEED`, else a new one; printed, so that a failure can be had again.
pub fn seed() -> u64 {
    let given = std::env::var("DBMUX_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        u64::from(now.subsec_nanos()) ^ now.as_secs()
    });
    println!("seed {seed} (again: DBMUX_TEST_SEED={seed})");
    seed
}

/// How long a soak lasts: `DBMUX_SOAK_MINUTES`, else one minute.
pub fn soak_time() -> Duration {
    let given = std::env::var("DBMUX_SOAK_MINUTES").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(60 * given.unwrap_or(1))
}

/// A small random sequence (splitmix64): the same for the same seed.
#[derive(Debug, Clone)]
pub struct Dice(pub u64);

impl Dice {
    /// The next number below `below`.
    pub fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below.max(1)
    }
}
