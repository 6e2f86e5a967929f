//! What dbt runs under: the project's lock, no foreign dbt beside it, and the leases of the databases that it opens.
//!
//! The lock spans parsing and execution. A dbt that was started without dbmux is looked for once the lock is ours, and once
//! more when the databases are: one that starts later meets the lease.

use std::{
    os::fd::OwnedFd,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use dbmux_client::{ClientError, Lease, LeaseProgress, LeaseRequest, Reads, lock_holder};
use dbmux_lock::{CancelFlag, Guard, Lock, LockError, Mode, Priority, Request, Snapshot, Wait, WaitState};
use dbmux_os::process::{self, ProcessId};

use crate::{
    DbtError, Project, Scope, Waiting, WaitsFor, Whom,
    find::{self, Search},
};

/// What is asked for, by whom, and for how long.
#[derive(Debug, Clone)]
pub struct Asking<'a> {
    /// The project.
    pub project: &'a Project,
    /// Whom it excludes.
    pub scope: Scope,
    /// Who goes first among those who wait.
    pub priority: Priority,
    /// Since when.
    pub began: Instant,
    /// For how long; `None`: until it is cancelled.
    pub wait: Option<Duration>,
    /// What others see.
    pub command: &'a str,
    /// Ends the wait.
    pub cancel: CancelFlag,
    /// Processes that are no foreign dbt, nor is what they have started.
    pub ours: Vec<ProcessId>,
}

/// Whoever has this may run dbt.
#[derive(Debug)]
pub struct Guarded {
    locks: Vec<Guard>,
    lease: Option<Lease>,
    blind: Option<String>,
}

impl Asking<'_> {
    fn left(&self) -> Option<Duration> {
        self.wait.map(|wait| wait.saturating_sub(self.began.elapsed()))
    }

    fn busy(&self, waiting: Waiting) -> DbtError {
        DbtError::Busy { waiting: Box::new(waiting), waited: self.began.elapsed() }
    }
}

impl Guarded {
    /// Takes the project's lock, and waits until no foreign dbt is at the project.
    ///
    /// # Errors
    /// [`DbtError::Busy`] with whoever is in the way at the deadline; [`DbtError::Cancelled`].
    pub fn enter(
        asking: &Asking<'_>,
        databases: &[PathBuf],
        observe: &mut dyn FnMut(Waiting),
    ) -> Result<Self, DbtError> {
        let mut guarded = Self { locks: Vec::new(), lease: None, blind: None };
        for lock in asking.scope.locks(&asking.project.root)? {
            if is_around(&lock)? {
                continue;
            }
            let wait = match asking.left() {
                None => Wait::Forever,
                Some(left) if left.is_zero() => Wait::Never,
                Some(left) => Wait::For(left),
            };
            let request = Request::new(Mode::Exclusive)
                .wait(wait)
                .priority(asking.priority)
                .command(asking.command)
                .cancel(asking.cancel.clone());
            let taken = lock.acquire_observed(&request, &mut |state| observe(of_lock(state)));
            guarded.locks.push(taken.map_err(|error| match error {
                LockError::TimedOut { holder, ahead, .. } => asking.busy(Waiting {
                    what: WaitsFor::Project,
                    whom: holder.as_deref().map(|ticket| Whom::from(&lock_holder(ticket))),
                    ahead: u32::try_from(ahead).unwrap_or(u32::MAX),
                }),
                LockError::Cancelled { .. } => DbtError::Cancelled,
                other => other.into(),
            })?);
        }
        guarded.blind = alone(asking, databases, observe)?;
        Ok(guarded)
    }

    /// Takes the leases of these databases, and looks for a foreign dbt once more. Nothing is asked for that is held.
    ///
    /// # Errors
    /// As [`Guarded::enter`].
    pub fn lease(
        &mut self,
        asking: &Asking<'_>,
        databases: &[PathBuf],
        reads: Reads,
        observe: &mut dyn FnMut(Waiting),
    ) -> Result<(), DbtError> {
        self.lease = lease(asking, databases, reads, observe)?;
        Ok(())
    }

    /// What people should know: why a foreign dbt may have been overlooked, why those wait who read.
    pub fn notes(&self) -> impl Iterator<Item = &str> {
        let of_lease = self.lease.as_ref().map(Lease::notices).unwrap_or_default();
        self.blind.iter().chain(of_lease).map(String::as_str)
    }

    /// The process that this command starts has the locks too, should this one be killed.
    ///
    /// # Errors
    /// When there is no descriptor left.
    pub fn share_with(&self, command: &mut Command) -> Result<(), DbtError> {
        for lock in &self.locks {
            lock.share_with(command)?;
        }
        if let Some(lease) = &self.lease {
            lease.share_with(command)?;
        }
        Ok(())
    }

