//! dbt through dbmux beside plain dbt, on the test project.

mod again;
mod agents;
mod eight;
mod plan;

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::Instant,
};

pub(crate) use self::{
    again::measure as again, agents::measure as agents, eight::measure as eight, plan::measure as plan,
};
use crate::{Result, context::Context};

/// A copy of the test project with a database of its own, and a runtime directory of its own.
struct Project {
    directory: tempfile::TempDir,
    dbmux: PathBuf,
    dbt: PathBuf,
}

impl Project {
    fn new(context: &Context) -> Result<Self> {
        let dbt = context.dbt.clone().ok_or("--dbt is needed: see benches/run.sh")?;
        let directory = context.fresh()?;
        let source = context.rivals.join("../../testkit/dbt/project");
        let copied = Command::new("cp").arg("-r").arg(source).arg(directory.path().join("project")).status()?;
        if !copied.success() {
            return Err("the test project cannot be copied".into());
        }
        // Short: a socket's path must be.
        std::fs::create_dir(directory.path().join("r"))?;
        std::fs::set_permissions(directory.path().join("r"), std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        Ok(Self { directory, dbmux: context.dbmux.clone(), dbt })
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("project")
    }

    fn database(&self) -> PathBuf {
        self.directory.path().join("company.duckdb")
    }

    fn set_up(&self, mut command: Command) -> Command {
        command.current_dir(self.root()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.env("DBMUX_TEST_DB", self.database()).env("DBMUX_RUNTIME_DIR", self.directory.path().join("r"));
        // A daemon does not outlive its row for long.
        command.env("DBMUX_IDLE_EXIT", "20s");
        command
    }

    /// Plain dbt.
    fn plain(&self, arguments: &[&str]) -> Command {
        let mut command = self.set_up(Command::new(&self.dbt));
        command.args(arguments);
        command
    }

    /// dbt through dbmux.
    fn ours(&self, arguments: &[&str]) -> Command {
        let mut command = self.set_up(Command::new(&self.dbmux));
        command.args(["dbt", "--wait", "10m", "--dbt"]).arg(&self.dbt).args(arguments);
        command
    }

    /// What the tables hold: the same for the same rows, in whatever order.
    fn contents(&self) -> Result<String> {
        let sql = |sql: &str| -> Result<String> {
            let mut command = self.set_up(Command::new(&self.dbmux));
            command.arg("sql").arg(self.database()).arg(sql).args(["--format", "csv"]).stdout(Stdio::piped());
            let output = command.output()?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into());
            }
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let tables = sql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'main' ORDER BY 1")?;
        let mut all = String::new();
        for table in tables.lines().skip(1) {
            all.push_str(&format!("{table} {}", sql(&format!("SELECT count(*), bit_xor(hash(t)) FROM {table} t"))?));
        }
        Ok(all)
    }
}

/// Runs it, which must succeed; in seconds.
fn timed(mut command: Command) -> Result<f64> {
    let began = Instant::now();
    let output = command.output()?;
    let took = began.elapsed().as_secs_f64();
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(took)
}
