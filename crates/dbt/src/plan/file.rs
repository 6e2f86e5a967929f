//! A plan as it is written: steps, what each needs, and over what they are repeated.
//!
//! ```toml
//! vars = { employees = 10000 }
//! for_each = { year = [2024, 2025] }
//!
//! [[step]]
//! name = "hires"
//! command = "run --select sim_hires"
//! vars = { year = "{year}" }
//! needs = ["close@previous"]
//!
//! [[step]]
//! name = "close"
//! command = "run --select sim_year_end"
//! vars = { year = "{year}" }
//! needs = ["hires"]
//!
//! [[scenario]]
//! name = "cautious"
//! env = { COMPANY_DB = "cautious.duckdb" }
//! vars = { growth = 0.01 }
//! ```

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::{Table, Value};

use crate::DbtError;

/// A plan as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// The project, relative to the file. Default: where the file is, or above.
    pub project: Option<PathBuf>,
    /// For every step.
    #[serde(default)]
    pub vars: Table,
    /// How many threads a step gets.
    pub threads: Option<u32>,
    /// Repeats every step for each of these values.
    #[serde(default)]
    pub for_each: Table,
    /// The steps.
    #[serde(default, rename = "step")]
    pub steps: Vec<StepFile>,
    /// Runs all of it with a file of its own. Default: once, in the project's own.
    #[serde(default, rename = "scenario")]
    pub scenarios: Vec<ScenarioFile>,
}

/// A step as it is written. `{year}` stands for the value of the repetition.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepFile {
    /// Unique.
    pub name: String,
    /// What follows `dbt`, as a shell would split it.
    pub command: String,
    /// For this step.
    #[serde(default)]
    pub vars: Table,
    /// Names of steps; `name@previous`: that of the value before.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Repeats this step in place of the plan's; `{}`: it is not repeated.
    pub for_each: Option<Table>,
}

/// A scenario as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioFile {
    /// Unique.
    pub name: String,
    /// For every step of this scenario.
    #[serde(default)]
    pub vars: Table,
    /// dbt's target.
    pub target: Option<String>,
    /// Added to the environment: with it, the profile gives each scenario a database of its own.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

impl PlanFile {
    /// Reads a plan.
    ///
    /// # Errors
    /// [`DbtError::File`] with the line, when it cannot be understood.
    pub fn read(path: &Path) -> Result<Self, DbtError> {
        let refused = |reason: String| DbtError::File { path: path.to_owned(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
        let plan: Self = toml::from_str(&text).map_err(|error| refused(error.to_string().trim_end().to_owned()))?;
        if plan.steps.is_empty() {
            return Err(refused("it has no [[step]]".to_owned()));
        }
        Ok(plan)
    }

    /// Replaces what a name is repeated over, as `--set year=2024..2033` or `--set year=2024,2026` does.
    ///
    /// # Errors
    /// The reason, when there is no such name, or no such values.
    pub fn set(&mut self, name: &str, values: &str) -> Result<(), String> {
        let parsed = values_of(values)?;
        let everywhere = std::iter::once(&mut self.for_each);
        let mut known = false;
        for table in everywhere.chain(self.steps.iter_mut().filter_map(|step| step.for_each.as_mut())) {
            if let Some(present) = table.get_mut(name) {
                *present = Value::Array(parsed.clone());
                known = true;
            }
        }
        if known { Ok(()) } else { Err(format!("nothing in the plan is repeated for each `{name}`")) }
    }
}

/// `2024..2033` (both included), `a,b`, `2024`.
fn values_of(text: &str) -> Result<Vec<Value>, String> {
    if let Some((first, last)) = text.split_once("..") {
        let number = |text: &str| text.trim().parse::<i64>().map_err(|_| format!("`{text}` is no whole number"));
        let (first, last) = (number(first)?, number(last)?);
        if last < first || last - first >= 100_000 {
            return Err(format!("{first}..{last} is empty, or too long"));
        }
        return Ok((first..=last).map(Value::Integer).collect());
    }
    let value = |text: &str| text.parse::<i64>().map_or_else(|_| Value::String(text.to_owned()), Value::Integer);
    let values: Vec<Value> = text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(value).collect();
    if values.is_empty() { Err("there are no values".to_owned()) } else { Ok(values) }
}

/// The values that a name is repeated over: a list, or a range as text.
pub(super) fn repeated(value: &Value) -> Result<Vec<Value>, String> {
    match value {
        Value::Array(values) if !values.is_empty() => Ok(values.clone()),
        Value::String(range) => values_of(range),
        _ => Err("for_each wants lists that are not empty, or ranges like \"2024..2033\"".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_lists_are_read() {
        let years = |text: &str| values_of(text).map(|values| values.len());
        assert_eq!(years("2024..2033"), Ok(10));
        assert_eq!(values_of("2024, x"), Ok(vec![Value::Integer(2024), Value::String("x".into())]));
        for wrong in ["2033..2024", "a..b", "", ",", "0..99999999"] {
            assert!(years(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_repeated_can_be_set_from_outside() {
        let text = "for_each = { year = [1] }\n[[step]]\nname = 'a'\ncommand = 'run'\nfor_each = { year = [2] }";
        let mut plan: PlanFile = toml::from_str(text).expect("a plan");
        plan.set("year", "5..6").expect("it is known");
        assert_eq!(repeated(&plan.for_each["year"]).map(|values| values.len()), Ok(2));
        assert_eq!(
            plan.steps[0].for_each.as_ref().map(|table| table["year"].clone()),
            Some(plan.for_each["year"].clone())
        );
        assert!(plan.set("month", "1").is_err());
    }
}
