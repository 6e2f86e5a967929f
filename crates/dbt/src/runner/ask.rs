//! Asks a project's runner, and starts it where there is none.

use std::{
    fs::OpenOptions,
    io::{self, BufReader, Read},
    os::unix::{fs::OpenOptionsExt, net::UnixStream},
    path::Path,
    process::{ChildStdout, Command, Stdio},
    sync::{Mutex, PoisonError, mpsc},
    time::{Duration, Instant},
};

use dbmux_lock::Wait;

use super::{
    Place,
    protocol::{self, Ended, Reply, Request, Said, Trouble},
};
use crate::DbtError;

/// How long a runner may be silent beyond the time that it was given: then it is stopped, or ill.
const SILENCE: Duration = Duration::from_secs(5);
/// How long a runner may take to begin.
const START: Duration = Duration::from_secs(30);
/// How often it is met while it leaves before it is given up.
const TRIES: u32 = 10;
/// The stack of the thread that waits for a runner's end, in bytes.
const REAPER_STACK: usize = 64 << 10;

/// Ends what was asked for, as Ctrl-C would.
#[derive(Debug, Default)]
pub struct Canceller {
    state: Mutex<Present>,
}

#[derive(Debug, Default)]
struct Present {
    stream: Option<UnixStream>,
    cancelled: bool,
}

impl Canceller {
    /// Asks for it. What runs stops as dbt does, and says so. The second time, it is not waited for.
    pub fn cancel(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let again = std::mem::replace(&mut state.cancelled, true);
        let Some(stream) = &mut state.stream else { return };
        // Where it cannot be told, it has gone.
        let _ = if again { stream.shutdown(std::net::Shutdown::Both) } else { protocol::say(stream, &Said::Cancel) };
    }

    fn attach(&self, stream: UnixStream) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.cancelled {
            protocol::say(&mut &stream, &Said::Cancel)?;
        }
        state.stream = Some(stream);
        Ok(())
    }

    fn is_cancelled(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).cancelled
    }
}

/// Asks, and tells what is answered until it has ended.
///
/// `program` is started as `program dbt-runner --project DIRECTORY` where no runner listens.
///
/// # Errors
/// [`DbtError::Busy`] when the time was up; [`DbtError::Runner`] when there is none; [`DbtError::OutcomeUnknown`] when it
/// was lost after it had begun.
pub fn ask(
    place: &Place,
    program: &Path,
    request: Request,
    canceller: &Canceller,
    told: &mut dyn FnMut(Reply),
) -> Result<Ended, DbtError> {
    let began = Instant::now();
    let patience = Duration::from_millis(request.wait_ms) + SILENCE;
    let said = Said::Ask(Box::new(request));
    for _ in 0..TRIES {
        let stream = connect_or_start(place, program, patience.saturating_sub(began.elapsed()))?;
        let talk = Talk { place, stream, patience: patience.saturating_sub(began.elapsed()) };
        if let Some(ended) = talk.through(&said, canceller, told)? {
            return Ok(ended);
        }
        if canceller.is_cancelled() {
            return Err(DbtError::Cancelled);
        }
    }
    Err(runner(place, "it leaves whenever it is asked".to_owned()))
}

struct Talk<'a> {
    place: &'a Place,
    stream: UnixStream,
    patience: Duration,
}

impl Talk<'_> {
    /// `None`: it has left before it heard anything.
    fn through(
        self,
        said: &Said,
        canceller: &Canceller,
        told: &mut dyn FnMut(Reply),
    ) -> Result<Option<Ended>, DbtError> {
        let lost = |error: io::Error| runner(self.place, error.to_string());
        if protocol::say(&mut &self.stream, said).is_err() {
            return Ok(None);
        }
        canceller.attach(self.stream.try_clone().map_err(lost)?).map_err(lost)?;
        self.stream.set_read_timeout(Some(self.patience.max(SILENCE))).map_err(lost)?;
        let mut answers = BufReader::new(&self.stream);
        let (mut accepted, mut started) = (false, false);
        loop {
            match protocol::hear(&mut answers) {
                Ok(Some(Reply::Ended(ended))) => return Ok(Some(ended)),
                Ok(Some(Reply::Failed(trouble))) => return Err(trouble.into()),
                Ok(Some(reply)) => {
                    accepted = true;
                    if matches!(reply, Reply::Begins) && !std::mem::replace(&mut started, true) {
                        // dbt may be silent for as long as its models take.
                        self.stream.set_read_timeout(None).map_err(lost)?;
                    }
                    told(reply);
                }
                Ok(None) if !accepted => return Ok(None),
                Ok(None) if canceller.is_cancelled() => return Err(DbtError::Cancelled),
                Ok(None) if started => return Err(DbtError::OutcomeUnknown { log: self.place.log() }),
                Ok(None) => return Err(runner(self.place, "it has ended".to_owned())),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset && !accepted => return Ok(None),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Err(runner(self.place, "it does not answer: it may be stopped".to_owned()));
                }
                Err(error) => return Err(lost(error)),
            }
        }
    }
}

fn connect_or_start(place: &Place, program: &Path, wait: Duration) -> Result<UnixStream, DbtError> {
    if let Ok(stream) = UnixStream::connect(place.socket()) {
        return Ok(stream);
    }
    let _starting = place.start_lock(Wait::For(wait.max(START)))?;
    if let Ok(stream) = UnixStream::connect(place.socket()) {
        return Ok(stream);
    }
    start(place, program)?;
    UnixStream::connect(place.socket()).map_err(|error| runner(place, error.to_string()))
}

/// Starts it, and waits for its one word: nothing, when it listens.
fn start(place: &Place, program: &Path) -> Result<(), DbtError> {
    let failed = |error: io::Error| runner(place, format!("{}: {error}", program.display()));
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(place.log()).map_err(failed)?;
    let mut command = Command::new(program);
    command.arg("dbt-runner").arg("--project").arg(&place.project);
    // A daemon keeps no directory busy.
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    let mut child = command.spawn().map_err(failed)?;
    let output = child.stdout.take();
    // Whoever lives long must not leave a dead child behind.
    let reaper = std::thread::Builder::new().stack_size(REAPER_STACK);
    reaper.spawn(move || child.wait()).map_err(failed)?;
    let word = first_word(output).ok_or_else(|| runner(place, "it does not say whether it listens".to_owned()))?;
    match word.trim() {
        super::LISTENS => Ok(()),
        "" => Err(runner(place, "it ended without a word".to_owned())),
        reason => Err(runner(place, reason.to_owned())),
    }
}

/// What it says to its end; `None`: it does not come to it in time.
fn first_word(output: Option<ChildStdout>) -> Option<String> {
    let Some(mut output) = output else { return Some(String::new()) };
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut word = String::new();
        // What cannot be read is as what was not said. Whoever has given up is told in vain.
        let _ = output.read_to_string(&mut word);
        let _ = tell.send(word);
    });
    told.recv_timeout(START).ok()
}

fn runner(place: &Place, reason: String) -> DbtError {
    DbtError::Runner { reason, log: place.log() }
}

impl From<Trouble> for DbtError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Busy { waiting, waited_ms } => {
                Self::Busy { waiting: Box::new(waiting), waited: Duration::from_millis(waited_ms) }
            }
            Trouble::Other { code, message, suggestion } => Self::Refused { code, message, suggestion },
        }
    }
}
