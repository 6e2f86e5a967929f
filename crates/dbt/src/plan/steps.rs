//! The steps of a plan with everything filled in: one for each repetition, with what it needs.

use std::collections::{HashMap, HashSet};

use toml::{Table, Value};

use super::file::{PlanFile, StepFile, repeated};
use crate::DbtCommand;

/// A step that can be run.
#[derive(Debug, Clone)]
pub struct Step {
    /// `hires` or `hires[year=2024]`.
    pub name: String,
    /// The repetition that it belongs to: `2024`; empty: none.
    pub round: String,
    /// With its variables.
    pub command: DbtCommand,
    /// By their places in the list: all of them are before this one.
    pub needs: Vec<usize>,
}

/// The values of one repetition, by name.
type Round = Vec<(String, Value)>;

/// Fills everything in. The order is that of the file, repetition by repetition, with what is needed first.
///
/// # Errors
/// The reason: a step that needs one that is not there, or itself; a command that cannot be split.
pub fn steps(plan: &PlanFile, scenario: &Table) -> Result<Vec<Step>, String> {
    let mut names = HashSet::new();
    if let Some(twice) = plan.steps.iter().find(|step| !names.insert(step.name.as_str())) {
        return Err(format!("two steps are called `{}`", twice.name));
    }
    let mut drafts = drafts(plan, scenario)?;
    // Repetition by repetition: a step of the second year stands behind all of the first.
    drafts.sort_by_key(|draft| draft.turn);
    let needs = drafts.iter().map(|draft| needs(draft, &drafts)).collect::<Result<Vec<_>, _>>()?;
    let order = sorted(&needs).map_err(|at| format!("`{}` needs itself, by way of others", drafts[at].name()))?;
    let place: HashMap<usize, usize> = order.iter().enumerate().map(|(place, draft)| (*draft, place)).collect();
    Ok(order
        .iter()
        .map(|draft| Step {
            name: drafts[*draft].name(),
            round: drafts[*draft].round_text(),
            command: drafts[*draft].command.clone(),
            needs: needs[*draft].iter().map(|need| place[need]).collect(),
        })
        .collect())
}

struct Draft<'a> {
    file: &'a StepFile,
    /// Which repetition it is.
    turn: usize,
    round: Round,
    rounds: Vec<Round>,
    command: DbtCommand,
}

impl Draft<'_> {
    fn name(&self) -> String {
        if self.round.is_empty() {
            return self.file.name.clone();
        }
        let values: Vec<String> = self.round.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
        format!("{}[{}]", self.file.name, values.join(","))
    }

    fn round_text(&self) -> String {
        self.round.iter().map(|(_, value)| plain(value)).collect::<Vec<_>>().join(",")
    }
}

fn drafts<'a>(plan: &'a PlanFile, scenario: &Table) -> Result<Vec<Draft<'a>>, String> {
    let mut drafts = Vec::new();
    for file in &plan.steps {
        let rounds = rounds(file.for_each.as_ref().unwrap_or(&plan.for_each))?;
        for (turn, round) in rounds.iter().enumerate() {
            let command = command(plan, scenario, file, round)?;
            drafts.push(Draft { file, turn, round: round.clone(), rounds: rounds.clone(), command });
        }
    }
    Ok(drafts)
}

/// Every combination, the last name's values changing fastest; one empty round where nothing is repeated.
fn rounds(table: &Table) -> Result<Vec<Round>, String> {
    let mut rounds: Vec<Round> = vec![Vec::new()];
    for (name, values) in table {
        let values = repeated(values)?;
        rounds = rounds
            .iter()
            .flat_map(|round| {
                values.iter().map(|value| {
                    let mut next = round.clone();
                    next.push((name.clone(), value.clone()));
                    next
                })
            })
            .collect();
    }
    Ok(rounds)
}

fn command(plan: &PlanFile, scenario: &Table, file: &StepFile, round: &Round) -> Result<DbtCommand, String> {
    let text = filled(&file.command, round);
    let words = shlex::split(&text).ok_or_else(|| format!("`{}`: a quote is not closed: {text}", file.name))?;
    let words = match words.split_first() {
        Some((dbt, rest)) if dbt == "dbt" => rest.to_vec(),
        _ => words,
    };
    let mut command = DbtCommand::parse(words);
    if !command.kind().may_be_warm() {
        return Err(format!("`{}`: a plan cannot run `{}`", file.name, command.text()));
    }
    let mut vars = Table::new();
    for table in [&plan.vars, scenario, &file.vars] {
        vars.extend(table.iter().map(|(name, value)| (name.clone(), filled_value(value, round))));
    }
    if !vars.is_empty() {
        if command.has("--vars") {
            return Err(format!("`{}`: variables stand in `vars`, not in the command", file.name));
        }
        let text = serde_json::to_string(&vars).map_err(|error| format!("`{}`: {error}", file.name))?;
        command = command.with("--vars", &[&text]);
    }
    match plan.threads {
        Some(threads) if command.threads().is_none() => Ok(command.with("--threads", &[&threads.to_string()])),
        _ => Ok(command),
    }
}

fn needs(draft: &Draft<'_>, all: &[Draft<'_>]) -> Result<Vec<usize>, String> {
    let mut found = Vec::new();
    for need in &draft.file.needs {
        let (name, previous) = need.strip_suffix("@previous").map_or((need.as_str(), false), |name| (name, true));
        let mut of_name = all.iter().enumerate().filter(|(_, other)| other.file.name == name).peekable();
        if of_name.peek().is_none() {
            return Err(format!("`{}` needs `{name}`, and there is no such step", draft.file.name));
        }
        if previous {
            let before = previous_round(draft);
            found.extend(of_name.filter(|(_, other)| Some(&other.round) == before).map(|(at, _)| at));
        } else {
            // The same repetition's; all of them where that one is repeated and this one is not, or the other way round.
            let same = |other: &Draft<'_>| {
                other
                    .round
                    .iter()
                    .all(|(name, value)| draft.round.iter().all(|(own, own_value)| own != name || own_value == value))
            };
            found.extend(of_name.filter(|(_, other)| same(other)).map(|(at, _)| at));
        }
    }
    Ok(found)
}

