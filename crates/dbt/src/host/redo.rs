//! Nodes that failed by a lock or a conflict, not by their SQL, are run once more, one after the other.

use std::collections::HashSet;

use super::{Hear, Heard, Job, invoke};
use crate::{
    DbtCommand, DbtError,
    warm::{NodeResult, Outcome, Progress, Warm},
};

/// What DuckDB says of a lock, and of two transactions that touch the same.
const PASSING: [&str; 5] = [
    "could not set lock on file",
    "conflicting lock is held",
    "write-write conflict",
    "transactioncontext error: conflict",
    "conflict on",
];

type Tell<'a> = &'a mut dyn FnMut(Hear<'_>, &Progress<'_>);

/// Runs what failed in passing once more, with what was skipped for it; answers with what has come of all.
pub(super) fn where_it_helps(
    warm: &mut Warm,
    job: &Job<'_>,
    command: &DbtCommand,
    mut outcome: Outcome,
    hear: Hear<'_>,
    tell: Tell<'_>,
) -> Result<Outcome, DbtError> {
    let again = again(&outcome.results);
    if again.is_empty() || job.cancel.is_cancelled() || !command.kind().may_be_merged() {
        return Ok(outcome);
    }
    let names: Vec<&str> = again.iter().map(|id| name(id)).collect();
    hear(Heard::Note(format!(
        "{} failed by a lock or a conflict, or were skipped for it: once more, one after the other",
        names.join(", ")
    )));
    let sequential = command.only(&names);
    let second = invoke(warm, job, &sequential, &mut |progress| tell(hear, &progress))?;
    let redone: HashSet<&str> = second.results.iter().map(|result| result.unique_id.as_str()).collect();
    outcome.results.retain(|result| !redone.contains(result.unique_id.as_str()));
    outcome.took += second.took;
    outcome.memory = second.memory;
    outcome.ended = second.ended.or(outcome.ended);
    outcome.error = second.error.or(outcome.error);
    outcome.results.extend(second.results);
    if outcome.error.is_none() {
        let failed = outcome.results.iter().any(|result| super::summary::has_failed(&result.status));
        outcome.exit_code = i32::from(failed);
    }
    Ok(outcome)
}

/// What failed in passing; and what was skipped, where nothing failed for good that it may have been skipped for.
fn again(results: &[NodeResult]) -> Vec<String> {
    let failed = |result: &&NodeResult| matches!(result.status.as_str(), "error" | "runtime error");
    let passing: Vec<String> = results
        .iter()
        .filter(failed)
        .filter(|result| in_passing(result))
        .map(|result| result.unique_id.clone())
        .collect();
    if passing.is_empty() {
        return passing;
    }
    let skipped = results.iter().filter(|result| result.status == "skipped").map(|result| result.unique_id.clone());
    // What was skipped for a node that failed for good is skipped again: dbt itself sees to that only within one
    // invocation, so where there are both, only what failed in passing is run again.
    let for_good = results.iter().filter(failed).any(|result| !in_passing(result));
    if for_good { passing } else { passing.into_iter().chain(skipped).collect() }
}

fn in_passing(result: &NodeResult) -> bool {
    let message = result.message.as_deref().unwrap_or_default().to_lowercase();
    PASSING.iter().any(|passing| message.contains(passing))
}

/// `model.shop.orders` is selected as `orders`, `model.shop.orders.v2` as `orders.v2`, `test.shop.unique_id.1a2b` as
/// `unique_id`, `unit_test.shop.orders.adds_up` as `adds_up`.
fn name(id: &str) -> &str {
    let parts: Vec<&str> = id.splitn(3, '.').collect();
    let [kind, _, name] = parts[..] else { return id };
    match kind {
        "test" => name.split('.').next().unwrap_or(name),
        "unit_test" => name.rsplit('.').next().unwrap_or(name),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(id: &str, status: &str, message: &str) -> NodeResult {
        NodeResult {
            unique_id: id.to_owned(),
            status: status.to_owned(),
            execution_time: 0.0,
            message: Some(message.to_owned()),
            failures: None,
            rows_affected: None,
        }
    }

    #[test]
    fn only_what_failed_in_passing_is_run_again() {
        let lock = result("model.p.a", "error", "IO Error: Could not set lock on file \"x\"");
        let sql = result("model.p.b", "error", "Parser Error: syntax error");
        let skipped = result("model.p.c", "skipped", "");
        assert_eq!(again(&[lock.clone(), skipped.clone()]), ["model.p.a", "model.p.c"]);
        assert_eq!(again(&[lock, sql.clone(), skipped.clone()]), ["model.p.a"]);
        assert_eq!(again(&[sql, skipped]), [""; 0]);
        for (id, selected) in [
            ("model.p.a", "a"),
            ("model.p.a.v2", "a.v2"),
            ("test.p.unique_a.1f", "unique_a"),
            ("unit_test.p.a.adds_up", "adds_up"),
        ] {
            assert_eq!(name(id), selected);
        }
    }
}
