//! One run, one find: a wrapper and what it started are shown, and waited for, together.

use dbmux_os::{
    process::{self, ProcessId},
    view,
};

use super::{Candidate, Evidence, Find, Kind, PartOfRun, arguments};

/// Ancestors that are looked at: more than any process has.
const DEEPEST: usize = 64;

/// The finds among the candidates; those that are in the way first.
pub(super) fn of(candidates: &[Candidate]) -> Vec<Find> {
    let members: Vec<Member<'_>> = candidates.iter().filter_map(Member::of).collect();
    let mut finds: Vec<Find> = members
        .iter()
        .filter(|member| !members.iter().any(|other| member.is_below(other)))
        .map(|top| {
            let below = members.iter().filter(|member| member.is_below(top));
            find(&std::iter::once(top).chain(below).collect::<Vec<_>>())
        })
        .collect();
    finds.sort_by_key(|find| (!find.is_in_the_way(), find.process.id.start_time));
    finds
}

/// A process that is a find, and those above it.
struct Member<'a> {
    candidate: &'a Candidate,
    kind: Kind,
    /// Its parent, its parent's parent, and so on.
    above: Vec<u32>,
}

impl<'a> Member<'a> {
    fn of(candidate: &'a Candidate) -> Option<Self> {
        let kind = *candidate.verdict.as_ref().ok()?;
        let parent = |pid: &u32| view::parent(*pid).filter(|parent| *parent > 0);
        let above = std::iter::successors(parent(&candidate.process.id.pid), parent).take(DEEPEST).collect();
        Some(Self { candidate, kind, above })
    }

    fn is_below(&self, other: &Self) -> bool {
        self.above.contains(&other.candidate.process.id.pid)
    }
}

/// One find of a top-most process and those below it.
fn find(members: &[&Member<'_>]) -> Find {
    // dbt itself rather than what is around it; and of several, the one that matters most, the upper one where they are
    // alike.
    let weight = |member: &&&Member<'_>| (member.candidate.part != PartOfRun::Around, member.kind);
    let depth = |member: &&&Member<'_>| std::cmp::Reverse(member.above.len());
    let chosen = members.iter().max_by_key(|member| (weight(member), depth(member)));
    let main = chosen.map_or(members[0].candidate, |member| member.candidate);
    let mut evidence: Vec<Evidence> = main.evidence.clone();
    for other in members.iter().flat_map(|member| &member.candidate.evidence) {
        let said = |known: &Evidence| {
            known == other || matches!((known, other), (Evidence::Arguments { .. }, Evidence::Arguments { .. }))
        };
        if !evidence.iter().any(said) {
            evidence.push(other.clone());
        }
    }
    evidence.sort_by_key(strength);
    let mut processes = vec![main.process.id];
    processes.extend(members.iter().map(|member| member.candidate.process.id).filter(|id| *id != main.process.id));
    processes.extend(wrappers(members[0]));
    let kind = members.iter().map(|member| member.kind).max().unwrap_or(Kind::Unknown);
    let hosts = members.iter().filter(|member| member.candidate.part == PartOfRun::Host);
    let hosts = hosts.map(|member| member.candidate.process.id).collect();
    Find { process: main.process.clone(), kind, evidence, processes, hosts }
}

fn strength(evidence: &Evidence) -> u8 {
    match evidence {
        Evidence::Lock { .. } => 0,
        Evidence::Log { .. } => 1,
        Evidence::Loaded => 2,
        Evidence::Arguments { .. } => 3,
    }
}

/// The processes that are around a run: from its top up to the first one that runs others for no end of its own, as a
/// person's shell.
fn wrappers(top: &Member<'_>) -> Vec<ProcessId> {
    let mut buffer = Vec::new();
    let around = |pid: &u32| {
        if view::arguments_into(*pid, &mut buffer) != Ok(true) {
            return None;
        }
        let words = view::split_arguments(&buffer);
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        arguments::wrapper(&words)?;
        process::id(*pid).ok()
    };
    top.above.iter().map_while(around).collect()
}
