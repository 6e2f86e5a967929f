//! The lock: asking, waiting, and giving back.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use std::sync::{Mutex, MutexGuard, PoisonError};

use dbmux_os::{
    fs_kind,
    process::{self, ProcessId},
    range_lock::Outcome,
};

use crate::{
    FenceToken, Guard, LockError, Mode, Request, Snapshot, TicketInfo,
    book::Book,
    failpoint,
    grant::{State, Ticket, blocker},
    ground::Ground,
    table::{ENTRIES, Entry},
};

/// How long the gate may be held before it is said that somebody is stuck in it. It is held for microseconds.
const GATE_PATIENCE: Duration = Duration::from_secs(10);
/// How long a look waits for the gate before it looks without.
const LOOK_PATIENCE: Duration = Duration::from_millis(200);
/// Descriptors that are kept for the next acquisition.
const POOL: usize = 8;

/// Which of the locks in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LockName {
    /// Who is the broker of the database.
    Owner = 0,
    /// Who may open the database file now.
    File = 1,
    /// A lock for any purpose.
    Plain = 2,
}

/// What a named lock covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// A project, by its directory.
    Project(PathBuf),
    /// This user, on this machine.
    Global,
}

/// Where a database's locks are: `<path>.dbmux`.
pub fn sidecar_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".dbmux");
    PathBuf::from(name)
}

/// A lock between processes. Cheap to clone; threads may share it.
#[derive(Debug, Clone)]
pub struct Lock {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) path: PathBuf,
    name: LockName,
    pool: Mutex<Vec<Ground>>,
    this_process: Mutex<Option<ThisProcess>>,
}

/// What an entry says of this process; asked for at every acquisition, and anew in a forked child.
#[derive(Debug, Clone)]
struct ThisProcess {
    id: ProcessId,
    command: String,
    namespace: u64,
}

/// What a waiter is told each time it goes to sleep.
#[derive(Debug, Clone)]
pub struct WaitState {
    /// Tickets that go first.
    pub ahead: usize,
    /// Who has the lock.
    pub holder: Option<TicketInfo>,
    /// How long it has been waiting.
    pub waited: Duration,
}

