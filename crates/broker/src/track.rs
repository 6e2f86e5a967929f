//! What becomes of one statement: kept while it waits and runs, shown to whoever watches it, reached to cancel it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dbmux_engine::{Holder, Interrupter, Priority, StatementEvent, StatementKind};
use dbmux_proto::{StatementState, StatementStatus};
use futures::Stream;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::errors::millis;

/// How often a watcher hears of a statement that does not change.
const EVENT_INTERVAL: Duration = Duration::from_millis(250);
/// How much of a statement's text a report shows, in characters.
const SHOWN_TEXT: usize = 200;

/// Where a statement is on its way.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) enum Phase {
    #[default]
    Queued,
    WaitingForFile {
        holder: Option<Holder>,
    },
    Running,
    Sending,
    Ended,
}

/// One statement on its way.
pub(crate) struct Track {
    pub(crate) id: u64,
    pub(crate) began: Instant,
    pub(crate) priority: Priority,
    pub(crate) cancel: CancellationToken,
    text: String,
    phase: watch::Sender<Phase>,
    ahead: Mutex<Option<Box<dyn Fn() -> usize + Send>>>,
    kind: Mutex<Option<StatementKind>>,
    /// When the client last took a batch: a result that nobody reads keeps others waiting.
    last_read: Mutex<Instant>,
    interrupter: Arc<dyn Interrupter>,
}

impl Track {
    pub(crate) fn new(id: u64, priority: Priority, sql: &str, interrupter: Arc<dyn Interrupter>) -> Arc<Self> {
        Arc::new(Self {
            id,
            began: Instant::now(),
            priority,
            cancel: CancellationToken::new(),
            text: sql.chars().take(SHOWN_TEXT).collect(),
            phase: watch::Sender::new(Phase::Queued),
            ahead: Mutex::new(None),
            kind: Mutex::new(None),
            last_read: Mutex::new(Instant::now()),
            interrupter,
        })
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.send_if_modified(|present| {
            let changed = *present != phase;
            *present = phase;
            changed
        });
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.borrow().clone()
    }

    /// Says how to count those ahead while the statement is queued.
    pub(crate) fn count_ahead_with(&self, count: impl Fn() -> usize + Send + 'static) {
        *self.ahead.lock() = Some(Box::new(count));
    }

    pub(crate) fn ahead(&self) -> usize {
        self.ahead.lock().as_ref().map_or(0, |count| count())
    }

    pub(crate) fn is(&self, kind: StatementKind) {
        *self.kind.lock() = Some(kind);
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
        event.set_state(state(&phase));
        match phase {
            Phase::Queued => event.ahead = u32::try_from(self.ahead()).unwrap_or(u32::MAX),
            Phase::WaitingForFile { holder } => event.holder = holder,
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
        let event = self.event();
        StatementStatus {
            sql: self.text.clone(),
            state: event.state,
            priority: proto_priority(self.priority).into(),
            elapsed_ms: event.elapsed_ms,
            progress: event.progress,
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

pub(crate) fn state(phase: &Phase) -> StatementState {
    match phase {
        Phase::Queued => StatementState::Queued,
        Phase::WaitingForFile { .. } => StatementState::WaitingForFile,
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
