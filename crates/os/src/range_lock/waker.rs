//! Wakes threads that sleep in a lock call, when their time is over or somebody cancels.

use std::{
    collections::HashMap,
    os::fd::OwnedFd,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicPtr, Ordering},
    },
    time::{Duration, Instant},
};

use super::Outcome;
use crate::{OsError, fork};

/// How often a sleeper that has not answered is signalled again.
const AGAIN: Duration = Duration::from_millis(1);

/// Cancels waits, from any thread and for good.
#[derive(Debug, Clone, Default)]
pub struct CancelFlag {
    cancelled: Arc<AtomicBool>,
    /// Descriptors of those that sleep in `poll`; who no longer sleeps has dropped its own.
    bells: Arc<Mutex<Vec<Weak<OwnedFd>>>>,
    /// Set, it sets this one.
    above: Option<Arc<CancelFlag>>,
}

impl CancelFlag {
    /// A flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// A flag that is set with this one, and can be set alone.
    #[must_use]
    pub fn below(&self) -> Self {
        Self { above: Some(Arc::new(self.clone())), ..Self::default() }
    }

    /// Ends the waits that know this flag, those of now and those to come.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        if let Some(waker) = Waker::of_this_process() {
            let _sleepers = waker.sleepers();
            waker.changed.notify_all();
        }
        for bell in self.bells().iter().filter_map(Weak::upgrade) {
            // It counts to 2^64 - 2: one more always fits.
            let _ = rustix::io::write(&*bell, &1_u64.to_ne_bytes());
        }
    }

    /// A descriptor that can be read from as soon as the flag is set: to sleep on it and others in `poll`.
    ///
    /// # Errors
    /// When no descriptor is left.
    #[cfg(target_os = "linux")]
    pub(crate) fn bell(&self) -> Result<Arc<OwnedFd>, OsError> {
        use rustix::event::{EventfdFlags, eventfd};
        let made = eventfd(u32::from(self.is_cancelled()), EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let bell = Arc::new(made.map_err(|error| OsError::call("make an event descriptor", error))?);
        self.hang(&bell);
        Ok(bell)
    }

    /// It rings when this flag is set, or one above it.
    #[cfg(target_os = "linux")]
    fn hang(&self, bell: &Arc<OwnedFd>) {
        let mut bells = self.bells();
        bells.retain(|bell| bell.strong_count() > 0);
        bells.push(Arc::downgrade(bell));
        drop(bells);
        if let Some(above) = &self.above {
            above.hang(bell);
        }
    }

    fn bells(&self) -> MutexGuard<'_, Vec<Weak<OwnedFd>>> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is set.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire) || self.above.as_ref().is_some_and(|above| above.is_cancelled())
    }
}

/// A thread that sleeps in a lock call.
struct Sleeper {
    thread: i32,
    deadline: Option<Instant>,
    cancel: Option<CancelFlag>,
}

impl Sleeper {
    fn rang(&self) -> Option<Outcome> {
        if self.cancel.as_ref().is_some_and(CancelFlag::is_cancelled) {
            return Some(Outcome::Cancelled);
        }
        self.deadline.is_some_and(|deadline| deadline <= Instant::now()).then_some(Outcome::TimedOut)
    }
}

#[derive(Default)]
struct Sleepers {
    next: u64,
    all: HashMap<u64, Sleeper>,
    /// Another thread of this process was faster: nobody will ever be in this table.
    over: bool,
}

/// A process's table of sleepers, and the thread that wakes them.
struct Waker {
    process: u32,
    sleepers: Mutex<Sleepers>,
    changed: Condvar,
}

/// Null, or a waker that is never freed: of this process, or of the one that forked it. A child leaves its parent's alone,
/// for a thread that is not in the child may have held its mutex, and makes its own.
static WAKER: AtomicPtr<Waker> = AtomicPtr::new(std::ptr::null_mut());

