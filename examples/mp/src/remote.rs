//! The remote service, simulated: it takes its time, and its data are made up but always new.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// Events of one page.
const PAGE: u64 = 250;

/// Pages that a whole fetch has.
pub(crate) const PAGES: u64 = 50;

const NAMES: [&str; 5] = ["Sign Up", "Log In", "View Item", "Add To Cart", "Purchase"];
const CITIES: [&str; 6] = ["Berlin", "Lagos", "Lima", "Oslo", "Pune", "Quito"];

/// The saved reports. They take `time` to come.
pub(crate) async fn bookmarks(time: Duration) -> Value {
    tokio::time::sleep(time).await;
    json!([
        {"id": 1, "name": "Sign-ups by city", "kind": "insights"},
        {"id": 2, "name": "From item to purchase", "kind": "funnel"},
        {"id": 3, "name": "Who comes back", "kind": "retention"},
    ])
}

/// One export of events, page by page.
pub(crate) struct Export {
    /// Tells this export's events from all others.
    id: u128,
    page: u64,
    pause: Duration,
}

impl Export {
    /// Begins an export that takes `time` in all.
    pub(crate) fn begin(time: Duration) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let id = now.as_nanos() << 32 | u128::from(std::process::id());
        Self { id, page: 0, pause: time.div_f64(PAGES as f64) }
    }

    /// The next page, when it comes; `None` at the end. Each event has an `insert_id` of its own, so that an event that
    /// comes twice is known.
    pub(crate) async fn next(&mut self) -> Option<Vec<Value>> {
        if self.page == PAGES {
            return None;
        }
        tokio::time::sleep(self.pause).await;
        let first = self.page * PAGE;
        self.page += 1;
        Some((first..first + PAGE).map(|number| self.event(number)).collect())
    }

    fn event(&self, number: u64) -> Value {
        // A cheap hash: the data need only look as if they had been counted.
        let chance = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        let pick = |choices: &[&'static str], salt: u64| choices[(chance / salt) as usize % choices.len()];
        json!({
            "insert_id": format!("{:032x}-{number}", self.id),
            "name": pick(&NAMES, 1),
            "distinct_id": format!("user-{}", chance % 997),
            "time": format!("2025-{:02}-{:02} {:02}:{:02}:00", chance % 12 + 1, chance % 28 + 1, chance % 24, chance % 60),
            "properties": {"city": pick(&CITIES, 7), "amount": (chance % 10_000) as f64 / 100.0},
        })
    }
}
