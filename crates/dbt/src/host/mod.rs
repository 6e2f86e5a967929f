//! Runs one invocation of dbt for one request, or for several that were merged, in a warm process.
//!
//! Each member of a merged invocation hears of its own nodes, and has an exit code of its own: which nodes are whose, dbt
//! itself is asked before.

mod members;
mod redo;
mod summary;

use std::{os::fd::BorrowedFd, path::Path, time::Instant};

use members::Members;

use crate::{
    DbtCommand, DbtError,
    runner::protocol::{Ended, Node, Stream, Times},
    warm::{self, Cancel, Invocation, NodeResult, Outcome, Progress, Setting, Warm},
};

/// The threads of a merged invocation where neither request nor profile says.
const USUAL_THREADS: u32 = 4;

/// What is to be run.
pub(crate) struct Job<'a> {
    /// One, or several of one merge key.
    pub(crate) commands: &'a [&'a DbtCommand],
    /// Where dbt runs.
    pub(crate) setting: &'a Setting,
    /// The working directory.
    pub(crate) directory: &'a Path,
    /// Locks that the invocation has as well.
    pub(crate) descriptors: &'a [BorrowedFd<'a>],
    /// Stops it.
    pub(crate) cancel: &'a Cancel,
    /// Whether the profile says how many threads there are.
    pub(crate) profile_has_threads: bool,
}

/// What is heard of it.
#[derive(Debug)]
pub(crate) enum Heard<'a> {
    /// It begins. Whether dbt was imported already.
    Started {
        /// Whether dbt was imported already.
        warm: bool,
        /// The process that has it imported.
        pid: Option<u32>,
    },
    /// Something is printed for one of the members.
    Output {
        /// Which.
        member: usize,
        /// Where.
        stream: Stream,
        /// With its line ends.
        text: &'a str,
    },
    /// dbmux has something to say to all of them.
    Note(String),
}

type Hear<'a> = &'a mut dyn FnMut(Heard<'_>);

/// Runs it. Answers for each member, in their order.
///
/// # Errors
/// [`DbtError`] when dbt cannot be started, or was lost in the middle. What dbt complains of is in the answers.
pub(crate) fn run(warm: &mut Warm, job: &Job<'_>, hear: Hear<'_>) -> Result<Vec<Ended>, DbtError> {
    let began = Instant::now();
    let restarted = warm.prepare(job.setting)?;
    let starting = began.elapsed().as_secs_f64();
    hear(Heard::Started { warm: restarted.is_none(), pid: warm.pid() });
    let mut span = Span::default();
    let mut ended = match job.commands {
        [one] => vec![alone(warm, job, one, &mut span, hear)?],
        several => together(warm, job, several, &mut span, hear)?,
    };
    let running = began.elapsed().as_secs_f64() - starting;
    for ended in &mut ended {
        ended.times = Times { waiting: 0.0, starting, running, models: span.seconds() };
    }
    Ok(ended)
}

/// One request: it hears everything, as dbt prints it.
fn alone(
    warm: &mut Warm,
    job: &Job<'_>,
    command: &DbtCommand,
    span: &mut Span,
    hear: Hear<'_>,
) -> Result<Ended, DbtError> {
    let outcome = invoke(warm, job, command, &mut |progress| {
        span.note(&progress);
        if let Some((stream, text)) = printed(&progress) {
            hear(Heard::Output { member: 0, stream, text });
        }
    })?;
    complain(&outcome, span, 0..1, hear);
    let outcome = redo::where_it_helps(warm, job, command, outcome, hear, &mut |hear, progress| {
        if let Some((stream, text)) = printed(progress) {
            hear(Heard::Output { member: 0, stream, text });
        }
    })?;
    Ok(Ended {
        code: code(&outcome),
        nodes: outcome.results.into_iter().map(Node::from).collect(),
        times: Times::default(),
    })
}

/// Several requests in one invocation.
fn together(
    warm: &mut Warm,
    job: &Job<'_>,
    commands: &[&DbtCommand],
    span: &mut Span,
    hear: Hear<'_>,
) -> Result<Vec<Ended>, DbtError> {
    let mut members = Members::ask(warm, job, commands, hear)?;
    let fit = members.fit(commands);
    let threads = (!job.profile_has_threads).then_some(USUAL_THREADS);
    let Some(command) = DbtCommand::merged(&fit, threads) else { return Ok(members.end(&[], None)) };
    let outcome = invoke(warm, job, &command, &mut |progress| {
        span.note(&progress);
        members.hear(&progress, hear);
    })?;
    let outcome = redo::where_it_helps(warm, job, &command, outcome, hear, &mut |hear, progress| {
        members.hear(progress, hear);
    })?;
    complain(&outcome, span, members.fit_indices(), hear);
    members.summarise(&outcome.results, hear);
    Ok(members.end(&outcome.results, stopped(&outcome)))
}

/// When nodes ran.
#[derive(Debug, Default)]
struct Span {
    first: Option<Instant>,
    last: Option<Instant>,
    /// dbt has told what stopped it.
    told_error: bool,
}

impl Span {
    fn note(&mut self, progress: &Progress<'_>) {
        if let Progress::Event(event) = progress {
            self.told_error |= event.name == "MainEncounteredError";
        }
        if let Progress::Event(event) = progress
            && event.node.is_some()
        {
            let now = Instant::now();
            self.first.get_or_insert(now);
            self.last = Some(now);
        }
    }

    fn seconds(&self) -> f64 {
        self.first.zip(self.last).map_or(0.0, |(first, last)| (last - first).as_secs_f64())
    }
}

fn invoke(
    warm: &mut Warm,
    job: &Job<'_>,
    command: &DbtCommand,
    observe: &mut dyn FnMut(Progress<'_>),
) -> Result<Outcome, DbtError> {
    let invocation = Invocation {
        arguments: command.args(),
        directory: job.directory,
        descriptors: job.descriptors,
        cancel: job.cancel,
    };
    warm.invoke(job.setting, &invocation, observe)
}

/// What dbt prints.
fn printed<'a>(progress: &'a Progress<'_>) -> Option<(Stream, &'a str)> {
    match progress {
        Progress::Event(event) => Some((Stream::Out, event.text.as_deref()?)),
        Progress::Output(warm::Stream::Stdout, text) => Some((Stream::Out, text)),
        Progress::Output(warm::Stream::Stderr, text) => Some((Stream::Err, text)),
        Progress::Process(_) | Progress::Started => None,
    }
}

/// What stopped dbt, unless its log has told it already.
fn complain(outcome: &Outcome, seen: &Span, members: impl Iterator<Item = usize>, hear: Hear<'_>) {
    let Some(error) = outcome.error.as_ref().filter(|_| !seen.told_error) else { return };
    let text = format!("{}\n", error.trim_end());
    for member in members {
        hear(Heard::Output { member, stream: Stream::Err, text: &text });
    }
}

/// The exit code of an invocation that was stopped as a whole.
fn stopped(outcome: &Outcome) -> Option<u8> {
    (outcome.error.is_some() || !matches!(outcome.exit_code, 0 | 1)).then(|| code(outcome))
}

fn code(outcome: &Outcome) -> u8 {
    u8::try_from(outcome.exit_code).unwrap_or(2)
}

impl From<NodeResult> for Node {
    fn from(result: NodeResult) -> Self {
        Self {
            id: result.unique_id,
            status: result.status,
            seconds: result.execution_time,
            message: result.message,
            rows: result.rows_affected,
        }
    }
}
