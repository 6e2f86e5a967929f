//! What was found, for a person and for a program.

use dbmux_client::Holder;
use dbmux_dbt::{
    Project, Whom,
    find::{Candidate, Evidence, Find, Found, Kind, ProjectBy},
};
use dbmux_os::{holders::Who, process::ProcessInfo};
use serde_json::{Value, json};

use crate::render::person;

pub(super) fn for_person(project: &Project, found: &Found, explain: bool) -> String {
    let root = project.root.display();
    let mut text = match found.finds.len() {
        0 => format!("no dbt runs in {root}\n"),
        _ if !found.is_dbt_running() => format!("no dbt runs in {root}; there is\n"),
        _ => format!("dbt runs in {root}\n"),
    };
    for find in &found.finds {
        text.push_str(&format!("  {}\n", holder(&find.process)));
        text.push_str(&format!("    {}: {}\n", find.kind, meaning(find)));
        text.push_str(&format!("    since {}\n", Whom::from(find).since));
        if let [_, others @ ..] = &find.processes[..]
            && !others.is_empty()
        {
            let others: Vec<_> = others.iter().map(|process| process.pid.to_string()).collect();
            text.push_str(&format!("    with {}\n", others.join(", ")));
        }
        if explain {
            text.extend(find.evidence.iter().map(|evidence| format!("    - {evidence}\n")));
        }
        text.extend(advice(find).map(|advice| format!("    {advice}\n")));
    }
    for other in &found.other_holders {
        let who = match &other.who {
            Who::Process(process) => holder(process),
            Who::OtherNamespace => "a process in another container".to_owned(),
            Who::OtherHost => "a process on another host".to_owned(),
            Who::Unknown => "a process that cannot be seen from here".to_owned(),
        };
        text.push_str(&format!("the project's database is held by {who}, which is not known to be dbt\n"));
    }
    if explain {
        text.push_str(&explanation(found));
    }
    text
}

/// What was looked at more closely, and is none.
fn explanation(found: &Found) -> String {
    let closer = found.candidates.len();
    let mut text = format!(
        "{} looked at, {} more closely\n",
        person::counted(found.processes as u64, "process").replace("processs", "processes"),
        closer
    );
    for (candidate, why) in found.candidates.iter().filter_map(|one| Some((one, one.verdict.as_ref().err()?))) {
        text.push_str(&format!("  {}\n    no: {why}\n", holder(&candidate.process)));
    }
    text
}

fn holder(process: &ProcessInfo) -> String {
    person::holder(&Holder {
        pid: process.id.pid,
        command: process.command.clone(),
        user: process.user.clone(),
        held_ms: u64::try_from(process.age().as_millis()).unwrap_or(u64::MAX),
        stopped: process.stopped,
        ..Holder::default()
    })
}

fn meaning(find: &Find) -> &'static str {
    match (find.kind, find.has_the_lock()) {
        (Kind::Running, true) => "it has the database",
        (Kind::Running, false) => "it may open the database",
        (Kind::ParseOnly, _) => "it reads the project, and opens no database",
        (Kind::Unknown, _) => "what it does may not be seen, so it counts as running",
        (Kind::IdleHolding, true) => "it does nothing, and has the database",
        (Kind::IdleHolding, false) => "it does nothing, and is in nobody's way",
        (Kind::LanguageServer, true) => "an editor's, and it has the database",
        (Kind::LanguageServer, false) => "an editor's; it is in nobody's way",
    }
}

fn advice(find: &Find) -> Option<String> {
    let pid = find.process.id.pid;
    if !find.is_in_the_way() {
        return None;
    }
    Some(match find.kind {
        _ if find.process.stopped => format!("it is stopped: kill -CONT {pid} lets it go on"),
        Kind::IdleHolding | Kind::LanguageServer => {
            format!("it does not end by itself: close it, or kill {pid}")
        }
        Kind::Unknown => "ask its user, or look as root".to_owned(),
        Kind::Running | Kind::ParseOnly => format!("dbmux wait --dbt waits for its end; kill {pid} ends it"),
    })
}

pub(super) fn for_program(project: &Project, found: &Found, explain: bool) -> Value {
    let mut report = json!({
        "project": project.root,
        "running": found.is_dbt_running(),
        "finds": found.finds.iter().map(find).collect::<Vec<_>>(),
        "other_holders": found.other_holders.iter().map(|other| match &other.who {
            Who::Process(found) => process(found),
            _ => Value::Null,
        }).collect::<Vec<_>>(),
        "processes": found.processes,
        "warning": found.blind.as_ref().map(ToString::to_string),
    });
    if explain {
        report["candidates"] = found.candidates.iter().map(candidate).collect();
    }
    report
}

fn find(find: &Find) -> Value {
    let mut value = process(&find.process);
    value["kind"] = json!(kind(find.kind));
    value["in_the_way"] = json!(find.is_in_the_way());
    value["pids"] = find.processes.iter().map(|process| process.pid).collect();
    value["evidence"] = find.evidence.iter().map(evidence).collect();
    value["what"] = json!(meaning(find));
    value["advice"] = json!(advice(find));
    value
}

fn candidate(candidate: &Candidate) -> Value {
    let mut value = process(&candidate.process);
    value["kind"] = json!(candidate.verdict.as_ref().ok().map(|found| kind(*found)));
    value["why_not"] = json!(candidate.verdict.as_ref().err());
    value["evidence"] = candidate.evidence.iter().map(evidence).collect();
    value
}

fn process(process: &ProcessInfo) -> Value {
    json!({
        "pid": process.id.pid,
        "command": process.command,
        "user": process.user,
        "since": humantime::format_rfc3339_seconds(process.started).to_string(),
        "running_s": process.age().as_secs_f64(),
        "working_directory": process.working_directory,
        "stopped": process.stopped,
    })
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Running => "running",
        Kind::IdleHolding => "idle_holding",
        Kind::LanguageServer => "language_server",
        Kind::ParseOnly => "parse_only",
        Kind::Unknown => "unknown",
    }
}

fn evidence(evidence: &Evidence) -> Value {
    match evidence {
        Evidence::Lock { database, part } => {
            json!({ "kind": "lock", "database": database, "part": part.to_string() })
        }
        Evidence::Log { path } => json!({ "kind": "log", "path": path }),
        Evidence::Loaded => json!({ "kind": "loaded" }),
        Evidence::Arguments { says, project } => {
            let (by, path) = match project {
                ProjectBy::Option(path) => ("--project-dir", Some(path)),
                ProjectBy::Variable(path) => ("DBT_PROJECT_DIR", Some(path)),
                ProjectBy::Directory(path) => ("directory", path.as_ref()),
                ProjectBy::Unseen => ("unseen", None),
            };
            json!({ "kind": "arguments", "says": says, "project_by": by, "path": path })
        }
    }
}
