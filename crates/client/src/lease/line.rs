//! One database: its file lock's line, and the broker that may have the lock.
//!
//! The lock decides; what the broker says is for people, and hurries it. So a broker that is killed, stopped, older than
//! leases, or another user's changes nothing but how soon it happens.

use std::{
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use dbmux_lock::{
    CancelFlag, Guard, Lock, LockError, LockName, Mode, Request, Snapshot, TicketInfo, Wait, WaitState, sidecar_path,
};
use dbmux_os::{process, runtime::LEASE_VARIABLE};
use dbmux_proto::{Holder, HolderKind, LeaseEvent, LeaseState};

use super::{
    LeaseProgress, LeaseStage, Reads,
    broker::{self, Asked, Wish},
    own::Asking,
};
use crate::{ClientError, Priority, lock_holder};

/// The longest that a broker is waited for which nobody uses, by one who does not wait for others.
const LETTING_GO: Duration = Duration::from_secs(5);
/// How often it is looked whether one who is prepared for has been cancelled.
const LOOK: Duration = Duration::from_millis(50);

/// What is asked for, of every database.
pub(super) struct Ask {
    pub(super) began: Instant,
    /// `None`: for ever.
    pub(super) wait: Option<Duration>,
    pub(super) reads: Reads,
    pub(super) priority: Priority,
    pub(super) command: Option<String>,
    pub(super) cancel: CancelFlag,
    pub(super) runtime_directory: Option<PathBuf>,
}

/// What is heard while one waits.
pub(super) enum News {
    Line(WaitState),
    Broker(LeaseEvent),
    /// The broker says no more; why, where it should have.
    BrokerLeft(Option<String>),
    Taken(Result<Guard, LockError>),
}

impl Ask {
    /// How much of the patience is left; `None`: no end.
    pub(super) fn left(&self) -> Option<Duration> {
        self.wait.map(|wait| wait.saturating_sub(self.began.elapsed()))
    }

    /// It waits for nobody.
    pub(super) fn never_waits(&self) -> bool {
        self.wait.is_some_and(|wait| wait.is_zero())
    }

    /// The same, for a broker that nobody uses: it is given a moment by one who waits for nobody.
    fn patience_with_a_broker(&self) -> Option<Duration> {
        if self.never_waits() { Some(LETTING_GO.saturating_sub(self.began.elapsed())) } else { self.left() }
    }

    fn waits(&self) -> Wait {
        match self.patience_with_a_broker() {
            None => Wait::Forever,
            Some(left) if left.is_zero() => Wait::Never,
            Some(left) => Wait::For(left),
        }
    }

    pub(super) fn progress(&self, database: &Path, stage: LeaseStage, holder: Option<Holder>) -> LeaseProgress {
        LeaseProgress { database: database.to_owned(), stage, holder, ahead: 0, waited: self.began.elapsed() }
    }

    /// The deadline has passed.
    pub(super) fn locked(&self, database: &Path, holder: Option<Holder>, ahead: usize) -> ClientError {
        let waited = if self.never_waits() { Duration::ZERO } else { self.began.elapsed() };
        ClientError::Locked { database: database.to_owned(), holder: holder.map(Box::new), ahead, waited }
    }
}

/// Takes one database's file lock. What its broker has to say about it is put to the notices.
pub(super) fn take(
    ask: &Ask,
    database: &Path,
    observe: &mut dyn FnMut(&LeaseProgress),
    notices: &mut Vec<String>,
) -> Result<Guard, ClientError> {
    let lock = Lock::open_for_database(database, LockName::File).map_err(|error| lock_error(&error, database))?;
    let (tell, news) = mpsc::channel();
    let cancel = ask.cancel.below();
    let (asking, reads, asked) = (Asking::begin(database), ask.reads, None);
    let mut turn =
        Turn { ask, reads, database, asking: &asking, cancel, asked, line: None, keeper: None, observe, notices };
    if ask.reads == Reads::Snapshot {
        turn.prepare(&tell, &news)?;
    }
    let waiting = turn.stand_in_line(lock, tell.clone());
    let taken = turn.until_taken(&tell, &news);
    // It ends by itself: it has been granted, or has given up.
    let _ = waiting.join();
    if taken.is_ok() {
        asking.succeed();
    }
    taken
}

/// One database's turn.
struct Turn<'a> {
    ask: &'a Ask,
    /// What is left of the wish for a snapshot.
    reads: Reads,
    database: &'a Path,
    asking: &'a Asking<'a>,
    /// Of this wait alone: where waiting cannot help, or is not wanted.
    cancel: CancelFlag,
    /// The broker was told.
    asked: Option<Asked>,
    line: Option<WaitState>,
    /// Who uses the file, as its broker says.
    keeper: Option<Holder>,
    observe: &'a mut dyn FnMut(&LeaseProgress),
    notices: &'a mut Vec<String>,
}

