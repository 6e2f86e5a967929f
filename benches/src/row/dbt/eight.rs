//! Eight `dbt run --select m_i`: through dbmux all at once, by plain dbt one after the other.

use std::{process::Stdio, time::Instant};

use super::{Project, timed};
use crate::{
    Result,
    context::Context,
    figures::{Figure, Goal, Line, Samples},
};

const RUNS: usize = 8;

pub(crate) fn measure(context: &Context) -> Result<Vec<Line>> {
    let (mut plain, mut merged, mut cold, mut warm) =
        (Samples::default(), Samples::default(), Samples::default(), Samples::default());
    for _ in 0..context.rounds(3, 1) {
        let by_plain = Project::new(context)?;
        timed(by_plain.plain(&["parse"]))?;
        plain.push(vec![
            (1..=RUNS).map(|run| timed(by_plain.plain(&["run", "--select", &model(run)]))).sum::<Result<f64>>()?,
        ]);
        let ours = Project::new(context)?;
        timed(ours.plain(&["parse"]))?;
        // Nobody has asked before: dbt must be imported first.
        cold.push(vec![at_once(&ours, &[])?]);
        if ours.contents()? != by_plain.contents()? {
            return Err("the tables differ".into());
        }
        merged.push(vec![at_once(&ours, &[])?]);
        warm.push(vec![at_once(&ours, &["--sequential"])?]);
    }
    let figure = |samples: &Samples| Figure::Seconds(samples.overall(0.5));
    let line = |what, ours: &Samples, goal| {
        Line::beside(what, figure(ours), ("plain dbt, one after the other", figure(&plain)), goal)
    };
    Ok(vec![
        line("eight `dbmux dbt run` at once: merged, dbt warm", &merged, Goal::Within(0.15)),
        line("the same, merged alone: the first requests of all", &cold, Goal::Within(0.15)),
        line("the same, warm alone: `--sequential`", &warm, Goal::None),
    ])
}

fn model(number: usize) -> String {
    format!("m_{number}")
}

fn at_once(project: &Project, options: &[&str]) -> Result<f64> {
    let began = Instant::now();
    let mut runs = Vec::new();
    for run in 1..=RUNS {
        let mut command = project.ours(&[options, &["run", "--select", &model(run)]].concat());
        runs.push(command.stderr(Stdio::null()).spawn()?);
    }
    for mut run in runs {
        if !run.wait()?.success() {
            return Err("a run has failed".into());
        }
    }
    Ok(began.elapsed().as_secs_f64())
}
