//! Who may run beside whom: statements share the floor, and an exclusive one (`CHECKPOINT`, `VACUUM`) has it alone.
//!
//! It is fair: whoever comes after an exclusive statement waits behind it. So one result that nobody reads could keep
//! everybody waiting; [`Floor::is_wanted`] tells when that is so.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use crate::waiters::Waiters;

/// Where statements run.
#[derive(Default)]
pub(crate) struct Floor {
    room: Arc<RwLock<()>>,
    waiting: Waiters,
}

/// A place on the floor, given back when it is dropped.
#[expect(dead_code, reason = "held, not read")]
pub(crate) enum OnFloor {
    Beside(OwnedRwLockReadGuard<()>),
    Alone(OwnedRwLockWriteGuard<()>),
}

impl OnFloor {
    pub(crate) fn alone(&self) -> bool {
        matches!(self, Self::Alone(_))
    }
}

impl Floor {
    /// Waits for a place beside the others.
    pub(crate) async fn beside(&self) -> OnFloor {
        if let Ok(place) = Arc::clone(&self.room).try_read_owned() {
            return OnFloor::Beside(place);
        }
        let _waits = self.waiting.join();
        OnFloor::Beside(Arc::clone(&self.room).read_owned().await)
    }

    /// Waits until nobody else is there.
    pub(crate) async fn alone(&self) -> OnFloor {
        let _waits = self.waiting.join();
        OnFloor::Alone(Arc::clone(&self.room).write_owned().await)
    }

    /// Somebody waits for a place.
    pub(crate) fn is_wanted(&self) -> bool {
        self.waiting.len() > 0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn an_exclusive_one_waits_for_all_and_is_not_overtaken() {
        let floor = Arc::new(Floor::default());
        let first = floor.beside().await;
        let alone = tokio::spawn({
            let floor = Arc::clone(&floor);
            async move { floor.alone().await }
        });
        while !floor.is_wanted() {
            tokio::task::yield_now().await;
        }
        let late = tokio::time::timeout(Duration::from_millis(20), floor.beside()).await;
        assert!(late.is_err(), "it came after the exclusive one");
        drop(first);
        assert!(alone.await.is_ok_and(|place| place.alone()));
        assert!(!floor.is_wanted());
        assert!(!floor.beside().await.alone());
    }
}