impl Turn<'_> {
    /// Has the broker make what readers get meanwhile, while the file is still its own. One that cannot, or that does not
    /// answer, is not waited for: whether the file is to be had, the lock says. Half of the patience is kept for that.
    fn prepare(&mut self, tell: &Sender<News>, news: &Receiver<News>) -> Result<(), ClientError> {
        let (began, patience) = (Instant::now(), self.ask.patience_with_a_broker().map(|left| left / 2));
        let wish = Wish { reads: self.reads, in_line: false, patience };
        self.asked = broker::ask(self.ask, self.database, &wish, tell);
        if self.asked.is_none() {
            self.notice(broker_elsewhere(self.database));
        }
        while self.asked.is_some() {
            match news.recv_timeout(LOOK) {
                Ok(News::Broker(event)) if event.state() == LeaseState::Ready => {
                    self.notice(event.notices);
                    return Ok(());
                }
                Ok(News::Broker(event)) => self.heard(event, LeaseStage::Preparing),
                Ok(News::BrokerLeft(why)) => {
                    self.asked = None;
                    self.notice(why.map(|why| format!("reads wait: {why}")));
                }
                Ok(News::Line(_) | News::Taken(_)) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if self.ask.cancel.is_cancelled() {
                return Err(ClientError::Cancelled { database: self.database.to_owned() });
            }
            if patience.is_some_and(|patience| began.elapsed() >= patience) {
                let why = "the snapshot was not there after half of the time to wait".to_owned();
                self.notice([format!("reads wait, for there is no snapshot: {why}")]);
                (self.asked, self.reads) = (None, Reads::Wait);
            }
        }
        Ok(())
    }

    fn stand_in_line(&self, lock: Lock, tell: Sender<News>) -> thread::JoinHandle<()> {
        let mut request = Request::new(Mode::Exclusive).wait(self.ask.waits()).priority(priority(self.ask.priority));
        request = request.cancel(self.cancel.clone());
        if let Some(command) = &self.ask.command {
            request = request.command(command.clone());
        }
        thread::spawn(move || {
            let taken = lock.acquire_observed(&request, &mut |state: &WaitState| {
                // Whoever asked listens until it is taken.
                let _ = tell.send(News::Line(state.clone()));
            });
            let _ = tell.send(News::Taken(taken));
        })
    }

    fn until_taken(&mut self, tell: &Sender<News>, news: &Receiver<News>) -> Result<Guard, ClientError> {
        let mut refused = None;
        loop {
            match news.recv() {
                Ok(News::Line(state)) => {
                    self.in_line(tell);
                    self.line = Some(state);
                    self.tell(LeaseStage::Queued);
                    refused = refused.or_else(|| self.hopeless());
                }
                Ok(News::Broker(event)) => {
                    self.heard(event, LeaseStage::Draining);
                    refused = refused.or_else(|| self.hopeless());
                }
                Ok(News::BrokerLeft(_)) => {}
                Ok(News::Taken(Ok(guard))) => return Ok(guard),
                Ok(News::Taken(Err(error))) => return Err(refused.unwrap_or_else(|| self.error(error))),
                // Its thread tells of everything that ends it, but for its own fault.
                Err(_) => return Err(ClientError::Cancelled { database: self.database.to_owned() }),
            }
            if refused.is_some() {
                self.cancel.cancel();
            }
        }
    }

    /// Our ticket is in the line: from now on the broker may let go.
    fn in_line(&mut self, tell: &Sender<News>) {
        match &self.asked {
            Some(asked) => asked.in_line(),
            None => {
                let wish = Wish { reads: self.reads, in_line: true, patience: self.ask.left() };
                self.asked = broker::ask(self.ask, self.database, &wish, tell);
            }
        }
    }

    fn heard(&mut self, event: LeaseEvent, stage: LeaseStage) {
        self.keeper = event.holder.clone();
        if event.state() != LeaseState::Released {
            self.tell(stage);
        }
    }

    fn notice(&mut self, notices: impl IntoIterator<Item = String>) {
        let database = self.database.display();
        self.notices.extend(notices.into_iter().map(|notice| format!("{database}: {notice}")));
    }

    fn tell(&mut self, stage: LeaseStage) {
        let mut progress = self.ask.progress(self.database, stage, self.holder());
        progress.ahead = self.line.as_ref().map_or(0, |line| line.ahead);
        (self.observe)(&progress);
    }

    /// Who is in the way: where it is the broker, whoever keeps it from letting go.
    fn holder(&self) -> Option<Holder> {
        let ticket = self.line.as_ref().and_then(|line| line.holder.as_ref());
        let Some(ticket) = ticket else { return self.keeper.clone() };
        let holder = lease_holder(ticket, self.database);
        match holder.kind() {
            HolderKind::Broker if !holder.stopped => self.keeper.clone().or(Some(holder)),
            _ => Some(holder),
        }
    }

    /// Waiting cannot help, or is not wanted.
    fn hopeless(&self) -> Option<ClientError> {
        let ticket = self.line.as_ref().and_then(|line| line.holder.as_ref());
        let holder = self.holder()?;
        // What became of this process by `exec` is inside, whether or not it still has the variable.
        let became_us = |ticket: &TicketInfo| ticket.same_namespace && process::own().id == ticket.process;
        let is_around = |ticket: &TicketInfo| {
            ticket.is_around(std::process::id(), LEASE_VARIABLE) || (became_us(ticket) && self.asking.is_first())
        };
        if ticket.is_some_and(is_around) {
            let (database, holder) = (self.database.to_owned(), Box::new(holder));
            return Some(ClientError::InsideHolder { database, holder });
        }
        if !self.ask.never_waits() {
            return None;
        }
        // A broker that nobody uses lets go at once.
        (holder.kind() != HolderKind::Broker || holder.stopped).then(|| {
            let ahead = self.line.as_ref().map_or(0, |line| line.ahead);
            self.ask.locked(self.database, Some(holder), ahead)
        })
    }

    fn error(&self, error: LockError) -> ClientError {
        match error {
            LockError::TimedOut { holder: ticket, ahead, .. } => {
                let asleep = self.holder();
                let last = ticket.map(|ticket| lease_holder(&ticket, self.database));
                // The last look at the line is the better one, but where a broker is in the way it does not say for whom.
                let broker = last.as_ref().is_some_and(|last| last.kind() == HolderKind::Broker && !last.stopped);
                self.ask.locked(self.database, if broker { asleep.or(last) } else { last.or(asleep) }, ahead)
            }
            other => lock_error(&other, self.database),
        }
    }
}

