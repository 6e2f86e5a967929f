//! The time that all processes of this machine agree on.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Since some moment before this machine's processes began: the same moment for all of them. Nobody sets it, and it does not
/// go back.
pub fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) =
        (u64::try_from(now.tv_sec).unwrap_or_default(), u32::try_from(now.tv_nsec).unwrap_or_default());
    Duration::new(seconds, nanos)
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_goes_on() {
        let began = super::monotonic();
        std::thread::sleep(std::time::Duration::from_millis(2));
        let passed = super::monotonic() - began;
        assert!(passed >= std::time::Duration::from_millis(2), "{passed:?}");
    }
}