/// The value before this one; `None` for the first.
fn previous_round<'a>(draft: &'a Draft<'_>) -> Option<&'a Round> {
    let at = draft.rounds.iter().position(|round| *round == draft.round)?;
    let before = draft.rounds.get(at.checked_sub(1)?)?;
    // Only the last name moves on: the first year of a region has no year before it.
    let others = draft.round.len().saturating_sub(1);
    (before[..others] == draft.round[..others]).then_some(before)
}

/// An order with everything after what it needs, as close to the given one as can be; `Err`: one that needs itself.
fn sorted(needs: &[Vec<usize>]) -> Result<Vec<usize>, usize> {
    let mut order = Vec::with_capacity(needs.len());
    let mut done = vec![false; needs.len()];
    while order.len() < needs.len() {
        let ready = (0..needs.len()).find(|at| !done[*at] && needs[*at].iter().all(|need| done[*need]));
        let Some(next) = ready else { return Err(done.iter().position(|done| !done).unwrap_or_default()) };
        done[next] = true;
        order.push(next);
    }
    Ok(order)
}

/// `{year}` becomes 2024. Other braces stay as they are.
fn filled(text: &str, round: &Round) -> String {
    round.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), &plain(value)))
}

/// The same in a variable; one that is nothing but `{year}` becomes a number where that is one.
fn filled_value(value: &Value, round: &Round) -> Value {
    match value {
        Value::String(text) => {
            let whole = round.iter().find(|(name, _)| *text == format!("{{{name}}}"));
            whole.map_or_else(|| Value::String(filled(text, round)), |(_, value)| value.clone())
        }
        Value::Array(values) => Value::Array(values.iter().map(|value| filled_value(value, round)).collect()),
        Value::Table(table) => {
            Value::Table(table.iter().map(|(name, value)| (name.clone(), filled_value(value, round))).collect())
        }
        other => other.clone(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> PlanFile {
        toml::from_str(text).expect("a plan")
    }

    fn names(steps: &[Step]) -> Vec<&str> {
        steps.iter().map(|step| step.name.as_str()).collect()
    }

    const YEARS: &str = "
        for_each = { year = [2024, 2025] }
        vars = { size = 10 }
        [[step]]
        name = 'seed'
        command = 'dbt seed'
        for_each = {}
        [[step]]
        name = 'hires'
        command = \"run --select 'sim_hires'\"
        vars = { year = '{year}', label = 'y{year}' }
        needs = ['seed', 'close@previous']
        [[step]]
        name = 'close'
        command = 'run --select close'
        vars = { year = '{year}' }
        needs = ['hires']";

    #[test]
    fn steps_are_repeated_and_stand_behind_what_they_need() {
        let steps = steps(&plan(YEARS), &Table::new()).expect("steps");
        let expected = ["seed", "hires[year=2024]", "close[year=2024]", "hires[year=2025]", "close[year=2025]"];
        assert_eq!(names(&steps), expected);
        assert_eq!(
            steps.iter().map(|step| step.needs.clone()).collect::<Vec<_>>(),
            [vec![], vec![0], vec![1], vec![0, 2], vec![3]]
        );
        assert_eq!(steps[1].command.value("--vars"), Some(r#"{"size":10,"year":2024,"label":"y2024"}"#));
        assert_eq!((steps[3].round.as_str(), steps[0].round.as_str()), ("2025", ""));
    }

    #[test]
    fn a_scenario_changes_variables() {
        let scenario: Table = toml::from_str("size = 20").expect("a table");
        let steps = steps(&plan(YEARS), &scenario).expect("steps");
        assert_eq!(steps[0].command.value("--vars"), Some(r#"{"size":20}"#));
    }

    #[test]
    fn only_the_last_name_has_a_previous_value() {
        let steps = steps(
            &plan(
                "for_each = { region = ['n', 's'], year = [1, 2] }
                [[step]]\nname = 'a'\ncommand = 'run'\nneeds = ['a@previous']",
            ),
            &Table::new(),
        )
        .expect("steps");
        let expected = ["a[region=n,year=1]", "a[region=n,year=2]", "a[region=s,year=1]", "a[region=s,year=2]"];
        assert_eq!(names(&steps), expected);
        let needs: Vec<_> = steps.iter().map(|step| step.needs.clone()).collect();
        assert_eq!(needs, [vec![], vec![0], vec![], vec![2]]);
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (text, reason) in [
            ("[[step]]\nname='a'\ncommand='run'\nneeds=['b']", "no such step"),
            ("[[step]]\nname='a'\ncommand='run'\nneeds=['a']", "needs itself"),
            ("[[step]]\nname='a'\ncommand='run'\n[[step]]\nname='a'\ncommand='run'", "two steps"),
            ("[[step]]\nname='a'\ncommand='run \"x'", "quote"),
            ("[[step]]\nname='a'\ncommand='docs serve'", "cannot run"),
            ("vars={a=1}\n[[step]]\nname='a'\ncommand='run --vars {}'", "not in the command"),
            ("for_each={y=[]}\n[[step]]\nname='a'\ncommand='run'", "not empty"),
        ] {
            let error = steps(&plan(text), &Table::new()).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