/// Why a broker that there is was not asked.
fn broker_elsewhere(database: &Path) -> Option<String> {
    let owner = Lock::peek(&sidecar_path(database), LockName::Owner).ok().flatten()?;
    let pid = owner.holders.first()?.process.pid;
    Some(format!(
        "reads wait: the broker (pid {pid}) is not to be found from here, for it has another runtime directory"
    ))
}

/// Whoever has the file lock: the database's broker, or a lease.
pub(super) fn lease_holder(ticket: &TicketInfo, database: &Path) -> Holder {
    let mut holder = lock_holder(ticket);
    if ticket.same_namespace {
        let owner = Lock::peek(&sidecar_path(database), LockName::Owner).ok().flatten();
        holder.set_kind(if is_owner(owner.as_ref(), ticket) { HolderKind::Broker } else { HolderKind::Lease });
    }
    if holder.kind() != HolderKind::Broker {
        "lease".clone_into(&mut holder.part);
    }
    holder
}

fn is_owner(owner: Option<&Snapshot>, ticket: &TicketInfo) -> bool {
    owner.is_some_and(|owner| owner.holders.iter().any(|other| other.process == ticket.process))
}

pub(super) fn lock_error(error: &LockError, database: &Path) -> ClientError {
    if matches!(error, LockError::Cancelled { .. }) {
        return ClientError::Cancelled { database: database.to_owned() };
    }
    ClientError::Lock {
        database: database.to_owned(),
        code: crate::error::lock_code(error),
        message: error.to_string(),
        suggestion: error.suggestion(),
    }
}

fn priority(priority: Priority) -> dbmux_lock::Priority {
    match priority {
        Priority::High => dbmux_lock::Priority::High,
        Priority::Normal => dbmux_lock::Priority::Normal,
        Priority::Low => dbmux_lock::Priority::Low,
    }
}