impl Waker {
    fn of_this_process() -> Option<&'static Self> {
        // SAFETY: null, or a leaked box: see `start`.
        let known = unsafe { WAKER.load(Ordering::Acquire).as_ref() };
        known.filter(|waker| waker.process == fork::own_pid())
    }

    /// This process's waker, which is started where there is none.
    fn start() -> Result<&'static Self, OsError> {
        if let Some(waker) = Self::of_this_process() {
            return Ok(waker);
        }
        let before = WAKER.load(Ordering::Acquire);
        let waker = Self { process: fork::own_pid(), sleepers: Mutex::default(), changed: Condvar::new() };
        // Never freed: its thread, and whoever sleeps, refer to it.
        let waker: &'static Self = Box::leak(Box::new(waker));
        install_handler();
        // It runs before anybody can find it: nobody relies on a thread that could not be started.
        let thread = std::thread::Builder::new().name("dbmux-lock-waker".to_owned()).spawn(|| waker.run());
        thread.map_err(|error| OsError::call("start a thread", error))?;
        let place: *mut Self = std::ptr::from_ref(waker).cast_mut();
        match WAKER.compare_exchange(before, place, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(waker),
            Err(_faster) => {
                waker.sleepers().over = true;
                waker.changed.notify_all();
                Self::start()
            }
        }
    }

    fn sleepers(&self) -> MutexGuard<'_, Sleepers> {
        // Nothing panics while it is held; were it so, the table would still be whole.
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Signals whoever is due, under the lock: nobody leaves the table, and so nobody's thread ends, meanwhile.
    fn run(&self) {
        let mut sleepers = self.sleepers();
        while !sleepers.over {
            let mut due = false;
            let mut next: Option<Instant> = None;
            for sleeper in sleepers.all.values() {
                if sleeper.rang().is_some() {
                    due = true;
                    signal(sleeper.thread);
                } else if let Some(deadline) = sleeper.deadline {
                    next = Some(next.map_or(deadline, |next| next.min(deadline)));
                }
            }
            let pause = match (due, next) {
                (true, _) => Some(AGAIN),
                (false, Some(next)) => Some(next.saturating_duration_since(Instant::now())),
                (false, None) => None,
            };
            sleepers = match pause {
                Some(pause) => self.changed.wait_timeout(sleepers, pause).unwrap_or_else(PoisonError::into_inner).0,
                None => self.changed.wait(sleepers).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

/// An entry for the calling thread; gone when it is dropped.
pub(super) struct Alarm {
    number: u64,
    deadline: Option<Instant>,
    cancel: Option<CancelFlag>,
    /// The thread's signal mask as it was.
    mask: libc::sigset_t,
}

/// Lets our signal through on the calling thread, whatever its program blocks; returns the mask as it was.
fn let_through() -> libc::sigset_t {
    // SAFETY: both sets are whole and outlive the calls; only the calling thread's mask changes.
    unsafe {
        let mut ours: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut ours);
        libc::sigaddset(&raw mut ours, number());
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const ours, &raw mut before);
        before
    }
}

impl Alarm {
    pub(super) fn set(deadline: Option<Instant>, cancel: Option<&CancelFlag>) -> Result<Self, OsError> {
        let waker = Waker::start()?;
        let mut sleepers = waker.sleepers();
        sleepers.next += 1;
        let number = sleepers.next;
        let sleeper = Sleeper { thread: own_thread(), deadline, cancel: cancel.cloned() };
        sleepers.all.insert(number, sleeper);
        waker.changed.notify_all();
        // After the handler is there: without one the signal would end the program.
        let mask = let_through();
        Ok(Self { number, deadline, cancel: cancel.cloned(), mask })
    }

    pub(super) fn rang(&self) -> Option<Outcome> {
        Sleeper { thread: 0, deadline: self.deadline, cancel: self.cancel.clone() }.rang()
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(waker) = Waker::of_this_process() {
            waker.sleepers().all.remove(&self.number);
        }
        // SAFETY: the mask is the one that this thread had; an `Alarm` does not leave its thread.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.mask, std::ptr::null_mut());
        }
    }
}

#[cfg(target_os = "linux")]
fn number() -> libc::c_int {
    // The first real-time signals belong to the C library; debuggers and profilers take the next ones.
    libc::SIGRTMIN() + 11
}

#[cfg(not(target_os = "linux"))]
fn number() -> libc::c_int {
    libc::SIGURG
}

fn install_handler() {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: the action is whole, its handler does nothing and is therefore safe at any moment, and without SA_RESTART a
    // sleeping lock call answers EINTR, which is all that is wanted.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(number(), &raw const action, std::ptr::null_mut());
    }
}

#[cfg(target_os = "linux")]
fn own_thread() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

#[cfg(target_os = "linux")]
fn signal(thread: i32) {
    // SAFETY: plain integers; the thread is one of this process, and lives while its entry does.
    unsafe {
        libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, number());
    }
}

#[cfg(not(target_os = "linux"))]
fn own_thread() -> i32 {
    0
}

/// Signals the whole process: whichever thread takes it, the sleeper is signalled again until it has answered.
#[cfg(not(target_os = "linux"))]
fn signal(_thread: i32) {
    // SAFETY: plain integers.
    unsafe {
        libc::kill(libc::getpid(), number());
    }
}