impl Lock {
    /// Opens a lock in a file, and makes the file where it is missing.
    ///
    /// # Errors
    /// [`LockError::NetworkFileSystem`] before anything is locked; [`LockError::Open`].
    pub fn open(path: &Path, name: LockName) -> Result<Self, LockError> {
        refuse_network(path)?;
        let inner = Inner { path: path.to_owned(), name, pool: Mutex::default(), this_process: Mutex::default() };
        let ground = Ground::open(path, name as u8, true)?;
        inner.keep(ground);
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Opens a lock of a database, in its sidecar, which takes the database's mode and group.
    ///
    /// # Errors
    /// As [`Lock::open`].
    pub fn open_for_database(database: &Path, name: LockName) -> Result<Self, LockError> {
        let sidecar = sidecar_path(database);
        let lock = Self::open(&sidecar, name)?;
        take_mode(&sidecar, database);
        Ok(lock)
    }

    /// Opens a lock by its name.
    ///
    /// # Errors
    /// [`LockError::Name`] for a name that cannot be a file's; else as [`Lock::open`].
    pub fn named(name: &str, scope: &Scope) -> Result<Self, LockError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
            return Err(LockError::Name { name: name.to_owned() });
        }
        let directory = match scope {
            Scope::Project(root) => root.join(".dbmux"),
            Scope::Global => dbmux_os::runtime::runtime_dir()?.join("locks"),
        };
        let made = std::fs::create_dir_all(&directory);
        made.map_err(|source| LockError::Open { path: directory.clone(), source })?;
        Self::open(&directory.join(format!("{name}.lock")), LockName::Plain)
    }

    /// Where the lock is.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Takes the lock, waiting as the request says.
    ///
    /// # Errors
    /// [`LockError::TimedOut`] with whoever has it.
    pub fn acquire(&self, request: &Request) -> Result<Guard, LockError> {
        self.acquire_observed(request, &mut |_| {})
    }

    /// The same, and tells the observer each time it goes to sleep.
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    pub fn acquire_observed(
        &self,
        request: &Request,
        observer: &mut dyn FnMut(&WaitState),
    ) -> Result<Guard, LockError> {
        let began = Instant::now();
        let deadline = request.wait.deadline(began);
        let (ground, mut book) = self.inner.enter_present(deadline)?;
        let mut attempt = Attempt { inner: &self.inner, ground: Some(ground), ticket: None, began };
        let ticket = attempt.ask(&mut book, request)?;
        tracing::debug!(path = %self.inner.path.display(), ticket = ticket.number, mode = ?request.mode, "asked for a lock");
        let mut waited = false;
        loop {
            let Some(first) = attempt.first_in_the_way(&mut book, &ticket)? else {
                return attempt.grant(book, &ticket, waited);
            };
            waited = true;
            if let Some(ended) = attempt.sleep(book, &ticket, first, request, deadline, observer)? {
                return Err(ended);
            }
            book = attempt.enter_again()?;
        }
    }

    /// What is to be seen of it.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot, LockError> {
        let ground = self.inner.ground()?;
        let snapshot = look(&ground, &self.inner.path)?;
        self.inner.keep(ground);
        Ok(snapshot.unwrap_or_else(Snapshot::empty))
    }

    /// What is to be seen of a lock that may not exist. Makes no file.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub fn peek(path: &Path, name: LockName) -> Result<Option<Snapshot>, LockError> {
        match Ground::open(path, name as u8, false) {
            Ok(ground) => look(&ground, path),
            Err(LockError::Open { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How many wait. Cheap while nobody does: one read.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub fn waiting(&self) -> Result<usize, LockError> {
        let ground = self.inner.ground()?;
        let book = Book::read(&ground, &self.inner.path)?;
        let mut count = 0;
        for entry in book.iter().flat_map(Book::entries) {
            count += usize::from(entry.ticket.state == State::Waiting && !ground.is_dead(entry.ticket.number)?);
        }
        self.inner.keep(ground);
        Ok(count)
    }
}

fn refuse_network(path: &Path) -> Result<(), LockError> {
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    match fs_kind::network_fs(directory)? {
        Some(file_system) => Err(LockError::NetworkFileSystem { path: path.to_owned(), file_system }),
        None => Ok(()),
    }
}

/// Whoever may use the database may use its locks. Only the sidecar's owner can see to that.
fn take_mode(sidecar: &Path, database: &Path) {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let (Ok(file), Ok(beside)) = (std::fs::metadata(database), std::fs::metadata(sidecar)) else { return };
    if file.gid() != beside.gid() {
        // Refused unless we own the sidecar and are in the group: then its owner has seen to it, or will.
        let _ = chown(sidecar, None, Some(file.gid()));
    }
    // A database that is only read is locked all the same: the sidecar stays writable for its owner.
    let mode = (file.mode() & 0o666) | 0o600;
    if mode != beside.mode() & 0o777 {
        let _ = std::fs::set_permissions(sidecar, std::fs::Permissions::from_mode(mode));
    }
}

fn look(ground: &Ground, path: &Path) -> Result<Option<Snapshot>, LockError> {
    let entered = ground.look_through_gate(Instant::now() + LOOK_PATIENCE)? == Outcome::Locked;
    let book = Book::read(ground, path);
    if entered {
        ground.leave_gate()?;
    }
    Ok(book?.map(|book| Snapshot::of(&book, |ticket| ground.is_dead(ticket).unwrap_or(false))))
}

impl Inner {
    fn pool(&self) -> MutexGuard<'_, Vec<Ground>> {
        // Nothing panics while it is held; were it so, the descriptors would still be whole.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ground(&self) -> Result<Ground, LockError> {
        let kept = self.pool().pop().filter(Ground::is_ours);
        kept.map_or_else(|| Ground::open(&self.path, self.name as u8, true), Ok)
    }

    pub(crate) fn keep(&self, ground: Ground) {
        let mut pool = self.pool();
        if pool.len() < POOL && ground.is_ours() {
            pool.push(ground);
        }
    }

    /// Enters the gate of the file that the path names now: somebody may have replaced it.
    fn enter_present(&self, deadline: Option<Instant>) -> Result<(Ground, Book), LockError> {
        loop {
            let ground = self.ground()?;
            enter(&ground, &self.path, deadline)?;
            failpoint::reached("gate entered");
            if names(&self.path, &ground)? {
                let book = Book::open(&ground, &self.path)?;
                return Ok((ground, book));
            }
            drop(ground);
            self.pool().clear();
        }
    }

    fn this_process(&self) -> ThisProcess {
        let mut known = self.this_process.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(this) = known.as_ref().filter(|this| this.id.pid == std::process::id()) {
            return this.clone();
        }
        let namespace = process::pid_namespace();
        let found = process::current().map(|this| ThisProcess { id: this.id, command: this.command, namespace });
        let nameless = || ProcessId { pid: std::process::id(), start_time: 0 };
        let found = found.unwrap_or_else(|_| ThisProcess { id: nameless(), command: String::new(), namespace });
        *known = Some(found.clone());
        found
    }
}

/// Waits for the gate; a process that is stopped in it is told after a while, and never robbed.
fn enter(ground: &Ground, path: &Path, deadline: Option<Instant>) -> Result<(), LockError> {
    let patience = Instant::now() + GATE_PATIENCE;
    let until = deadline.map_or(patience, |deadline| deadline.max(Instant::now() + LOOK_PATIENCE).min(patience));
    match ground.enter_gate(Some(until))? {
        Outcome::Locked => Ok(()),
        Outcome::TimedOut | Outcome::Cancelled => Err(LockError::GateHeld { path: path.to_owned() }),
    }
}

/// Whether the path still names the file of this ground.
pub(crate) fn names(path: &Path, ground: &Ground) -> Result<bool, LockError> {
    use std::os::unix::fs::MetadataExt;
    let failed = |source| LockError::Table { operation: "look at", path: path.to_owned(), source };
    match std::fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == ground.identity()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(failed(source)),
    }
}

