//! A second `dbt run` of one model, in a project whose dbt is warm.

use super::{Project, timed};
use crate::{
    Result,
    context::Context,
    figures::{Figure, Goal, Line, in_turn},
};

pub(crate) fn measure(context: &Context) -> Result<Vec<Line>> {
    let project = Project::new(context)?;
    timed(project.plain(&["build"]))?;
    let run = ["run", "--select", "m_1"];
    let [ours, plain, cold] = in_turn(
        context.rounds(7, 3),
        [&mut || Ok(vec![timed(project.ours(&run))?]), &mut || Ok(vec![timed(project.plain(&run))?]), &mut || {
            Ok(vec![timed(project.ours(&[&["--cold"][..], &run].concat()))?])
        }],
    )?;
    let figure = |samples: &crate::figures::Samples| Figure::Seconds(samples.overall(0.5));
    Ok(vec![
        Line::beside(
            "a second `dbmux dbt run --select one_model`, dbt warm",
            figure(&ours),
            ("plain dbt", figure(&plain)),
            Goal::Within(0.3),
        ),
        Line::beside("the same, `--cold`", figure(&cold), ("plain dbt", figure(&plain)), Goal::None),
    ])
}
