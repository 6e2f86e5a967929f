//! One Python that has dbt imported: started, asked, ended.
//!
//! The socket to it is its standard input, so that no other child of ours can have inherited it: when this process is gone
//! the bridge sees the end of it, whatever killed us.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Seek},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use dbmux_os::process::ExitWatch;
use serde_json::json;

use super::{
    protocol::{Reply, Request, Settings},
    setting::Setting,
};
use crate::DbtError;

/// The program that runs in there: modules, in the order in which they need each other. The last one has `main`.
const BRIDGE: [(&str, &str); 6] = [
    ("dbmux_outputs", include_str!("bridge/outputs.py")),
    ("dbmux_release", include_str!("bridge/release.py")),
    ("dbmux_rows", include_str!("bridge/rows.py")),
    ("dbmux_manifest", include_str!("bridge/manifest.py")),
    ("dbmux_lighter", include_str!("bridge/lighter.py")),
    ("dbmux_bridge", include_str!("bridge/bridge.py")),
];

/// Reads the program and its settings, which are the first thing on the socket, and runs it. It is no file: there is none
/// to be left behind, and none to be changed under it.
const LOADER: &str = "# dbmux: keeps dbt imported\n\
    import json, os, sys, types\n\
    def read(count):\n\
    \x20   data = b''\n\
    \x20   while len(data) < count: data += os.read(0, count - len(data)) or sys.exit(1)\n\
    \x20   return data\n\
    told = json.loads(read(int(read(12))))\n\
    for name, source in told['modules']:\n\
    \x20   module = sys.modules[name] = types.ModuleType(name)\n\
    \x20   exec(compile(source, name + '.py', 'exec'), module.__dict__)\n\
    module.main(told['settings'])";

/// How long a bridge that has nothing to do may take to end.
const TO_END: Duration = Duration::from_secs(2);

/// The most of what Python wrote before it could speak, in characters, that an error repeats.
const MOST_TOLD: usize = 2000;

/// A bridge.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    socket: UnixStream,
    replies: BufReader<UnixStream>,
    /// Where Python wrote before the bridge could catch it, and where it writes when it crashes.
    said: File,
}

impl Process {
    /// Starts one: it is importing dbt when this returns.
    pub(super) fn start(setting: &Setting, settings: &Settings<'_>) -> Result<Self, DbtError> {
        let failed = |error: std::io::Error| DbtError::NoDbt {
            path: setting.interpreter.python.clone(),
            reason: format!("cannot be started: {error}"),
        };
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let said = dbmux_os::new_file::in_memory("dbt-said")?;
        let mut command = Command::new(&setting.interpreter.python);
        command.args(["-c", LOADER]).env_clear().envs(setting.environment.iter());
        // A group of its own: a Ctrl-C at the terminal is for whoever asked, who cancels.
        command.process_group(0).current_dir("/");
        command.stdin(Stdio::from(OwnedFd::from(theirs)));
        command.stdout(Stdio::from(said.try_clone().map_err(failed)?));
        command.stderr(Stdio::from(said.try_clone().map_err(failed)?));
        let child = command.spawn().map_err(failed)?;
        let replies = BufReader::new(ours.try_clone().map_err(failed)?);
        let process = Self { child, socket: ours, replies, said };
        let told = json!({ "modules": BRIDGE, "settings": settings }).to_string();
        // Twelve digits: as many as the loader reads before it knows how much there is.
        process.write(format!("{:012}{told}", told.len()).as_bytes(), &[])?;
        Ok(process)
    }

    /// Sends a request, with descriptors.
    pub(super) fn send(&self, request: &Request<'_>, descriptors: &[BorrowedFd<'_>]) -> Result<(), DbtError> {
        let mut line = serde_json::to_vec(request).map_err(|error| DbtError::Bridge { reason: error.to_string() })?;
        line.push(b'\n');
        self.write(&line, descriptors)
    }

    fn write(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), DbtError> {
        Ok(dbmux_os::socket::send_with(self.socket.as_fd(), bytes, descriptors)?)
    }

    /// The next thing it says; `None`: it has ended.
    pub(super) fn receive(&mut self) -> Result<Option<Reply>, DbtError> {
        let mut line = Vec::new();
        match self.replies.read_until(b'\n', &mut line) {
            Ok(_) if line.ends_with(b"\n") => {}
            // What it was saying when it was killed is half a word.
            Ok(_) | Err(_) => return Ok(None),
        }
        let unknown = |error: serde_json::Error| DbtError::Bridge {
            reason: format!("it said {:?}: {error}", String::from_utf8_lossy(&line)),
        };
        Ok(Some(serde_json::from_slice(&line).map_err(unknown)?))
    }

    /// Something to cancel by.
    pub(super) fn socket(&self) -> Option<UnixStream> {
        self.socket.try_clone().ok()
    }

    /// Its number.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it runs.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None)) && !dbmux_os::socket::has_hung_up(self.socket.as_fd())
    }

    /// Kills it, and tells how it had ended, and what it said last.
    pub(super) fn kill(mut self) -> String {
        // It may have ended by itself.
        let ended = self.ended(Duration::from_millis(200));
        let status = match ended {
            Some(status) => status.to_string(),
            None => {
                let _ = self.child.kill();
                let _ = self.child.wait();
                "it was killed".to_owned()
            }
        };
        let mut text = String::new();
        if self.said.rewind().and_then(|()| self.said.read_to_string(&mut text)).is_err() || text.trim().is_empty() {
            return status;
        }
        let last = text.char_indices().rev().nth(MOST_TOLD).map_or(text.as_str(), |(start, _)| &text[start..]);
        format!("{status}: {}", last.trim())
    }

    /// Its end, if it comes within this time.
    fn ended(&mut self, within: Duration) -> Option<ExitStatus> {
        if let Ok(watch) = dbmux_os::process::id(self.child.id()).and_then(ExitWatch::open) {
            // Where it cannot be watched it is asked once more, below, and killed.
            let _ = watch.wait(Some(within));
        }
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It ends when it sees this.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        if self.ended(TO_END).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
