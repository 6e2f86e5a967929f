//! Nodes that failed by a lock or a conflict, not by their SQL, are run once more, one after the other.

use std::collections::HashSet;

use super::{Hear, Heard, Job, invoke, summary};
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

/// Of a node that was not run for another's sake.
const SKIPPED: &str = "skipped";

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
        let failed = outcome.results.iter().any(|result| summary::has_failed(&result.status));
        outcome.exit_code = i32::from(failed);
    }
    Ok(outcome)
}

/// What failed in passing, and what was skipped for nothing else: what something above it has failed for good for would be
/// skipped again, or worse, be built on what is old, for dbt skips within one invocation only.
fn again(results: &[NodeResult]) -> Vec<String> {
    let failed = results.iter().filter(|result| result.status != SKIPPED && summary::has_failed(&result.status));
    let (passing, for_good): (Vec<_>, Vec<_>) = failed.partition(|result| in_passing(result));
    if passing.is_empty() {
        return Vec::new();
    }
    let skipped = || results.iter().filter(|result| result.status == SKIPPED);
    let mut again: Vec<&NodeResult> = passing.into_iter().chain(skipped()).collect();
    // Where nothing failed for good, all was skipped for what failed in passing, whatever is known of why.
    while !for_good.is_empty() {
        let those: HashSet<&str> = again.iter().map(|result| result.unique_id.as_str()).collect();
        let before = again.len();
        again.retain(|result| {
            let reasons = &result.skipped_for;
            result.status != SKIPPED
                || (!reasons.is_empty() && reasons.iter().all(|reason| those.contains(reason.as_str())))
        });
        if again.len() == before {
            break;
        }
    }
    again.into_iter().map(|result| result.unique_id.clone()).collect()
}

fn in_passing(result: &NodeResult) -> bool {
    // A test that fails says what it found. A hook is nothing that can be selected.
    let may_pass = matches!(result.status.as_str(), "error" | "runtime error");
    if !may_pass || result.unique_id.starts_with("operation.") {
        return false;
    }
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
            skipped_for: Vec::new(),
        }
    }

    fn skipped(id: &str, reasons: &[&str]) -> NodeResult {
        let skipped_for = reasons.iter().map(|reason| (*reason).to_owned()).collect();
        NodeResult { skipped_for, ..result(id, "skipped", "") }
    }

    #[test]
    fn only_what_failed_in_passing_is_run_again() {
        let lock = result("model.p.a", "error", "IO Error: Could not set lock on file \"x\"");
        let sql = result("model.p.b", "error", "Parser Error: syntax error");
        let later = skipped("model.p.c", &[]);
        assert_eq!(again(&[lock.clone(), later.clone()]), ["model.p.a", "model.p.c"]);
        assert_eq!(again(&[lock, sql.clone(), later.clone()]), ["model.p.a"], "nobody knows for which it was skipped");
        assert_eq!(again(&[sql, later]), [""; 0]);
        let hook = result("operation.p.p-on-run-end-0", "error", "TransactionContext Error: Conflict on update!");
        assert_eq!(again(&[hook]), [""; 0], "it cannot be selected");
    }

    #[test]
    fn what_was_skipped_for_a_failure_that_stays_is_skipped() {
        let lock = result("model.p.a", "error", "TransactionContext Error: Conflict on update!");
        for (id, status, message) in
            [("model.p.b", "error", "Parser Error"), ("test.p.b.1", "fail", "Got 1 result, conflict on nothing")]
        {
            let good = result(id, status, message);
            let results = [
                skipped("model.p.below_a", &["model.p.a"]),
                skipped("model.p.below_that", &["model.p.a", "model.p.below_a"]),
                skipped("model.p.below_b", &[id]),
                skipped("model.p.below_both", &["model.p.a", id]),
                // dbt has said only what is next above it.
                skipped("model.p.far_below_both", &["model.p.below_both"]),
                // As a model is skipped for its own unit test: it is not told why.
                skipped("model.p.unknown", &[]),
                skipped("model.p.below_unknown", &["model.p.unknown"]),
                good,
                lock.clone(),
            ];
            assert_eq!(again(&results), ["model.p.a", "model.p.below_a", "model.p.below_that"]);
        }
    }

    #[test]
    fn nodes_are_selected_by_their_names() {
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
