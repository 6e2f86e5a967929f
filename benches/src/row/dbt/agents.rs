//! `build_models` of a server for agents: ours, and dbt-core-mcp's, which keeps dbt imported as well.

use std::{process::Command, time::Instant};

use serde_json::json;

use super::{Project, timed};
use crate::{
    Result,
    agent::Agent,
    context::Context,
    figures::{Figure, Goal, Line, in_turn},
};

pub(crate) fn measure(context: &Context) -> Result<Vec<Line>> {
    let theirs = context.dbt_mcp.as_ref().ok_or("--dbt-mcp is needed: see benches/run.sh")?;
    let (own, other) = (Project::new(context)?, Project::new(context)?);
    for project in [&own, &other] {
        timed(project.plain(&["build"]))?;
    }
    let mut command = own.set_up(Command::new(&context.dbmux));
    command.env("DBMUX_DBT", &own.dbt).args(["mcp", "--wait", "10m", "--dbt"]).arg(own.root());
    let mut ours = Agent::start(command)?;
    let mut command = other.set_up(Command::new(theirs));
    command.arg("--project-dir").arg(other.root());
    let mut rival = Agent::start(command)?;
    // Whoever has dbt imported by then, has.
    build(&mut ours)?;
    build(&mut rival)?;
    let [ours, rival] =
        in_turn(context.rounds(25, 3), [&mut || Ok(vec![build(&mut ours)?]), &mut || Ok(vec![build(&mut rival)?])])?
            .map(|samples| Figure::Seconds(samples.overall(0.5)));
    let what = "MCP: `build_models` of one model on the warm dbt";
    Ok(vec![Line::beside(what, ours, ("dbt-core-mcp", rival), Goal::Within(1.0))])
}

/// Seconds.
fn build(agent: &mut Agent) -> Result<f64> {
    let began = Instant::now();
    let answer = agent.call("build_models", &json!({ "select": "m_1" }))?;
    let took = began.elapsed().as_secs_f64();
    match answer["success"] == true || answer["status"] == "success" {
        true => Ok(took),
        false => Err(format!("it was not built: {answer}").into()),
    }
}
