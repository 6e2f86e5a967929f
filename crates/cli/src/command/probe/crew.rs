//! The probe's processes: started, never forked; heard; and ended with the probe.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use super::job::{Job, Said};
use crate::{exit::Exit, failure::Failure};

/// How often it is looked whether somebody wants the probe to end.
const LOOK: Duration = Duration::from_millis(50);
/// Bytes of a process's standard error that are kept.
const COMPLAINT: u64 = 64 << 10;

/// What is heard of a process.
enum Heard {
    Said(Said),
    /// It has ended; this is what it complained of.
    Ended(String),
}

/// One process; killed, if the probe goes before it does.
struct Worker {
    child: Child,
    orders: Option<ChildStdin>,
    said: Option<Said>,
    ended: Option<String>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        // One that has ended is not there to be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processes that are waited for together.
pub(super) struct Crew {
    workers: Vec<Worker>,
    tell: Sender<(usize, Heard)>,
    heard: Receiver<(usize, Heard)>,
    /// Somebody has had enough.
    stop: Arc<AtomicBool>,
}

impl Crew {
    pub(super) fn new(stop: &Arc<AtomicBool>) -> Self {
        let (tell, heard) = channel();
        Self { workers: Vec::new(), tell, heard, stop: Arc::clone(stop) }
    }

    /// Starts one more.
    pub(super) fn hire(&mut self, job: &Job) -> Result<(), Failure> {
        let job = serde_json::to_string(job).map_err(|error| Failure::system(error.to_string()))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("probe-worker").arg(job);
        self.start(command)
    }

    fn start(&mut self, mut command: Command) -> Result<(), Failure> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (number, tell) = (self.workers.len(), self.tell.clone());
        let (output, complaints) = (child.stdout.take(), child.stderr.take());
        let complaints = thread::spawn(move || {
            let mut text = Vec::new();
            if let Some(mut complaints) = complaints {
                let _ = complaints.by_ref().take(COMPLAINT).read_to_end(&mut text);
                // Read on, lest it wait for a reader.
                let _ = std::io::copy(&mut complaints, &mut std::io::sink());
            }
            String::from_utf8_lossy(&text).trim().to_owned()
        });
        thread::spawn(move || {
            for line in output.map(BufReader::new).into_iter().flat_map(BufRead::lines).map_while(Result::ok) {
                if let Ok(said) = serde_json::from_str(&line) {
                    let _ = tell.send((number, Heard::Said(said)));
                }
            }
            let _ = tell.send((number, Heard::Ended(complaints.join().unwrap_or_default())));
        });
        let orders = child.stdin.take();
        self.workers.push(Worker { child, orders, said: None, ended: None });
        Ok(())
    }

    /// Waits until each has said something since this was called last, or has ended. Those that do neither in time are
    /// killed. `meanwhile` is called now and then.
    pub(super) fn wait(&mut self, time: Duration, mut meanwhile: impl FnMut(Duration)) -> Result<(), Failure> {
        let began = Instant::now();
        while self.workers.iter().any(|worker| worker.said.is_none() && worker.ended.is_none()) {
            match self.heard.recv_timeout(LOOK) {
                Ok((number, heard)) => self.note(number, heard),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Failure::system("the probe lost its processes")),
            }
            meanwhile(began.elapsed());
            if self.stop.load(Ordering::Relaxed) {
                return Err(Failure::quiet(Exit::Interrupted));
            }
            if began.elapsed() > time {
                self.give_up_on_the_silent(time);
            }
        }
        Ok(())
    }

    fn note(&mut self, number: usize, heard: Heard) {
        let Some(worker) = self.workers.get_mut(number) else { return };
        match heard {
            Heard::Said(said) => worker.said = Some(said),
            Heard::Ended(complaint) => {
                let status = worker.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
                let text = if complaint.is_empty() { status } else { format!("{complaint} ({status})") };
                worker.ended.get_or_insert(text);
            }
        }
    }

    fn give_up_on_the_silent(&mut self, time: Duration) {
        for worker in &mut self.workers {
            if worker.said.is_none() && worker.ended.is_none() {
                worker.ended = Some(format!("it did not answer for {} s", time.as_secs()));
                // It has ended, or it ends now.
                let _ = worker.child.kill();
            }
        }
    }

    /// Takes what each has said; of one that has ended without a word, how.
    pub(super) fn answers(&mut self) -> Vec<Result<Said, String>> {
        let take = |worker: &mut Worker| match worker.said.take() {
            Some(said) => Ok(said),
            None => Err(worker.ended.clone().unwrap_or_default()),
        };
        self.workers.iter_mut().map(take).collect()
    }

    /// Tells all of them to begin.
    pub(super) fn go(&mut self) {
        for worker in &mut self.workers {
            // One that has ended does not listen: that is heard of otherwise.
            let _ = worker.orders.as_mut().map(|orders| orders.write_all(b"go\n").and_then(|()| orders.flush()));
        }
    }

    /// Ends all of them, and waits until they have. Closing what they listen to ends them.
    pub(super) fn dismiss(mut self, time: Duration) -> Result<(), Failure> {
        for worker in &mut self.workers {
            worker.orders = None;
            worker.said = None;
        }
        self.wait(time, |_| {})
    }
}