/// An acquisition on its way. Whatever ends it early gives its ticket back.
struct Attempt<'a> {
    inner: &'a Arc<Inner>,
    ground: Option<Ground>,
    ticket: Option<u64>,
    began: Instant,
}

impl Attempt<'_> {
    fn ground(&self) -> Result<&Ground, LockError> {
        // It is taken only by the grant and by the drop, which end the attempt.
        self.ground.as_ref().ok_or(LockError::Cancelled { path: self.inner.path.clone() })
    }

    /// Takes a ticket: its byte, then its number in the table, then its entry.
    fn ask(&mut self, book: &mut Book, request: &Request) -> Result<Ticket, LockError> {
        let path = &self.inner.path;
        let ground = self.ground()?;
        if book.free_slot().is_none() {
            let all = book.tickets();
            book.reap(ground, path, &all)?;
        }
        let slot = book.free_slot().ok_or(LockError::Full { path: path.clone(), limit: ENTRIES })?;
        let mut number = book.header.next_ticket + 1;
        // A number whose byte is locked was taken by somebody who died before it was published, and whose forked child
        // lives on; it is passed over.
        while !ground.take(number)? {
            number += 1;
        }
        failpoint::reached("byte taken");
        book.header.next_ticket = number;
        let ticket = Ticket::waiting(number, request.mode, request.priority);
        let this = self.inner.this_process();
        let entry = Entry {
            ticket,
            priority: request.priority,
            process: request.behalf.unwrap_or(this.id),
            namespace: this.namespace,
            since: SystemTime::now(),
            command: request.command.clone().unwrap_or(this.command),
        };
        let first = blocker(&book.tickets(), &ticket).is_none();
        if first {
            // The grant writes the entry, once.
            let ticket = Ticket { state: State::Granted, ..ticket };
            book.put_quietly(slot, Entry { ticket, ..entry });
        } else {
            book.put(ground, path, slot, entry)?;
        }
        self.ticket = Some(number);
        Ok(ticket)
    }

    /// The one to sleep on, after the dead have been cleared away.
    fn first_in_the_way(&self, book: &mut Book, ticket: &Ticket) -> Result<Option<Ticket>, LockError> {
        let ground = self.ground()?;
        loop {
            let tickets = book.tickets();
            let Some(first) = blocker(&tickets, ticket) else { return Ok(None) };
            let suspects: Vec<_> = tickets.into_iter().filter(|other| other.blocks(ticket)).collect();
            if !book.reap(ground, &self.inner.path, &suspects)? {
                return Ok(Some(first));
            }
        }
    }

    fn grant(mut self, mut book: Book, ticket: &Ticket, waited: bool) -> Result<Guard, LockError> {
        let path = self.inner.path.clone();
        let ground = self.ground()?;
        let (slot, entry) = book.find(ticket.number).ok_or(LockError::Replaced { path: path.clone() })?;
        let ticket = Ticket { state: State::Granted, ..*ticket };
        let entry = Entry { ticket, since: SystemTime::now(), ..entry.clone() };
        // It stays in the table until our entry is there: were we killed between the two writes, the next one must be told.
        let died = book.header.died;
        if ticket.mode == Mode::Exclusive {
            book.header.fence += 1;
        }
        let waited = waited.then(|| self.began.elapsed());
        book.header.statistics.granted(waited);
        book.put(ground, &path, slot, entry)?;
        // Readers are told and leave it: only a writer can put right what was left half done.
        if ticket.mode == Mode::Exclusive && book.header.died.take().is_some() {
            book.write_header(ground, &path)?;
        }
        failpoint::reached("granted");
        let fence = FenceToken::of(&book.header);
        ground.leave_gate()?;
        failpoint::reached("gate left with the lock");
        tracing::debug!(path = %path.display(), ticket = ticket.number, ?waited, %fence, "granted");
        self.ticket = None;
        let ground = self.ground.take().ok_or(LockError::Cancelled { path })?;
        Ok(Guard::new(Arc::clone(self.inner), ground, slot, ticket, fence, died))
    }

    /// Sleeps until the one in the way has left. Answers with the error that ends the attempt.
    fn sleep(
        &mut self,
        book: Book,
        ticket: &Ticket,
        first: Ticket,
        request: &Request,
        deadline: Option<Instant>,
        observer: &mut dyn FnMut(&WaitState),
    ) -> Result<Option<LockError>, LockError> {
        let state = self.state(&book, ticket);
        let ground = self.ground()?;
        ground.leave_gate()?;
        failpoint::reached("gate left to sleep");
        observer(&state);
        let outcome = match request.wait {
            crate::Wait::Never => Outcome::TimedOut,
            _ => ground.sleep_on(first.number, deadline, request.cancel.as_ref())?,
        };
        failpoint::reached("sleep ended");
        if outcome == Outcome::Locked {
            return Ok(None);
        }
        let book = self.enter_again()?;
        let state = self.state(&book, ticket);
        self.give_up(book)?;
        Ok(Some(match outcome {
            Outcome::Cancelled => LockError::Cancelled { path: self.inner.path.clone() },
            _ => LockError::TimedOut {
                path: self.inner.path.clone(),
                holder: state.holder.map(Box::new),
                ahead: state.ahead,
                waited: self.began.elapsed(),
            },
        }))
    }

    fn state(&self, book: &Book, ticket: &Ticket) -> WaitState {
        let blocking = |entry: &&Entry| entry.ticket.blocks(ticket);
        let holder = book.entries().filter(blocking).find(|entry| entry.ticket.state == State::Granted);
        WaitState {
            ahead: book.entries().filter(blocking).count(),
            holder: holder.map(TicketInfo::of),
            waited: self.began.elapsed(),
        }
    }

    fn enter_again(&self) -> Result<Book, LockError> {
        let ground = self.ground()?;
        enter(ground, &self.inner.path, None)?;
        failpoint::reached("gate entered again");
        if !names(&self.inner.path, ground)? {
            return Err(LockError::Replaced { path: self.inner.path.clone() });
        }
        Book::open(ground, &self.inner.path)
    }

    /// Leaves the table, from inside the gate.
    fn give_up(&mut self, mut book: Book) -> Result<(), LockError> {
        let Some(number) = self.ticket.take() else { return Ok(()) };
        let waited = self.began.elapsed();
        book.header.statistics.failed(waited);
        let ground = self.ground()?;
        if let Some((slot, _)) = book.find(number) {
            book.clear(ground, &self.inner.path, slot)?;
        }
        ground.give_up(number)?;
        failpoint::reached("gave up");
        tracing::debug!(path = %self.inner.path.display(), ticket = number, ?waited, "gave up");
        if let Some(ground) = self.ground.take() {
            self.inner.keep(ground);
        }
        Ok(())
    }
}

// An attempt that ends by an error closes its open file, and so gives back its gate and its byte: its entry is dead then,
// and whoever comes next clears it away.
