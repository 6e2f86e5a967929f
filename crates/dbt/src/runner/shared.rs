//! What the runner's threads share: who waits, who runs, and what they have last been told.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc::Sender},
    time::{Duration, Instant},
};

use dbmux_lock::{CancelFlag, Priority};
use dbmux_os::process;

use super::{
    protocol::{Ended, Reply, Request, Times, Trouble},
    queue::{Id, Queue},
};
use crate::{DbtCommand, DbtError, NOISE, Project, Waiting, WaitsFor, Whom};

/// As of a process that SIGINT ends.
const INTERRUPTED: u8 = 130;

/// How long getting ready may take beyond a request's own time, while it waits for nobody.
const TO_BEGIN: Duration = Duration::from_secs(60);

/// How long whoever is being told its answer is waited for beyond the idle time, before the runner leaves all the same: it
/// may be stopped.
const LAST_WORD: Duration = Duration::from_secs(5);

/// What comes to a connection's thread.
#[derive(Debug)]
pub(super) enum Message {
    /// To be passed on.
    Reply(Reply),
    /// As Ctrl-C.
    Cancel,
    /// The other end has gone.
    Gone,
}

/// A request, and the way to whoever made it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) id: Id,
    pub(super) request: Arc<Request>,
    pub(super) command: Arc<DbtCommand>,
    pub(super) arrived: Instant,
    may_merge: bool,
    replies: Sender<Message>,
}

impl Asked {
    /// Tells it. Whoever has gone need not be told.
    pub(super) fn reply(&self, reply: Reply) {
        let _ = self.replies.send(Message::Reply(reply));
    }

    /// For how long it waits for others.
    pub(super) fn wait(&self) -> Duration {
        Duration::from_millis(self.request.wait_ms)
    }

    pub(super) fn environment(&self, name: &str) -> Option<String> {
        self.request.environment.get(name).cloned()
    }

    pub(super) fn priority(&self) -> Priority {
        self.request.priority.unwrap_or_else(|| self.command.usual_priority())
    }

    /// What it must have in common with another to be merged with it.
    pub(super) fn merge_key(&self) -> Option<String> {
        let key = self
            .command
            .merge_key(&|name| self.environment(name))
            .filter(|_| self.may_merge && !self.request.sequential)?;
        let request = &self.request;
        let telling: Vec<_> = request.environment.iter().filter(|(name, _)| !NOISE.contains(&name.as_str())).collect();
        let rest = (&request.directory, telling, &request.interpreter, request.scope);
        serde_json::to_string(&(key, rest)).ok()
    }
}

/// What can be stopped.
pub(super) trait Stop: Send {
    /// As Ctrl-C.
    fn stop(&self);
}

#[derive(Default)]
struct State {
    last: Id,
    queue: Queue,
    asked: HashMap<Id, Asked>,
    /// Taken from the queue: they wait for the database, or run.
    group: Vec<Id>,
    /// There is such a group, though all of it may have gone.
    grouped: bool,
    running: Option<Box<dyn Stop>>,
    waiting: CancelFlag,
    present: Option<Waiting>,
    idle_since: Option<Instant>,
    /// Conversations that have not come to their end: the answer is on its way.
    talking: usize,
    /// The runner leaves: nobody is heard any more.
    closed: bool,
}

