//! One acquisition, from the ticket to the grant.
//!
//! Whatever ends it early gives its ticket back; a waiter that gives up leaves the table, and asks for shared locks of
//! *others'* tickets only, so that it cannot be given the lock afterwards.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use dbmux_os::{process, range_lock::Outcome};

use crate::{
    FenceToken, Guard, LockError, Mode, Request, TicketInfo, Wait,
    book::Book,
    failpoint,
    grant::{State, Ticket, blocker},
    ground::Ground,
    pool::Pool,
    table::{ENTRIES, Entry},
};

/// What a waiter is told each time it goes to sleep.
#[derive(Debug, Clone)]
pub struct WaitState {
    /// Others that wait and go first; who has the lock is not one of them.
    pub ahead: usize,
    /// Who has the lock.
    pub holder: Option<TicketInfo>,
    /// How long it has been waiting.
    pub waited: Duration,
}

/// Who wants to be told.
pub(crate) type Observer<'a> = Option<&'a mut dyn FnMut(&WaitState)>;

/// Those that go first, as the table says; read inside the gate, shown outside.
struct Ahead {
    /// Those that wait.
    count: usize,
    /// Who has the lock.
    holder: Option<Entry>,
}

/// An acquisition on its way.
pub(crate) struct Attempt<'a> {
    pool: &'a Arc<Pool>,
    request: &'a Request,
    began: Instant,
    deadline: Option<Instant>,
    /// `None`: it has ended.
    ground: Option<Ground>,
    /// Its place in the table, once it has one.
    slot: Option<usize>,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(pool: &'a Arc<Pool>, ground: Ground, request: &'a Request, began: Instant) -> Self {
        let deadline = request.wait.deadline(began);
        Self { pool, request, began, deadline, ground: Some(ground), slot: None }
    }

    /// From inside the gate to the grant.
    pub(crate) fn run(mut self, mut book: Book, mut observer: Observer<'_>) -> Result<Guard, LockError> {
        let ticket = self.ask(&mut book)?;
        let mut waited = false;
        loop {
            let Some(first) = self.first_in_the_way(&mut book, &ticket)? else {
                return self.grant(book, &ticket, waited);
            };
            waited = true;
            book = self.sleep(book, &ticket, first, &mut observer)?;
        }
    }

    fn ground(&self) -> Result<&Ground, LockError> {
        // It is taken only by what ends the attempt.
        self.ground.as_ref().ok_or_else(|| LockError::Cancelled { path: self.pool.path.clone() })
    }

    /// Takes a ticket: its byte, then its number in the table, then its entry.
    fn ask(&mut self, book: &mut Book) -> Result<Ticket, LockError> {
        let (path, request) = (&self.pool.path, self.request);
        let ground = self.ground()?;
        if book.free_slot().is_none() {
            let all = book.tickets();
            book.reap(ground, path, &all)?;
        }
        let slot = book.free_slot().ok_or_else(|| LockError::Full { path: path.clone(), limit: ENTRIES })?;
        let mut number = book.header.next_ticket + 1;
        // A number whose byte is locked was taken by somebody who died before it was published, and whose forked child
        // lives on; it is passed over.
        while !ground.take(number)? {
            number += 1;
        }
        failpoint::reached("byte taken");
        book.header.next_ticket = number;
        let ticket = Ticket::waiting(number, request.mode, request.priority);
        let this = process::own();
        let entry = Entry {
            ticket,
            priority: request.priority,
            process: request.behalf.unwrap_or(this.id),
            namespace: this.namespace,
            since: SystemTime::now(),
            command: request.command.clone().unwrap_or_else(|| this.command.clone()),
        };
        tracing::debug!(path = %path.display(), ticket = number, mode = ?request.mode, "asked for a lock");
        if blocker(&book.tickets(), &ticket).is_none() {
            // The grant writes the entry, once.
            book.put_quietly(slot, entry);
        } else {
            book.put(ground, path, slot, &entry)?;
        }
        self.slot = Some(slot);
        Ok(ticket)
    }

    /// The one to sleep on, after the dead have been cleared away.
    fn first_in_the_way(&self, book: &mut Book, ticket: &Ticket) -> Result<Option<Ticket>, LockError> {
        let ground = self.ground()?;
        loop {
            let tickets = book.tickets();
            let Some(first) = blocker(&tickets, ticket) else { return Ok(None) };
            let suspects: Vec<_> = tickets.into_iter().filter(|other| other.blocks(ticket)).collect();
            if !book.reap(ground, &self.pool.path, &suspects)? {
                return Ok(Some(first));
            }
        }
    }

    fn grant(mut self, mut book: Book, ticket: &Ticket, waited: bool) -> Result<Guard, LockError> {
        let path = &self.pool.path;
        let ground = self.ground()?;
        let entry = book.take(ticket.number).ok_or_else(|| LockError::Emptied { path: path.clone() })?;
        let (slot, entry) = entry;
        let now = SystemTime::now();
        let ticket = Ticket { state: State::Granted, ..*ticket };
        // It stays in the table until our entry is there: were we killed between the two writes, the next one must be told.
        let died = book.header.died;
        if ticket.mode == Mode::Exclusive {
            book.header.fence += 1;
        }
        let waited = waited.then(|| self.began.elapsed());
        book.header.statistics.granted(waited, now);
        let entry = Entry { ticket, since: now, ..entry };
        book.put(ground, path, slot, &entry)?;
        // Readers are told and leave it: only a writer can put right what was left half done.
        if ticket.mode == Mode::Exclusive && book.header.died.take().is_some() {
            book.write_header(ground, path)?;
        }
        failpoint::reached("granted");
        let fence = FenceToken::of(&book.header);
        ground.leave_gate(Some(ticket.number))?;
        failpoint::reached("gate left with the lock");
        tracing::debug!(path = %path.display(), ticket = ticket.number, ?waited, %fence, "granted");
        self.slot = None;
        let ground = self.ground.take().ok_or_else(|| LockError::Cancelled { path: path.clone() })?;
        Ok(Guard::new(Arc::clone(self.pool), ground, slot, entry, fence, died))
    }

    /// Sleeps until the one in the way has left, and enters the gate again; an error ends the attempt.
    fn sleep(
        &mut self,
        book: Book,
        ticket: &Ticket,
        first: Ticket,
        observer: &mut Observer<'_>,
    ) -> Result<Book, LockError> {
        let ahead = Ahead::of(&book, ticket);
        if self.request.wait == Wait::Never {
            self.count_and_withdraw(book, ticket)?;
            return Err(self.ended(Outcome::TimedOut, &ahead));
        }
        let ground = self.ground()?;
        ground.leave_gate(Some(ticket.number))?;
        failpoint::reached("gate left to sleep");
        if let Some(observer) = observer {
            observer(&self.state(&ahead));
        }
        let cancel = self.request.cancel.as_ref();
        let outcome = ground.sleep_on(first.number, ticket.number, self.deadline, cancel)?;
        failpoint::reached("sleep ended");
        if outcome == Outcome::Locked {
            return self.enter_again(ticket).inspect_err(|_| self.withdraw(ticket));
        }
        let ahead = self.give_up(ticket, ahead)?;
        Err(self.ended(outcome, &ahead))
    }

    fn ended(&self, outcome: Outcome, ahead: &Ahead) -> LockError {
        let (state, path) = (self.state(ahead), self.pool.path.clone());
        match outcome {
            Outcome::Cancelled => LockError::Cancelled { path },
            _ => LockError::TimedOut {
                path,
                holder: state.holder.map(Box::new),
                ahead: state.ahead,
                waited: state.waited,
            },
        }
    }

    fn state(&self, ahead: &Ahead) -> WaitState {
        let holder = ahead.holder.as_ref().map(TicketInfo::of);
        WaitState { ahead: ahead.count, holder, waited: self.began.elapsed() }
    }

    fn enter_again(&self, ticket: &Ticket) -> Result<Book, LockError> {
        let (ground, path) = (self.ground()?, &self.pool.path);
        self.pool.enter_gate(ground, self.deadline)?;
        failpoint::reached("gate entered again");
        // Not by the path: that costs as much as all the rest when one has slept for long. Whoever moves the file away
        // without deleting it is noticed by `Guard::verify`, and by the next one to ask.
        if !ground.has_a_name()? {
            return Err(LockError::Replaced { path: path.clone() });
        }
        match Book::read(ground, path)? {
            Some(book) if book.find(ticket.number).is_some() => Ok(book),
            _ => Err(LockError::Emptied { path: path.clone() }),
        }
    }

    /// Leaves the table, and counts it where the gate can be had. Answers with those that are ahead now.
    fn give_up(&mut self, ticket: &Ticket, before: Ahead) -> Result<Ahead, LockError> {
        let Ok(book) = self.enter_again(ticket) else {
            self.withdraw(ticket);
            return Ok(before);
        };
        let now = Ahead::of(&book, ticket);
        self.count_and_withdraw(book, ticket)?;
        Ok(now)
    }

    /// From inside the gate.
    fn count_and_withdraw(&mut self, mut book: Book, ticket: &Ticket) -> Result<(), LockError> {
        let waited = self.began.elapsed();
        book.header.statistics.failed(waited);
        book.write_header(self.ground()?, &self.pool.path)?;
        self.withdraw(ticket);
        tracing::debug!(path = %self.pool.path.display(), ticket = ticket.number, ?waited, "gave up");
        Ok(())
    }

    /// Marks the entry as left, and gives everything back: that needs no gate.
    fn withdraw(&mut self, ticket: &Ticket) {
        let (Some(ground), Some(slot)) = (self.ground.take(), self.slot.take()) else { return };
        let given_back = Book::leave(&ground, &self.pool.path, slot)
            .and_then(|()| ground.give_up(ticket.number).map_err(LockError::from));
        failpoint::reached("gave up");
        match given_back {
            Ok(()) => self.pool.keep(ground),
            // Closing the file gives it back all the same; the next one clears the entry away.
            Err(error) => tracing::warn!(%error, "a ticket was given back the hard way"),
        }
    }
}

impl Ahead {
    fn of(book: &Book, ticket: &Ticket) -> Self {
        let blocking = book.entries().filter(|entry| entry.ticket.blocks(ticket));
        let (granted, waiting): (Vec<_>, Vec<_>) = blocking.partition(|entry| entry.ticket.state == State::Granted);
        Self { count: waiting.len(), holder: granted.first().map(|entry| (*entry).clone()) }
    }
}
