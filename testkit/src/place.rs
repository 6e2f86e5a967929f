//! A directory of its own, with a runtime directory of its own: tests run beside each other and beside the user's brokers.

use std::{
    fs,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use dbmux_client::{Client, ClientOptions, blocking};
use rustix::process::{Pid, Signal, kill_process};

/// A place for one test. Its brokers end with it.
pub struct Place {
    directory: tempfile::TempDir,
    binary: PathBuf,
    environment: Vec<(String, String)>,
}

impl Place {
    /// A place whose processes run this `dbmux`.
    pub fn new(binary: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("dbmux-").tempdir_in("/tmp").expect("a directory");
        fs::create_dir(directory.path().join("run")).expect("a runtime directory");
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(directory.path().join("run"), private).expect("a private one");
        Self { directory, binary: PathBuf::from(binary), environment: Vec::new() }
    }

    /// Gives every process that is started here a variable: what a broker shall be like, for example.
    #[must_use]
    pub fn with(mut self, variable: &str, value: &str) -> Self {
        self.environment.push((variable.to_owned(), value.to_owned()));
        self
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The binary.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// `dbmux`, in this place.
    pub fn dbmux<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(&self.binary);
        self.set_up(&mut command);
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// Makes a command run in this place.
    pub fn set_up(&self, command: &mut Command) {
        command.current_dir(self.directory.path());
        command.env("HOME", self.directory.path());
        for name in ["DBMUX_WAIT", "DBMUX_PRIORITY", "DBMUX_LOG", "DBMUX_IDLE_TRANSACTION"] {
            command.env_remove(name);
        }
        command.env("DBMUX_RUNTIME_DIR", self.path("run"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
    }

    /// What `dbmux status DB --json` says.
    pub fn status(&self, database: &str) -> serde_json::Value {
        let output = self.run(["status", database, "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Runs SQL that must fail: its exit code, and its error as `--json` gives it.
    pub fn fails(&self, arguments: &[&str]) -> (i32, serde_json::Value) {
        let output = self.run(arguments.iter().copied().chain(["--json"]));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{arguments:?} succeeded: {}", String::from_utf8_lossy(&output.stdout));
        // Notes may stand before it.
        let error = text.lines().rev().find_map(|line| serde_json::from_str(line).ok());
        (output.status.code().unwrap_or(-1), error.unwrap_or_else(|| panic!("no error object in {text:?}")))
    }

    /// Runs `dbmux` to its end.
    pub fn run<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Output {
        self.dbmux(arguments).output().expect("dbmux runs")
    }

    /// Runs SQL that must succeed, and answers with its output as CSV without the header.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let output = self.run(["sql", database, sql, "--format", "csv"]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {error}");
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines().skip(1).collect::<Vec<_>>().join("\n")
    }

    /// Makes a database that DuckDB 1.5 can open too.
    pub fn make(&self, database: &str, sql: &str) {
        let output = self.run(["sql", database, sql, "--storage-version", "v1.2.0"]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {error}");
    }

    /// A client in this process.
    pub fn client(&self, database: &str, options: ClientOptions) -> Client {
        Client::open(self.path(database), self.options(options)).expect("a client")
    }

    /// A client in this process, without `async`.
    pub fn blocking_client(&self, database: &str, options: ClientOptions) -> blocking::Client {
        blocking::Client::open(self.path(database), self.options(options)).expect("a client")
    }

    fn options(&self, options: ClientOptions) -> ClientOptions {
        ClientOptions {
            broker_program: Some(self.binary.clone()),
            runtime_directory: Some(self.path("run")),
            working_directory: Some(self.directory.path().to_owned()),
            ..options
        }
    }

    /// The process ids of the brokers that run here.
    pub fn brokers(&self) -> Vec<Pid> {
        self.sockets("sock").iter().filter_map(|socket| listener(socket)).collect()
    }

    /// The process ids of the dbt runners that run here.
    pub fn runners(&self) -> Vec<Pid> {
        self.sockets("dbt").iter().filter_map(|socket| listener(socket)).collect()
    }

    fn sockets(&self, extension: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("run")).into_iter().flatten().filter_map(Result::ok);
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == extension)).collect()
    }

    /// Stops the one broker that runs here, until this is dropped.
    pub fn stop_broker(&self) -> Stopped {
        let brokers = self.brokers();
        assert_eq!(brokers.len(), 1, "one broker runs");
        kill_process(brokers[0], Signal::STOP).expect("a signal");
        crate::until("it is stopped", || state(brokers[0]) == Some('T'));
        Stopped(brokers[0])
    }

    /// Kills the brokers that run here, and waits until they are gone.
    pub fn kill_brokers(&self) -> usize {
        let brokers = self.brokers();
        for pid in &brokers {
            // It may have ended by itself in between.
            let _ = kill_process(*pid, Signal::KILL);
        }
        // Its number may be gone while its last threads still keep its socket open.
        crate::until("the brokers' end", || {
            brokers.iter().all(|pid| !is_running(*pid)) && !self.brokers().iter().any(|pid| brokers.contains(pid))
        });
        brokers.len()
    }
}

/// Who listens on a socket.
fn listener(socket: &Path) -> Option<Pid> {
    let stream = UnixStream::connect(socket).ok()?;
    Some(rustix::net::sockopt::socket_peercred(&stream).ok()?.pid)
}

fn is_running(pid: Pid) -> bool {
    state(pid).is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// `R`, `S`, `T`, …; `None`: it is gone.
fn state(pid: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// A broker that is stopped until this is dropped.
pub struct Stopped(Pid);

impl Stopped {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.0.as_raw_nonzero().get().unsigned_abs()
    }

    /// Kills it.
    pub fn kill(&self) {
        kill_process(self.0, Signal::KILL).expect("a signal");
        crate::until("its end", || !is_running(self.0));
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // It may have been killed meanwhile.
        let _ = kill_process(self.0, Signal::CONT);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let sockets = [self.sockets("sock"), self.sockets("dbt")].concat();
        if std::thread::panicking() {
            for log in sockets.iter().map(|socket| socket.with_extension("log")) {
                eprintln!("{}:\n{}", log.display(), fs::read_to_string(&log).unwrap_or_default());
            }
        }
        for pid in [self.brokers(), self.runners()].concat() {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}
