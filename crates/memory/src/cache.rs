//! The last few of something.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;

/// Keeps what was put in last; the oldest goes.
#[derive(Debug)]
pub(crate) struct Recent<T> {
    limit: usize,
    kept: Mutex<(HashMap<String, T>, VecDeque<String>)>,
}

impl<T: Clone> Recent<T> {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, kept: Mutex::default() }
    }

    /// Whether anything is ever kept.
    pub(crate) fn keeps(&self) -> bool {
        self.limit > 0
    }

    pub(crate) fn get(&self, key: &str) -> Option<T> {
        self.kept.lock().0.get(key).cloned()
    }

    pub(crate) fn put(&self, key: String, value: T) {
        if self.limit == 0 {
            return;
        }
        let mut kept = self.kept.lock();
        let (values, order) = &mut *kept;
        if values.insert(key.clone(), value).is_none() {
            order.push_back(key);
        }
        if order.len() > self.limit
            && let Some(oldest) = order.pop_front()
        {
            values.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes() {
        let recent = Recent::new(2);
        for (key, value) in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
            recent.put(key.to_owned(), value);
        }
        assert_eq!((recent.get("a"), recent.get("b"), recent.get("c")), (None, Some(2), Some(4)));
        let none = Recent::new(0);
        none.put("a".to_owned(), 1);
        assert_eq!(none.get("a"), None);
    }
}
