//! The lock's public face: opening it, asking for it, looking at it.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use dbmux_os::range_lock::Outcome;

use crate::{
    Guard, LockError, LockName, Request, Scope, Snapshot, WaitState,
    attempt::{Attempt, Observer},
    book::Book,
    grant::State,
    ground::{Ground, OpenTo},
    names,
    pool::Pool,
    sidecar,
};

/// How long a look waits for the gate before it looks without.
const LOOK_PATIENCE: Duration = Duration::from_millis(200);

/// A lock between processes. Cheap to clone; threads may share it.
#[derive(Debug, Clone)]
pub struct Lock {
    pool: Arc<Pool>,
}

impl Lock {
    /// Opens a lock in a file, and makes the file where it is missing.
    ///
    /// # Errors
    /// [`LockError::NetworkFileSystem`] before anything is locked; [`LockError::Open`].
    pub fn open(path: &Path, name: LockName) -> Result<Self, LockError> {
        sidecar::refuse_network(path)?;
        let ground = Ground::open(path, name as u8, OpenTo::Use)?;
        let pool = Pool::new(path.to_owned(), name);
        pool.keep(ground);
        Ok(Self { pool: Arc::new(pool) })
    }

    /// Opens a lock of a database, in its sidecar, which takes the database's mode and group.
    ///
    /// # Errors
    /// As [`Lock::open`].
    pub fn open_for_database(database: &Path, name: LockName) -> Result<Self, LockError> {
        let sidecar = names::sidecar_path(database);
        let lock = Self::open(&sidecar, name)?;
        sidecar::take_mode(&sidecar, database);
        Ok(lock)
    }

    /// Opens a lock by its name.
    ///
    /// # Errors
    /// [`LockError::Name`] for a name that cannot be a file's; else as [`Lock::open`].
    pub fn named(name: &str, scope: &Scope) -> Result<Self, LockError> {
        let path = names::named_path(name, scope)?;
        names::make_directory(&path, scope)?;
        Self::open(&path, LockName::Plain)
    }

    /// Where the lock is.
    pub fn path(&self) -> &Path {
        &self.pool.path
    }

    /// Takes the lock, waiting as the request says.
    ///
    /// # Errors
    /// [`LockError::TimedOut`] with whoever has it.
    pub fn acquire(&self, request: &Request) -> Result<Guard, LockError> {
        self.take(request, None)
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
        self.take(request, Some(observer))
    }

    fn take(&self, request: &Request, observer: Observer<'_>) -> Result<Guard, LockError> {
        let began = Instant::now();
        let (ground, book) = self.pool.enter(request.wait.deadline(began))?;
        Attempt::new(&self.pool, ground, request, began).run(book, observer)
    }

    /// What is to be seen of it.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot, LockError> {
        let Some(ground) = self.pool.present()? else { return Ok(Snapshot::default()) };
        let snapshot = look(&ground, &self.pool.path)?;
        self.pool.keep(ground);
        Ok(snapshot.unwrap_or_default())
    }

    /// What is to be seen of a lock that may not exist. Makes no file, and needs no right to write to it.
    ///
    /// # Errors
    /// [`LockError::NetworkFileSystem`] before anything is opened; else when the table cannot be read.
    pub fn peek(path: &Path, name: LockName) -> Result<Option<Snapshot>, LockError> {
        match sidecar::refuse_network(path) {
            Err(error) if error.is_missing() => return Ok(None),
            refused => refused?,
        }
        match Ground::open(path, name as u8, OpenTo::LookAt) {
            Ok(ground) => look(&ground, path),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How many wait. Cheap while nobody does: one read.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub fn waiting(&self) -> Result<usize, LockError> {
        let Some(ground) = self.pool.present()? else { return Ok(0) };
        let book = Book::read(&ground, &self.pool.path)?;
        let mut count = 0;
        for entry in book.iter().flat_map(Book::entries) {
            count += usize::from(entry.ticket.state == State::Waiting && !ground.is_dead(entry.ticket.number)?);
        }
        self.pool.keep(ground);
        Ok(count)
    }
}

fn look(ground: &Ground, path: &Path) -> Result<Option<Snapshot>, LockError> {
    let entered = ground.look_through_gate(Instant::now() + LOOK_PATIENCE)? == Outcome::Locked;
    let book = Book::read(ground, path);
    if entered {
        ground.leave_gate(None)?;
    }
    Ok(book?.map(|book| Snapshot::of(&book, |ticket| ground.is_dead(ticket).unwrap_or(false))))
}
