//! The table.

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};

use crate::{
    Result,
    figures::{Figure, Goal, Line},
    machine::Machine,
};

/// How it is printed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Format {
    Table,
    Json,
    Markdown,
}

pub(crate) struct Report {
    machine: Machine,
    quick: bool,
    lines: Vec<(&'static str, Line)>,
}

const HEADER: [&str; 6] = ["what", "dbmux", "beside", "ratio", "goal", ""];

impl Report {
    pub(crate) fn new(machine: Machine, quick: bool) -> Self {
        Self { machine, quick, lines: Vec::new() }
    }

    pub(crate) fn add(&mut self, row: &'static str, lines: Vec<Line>) {
        self.lines.extend(lines.into_iter().map(|line| (row, line)));
    }

    pub(crate) fn print(&self, format: Format) -> Result<()> {
        match format {
            Format::Json => println!("{:#}", self.json()),
            Format::Markdown => self.print_markdown(),
            Format::Table => self.print_table(),
        }
        Ok(())
    }

    fn cells(line: &Line) -> [String; 6] {
        let rival = line.rival.map(|(name, figure)| format!("{name}: {figure}")).unwrap_or_default();
        let verdict = match line.met() {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        let ours = line.ours.to_string();
        [line.what.clone(), ours, rival, line.ratio_text(), line.goal_text(), verdict.to_owned()]
    }

    fn print_table(&self) {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).force_no_tty().set_header(HEADER);
        for (_, line) in &self.lines {
            table.add_row(Self::cells(line));
        }
        for column in [1, 3] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        println!("{table}\n\n{}{}", self.machine, if self.quick { " (a quick run)" } else { "" });
    }

    fn print_markdown(&self) {
        println!("| {} |\n|---|--:|---|--:|---|---|", HEADER.join(" | "));
        for (_, line) in &self.lines {
            println!("| {} |", Self::cells(line).join(" | "));
        }
        println!("\n{}.", self.machine);
    }

    fn json(&self) -> Value {
        let figure = |figure: Figure| json!({ "value": figure.value(), "unit": figure.unit() });
        let lines: Vec<Value> = self
            .lines
            .iter()
            .map(|(row, line)| {
                let goal = match line.goal {
                    Goal::Within(times) => json!({ "at_most_times_the_rival": times }),
                    Goal::Better(times) => json!({ "at_least_times_better": times }),
                    Goal::AtMost(most) => json!({ "at_most": figure(most) }),
                    Goal::AtLeast(least) => json!({ "at_least": figure(least) }),
                    Goal::None => Value::Null,
                };
                json!({
                    "row": row, "what": line.what, "ours": figure(line.ours), "ratio": line.ratio(), "goal": goal,
                    "rival": line.rival.map(|(name, value)| json!({ "name": name, "figure": figure(value) })),
                    "met": line.met(),
                })
            })
            .collect();
        json!({ "machine": self.machine.json(), "quick": self.quick, "lines": lines })
    }
}
