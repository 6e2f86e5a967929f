//! Finding dbt: one look at all processes of a machine with 300 more of them, and a database that somebody has.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Instant,
};

use dbmux_dbt::find::Search;

use crate::{
    Result,
    context::Context,
    figures::{Figure, Goal, Line, Samples},
};

/// Processes that are started for it.
const PROCESSES: usize = 300;

/// Those processes; they end with this.
struct Crowd(Vec<Child>);

impl Drop for Crowd {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn measure(context: &Context) -> Result<Vec<Line>> {
    let directory = context.fresh()?;
    let root = directory.path().join("shop");
    fs::create_dir_all(root.join("logs"))?;
    fs::write(root.join("dbt_project.yml"), "name: shop\n")?;
    let database = root.join("shop.duckdb");
    fs::write(&database, "")?;
    let mut crowd = Crowd(Vec::new());
    for _ in 0..PROCESSES {
        crowd.0.push(Command::new("sleep").arg("3600").stdin(Stdio::null()).spawn()?);
    }
    // As a DuckDB has it, in Python with dbt's name in its arguments: what has to be looked at closely.
    let script = "import fcntl, sys\nf = open(sys.argv[1], 'r+b')\nfcntl.lockf(f, fcntl.LOCK_EX)\nprint(flush=True)\nsys.stdin.read()";
    let mut holder = Command::new(&context.python);
    holder.args(["-c", script]).arg(&database).arg("dbt").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = holder.spawn()?;
    let mut held = [0];
    std::io::Read::read_exact(holder.stdout.as_mut().ok_or("its output")?, &mut held)?;
    crowd.0.push(holder);
    let search = Search::new(&root).databases([database]);
    let (mut samples, mut processes) = (Samples::default(), 0);
    for _ in 0..context.rounds(200, 50) {
        let began = Instant::now();
        let found = search.look()?;
        samples.push(vec![began.elapsed().as_secs_f64()]);
        processes = found.processes;
        if found.is_dbt_running() || found.other_holders.len() != 1 {
            return Err(format!("it found {} and {} others", found.finds.len(), found.other_holders.len()).into());
        }
    }
    let most = Goal::AtMost(Figure::Seconds(0.01));
    let what = |which: &str| format!("finding dbt among {processes} processes{which}");
    Ok(vec![
        Line::alone(&what(""), Figure::Seconds(samples.overall(0.5)), most),
        Line::alone(&what(", p99"), Figure::Seconds(samples.overall(0.99)), Goal::None),
    ])
}
