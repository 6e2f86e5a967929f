//! The last lines of an invocation, in dbt's words, for those nodes that one member has asked for.

use std::time::SystemTime;

use crate::warm::NodeResult;

/// As dbt counts: an invocation with such a node has failed. Source: `interpret_results` of dbt-core 1.11.
pub(super) fn has_failed(status: &str) -> bool {
    matches!(status, "error" | "fail" | "runtime error" | "skipped" | "partial success")
}

/// `Completed successfully`, or what has failed; and how many of each.
pub(super) fn of(results: &[&NodeResult]) -> String {
    let count = |statuses: &[&str]| results.iter().filter(|result| statuses.contains(&result.status.as_str())).count();
    let errors = count(&["error", "fail", "runtime error"]);
    let (warnings, skipped, nothing) = (count(&["warn"]), count(&["skipped"]), count(&["no-op"]));
    let mut lines = vec![String::new()];
    if errors + warnings == 0 {
        lines.push("Completed successfully".to_owned());
    } else {
        lines.push(format!("Completed with {}, and {}:", counted(errors, "error"), counted(warnings, "warning")));
    }
    for result in
        results.iter().filter(|result| matches!(result.status.as_str(), "error" | "fail" | "runtime error" | "warn"))
    {
        lines.push(String::new());
        lines.push(format!("{} {}", result.status, result.unique_id));
        lines.extend(result.message.iter().flat_map(|message| message.lines()).map(|line| format!("  {line}")));
    }
    let passed = results.len() - errors - warnings - skipped - nothing;
    lines.push(String::new());
    lines.push(format!(
        "Done. PASS={passed} WARN={warnings} ERROR={errors} SKIP={skipped} NO-OP={nothing} TOTAL={}",
        results.len()
    ));
    let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let time = time.get(11..19).unwrap_or_default();
    lines.iter().map(|line| format!("{time}  {line}\n")).collect()
}

fn counted(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(status: &str) -> NodeResult {
        NodeResult {
            unique_id: format!("model.shop.{status}"),
            status: status.to_owned(),
            execution_time: 0.1,
            message: Some("why".to_owned()),
            failures: None,
            rows_affected: None,
            skipped_for: Vec::new(),
        }
    }

    #[test]
    fn each_kind_is_counted_once() {
        let all = ["success", "pass", "warn", "error", "fail", "skipped", "no-op"].map(result);
        let text = of(&all.iter().collect::<Vec<_>>());
        assert!(text.contains("Completed with 2 errors, and 1 warning:"), "{text}");
        assert!(text.ends_with("  Done. PASS=2 WARN=1 ERROR=2 SKIP=1 NO-OP=1 TOTAL=7\n"), "{text}");
        assert!(text.contains("error model.shop.error\n"), "{text}");
        let fine = result("success");
        assert!(of(&[&fine]).contains("  Completed successfully\n"));
    }
}
