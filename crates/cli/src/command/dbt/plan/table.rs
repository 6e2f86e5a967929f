//! What a plan will do, and what it has done, as tables and as JSON.

use std::{collections::BTreeMap, time::Duration};

use comfy_table::{CellAlignment, Table, presets};
use dbmux_dbt::plan::{Fate, Scenario, Schedule, StepReport};
use serde_json::{Value, json};

use crate::render::person;

/// What is to be said of a step's end.
pub(super) fn fate(fate: Fate) -> &'static str {
    match fate {
        Fate::Pending | Fate::Running => "not run",
        Fate::Done => "done",
        Fate::Kept => "unchanged",
        Fate::Failed => "failed",
        Fate::Blocked => "blocked",
    }
}

/// `done  hires[year=2024]  310 ms, 2 nodes`.
pub(super) fn one_line(report: &StepReport) -> String {
    let nodes = person::counted(report.nodes.len() as u64, "node");
    format!("{:<9} {}  {}, {nodes}", fate(report.fate), name(report), seconds(report.times.running))
}

fn name(report: &StepReport) -> String {
    if report.scenario.is_empty() { report.name.clone() } else { format!("{}: {}", report.scenario, report.name) }
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.2} s")
}

/// Where the time of one scenario's round went, in seconds.
#[derive(Debug, Default, Clone, Copy)]
struct Spent {
    waiting: f64,
    starting: f64,
    parsing: f64,
    models: f64,
}

impl Spent {
    fn total(self) -> f64 {
        self.waiting + self.starting + self.parsing + self.models
    }
}

/// By scenario and round, in their order. An invocation that several steps share is counted once.
fn rounds(reports: &[StepReport]) -> Vec<((&str, &str), Spent)> {
    let mut rounds: Vec<((&str, &str), Spent)> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for report in reports.iter().filter(|report| report.code.is_some()) {
        let key = (report.scenario.as_str(), report.round.as_str());
        if !seen.insert((key.0, report.invocation)) {
            continue;
        }
        let at = rounds.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            rounds.push((key, Spent::default()));
            rounds.len() - 1
        });
        let spent = &mut rounds[at].1;
        spent.waiting += report.times.waiting;
        spent.starting += report.times.starting;
        spent.parsing += report.times.running - report.times.models;
        spent.models += report.times.models;
    }
    rounds
}

/// The steps, then where the time of each round went, then what is unfinished.
pub(super) fn for_person(reports: &[StepReport], took: Duration) -> String {
    let mut steps = table(&["step", "what", "time", "nodes", "rows"], 2..5);
    for report in reports {
        let ran = report.code.is_some();
        steps.add_row([
            name(report),
            fate(report.fate).to_owned(),
            if ran { seconds(report.times.running) } else { String::new() },
            if ran { report.nodes.len().to_string() } else { String::new() },
            rows(report).map(|rows| person::count(u64::try_from(rows).unwrap_or_default())).unwrap_or_default(),
        ]);
    }
    let mut text = format!("{steps}\n");
    let rounds = rounds(reports);
    if !rounds.is_empty() {
        let mut times = table(&["round", "waiting", "start-up", "parsing", "models", "all"], 1..6);
        for ((scenario, round), spent) in rounds {
            let label = [scenario, round].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ");
            let columns = [spent.waiting, spent.starting, spent.parsing, spent.models, spent.total()].map(seconds);
            times.add_row(std::iter::once(if label.is_empty() { "-".to_owned() } else { label }).chain(columns));
        }
        text.push_str(&format!("\n{times}\n"));
    }
    let unfinished: Vec<String> = reports
        .iter()
        .filter(|report| !matches!(report.fate, Fate::Done | Fate::Kept))
        .map(|report| format!("{} ({})", name(report), fate(report.fate)))
        .collect();
    if !unfinished.is_empty() {
        text.push_str(&format!("\nunfinished: {}\n", unfinished.join(", ")));
    }
    text.push_str(&format!("{} in {}\n", person::counted(reports.len() as u64, "step"), seconds(took.as_secs_f64())));
    text
}

/// Rows of its nodes, where they are known: of a DuckDB table all that it has, of a seed those that were loaded.
fn rows(report: &StepReport) -> Option<i64> {
    let rows: Vec<i64> = report.nodes.iter().filter_map(|node| node.rows).collect();
    (!rows.is_empty()).then(|| rows.iter().sum())
}

fn table(header: &[&str], right: std::ops::Range<usize>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).force_no_tty().set_header(header);
    for column in right {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

pub(super) fn for_program(reports: &[StepReport], took: Duration) -> Value {
    let steps: Vec<Value> = reports
        .iter()
        .map(|report| {
            json!({
                "scenario": (!report.scenario.is_empty()).then_some(&report.scenario),
                "step": report.name,
                "round": (!report.round.is_empty()).then_some(&report.round),
                "what": fate(report.fate),
                "exit_code": report.code,
                "invocation": report.code.map(|_| report.invocation),
                "times_s": report.code.map(|_| json!({
                    "waiting": report.times.waiting,
                    "start_up": report.times.starting,
                    "parsing": report.times.running - report.times.models,
                    "models": report.times.models,
                })),
                "rows": rows(report),
                "nodes": report.nodes,
            })
        })
        .collect();
    let rounds: Vec<Value> = rounds(reports)
        .into_iter()
        .map(|((scenario, round), spent)| {
            json!({
                "scenario": scenario, "round": round, "waiting_s": spent.waiting, "start_up_s": spent.starting,
                "parsing_s": spent.parsing, "models_s": spent.models,
            })
        })
        .collect();
    json!({ "took_s": took.as_secs_f64(), "steps": steps, "rounds": rounds })
}

/// What goes together, and in which order, if nothing fails.
fn schedule(scenario: &Scenario, sequential: bool) -> Vec<Vec<usize>> {
    let mut schedule = Schedule::new(&scenario.steps, sequential);
    let mut groups = Vec::new();
    loop {
        let group = schedule.next_group();
        if group.is_empty() {
            return groups;
        }
        group.iter().for_each(|step| schedule.ended(*step, Fate::Done));
        groups.push(group);
    }
}

pub(super) fn schedule_for_person(scenarios: &[Scenario], sequential: bool) -> String {
    let mut text = String::new();
    for scenario in scenarios {
        if !scenario.name.is_empty() {
            text.push_str(&format!("{}\n", scenario.name));
        }
        let mut table = table(&["", "step", "command", "needs"], 0..1);
        for (number, group) in (1..).zip(schedule(scenario, sequential)) {
            for step in group {
                let step = &scenario.steps[step];
                let needs: Vec<&str> = step.needs.iter().map(|need| scenario.steps[*need].name.as_str()).collect();
                table.add_row([number.to_string(), step.name.clone(), step.command.text(), needs.join(", ")]);
            }
        }
        text.push_str(&format!("{table}\n"));
    }
    text
}

pub(super) fn schedule_for_program(scenarios: &[Scenario], sequential: bool) -> Value {
    let all: BTreeMap<&str, Value> = scenarios
        .iter()
        .map(|scenario| {
            let groups: Vec<Vec<Value>> = schedule(scenario, sequential)
                .into_iter()
                .map(|group| {
                    let step = |at: usize| &scenario.steps[at];
                    let needs = |at: usize| step(at).needs.iter().map(|need| &step(*need).name).collect::<Vec<_>>();
                    let one = |at: usize| json!({ "step": step(at).name, "command": step(at).command.args(), "needs": needs(at) });
                    group.into_iter().map(one).collect()
                })
                .collect();
            (scenario.name.as_str(), json!(groups))
        })
        .collect();
    json!(all)
}