    /// Others see that process as the one who has the locks.
    ///
    /// # Errors
    /// When a table cannot be written.
    pub fn show_as(&mut self, process: ProcessId) -> Result<(), DbtError> {
        for lock in &mut self.locks {
            lock.show_as(process)?;
        }
        if let Some(lease) = &mut self.lease {
            lease.show_as(process)?;
        }
        Ok(())
    }

    /// Whether others still see the locks.
    ///
    /// # Errors
    /// When they do not.
    pub fn verify(&self) -> Result<(), DbtError> {
        self.locks.iter().try_for_each(Guard::verify)?;
        Ok(self.lease.as_ref().map_or(Ok(()), Lease::verify)?)
    }

    /// The locks' descriptors, for a process that runs already: it has them for as long as it keeps these open.
    ///
    /// # Errors
    /// When there is no descriptor left.
    pub fn descriptors(&self) -> Result<Vec<OwnedFd>, DbtError> {
        let mut all = self.locks.iter().map(Guard::descriptor).collect::<Result<Vec<_>, _>>()?;
        if let Some(lease) = &self.lease {
            all.extend(lease.descriptors()?);
        }
        Ok(all)
    }
}

/// Takes the leases of these databases, and looks for a foreign dbt once more; `None`: there are no databases.
///
/// # Errors
/// As [`Guarded::enter`].
pub fn lease(
    asking: &Asking<'_>,
    databases: &[PathBuf],
    reads: Reads,
    observe: &mut dyn FnMut(Waiting),
) -> Result<Option<Lease>, DbtError> {
    if databases.is_empty() {
        return Ok(None);
    }
    let request = LeaseRequest::new(databases)?
        .reads(reads)
        .wait(asking.left())
        .priority(client_priority(asking.priority))
        .command(asking.command)
        .cancel(asking.cancel.clone());
    let lease = request.acquire(&mut |progress| observe(of_lease(progress))).map_err(|error| match error {
        ClientError::Cancelled { .. } => DbtError::Cancelled,
        other => other.into(),
    })?;
    alone(asking, databases, observe)?;
    Ok(Some(lease))
}

/// Whether whoever has this lock waits for this process: then it has the lock too, and waiting could not help.
fn is_around(lock: &Lock) -> Result<bool, DbtError> {
    let holders = lock.snapshot()?.holders;
    Ok(holders.iter().any(|ticket| ticket.same_namespace && process::runs_inside(ticket.process)))
}

/// Waits until no foreign dbt is at the project. Answers with why one may have been overlooked.
fn alone(
    asking: &Asking<'_>,
    databases: &[PathBuf],
    observe: &mut dyn FnMut(Waiting),
) -> Result<Option<String>, DbtError> {
    let search = asking.ours.iter().fold(search(asking.project, databases), |search, ours| search.without_tree(*ours));
    let mut tell = |waiting: &find::Waiting<'_>| {
        observe(Waiting {
            what: WaitsFor::ForeignDbt,
            whom: waiting.found.in_the_way().next().map(Whom::from),
            ahead: 0,
        });
    };
    match find::wait_for_dbt_completion(&search, asking.left(), Some(&asking.cancel), &mut tell) {
        Ok(found) => Ok(found.blind.map(|blind| blind.to_string())),
        Err(DbtError::StillRunning { finds, .. }) => Err(asking.busy(Waiting {
            what: WaitsFor::ForeignDbt,
            whom: finds.first().map(Whom::from),
            ahead: u32::try_from(finds.len().saturating_sub(1)).unwrap_or(u32::MAX),
        })),
        Err(error) => Err(error),
    }
}

/// Who has the project's lock, and who waits for it.
///
/// # Errors
/// When its table cannot be read.
pub fn project_lock(project: &Project) -> Result<Snapshot, DbtError> {
    let locks = Scope::Project.locks(&project.root)?;
    Ok(locks.first().map(Lock::snapshot).transpose()?.unwrap_or_default())
}

/// Where to look for dbt at this project.
pub fn search(project: &Project, databases: &[PathBuf]) -> Search {
    Search::new(&project.root).databases(databases.iter().cloned()).logs(&project.log_path)
}

fn of_lock(state: &WaitState) -> Waiting {
    Waiting {
        what: WaitsFor::Project,
        whom: state.holder.as_ref().map(|ticket| Whom::from(&lock_holder(ticket))),
        ahead: u32::try_from(state.ahead).unwrap_or(u32::MAX),
    }
}

fn of_lease(progress: &LeaseProgress) -> Waiting {
    Waiting {
        what: WaitsFor::Database(progress.database.clone()),
        whom: progress.holder.as_ref().map(Whom::from),
        ahead: u32::try_from(progress.ahead).unwrap_or(u32::MAX),
    }
}

fn client_priority(priority: Priority) -> dbmux_client::Priority {
    match priority {
        Priority::High => dbmux_client::Priority::High,
        Priority::Normal => dbmux_client::Priority::Normal,
        Priority::Low => dbmux_client::Priority::Low,
    }
}
