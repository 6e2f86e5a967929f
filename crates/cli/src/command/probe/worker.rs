//! One of the probe's processes: does what its job says, and tells what became of it, a line each.

mod reader;
mod seeder;
mod sweeper;
mod timed;
mod verifier;
mod writer;

use std::{
    io::{BufRead, Write},
    process,
    sync::mpsc::{Receiver, channel},
    thread,
};

use self::{reader::Reader, timed::Timed, writer::Writer};
use super::{
    connection::CallError,
    job::{Job, Report, Role, Said},
};
use crate::{args::ProbeWorkerArgs, exit::Exit, failure::Failure};

/// Runs a process of the probe.
pub(crate) fn run(args: &ProbeWorkerArgs) -> Result<Exit, Failure> {
    let job: Job = serde_json::from_str(&args.job).map_err(|error| Failure::usage(error.to_string()))?;
    let done = match job.role {
        Role::Seeder => seeder::run(&job).map(|()| Said::Seeded),
        Role::Verifier => verifier::run(&job).map(Said::Found),
        Role::Sweeper => return Ok(sweeper::run(&job)),
        Role::Reader | Role::Writer => return work(&job),
    };
    match done {
        Ok(done) => say(&done).map(|()| Exit::Done),
        Err(error) => say(&Said::Failed(error.text)).map(|()| Exit::Failed),
    }
}

/// Connects, waits for the start, works, tells, and waits for the end: its connection stays open until all others are done.
fn work(job: &Job) -> Result<Exit, Failure> {
    let orders = orders();
    let mut timed = match Timed::new(job) {
        Ok(timed) => timed,
        Err(error) => return say(&Said::Failed(error.text)).map(|()| Exit::Failed),
    };
    let work = match job.role {
        Role::Writer => Writer::new(job).map(|mut writer| Box::new(move |timed: &mut _| writer.work(timed)) as Work),
        _ => Reader::new(job).map(|mut reader| Box::new(move |timed: &mut _| reader.work(timed)) as Work),
    };
    let work = match work {
        Ok(work) => work,
        Err(error) => return say(&Said::Failed(error)).map(|()| Exit::Failed),
    };
    let refused = timed.connect().err().map(|error| error.text);
    say(&Said::Ready { refused })?;
    let told = orders.recv().is_ok();
    if told {
        let report = work(&mut timed);
        say(&Said::Done(Box::new(report)))?;
        // Until the end of its standard input, which ends this process.
        let _ = orders.recv();
    }
    Ok(Exit::Done)
}

/// What a worker does between start and end.
type Work = Box<dyn FnOnce(&mut Timed) -> Report>;

/// The lines of standard input. When it ends so does this process, whatever it does: the probe is over, or it is gone.
fn orders() -> Receiver<()> {
    let (give, orders) = channel();
    thread::spawn(move || {
        for _ in std::io::stdin().lock().lines().map_while(Result::ok) {
            let _ = give.send(());
        }
        process::exit(0);
    });
    orders
}

fn say(said: &Said) -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    serde_json::to_writer(&mut output, said).map_err(|error| Failure::system(error.to_string()))?;
    Ok(writeln!(output).and_then(|()| output.flush())?)
}

/// What a call for one number answered with.
fn one_number(answer: Result<Vec<arrow::array::RecordBatch>, CallError>) -> Result<u64, CallError> {
    super::dialect::number(&answer?).ok_or_else(|| CallError::new("a count answered without a number"))
}
