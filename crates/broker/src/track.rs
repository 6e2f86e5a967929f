//! What becomes of one statement: kept while it waits and runs, shown to whoever watches it, reached to cancel it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use dbmux_engine::{Holder, Interrupter, Priority, ServiceError, StatementEvent, StatementKind};
use dbmux_proto::{StatementState, StatementStatus};
use futures::Stream;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::errors::{self, millis};

/// How often a watcher hears of a statement that does not change.
const EVENT_INTERVAL: Duration = Duration::from_millis(250);
/// How much of a statement's text a report shows, in characters.
const SHOWN_TEXT: usize = 200;

/// Where a statement is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Phase {
    #[default]
    Queued,
    WaitingForFile,
    Running,
    Sending,
    Ended,
}

/// For whom a statement waits.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// Statements that go first.
    pub(crate) ahead: usize,
    /// Who has what it waits for.
    pub(crate) holder: Option<Holder>,
}

/// One statement on its way.
pub(crate) struct Track {
    pub(crate) id: u64,
    pub(crate) began: Instant,
    pub(crate) priority: Priority,
    pub(crate) cancel: CancellationToken,
    /// The process that asked; 0: not known.
    pub(crate) asker: u32,
    text: String,
    phase: watch::Sender<Phase>,
    /// Looks for whom it waits: asked anew for every report, for others come and go meanwhile.
    line: Mutex<Option<Box<dyn Fn() -> Line + Send>>>,
    /// It waits in a lane, not for its session.
    merged: AtomicBool,
    /// It reads a copy of the file, and keeps nobody from the file itself.
    reads_copy: AtomicBool,
    /// When it first ran.
    ran: Mutex<Option<Instant>>,
    /// Why it was cancelled, where its client did not ask for that.
    told: Mutex<Option<ServiceError>>,
    kind: Mutex<Option<StatementKind>>,
    /// When the client last took a batch: a result that nobody reads keeps others waiting.
    last_read: Mutex<Instant>,
    interrupter: Arc<dyn Interrupter>,
}

