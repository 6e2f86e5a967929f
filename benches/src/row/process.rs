//! `dbmux sql DB "select 42"`, from its start to its exit: with a broker, and without one.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    Result,
    context::Context,
    figures::{Figure, Goal, Line, Samples},
    place::{Place, runtime},
};

pub(crate) fn measure(context: &Context) -> Result<Vec<Line>> {
    let runtime = runtime()?;
    let place = Place::new(context)?;
    let run = || -> Result<f64> {
        let mut command = Command::new(&context.dbmux);
        command.arg("sql").arg(place.database()).arg("select 42").stderr(Stdio::inherit());
        let began = Instant::now();
        let output = command.output()?;
        let took = began.elapsed().as_secs_f64();
        if !output.status.success() || !output.stdout.ends_with(b"42\n") {
            return Err(format!("{command:?} ended with {}", output.status).into());
        }
        Ok(took)
    };
    // Makes the file, and brings the binary into memory.
    run()?;
    let (mut warm, mut cold) = (Samples::default(), Samples::default());
    for _ in 0..context.rounds(15, 5) {
        runtime.block_on(place.stop())?;
        cold.push(vec![run()?]);
        warm.push((0..5).map(|_| run()).collect::<Result<_>>()?);
    }
    runtime.block_on(place.stop())?;
    let most = |milliseconds| Goal::AtMost(Figure::Seconds(Duration::from_millis(milliseconds).as_secs_f64()));
    let line = |what, samples: &Samples, goal| Line::alone(what, Figure::Seconds(samples.overall(0.5)), goal);
    Ok(vec![
        line("`dbmux sql DB \"select 42\"`, whole process, broker running", &warm, most(25)),
        line("`dbmux sql DB \"select 42\"`, whole process, no broker yet", &cold, most(250)),
    ])
}
