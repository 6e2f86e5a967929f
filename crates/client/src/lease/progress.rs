//! For whom one waits who asks for files.

use std::{path::PathBuf, time::Duration};

use dbmux_proto::Holder;

/// Where an asker is on his way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseStage {
    /// Others have the file, or go first.
    Queued,
    /// The broker makes what readers get meanwhile.
    Preparing,
    /// The broker lets nobody else in; what uses the file comes to its end.
    Draining,
    /// The file is dbmux's to give, and a process that does not ask dbmux has it open.
    InUse,
}

/// For whom one waits who asks for files. Told at each change, and now and then.
#[derive(Debug, Clone)]
pub struct LeaseProgress {
    /// Which of the databases.
    pub database: PathBuf,
    /// Where on the way.
    pub stage: LeaseStage,
    /// Who has it.
    pub holder: Option<Holder>,
    /// Others that wait and go first.
    pub ahead: usize,
    /// Since it was asked for the first of them.
    pub waited: Duration,
}
