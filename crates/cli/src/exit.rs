//! What the process's exit code says.

/// What the process's exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: done.
    Done,
    /// 1: the SQL failed.
    Failed,
    /// 2: the command line makes no sense.
    Usage,
    /// 69: no broker could be started.
    NoBroker,
    /// 75: locked, queue full or out of time: try again later.
    TryAgain,
    /// 76: the outcome is unknown: look before you repeat it.
    OutcomeUnknown,
    /// 77: a conflict: redo the transaction.
    Conflict,
    /// 130: interrupted.
    Interrupted,
    /// 141: whoever read our output has had enough, as of a process that SIGPIPE ends.
    BrokenPipe,
    /// The child's own; 126: it cannot be run; 127: it is not there; 128 + n: signal n ended it.
    Child(u8),
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NoBroker => 69,
            Self::TryAgain => 75,
            Self::OutcomeUnknown => 76,
            Self::Conflict => 77,
            Self::Interrupted => 130,
            Self::BrokenPipe => 141,
            Self::Child(code) => code,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}
