//! A warm dbt: a Python that has dbt imported, and does what `dbt` would do without starting it.
//!
//! [`Warm`] keeps one such process (what runs in it is the Python in `bridge/`), starts it when it is first needed, and
//! replaces it when it would no longer be the dbt that a fresh `dbt` is: another environment, Python, profile or package; when
//! it has grown; when it did not let go of the database.
//!
//! What always holds:
//! - One request at a time. When one returns, whatever came of it, dbt has no database open: either the bridge has looked,
//!   or it has been killed and waited for.
//! - A request that a process had begun when it was lost is not done again: [`DbtError::Lost`].
//! - Descriptors that go with a request stay open over there until dbt has let go of everything, even if this process is
//!   killed meanwhile: a lease that is locked through them lasts as long as what it was taken for.
//! - When this process is gone, what runs is cancelled as by Ctrl-C, and the bridge ends.

mod cancel;
mod process;
mod protocol;
mod setting;

use std::{os::fd::BorrowedFd, path::Path, time::Duration};

pub use self::{
    cancel::Cancel,
    protocol::{Event, NodeResult, Stream},
    setting::{Restart, Setting},
};
use self::{
    process::Process,
    protocol::{Answer, Done, Reply, Request, Settings, What},
};
pub(crate) use self::{protocol::AskedProfile, setting::Stamps};
use crate::DbtError;

/// How a warm dbt is kept.
#[derive(Debug, Clone)]
pub struct WarmOptions {
    /// It ends after this long without a request.
    pub idle_exit: Duration,
    /// It is replaced after this many requests: what dbt forgets to let go of does not add up.
    pub most_requests: u64,
    /// It is replaced when it is larger than this after a request, in bytes of resident memory.
    pub most_memory: u64,
}

impl Default for WarmOptions {
    fn default() -> Self {
        Self { idle_exit: Duration::from_secs(600), most_requests: 500, most_memory: 2 << 30 }
    }
}

/// What dbt is asked to do.
#[derive(Debug, Clone)]
pub struct Invocation<'a> {
    /// What stands behind `dbt`.
    pub arguments: &'a [String],
    /// The working directory of whoever asks.
    pub directory: &'a Path,
    /// Stays open over there until dbt has let go of everything: the lease's locks.
    pub descriptors: &'a [BorrowedFd<'a>],
    /// Stops it.
    pub cancel: &'a Cancel,
}

