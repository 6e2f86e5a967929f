//! A runner's life: it comes when it is asked, leaves when it is idle, and nothing is lost in between.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use dbmux_testkit::{DbtProject, Place, dbt_program};

use super::shop::text;

/// Turns of each of those who ask at the same time.
const TURNS: usize = 150;
/// Those.
const ASKERS: u64 = 2;

#[test]
fn a_runner_that_leaves_loses_no_request() {
    let project = DbtProject::new();
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"))
        .with("DBMUX_DBT", &dbt_program().display().to_string())
        .with("DBMUX_IDLE_EXIT", "20ms");
    // A request that the runner answers itself: it has come to the one who works, and back.
    let ask = || {
        let mut command = place.dbmux(["dbt", "--wait", "30s", "run", "--profile", "there_is_none"]);
        let output = command.current_dir(project.root()).output().expect("dbmux runs");
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(text(&output).contains("it has no profile \"there_is_none\""), "{}", text(&output));
    };
    let seed = RandomState::new().hash_one(0);
    println!("seed {seed}");
    let runners = std::sync::Mutex::new(HashSet::new());
    std::thread::scope(|scope| {
        for asker in 0..ASKERS {
            let (ask, runners, place) = (&ask, &runners, &place);
            scope.spawn(move || {
                let mut random = seed ^ asker.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
                for _ in 0..TURNS {
                    ask();
                    runners.lock().expect("no panic").extend(place.runners());
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    // About as long as an idle one stays: it leaves while somebody comes.
                    std::thread::sleep(Duration::from_micros(random % 30_000));
                }
            });
        }
    });
    let runners = runners.into_inner().expect("no panic").len();
    assert!(runners > 5, "it left again and again: {runners} runners were seen");
    // The last one takes its files away too.
    let left = || std::fs::read_dir(place.path("run")).expect("the runtime directory").count();
    dbmux_testkit::until("nothing is left behind", || left() == 0);
}
