//! What an invocation answers, and what it leaves.

use crate::support::{Place, sql};

#[test]
fn builds_all_and_lets_go_of_the_database_each_time() {
    let mut place = Place::new();
    let (outcome, seen) = place.dbt(&["build"]);
    assert_eq!(outcome.exit_code, 0, "{}{}", seen.stdout, seen.stderr);
    assert_eq!(outcome.ended, None);
    assert!(outcome.results.len() > 30, "{:?}", outcome.results);
    assert!(!place.is_locked());
    let pid = place.warm.pid();
    for _ in 0..2 {
        let (outcome, seen) = place.dbt(&["run", "--select", "m_1"]);
        assert_eq!((outcome.exit_code, seen.restart, outcome.ended), (0, None, None), "{}", seen.stdout);
        let nodes: Vec<_> =
            outcome.results.iter().map(|node| (node.unique_id.as_str(), node.status.as_str())).collect();
        assert_eq!(nodes, [("model.company.m_1", "success")]);
        assert!(!place.is_locked());
        println!("{:?} {} MiB", outcome.took, outcome.memory >> 20);
    }
    assert_eq!(place.warm.pid(), pid);
    assert_eq!(sql(&place.project, "select count(*) from m_1"), "[(97,)]");
}