/// What happens while it runs, in order.
#[derive(Debug)]
pub enum Progress<'a> {
    /// The process is kept (`None`), or another one is started.
    Process(Option<&'a Restart>),
    /// It has begun.
    Started,
    /// dbt fired an event: most have a text that dbt printed for them.
    Event(&'a Event),
    /// Something was printed that is no event: by a Python model, by git, by Python itself.
    Output(Stream, &'a str),
}

/// What it came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The exit code of the program `dbt`: 0, 1 where a node failed, 2 where dbt did.
    pub exit_code: i32,
    /// What stopped it, other than a node.
    pub error: Option<String>,
    /// What became of each node, as far as dbt came.
    pub results: Vec<NodeResult>,
    /// From the start of the request to dbt's having let go of everything; without the start of a process.
    pub took: Duration,
    /// Resident memory of the process afterwards, in bytes.
    pub memory: u64,
    /// Why the process was ended behind it; `None`: it is kept.
    pub ended: Option<Restart>,
}

/// Keeps a process that has dbt imported.
#[derive(Debug)]
pub struct Warm {
    options: WarmOptions,
    process: Option<Running>,
    /// Why there is none.
    ended: Restart,
    last_request: u64,
}

#[derive(Debug)]
struct Running {
    process: Process,
    setting: Setting,
    stamps: Stamps,
    /// dbt's version.
    version: String,
}

impl Warm {
    /// Starts nothing yet.
    pub fn new(options: WarmOptions) -> Self {
        Self { options, process: None, ended: Restart::Idle, last_request: 0 }
    }

    /// As most want it.
    pub fn usual() -> Self {
        Self::new(WarmOptions::default())
    }

    /// The number of the process that runs, if one does.
    pub fn pid(&mut self) -> Option<u32> {
        let running = self.process.as_mut()?;
        running.process.is_alive().then(|| running.process.pid())
    }

    /// The version of dbt that is imported.
    pub fn version(&self) -> Option<&str> {
        self.process.as_ref().map(|running| running.version.as_str())
    }

    /// Whether a process runs that would serve this setting.
    pub fn is_warm_for(&mut self, setting: &Setting) -> bool {
        self.unfit_for(setting).is_none()
    }

    /// Sees to it that a process runs for this setting. Answers with why another one was started; `None`: it was kept.
    ///
    /// # Errors
    /// [`DbtError::NoDbt`] when dbt cannot be imported there.
    pub fn prepare(&mut self, setting: &Setting) -> Result<Option<Restart>, DbtError> {
        let Some(reason) = self.unfit_for(setting) else { return Ok(None) };
        tracing::debug!(%reason, python = %setting.interpreter.python.display(), "starting a warm dbt");
        self.end(reason.clone());
        self.process = Some(self.start(setting)?);
        Ok(Some(reason))
    }

    /// Ends the process: it is gone when this returns.
    pub fn stop(&mut self) {
        self.end(Restart::Idle);
    }

    /// Runs dbt, and returns when it has let go of everything.
    ///
    /// # Errors
    /// [`DbtError::NoDbt`] when dbt cannot be imported; [`DbtError::Lost`] when its process ended in the middle. What dbt
    /// itself has to complain of is in the [`Outcome`].
    pub fn invoke(
        &mut self,
        setting: &Setting,
        invocation: &Invocation<'_>,
        observe: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Outcome, DbtError> {
        Ok(self.ask(What::Invoke, setting, invocation, observe)?.1)
    }

    /// Which nodes a command would run (`run --select …`, `build`, `test`, …), by their `unique_id`, in their order. It
    /// opens no database; it parses, and so rewrites `target/`, where files have changed since this process parsed last.
    ///
    /// # Errors
    /// [`DbtError::Dbt`] with what dbt has to complain of; as [`Warm::invoke`].
    pub fn list(&mut self, setting: &Setting, arguments: &[String], directory: &Path) -> Result<Vec<String>, DbtError> {
        let cancel = Cancel::new();
        let invocation = Invocation { arguments, directory, descriptors: &[], cancel: &cancel };
        let mut said = String::new();
        let (answer, outcome) = self.ask(What::List, setting, &invocation, &mut |progress| {
            if let Progress::Event(event) = progress
                && event.level == "error"
            {
                said.push_str(&event.message);
                said.push('\n');
            }
        })?;
        match outcome.exit_code {
            0 => Ok(answer.nodes),
            _ if said.is_empty() => Err(DbtError::Dbt { message: outcome.error.unwrap_or_default() }),
            _ => Err(DbtError::Dbt { message: said.trim().to_owned() }),
        }
    }

    /// What it was started with looked like this: another one is started when any of it changes.
    pub(crate) fn stamps(&self) -> Stamps {
        self.process.as_ref().map(|running| running.stamps.clone()).unwrap_or_default()
    }

    /// The profile as dbt itself reads it for this command.
    pub(crate) fn profile(
        &mut self,
        setting: &Setting,
        arguments: &[String],
        directory: &Path,
    ) -> Result<AskedProfile, DbtError> {
        let cancel = Cancel::new();
        let invocation = Invocation { arguments, directory, descriptors: &[], cancel: &cancel };
        let (answer, outcome) = self.ask(What::Profile, setting, &invocation, &mut |_| {})?;
        let refused = || DbtError::Dbt { message: outcome.error.unwrap_or_else(|| "it told no profile".to_owned()) };
        answer.profile.ok_or_else(refused)
    }

    fn start(&mut self, setting: &Setting) -> Result<Running, DbtError> {
        let script = setting.interpreter.script.parent().unwrap_or(Path::new("/"));
        let settings = Settings {
            idle: self.options.idle_exit.as_secs_f64(),
            script_directory: script.display().to_string(),
            adapter: setting.adapter.as_deref(),
        };
        let mut stamps = Stamps::of(setting.watched.iter().chain([&setting.interpreter.python]));
        let mut process = Process::start(setting, &settings)?;
        let no_dbt = |reason| DbtError::NoDbt { path: setting.interpreter.python.clone(), reason };
        match process.receive()? {
            Some(Reply::Ready { ready, python, folders }) => {
                tracing::debug!(dbt = ready, python, pid = process.pid(), "dbt is imported");
                stamps.and(Stamps::of(&folders));
                Ok(Running { process, setting: setting.clone(), stamps, version: ready })
            }
            Some(Reply::Failed { failed }) => Err(no_dbt(failed)),
            Some(other) => Err(DbtError::Bridge { reason: format!("it began with {other:?}") }),
            None => Err(no_dbt(process.kill())),
        }
    }

    fn unfit_for(&mut self, setting: &Setting) -> Option<Restart> {
        let Some(running) = &mut self.process else { return Some(self.ended.clone()) };
        if !running.process.is_alive() {
            return Some(Restart::Idle);
        }
        if running.setting.interpreter != setting.interpreter {
            return Some(Restart::Interpreter);
        }
        if !running.setting.environment.is_like(&setting.environment) {
            return Some(Restart::Environment);
        }
        // What is newly watched was not looked at before.
        let unseen = setting.watched.iter().find(|path| !running.setting.watched.contains(path));
        unseen.cloned().or_else(|| running.stamps.changed()).map(Restart::Changed)
    }

    fn end(&mut self, reason: Restart) {
        self.process = None;
        self.ended = reason;
    }

    /// Asks, and hears the answer to its end.
    fn ask(
        &mut self,
        what: What,
        setting: &Setting,
        invocation: &Invocation<'_>,
        observe: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(Answer, Outcome), DbtError> {
        loop {
            let restart = self.prepare(setting)?;
            observe(Progress::Process(restart.as_ref()));
            match self.try_once(what, setting, invocation, observe) {
                Ok(answer) => return Ok(answer),
                // It had just ended, being idle: it has begun nothing, so another may.
                Err(Failure::NotBegun) if restart.is_none() => self.end(Restart::Idle),
                Err(Failure::NotBegun | Failure::Begun) => return Err(self.lost()),
                Err(Failure::Nonsense(error)) => {
                    // Nobody knows what it does by now.
                    self.kill();
                    return Err(error);
                }
            }
        }
    }

    fn lost(&mut self) -> DbtError {
        DbtError::Lost { reason: self.kill() }
    }

    fn kill(&mut self) -> String {
        let reason = self.process.take().map(|running| running.process.kill()).unwrap_or_default();
        self.ended = Restart::Lost(reason.clone());
        reason
    }

    fn try_once(
        &mut self,
        what: What,
        setting: &Setting,
        invocation: &Invocation<'_>,
        observe: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(Answer, Outcome), Failure> {
        self.last_request += 1;
        let id = self.last_request;
        let running = self.process.as_mut().ok_or(Failure::NotBegun)?;
        let request = Request {
            what,
            id,
            arguments: invocation.arguments,
            directory: invocation.directory,
            variables: setting.environment.noise(),
            descriptors: invocation.descriptors.len(),
        };
        let sent = running.process.send(&request, invocation.descriptors);
        sent.map_err(|_| Failure::NotBegun)?;
        let heard = running.hear(id, invocation.cancel, observe);
        invocation.cancel.ended();
        let done = heard?;
        let outcome = self.after(&done);
        Ok((done.answer, outcome))
    }

    /// What a request came to. Ends a process that cannot be kept.
    fn after(&mut self, done: &Done) -> Outcome {
        let worn = done.served >= self.options.most_requests || done.memory > self.options.most_memory;
        let held = done.held.first().cloned().map(Restart::Held);
        let ended = held.or(worn.then_some(Restart::Worn));
        if let Some(reason) = &ended {
            tracing::debug!(%reason, "ending a warm dbt");
            self.kill();
            self.ended = reason.clone();
        }
        Outcome {
            exit_code: done.answer.exit_code,
            error: done.answer.error.clone(),
            results: done.answer.results.clone(),
            took: Duration::try_from_secs_f64(done.seconds).unwrap_or_default(),
            memory: done.memory,
            ended,
        }
    }
}

/// Why there is no answer.
enum Failure {
    /// The process ended without having begun.
    NotBegun,
    /// The process ended.
    Begun,
    /// It cannot be understood.
    Nonsense(DbtError),
}

impl Running {
    fn hear(&mut self, id: u64, cancel: &Cancel, observe: &mut dyn FnMut(Progress<'_>)) -> Result<Done, Failure> {
        let mut begun = false;
        loop {
            match self.process.receive().map_err(Failure::Nonsense)? {
                Some(Reply::Started { id: of, .. }) if of == id => {
                    begun = true;
                    if let Some(socket) = self.process.socket() {
                        cancel.runs(id, socket);
                    }
                    observe(Progress::Started);
                }
                Some(Reply::Event { id: of, event }) if of == id => observe(Progress::Event(&event)),
                Some(Reply::Output { id: of, output, stream }) if of == id => {
                    observe(Progress::Output(stream, &output));
                }
                Some(Reply::Done { id: of, done }) if of == id => return Ok(done),
                Some(Reply::Bye { .. }) => {}
                None if begun => return Err(Failure::Begun),
                None => return Err(Failure::NotBegun),
                Some(other) => {
                    let reason = format!("it said {other:?} during request {id}");
                    return Err(Failure::Nonsense(DbtError::Bridge { reason }));
                }
            }
        }
    }
}
