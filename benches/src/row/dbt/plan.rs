//! A simulation of ten years, six steps a year: `dbmux dbt plan` beside plain dbt, a process a step.
//!
//! What is compared is the overhead: the wall time less the nodes' own, as dbt tells it.

use std::{process::Stdio, time::Instant};

use serde_json::Value;

use super::{Project, timed};
use crate::{
    Result,
    context::Context,
    figures::{Figure, Goal, Line},
};

const STEPS: [(&str, &str, &str); 6] = [
    ("staff", "sim_staff", "\"base\", \"summary@previous\""),
    ("exits", "sim_exits", "\"staff\""),
    ("raises", "sim_raises", "\"staff\""),
    ("hires", "sim_hires", "\"exits\""),
    ("end", "sim_year_end", "\"hires\", \"raises\""),
    ("summary", "sim_summary", "\"end\""),
];

const FIRST: usize = 2024;

/// How large the company is.
const EMPLOYEES: usize = 10_000;

pub(crate) fn measure(context: &Context) -> Result<Vec<Line>> {
    let (years, threads): (usize, &[u32]) = if context.quick { (2, &[4]) } else { (10, &[1, 2, 4, 8]) };
    let mut lines = Vec::new();
    for threads in threads {
        let (by_plain, by_plan, by_sequence) = (Project::new(context)?, Project::new(context)?, Project::new(context)?);
        let plain = plain(&by_plain, years, *threads)?;
        let merged = planned(&by_plan, years, *threads, &[])?;
        let sequential = planned(&by_sequence, years, *threads, &["--sequential"])?;
        let expected = by_plain.contents()?;
        if by_plan.contents()? != expected || by_sequence.contents()? != expected {
            return Err("the tables differ".into());
        }
        let goal = if *threads == 1 { Goal::None } else { Goal::Within(0.35) };
        let rival = ("plain dbt, a process a step", Figure::Seconds(plain));
        let line = |how: &str, ours| {
            let what = format!("overhead of a plan of {years} years, `--threads {threads}`, {how}");
            Line::beside(&what, Figure::Seconds(ours), rival, goal)
        };
        lines.extend([line("merged", merged), line("`--sequential`", sequential)]);
    }
    Ok(lines)
}

fn base() -> [Vec<String>; 2] {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect();
    [words("seed"), words("run --select staging marts")]
}

/// Seconds that are not the nodes'.
fn plain(project: &Project, years: usize, threads: u32) -> Result<f64> {
    let mut overhead = 0.0;
    let mut step = |arguments: &[String], vars: String| -> Result<()> {
        let threads = threads.to_string();
        let mut all: Vec<&str> = arguments.iter().map(String::as_str).collect();
        all.extend(["--vars", &vars, "--threads", &threads]);
        let took = timed(project.plain(&all))?;
        let text = std::fs::read(project.root().join("target/run_results.json"))?;
        let results: Value = serde_json::from_slice(&text)?;
        let nodes = results["results"].as_array().ok_or("no results")?;
        overhead += took - nodes.iter().filter_map(|node| node["execution_time"].as_f64()).sum::<f64>();
        Ok(())
    };
    for arguments in base() {
        step(&arguments, format!("{{\"employees\": {EMPLOYEES}}}"))?;
    }
    for year in FIRST..FIRST + years {
        for (_, model, _) in STEPS {
            let arguments = ["run", "--select", model].map(str::to_owned);
            step(&arguments, format!("{{\"employees\": {EMPLOYEES}, \"year\": {year}}}"))?;
        }
    }
    Ok(overhead)
}

fn planned(project: &Project, years: usize, threads: u32, options: &[&str]) -> Result<f64> {
    let mut text = format!(
        "vars = {{ employees = {EMPLOYEES} }}\nthreads = {threads}\nfor_each = {{ year = \"{FIRST}..{}\" }}\n",
        FIRST + years - 1
    );
    let mut step = |name: &str, command: &str, more: &str| {
        text.push_str(&format!("[[step]]\nname = \"{name}\"\ncommand = \"{command}\"\n{more}\n"));
    };
    let [seed, models] = base().map(|words| words.join(" "));
    step("seed", &seed, "for_each = {}");
    step("base", &models, "for_each = {}\nneeds = [\"seed\"]");
    for (name, model, needs) in STEPS {
        step(name, &format!("run --select {model}"), &format!("vars = {{ year = \"{{year}}\" }}\nneeds = [{needs}]"));
    }
    std::fs::write(project.root().join("plan.toml"), text)?;
    let mut command = project.ours(&[&["plan", "plan.toml", "--json"], options].concat());
    let began = Instant::now();
    let output = command.stdout(Stdio::piped()).output()?;
    let took = began.elapsed().as_secs_f64();
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let steps = report["steps"].as_array().ok_or("no steps")?;
    let nodes = steps.iter().flat_map(|step| step["nodes"].as_array().into_iter().flatten());
    Ok(took - nodes.filter_map(|node| node["seconds"].as_f64()).sum::<f64>())
}
