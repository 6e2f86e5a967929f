//! Times, and what is quoted of them.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Many times of one thing.
pub(crate) struct Times(Histogram<u64>);

impl Times {
    pub(crate) fn new() -> Self {
        Self(Histogram::new(3).expect("three digits are a precision"))
    }

    pub(crate) fn add(&mut self, time: Duration) {
        self.0.record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)).expect("it resizes itself");
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("the same shape");
    }

    /// Microseconds.
    pub(crate) fn at(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1000.0
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "count": self.0.len(), "p50_us": self.at(0.5), "p99_us": self.at(0.99), "mean_us": self.0.mean() / 1000.0 })
    }
}