impl Track {
    pub(crate) fn new(
        id: u64,
        priority: Priority,
        sql: &str,
        interrupter: Arc<dyn Interrupter>,
        asker: u32,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            began: Instant::now(),
            priority,
            cancel: CancellationToken::new(),
            asker,
            text: sql.chars().take(SHOWN_TEXT).collect(),
            phase: watch::Sender::new(Phase::Queued),
            line: Mutex::new(None),
            merged: AtomicBool::new(false),
            reads_copy: AtomicBool::new(false),
            ran: Mutex::new(None),
            told: Mutex::new(None),
            kind: Mutex::new(None),
            last_read: Mutex::new(Instant::now()),
            interrupter,
        })
    }

    /// Enters a phase in which it waits for nobody.
    pub(crate) fn enter(&self, phase: Phase) {
        if phase == Phase::Running {
            self.ran.lock().get_or_insert_with(Instant::now);
        }
        *self.line.lock() = None;
        self.set(phase);
    }

    /// Enters a phase in which it waits, and says how to find out for whom.
    pub(crate) fn wait(&self, phase: Phase, line: impl Fn() -> Line + Send + 'static) {
        *self.line.lock() = Some(Box::new(line));
        self.set(phase);
    }

    fn set(&self, phase: Phase) {
        self.phase.send_if_modified(|present| {
            let changed = *present != phase;
            *present = phase;
            changed
        });
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.phase(), Phase::Running | Phase::Sending)
    }

    /// How long it waited before it ran; `None`: it never did.
    pub(crate) fn waited(&self) -> Option<Duration> {
        self.ran.lock().map(|ran| ran.duration_since(self.began))
    }

    /// Cancels it for a reason that its client is told.
    pub(crate) fn end_because(&self, told: ServiceError) {
        *self.told.lock() = Some(told);
        self.cancel.cancel();
    }

    /// Why it was cancelled.
    pub(crate) fn cancelled(&self) -> ServiceError {
        self.told.lock().clone().unwrap_or_else(errors::cancelled)
    }

    fn line(&self) -> Line {
        self.line.lock().as_ref().map(|line| line()).unwrap_or_default()
    }

    pub(crate) fn is(&self, kind: StatementKind) {
        *self.kind.lock() = Some(kind);
    }

    pub(crate) fn goes_into_a_lane(&self, merged: bool) {
        self.merged.store(merged, Ordering::Relaxed);
    }

    pub(crate) fn reads_copy(&self, copy: bool) {
        self.reads_copy.store(copy, Ordering::Relaxed);
    }

    /// It runs, and keeps the file itself: what began on a copy that answers no more may look at either.
    pub(crate) fn runs_in_file(&self, copy_answers: bool) -> bool {
        self.is_running() && !(copy_answers && self.reads_copy.load(Ordering::Relaxed))
    }

    pub(crate) fn is_in_a_lane(&self) -> bool {
        self.merged.load(Ordering::Relaxed)
    }

    pub(crate) fn was_read(&self) {
        *self.last_read.lock() = Instant::now();
    }

    pub(crate) fn unread_for(&self) -> Duration {
        self.last_read.lock().elapsed()
    }

    fn event(&self) -> StatementEvent {
        let phase = self.phase();
        let mut event =
            StatementEvent { elapsed_ms: millis(self.began.elapsed()), progress: -1.0, ..Default::default() };
        event.set_state(state(phase));
        match phase {
            Phase::Queued | Phase::WaitingForFile => {
                let line = self.line();
                event.ahead = u32::try_from(line.ahead).unwrap_or(u32::MAX);
                event.holder = line.holder;
            }
            Phase::Running | Phase::Sending => {
                let progress = self.interrupter.progress();
                event.progress = progress.percent;
                event.rows_done = progress.rows_done;
                event.rows_total = progress.rows_total;
            }
            Phase::Ended => {}
        }
        event
    }

    pub(crate) fn status(&self) -> StatementStatus {
        let progress = if self.is_running() { self.interrupter.progress().percent } else { -1.0 };
        StatementStatus {
            sql: self.text.clone(),
            state: state(self.phase()).into(),
            priority: proto_priority(self.priority).into(),
            elapsed_ms: millis(self.began.elapsed()),
            progress,
            kind: self.kind.lock().map_or(dbmux_proto::StatementKind::Unspecified, proto_kind).into(),
            ..StatementStatus::default()
        }
    }
}

/// The statement's events until it has ended: one at each change, and at least four a second.
pub(crate) fn events(track: Arc<Track>) -> impl Stream<Item = StatementEvent> + Send {
    let phases = track.phase.subscribe();
    futures::stream::unfold((track, phases, false), |(track, mut phases, over)| async move {
        if over {
            return None;
        }
        let _ = tokio::time::timeout(EVENT_INTERVAL, phases.changed()).await;
        let over = *phases.borrow_and_update() == Phase::Ended;
        let event = track.event();
        Some((event, (track, phases, over)))
    })
}

fn state(phase: Phase) -> StatementState {
    match phase {
        Phase::Queued => StatementState::Queued,
        Phase::WaitingForFile => StatementState::WaitingForFile,
        Phase::Running => StatementState::Running,
        Phase::Sending => StatementState::Sending,
        Phase::Ended => StatementState::Ended,
    }
}

fn proto_kind(kind: StatementKind) -> dbmux_proto::StatementKind {
    match kind {
        StatementKind::Read => dbmux_proto::StatementKind::Read,
        StatementKind::Write => dbmux_proto::StatementKind::Write,
        StatementKind::Exclusive => dbmux_proto::StatementKind::Exclusive,
    }
}

fn proto_priority(priority: Priority) -> dbmux_proto::Priority {
    match priority {
        Priority::High => dbmux_proto::Priority::High,
        Priority::Normal => dbmux_proto::Priority::Normal,
        Priority::Low => dbmux_proto::Priority::Low,
    }
}
