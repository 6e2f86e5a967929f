//! How long calls took, in little room: times of three digits, and how often each came.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How often each time came, in microseconds, with its first three digits: at most half a percent from the truth.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Histogram(BTreeMap<u64, u64>);

impl Histogram {
    pub(super) fn of(times: impl IntoIterator<Item = u64>) -> Self {
        let mut histogram = Self::default();
        for time in times {
            *histogram.0.entry(rounded(time)).or_default() += 1;
        }
        histogram
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (time, count) in &other.0 {
            *self.0.entry(*time).or_default() += count;
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// The time within which so many of a hundred were; `None` where there were none.
    pub(super) fn percentile(&self, percent: u64) -> Option<u64> {
        let rank = (self.count() * percent).div_ceil(100).max(1);
        let mut seen = 0;
        self.0.iter().find_map(|(time, count)| {
            seen += count;
            (seen >= rank).then_some(*time)
        })
    }
}

fn rounded(time: u64) -> u64 {
    let mut unit = 1;
    while time / unit >= 1000 {
        unit *= 10;
    }
    (time + unit / 2) / unit * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_sorted_times_to_half_a_percent() {
        let times: Vec<u64> = (0..2000).map(|number| (number * 7919) % 100_003).collect();
        let mut histogram = Histogram::of(times[..1000].iter().copied());
        histogram.add(&Histogram::of(times[1000..].iter().copied()));
        let mut sorted = times;
        sorted.sort_unstable();
        assert_eq!(histogram.count(), 2000);
        for percent in [1, 50, 99, 100] {
            let exact = sorted[(2000 * percent as usize).div_ceil(100) - 1];
            let found = histogram.percentile(percent).unwrap();
            assert!(found.abs_diff(exact) * 200 <= exact, "{percent}: {found} for {exact}");
        }
        assert_eq!(Histogram::default().percentile(50), None);
        assert_eq!(Histogram::of([7]).percentile(99), Some(7));
    }
}
