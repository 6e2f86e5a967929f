//! How a file is served.

use std::time::Duration;

/// How safe an acknowledged write is when the power fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// Never synced: a power cut may damage the file.
    Off,
    /// Synced at checkpoints: a power cut may undo the last writes, and damages nothing.
    Normal,
    /// Synced before it is acknowledged.
    #[default]
    Full,
    /// The same, and the directory too, where a rollback journal is used.
    Extra,
}

impl Synchronous {
    /// SQLite's own word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Off => "OFF",
            Self::Normal => "NORMAL",
            Self::Full => "FULL",
            Self::Extra => "EXTRA",
        }
    }
}

/// What the owner of a database may choose.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// Full, unless said otherwise.
    pub synchronous: Synchronous,
    /// Leaves a file's journal mode as it is, instead of making it WAL.
    pub keep_journal_mode: bool,
    /// Pages, if positive, or KiB, if negative, that each session keeps in memory. `None`: SQLite's own default.
    pub cache_size: Option<i64>,
    /// How long SQLite itself waits for others: 20 ms, which most commits take less than. Whoever waits longer waits in the
    /// broker, where it is seen for whom.
    pub busy_timeout: Duration,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            synchronous: Synchronous::default(),
            keep_journal_mode: false,
            cache_size: None,
            busy_timeout: Duration::from_millis(20),
        }
    }
}
