//! What was measured, and on what: figures mean nothing without it.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use crate::{Result, context::Context};

/// The machine, the date and the versions.
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    memory_bytes: u64,
    kernel: String,
    file_system: String,
    date: String,
    /// How busy the machine was before the first row: processes that run or want to, over the last minute.
    load: f64,
    dbmux: String,
    duckdb: String,
    rivals: String,
}

impl Machine {
    pub(crate) fn here(context: &Context) -> Result<Self> {
        let of = |file: &str, name: &str| -> Result<String> {
            let text = fs::read_to_string(file)?;
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            Ok(line.trim_start_matches([' ', '\t', ':']).to_owned())
        };
        let total = of("/proc/meminfo", "MemTotal")?;
        let kilobytes: u64 = total.split_whitespace().next().unwrap_or_default().parse()?;
        let days = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs() / 86_400;
        let today = SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400);
        let packages = "import importlib.metadata as m; print(', '.join(f'{p} {m.version(p)}' for p in \
                        ['duckdb', 'duckdb-extension-quack', 'fasteners', 'filelock', 'portalocker']))";
        let uname = rustix::system::uname();
        Ok(Self {
            cpu: of("/proc/cpuinfo", "model name")?,
            cores: std::thread::available_parallelism()?.get(),
            memory_bytes: kilobytes * 1024,
            kernel: uname.release().to_string_lossy().into_owned(),
            file_system: file_system(&context.directory)?,
            date: humantime::format_rfc3339_seconds(today).to_string().chars().take(10).collect(),
            load: fs::read_to_string("/proc/loadavg")?.split(' ').next().unwrap_or_default().parse()?,
            dbmux: output(Command::new(&context.dbmux).arg("--version"))?,
            duckdb: in_process_version(context)?,
            rivals: output(Command::new(&context.python).args(["-c", packages]))?,
        })
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "cpu": self.cpu, "cores": self.cores, "memory_bytes": self.memory_bytes, "kernel": self.kernel,
            "file_system": self.file_system, "date": self.date, "load": self.load, "dbmux": self.dbmux,
            "duckdb": self.duckdb, "rivals": self.rivals,
        })
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let gib = self.memory_bytes as f64 / f64::from(1 << 30);
        write!(
            to,
            "{}: {}, {} cores, {gib:.0} GiB, Linux {}, {}, load {:.1} at the start; {} with DuckDB {}; {}",
            self.date,
            self.cpu,
            self.cores,
            self.kernel,
            self.file_system,
            self.load,
            self.dbmux,
            self.duckdb.trim_start_matches('v'),
            self.rivals
        )
    }
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Of the DuckDB that dbmux links.
fn in_process_version(context: &Context) -> Result<String> {
    let directory = context.fresh()?;
    let database = dbmux_duckdb::plain::Database::open(&directory.path().join("version.duckdb"), false)?;
    let batches = database.connect()?.query("SELECT version()")?;
    let column = batches.first().ok_or("no version")?.column(0);
    Ok(arrow::util::display::array_value_to_string(column, 0)?)
}

/// The type of the file system that a directory is on.
fn file_system(directory: &Path) -> Result<String> {
    let directory = directory.canonicalize()?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let deepest = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (point, kind) = (words.next()?, words.next()?);
        directory.starts_with(point).then(|| (point.len(), kind.to_owned()))
    });
    // Of two mounts on one point the later one is on top.
    Ok(deepest.max_by_key(|(length, _)| *length).ok_or("no file system")?.1)
}
