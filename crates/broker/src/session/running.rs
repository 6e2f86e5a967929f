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

/// Counts the interrupts that it is sent, and has nothing to interrupt.
#[cfg(test)]
#[derive(Default)]
pub(crate) struct CountsInterrupts(std::sync::atomic::AtomicUsize);

#[cfg(test)]
impl CountsInterrupts {
    pub(crate) fn count(&self) -> usize {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

#[cfg(test)]
impl Interrupter for CountsInterrupts {
    fn interrupt(&self) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    fn progress(&self) -> dbmux_engine::Progress {
        dbmux_engine::Progress::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_interrupt_is_sent_until_its_statement_has_ended_and_to_no_other_one() {
        let counter = Arc::new(CountsInterrupts::default());
        let running = Running::new(Arc::clone(&counter) as Arc<dyn Interrupter>);
        running.interrupt(7);
        assert_eq!(counter.count(), 0, "it does not run");
        running.begin(7);
        running.interrupt(8);
        assert_eq!(counter.count(), 0, "another one runs");
        running.interrupt(7);
        tokio::time::sleep(AGAIN * 10).await;
        assert!(counter.count() >= 5);
        running.end();
        running.begin(8);
        let sent = counter.count();
        tokio::time::sleep(AGAIN * 10).await;
        assert_eq!(counter.count(), sent, "the next one was hit");
    }
}