/// What the threads share.
#[derive(Default)]
pub(super) struct Shared {
    project: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    pub(super) fn new(project: PathBuf) -> Self {
        Self { project, ..Self::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request into the line; `None`: the runner leaves. Whoever calls it says when it has been answered
    /// ([`Shared::has_been_told`]).
    pub(super) fn enter(&self, request: Request, replies: Sender<Message>) -> Option<Asked> {
        let mut state = self.state();
        if state.closed {
            return None;
        }
        state.last += 1;
        state.talking += 1;
        let asked = Asked {
            id: state.last,
            command: Arc::new(DbtCommand::parse(request.args.clone())),
            request: Arc::new(request),
            may_merge: Project::at(&self.project).is_ok_and(|project| project.may_merge),
            arrived: Instant::now(),
            replies,
        };
        asked.reply(Reply::Accepted { pid: std::process::id() });
        state.queue.push(asked.id, asked.priority(), asked.merge_key());
        state.asked.insert(asked.id, asked.clone());
        state.tell();
        self.changed.notify_all();
        Some(asked)
    }

    /// The answer to a request has been written, or nobody reads it.
    pub(super) fn has_been_told(&self) {
        self.state().talking -= 1;
        self.changed.notify_all();
    }

    /// Hears nobody any more; `false`: somebody is there.
    pub(super) fn close(&self, idle: Duration) -> bool {
        let mut state = self.state();
        state.closed = state.asked.is_empty() && state.stays_for(idle).is_none();
        state.closed
    }

    /// Takes a request out, unless it runs: then, when it was the last of those that run together, that is stopped.
    ///
    /// Answers whether it is out.
    pub(super) fn cancel(&self, id: Id) -> bool {
        let mut state = self.state();
        if state.running.is_some() && state.group.contains(&id) {
            // The others go on, and so do its nodes, which may be theirs.
            if state.group.len() > 1 {
                state.leave(id);
                return true;
            }
            if let Some(running) = &state.running {
                running.stop();
            }
            return false;
        }
        state.leave(id);
        true
    }

    /// Takes a request out whose time is up, and says for whom it waited; `None`: it has just begun.
    pub(super) fn give_up(&self, asked: &Asked) -> Option<Trouble> {
        let mut state = self.state();
        if state.running.is_some() && state.group.contains(&asked.id) {
            return None;
        }
        // Nobody is waited for: it is being made ready.
        if state.present.is_none() && asked.arrived.elapsed() < asked.wait() + TO_BEGIN {
            return None;
        }
        let waiting = state.waiting_of(asked.id);
        state.leave(asked.id);
        let waited = u64::try_from(asked.arrived.elapsed().as_millis()).unwrap_or(u64::MAX);
        Some(Trouble::Busy { waiting, waited_ms: waited })
    }

    /// Waits for something to do; `false`: there was nothing for this long.
    pub(super) fn wait(&self, idle: Duration) -> bool {
        let mut state = self.state();
        loop {
            if !state.queue.is_empty() {
                return true;
            }
            let Some(left) = state.stays_for(idle) else { return false };
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The first one in line, and what ends the wait when nobody waits any more.
    pub(super) fn begin_waiting(&self) -> Option<(Asked, CancelFlag)> {
        let mut state = self.state();
        let first = state.queue.first()?;
        state.waiting = CancelFlag::new();
        // What was waited for before is no news.
        state.present = None;
        let asked = state.asked.get(&first).cloned()?;
        Some((asked, state.waiting.clone()))
    }

    /// Those in front wait for this.
    pub(super) fn tell(&self, waiting: Waiting) {
        let mut state = self.state();
        if state.present.as_ref() != Some(&waiting) {
            state.present = Some(waiting);
            state.tell();
        }
    }

    /// Takes those out that go together now.
    pub(super) fn take_group(&self) -> Vec<Asked> {
        let mut state = self.state();
        state.waiting = CancelFlag::new();
        state.group = state.queue.take_group();
        state.grouped = true;
        state.members()
    }

    /// Puts the group back where it was: its turn comes again.
    pub(super) fn put_back(&self) {
        let mut state = self.state();
        for id in std::mem::take(&mut state.group) {
            if let Some(asked) = state.asked.get(&id).cloned() {
                state.queue.push(id, asked.priority(), asked.merge_key());
            }
        }
        state.grouped = false;
    }

    /// What ends the group's wait when all of it has gone.
    pub(super) fn group_flag(&self) -> CancelFlag {
        self.state().waiting.clone()
    }

    /// The group as it is now, with whoever has come to go with it; from now on it runs.
    pub(super) fn begin_running(&self, merge: Option<&str>, running: Box<dyn Stop>) -> Vec<Asked> {
        let mut state = self.state();
        if let Some(merge) = merge {
            let more = state.queue.take_more(merge);
            state.group.extend(more);
        }
        let members = state.members();
        if !members.is_empty() {
            state.running = Some(running);
            members.iter().for_each(|member| member.reply(Reply::Begins));
            state.present = Some(Waiting { what: WaitsFor::Queue, whom: members.first().map(whom), ahead: 0 });
            state.tell();
        }
        members
    }

    /// Who of the group is still there.
    pub(super) fn members(&self) -> Vec<Asked> {
        self.state().members()
    }

    /// The group is through.
    pub(super) fn end_group(&self) {
        let mut state = self.state();
        for id in std::mem::take(&mut state.group) {
            state.asked.remove(&id);
        }
        state.grouped = false;
        state.running = None;
        state.present = None;
        state.idle_since = Some(Instant::now());
    }

    /// All of those in front fail alike.
    pub(super) fn fail_group(&self, error: &DbtError) {
        for asked in self.members() {
            asked.reply(Reply::Failed(error.trouble()));
        }
        self.end_group();
    }
}

impl State {
    /// How much longer it stays where nothing is asked for: not while somebody is being told; `None`: no longer.
    fn stays_for(&mut self, idle: Duration) -> Option<Duration> {
        let idle = if self.talking == 0 { idle } else { idle + LAST_WORD };
        let since = *self.idle_since.get_or_insert_with(Instant::now);
        idle.checked_sub(since.elapsed()).filter(|left| !left.is_zero())
    }

    fn members(&self) -> Vec<Asked> {
        self.group.iter().filter_map(|id| self.asked.get(id).cloned()).collect()
    }

    fn leave(&mut self, id: Id) {
        self.queue.remove(id);
        self.group.retain(|member| *member != id);
        self.asked.remove(&id);
        self.idle_since = Some(Instant::now());
        let abandoned = if self.grouped { self.group.is_empty() } else { self.queue.is_empty() };
        if abandoned && self.running.is_none() {
            self.waiting.cancel();
        }
        self.tell();
    }

    /// For whom a request waits.
    fn waiting_of(&self, id: Id) -> Waiting {
        let nobody = Waiting { what: WaitsFor::Queue, whom: None, ahead: 0 };
        let mut waiting = self.present.clone().unwrap_or(nobody);
        waiting.ahead = self.queue.places().find(|(waiter, _)| *waiter == id).map_or(0, |(_, place)| place);
        waiting
    }

    /// Tells everybody who waits.
    fn tell(&self) {
        if self.present.is_none() {
            return;
        }
        let group = self.group.iter().filter(|_| self.running.is_none());
        for id in self.queue.places().map(|(id, _)| id).chain(group.copied()) {
            if let Some(asked) = self.asked.get(&id) {
                asked.reply(Reply::Waiting(self.waiting_of(id)));
            }
        }
    }
}

/// One that runs, as the others see it.
fn whom(asked: &Asked) -> Whom {
    let since = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    let user = process::current().map(|process| process.user).unwrap_or_default();
    Whom { pid: std::process::id(), command: asked.request.command.clone(), user, since, held_ms: 0 }
}

/// What whoever is cancelled before it began is told.
pub(super) fn interrupted() -> Reply {
    Reply::Ended(Ended { code: INTERRUPTED, nodes: Vec::new(), times: Times::default() })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::mpsc};

    use super::*;
    use crate::{Interpreter, Scope};

    #[test]
    fn it_does_not_leave_before_everybody_has_been_told() {
        let shared = Shared::new(PathBuf::from("/nowhere"));
        let request = || Request {
            args: vec!["run".to_owned()],
            directory: PathBuf::from("/nowhere"),
            environment: BTreeMap::new(),
            interpreter: Interpreter { python: PathBuf::new(), script: PathBuf::new() },
            wait_ms: 0,
            priority: None,
            scope: Scope::Project,
            sequential: false,
            command: String::new(),
        };
        let (sender, _inbox) = mpsc::channel();
        let asked = shared.enter(request(), sender.clone()).expect("it is heard");
        assert!(!shared.close(Duration::ZERO), "it waits");
        assert!(shared.cancel(asked.id));
        assert!(!shared.close(Duration::ZERO), "its answer is on its way");
        shared.has_been_told();
        assert!(shared.close(Duration::ZERO));
        assert!(shared.enter(request(), sender).is_none(), "nobody is heard any more");
    }
}
