//! Which statement of a session runs now: an interrupt reaches that one, and no later one.

use std::{sync::Arc, time::Duration};

use dbmux_engine::Interrupter;
use parking_lot::Mutex;

/// The pause before an interrupt is sent again. An engine forgets one that comes just before it begins to work.
const AGAIN: Duration = Duration::from_millis(20);

/// The statement that runs now.
#[derive(Clone)]
pub(crate) struct Running {
    present: Arc<Mutex<Option<u64>>>,
    interrupter: Arc<dyn Interrupter>,
}

impl Running {
    pub(crate) fn new(interrupter: Arc<dyn Interrupter>) -> Self {
        Self { present: Arc::default(), interrupter }
    }

    pub(crate) fn begin(&self, id: u64) {
        *self.present.lock() = Some(id);
    }

    pub(crate) fn end(&self) {
        *self.present.lock() = None;
    }

    /// Interrupts this statement, if it is the one that runs, again and again until it has ended.
    pub(crate) fn interrupt(&self, id: u64) {
        if !self.interrupt_once(id) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let running = self.clone();
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(AGAIN).await;
                if !running.interrupt_once(id) {
                    return;
                }
            }
        });
    }

    fn interrupt_once(&self, id: u64) -> bool {
        let present = self.present.lock();
        let runs = *present == Some(id);
        if runs {
            self.interrupter.interrupt();
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use dbmux_engine::Progress;

    use super::*;

    /// Counts what it is sent.
    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Interrupter for Counter {
        fn interrupt(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn progress(&self) -> Progress {
            Progress::default()
        }
    }

    #[tokio::test]
    async fn an_interrupt_is_sent_until_its_statement_has_ended_and_to_no_other_one() {
        let counter = Arc::new(Counter::default());
        let running = Running::new(Arc::clone(&counter) as Arc<dyn Interrupter>);
        running.interrupt(7);
        assert_eq!(counter.0.load(Ordering::Relaxed), 0, "it does not run");
        running.begin(7);
        running.interrupt(8);
        assert_eq!(counter.0.load(Ordering::Relaxed), 0, "another one runs");
        running.interrupt(7);
        tokio::time::sleep(AGAIN * 10).await;
        assert!(counter.0.load(Ordering::Relaxed) >= 5);
        running.end();
        running.begin(8);
        let sent = counter.0.load(Ordering::Relaxed);
        tokio::time::sleep(AGAIN * 10).await;
        assert_eq!(counter.0.load(Ordering::Relaxed), sent, "the next one was hit");
    }
}
