//! The scenarios of a plan: each has all the steps, with variables, a target and a database of its own.

use std::collections::{BTreeMap, HashSet};

use super::{PlanFile, ScenarioFile, Step, steps};
use crate::DbtCommand;

/// One scenario of a plan, with everything filled in.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Empty: the plan has none.
    pub name: String,
    /// Its steps.
    pub steps: Vec<Step>,
    pub(super) environment: BTreeMap<String, String>,
}

/// The scenarios of a plan.
///
/// # Errors
/// The reason, when it makes no sense.
pub fn scenarios(plan: &PlanFile) -> Result<Vec<Scenario>, String> {
    let only = [ScenarioFile { name: String::new(), vars: toml::Table::new(), target: None, env: BTreeMap::new() }];
    let files = if plan.scenarios.is_empty() { &only[..] } else { &plan.scenarios[..] };
    let mut names = HashSet::new();
    let mut all = Vec::new();
    for file in files {
        let plain = file.name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if !plan.scenarios.is_empty() && (file.name.is_empty() || !plain || file.name.starts_with('.')) {
            return Err(format!("`{}` cannot be a scenario's name: use letters, digits, `-`, `_` and `.`", file.name));
        }
        if !names.insert(&file.name) {
            return Err(format!("two scenarios are called `{}`", file.name));
        }
        let mut steps = steps(plan, &file.vars)?;
        for step in &mut steps {
            step.command = placed(&step.command, file);
        }
        all.push(Scenario { name: file.name.clone(), steps, environment: file.env.clone() });
    }
    Ok(all)
}

/// With its scenario's target, and a place of its own for what dbt writes.
fn placed(command: &DbtCommand, scenario: &ScenarioFile) -> DbtCommand {
    let mut command = command.clone();
    if let Some(target) = &scenario.target {
        command = command.with("--target", &[target]);
    }
    if !scenario.name.is_empty() {
        for (option, folder) in [("--target-path", "target"), ("--log-path", "logs")] {
            if !command.has(option) {
                command = command.with(option, &[&format!("{folder}/{}", scenario.name)]);
            }
        }
    }
    command
}
