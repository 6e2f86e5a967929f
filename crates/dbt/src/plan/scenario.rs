//! One scenario that runs: its steps, one invocation after the other, with its lease and its warm dbt.

use std::{collections::BTreeMap, sync::PoisonError, time::Instant};

use dbmux_client::Reads;

use super::{Fate, PlanEvent, Scenario, Schedule, StepReport, resume, run::Plan, turns::Ground};
use crate::{
    DbtCommand, DbtError,
    guarded::{self, Asking},
    host::{self, Heard, Job},
    runner::protocol::{Ended, Stream, Times},
    warm::Warm,
};

/// A scenario that runs.
pub(super) struct ScenarioRun<'a> {
    plan: &'a Plan<'a>,
    scenario: &'a Scenario,
    ground: &'a Ground,
    pub(super) schedule: Schedule<'a>,
    warm: Warm,
    lease: Option<dbmux_client::Lease>,
    invocations: usize,
    ended: BTreeMap<usize, StepReport>,
}

impl<'a> ScenarioRun<'a> {
    pub(super) fn new(plan: &'a Plan<'a>, scenario: &'a Scenario, ground: &'a Ground, warm: Warm) -> Self {
        Self {
            plan,
            scenario,
            ground,
            schedule: Schedule::new(&scenario.steps, plan.options.sequential),
            warm,
            lease: None,
            invocations: 0,
            ended: BTreeMap::new(),
        }
    }

    fn ledger_name(&self, step: usize) -> String {
        format!("{}/{}", self.scenario.name, self.scenario.steps[step].name)
    }

    fn marks(&self) -> Vec<String> {
        resume::marks(&self.scenario.steps, self.ground.mark, &self.ground.databases)
    }

    pub(super) fn keep_what_is_done(&mut self) {
        if !self.plan.options.resume {
            return;
        }
        let marks = self.marks();
        let ledger = self.plan.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        for (at, step) in self.scenario.steps.iter().enumerate() {
            let needs = step.needs.iter().all(|need| self.schedule.fates()[*need] == Fate::Kept);
            if needs && ledger.has(&self.ledger_name(at), &marks[at]) {
                self.schedule.ended(at, Fate::Kept);
            }
        }
    }

    pub(super) fn invoke(&mut self, group: &[usize]) -> Result<(), DbtError> {
        let began = Instant::now();
        let names = group.iter().map(|step| self.scenario.steps[*step].name.as_str()).collect();
        (self.plan.listener)(PlanEvent::Begins(&self.scenario.name, names));
        self.write(group, false)?;
        self.take_lease()?;
        let waiting = began.elapsed().as_secs_f64();
        let ended = self.dbt(group)?;
        self.invocations += 1;
        for (step, mut ended) in group.iter().zip(ended) {
            ended.times.waiting = waiting;
            if self.invocations == 1 {
                ended.times.starting += self.ground.asked_for;
            }
            let fate = if ended.code == 0 { Fate::Done } else { Fate::Failed };
            self.schedule.ended(*step, fate);
            let report = StepReport {
                code: Some(ended.code),
                times: ended.times,
                invocation: self.invocations,
                nodes: ended.nodes,
                ..self.report(*step)
            };
            (self.plan.listener)(PlanEvent::Ended(&report));
            self.ended.insert(*step, report);
        }
        let done: Vec<usize> =
            group.iter().copied().filter(|step| self.schedule.fates()[*step] == Fate::Done).collect();
        self.write(&done, true)
    }

    /// The group could not be run at all: what needs it does not run, the rest does.
    pub(super) fn failed(&mut self, group: &[usize], error: &DbtError) {
        if matches!(error, DbtError::Cancelled) {
            return group.iter().for_each(|step| self.schedule.ended(*step, Fate::Pending));
        }
        let said = format!("error: {error}\n");
        for step in group {
            self.schedule.ended(*step, Fate::Failed);
            let report = self.report(*step);
            (self.plan.listener)(PlanEvent::Output(&self.scenario.name, &report.name, Stream::Err, &said));
            (self.plan.listener)(PlanEvent::Ended(&report));
            self.ended.insert(*step, report);
        }
    }

    fn write(&self, group: &[usize], done: bool) -> Result<(), DbtError> {
        let marks = self.marks();
        let mut ledger = self.plan.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        group.iter().try_for_each(|step| ledger.set(&self.ledger_name(*step), done.then_some(marks[*step].as_str())))
    }

    /// Once for the whole scenario.
    fn take_lease(&mut self) -> Result<(), DbtError> {
        if self.lease.is_none() {
            let asking = Asking { began: Instant::now(), ..self.plan.asking.clone() };
            let listener = self.plan.listener;
            self.lease = guarded::lease(&asking, &self.ground.databases, Reads::Snapshot, &mut |waiting| {
                listener(PlanEvent::Waiting(&waiting));
            })?;
        }
        Ok(())
    }

    fn dbt(&mut self, group: &[usize]) -> Result<Vec<Ended>, DbtError> {
        let commands: Vec<&DbtCommand> = group.iter().map(|step| &self.scenario.steps[*step].command).collect();
        let mut descriptors = self.plan.guarded.lock().unwrap_or_else(PoisonError::into_inner).descriptors()?;
        if let Some(lease) = &self.lease {
            descriptors.extend(lease.descriptors()?);
        }
        let borrowed: Vec<_> = descriptors.iter().map(std::os::fd::AsFd::as_fd).collect();
        let running = self.plan.cancel.invocation();
        let job = Job {
            commands: &commands,
            setting: &self.ground.setting,
            directory: &self.plan.project.root,
            descriptors: &borrowed,
            cancel: &running.cancel,
            profile_has_threads: self.ground.profile_has_threads,
        };
        let (plan, scenario) = (self.plan, self.scenario);
        host::run(&mut self.warm, &job, &mut |heard| match heard {
            Heard::Output { member, stream, text } => {
                let step = group.get(member).map_or("", |step| scenario.steps[*step].name.as_str());
                (plan.listener)(PlanEvent::Output(&scenario.name, step, stream, text));
            }
            Heard::Note(text) => (plan.listener)(PlanEvent::Note(text)),
            Heard::Started { .. } => {}
        })
    }

    fn report(&self, step: usize) -> StepReport {
        StepReport {
            scenario: self.scenario.name.clone(),
            name: self.scenario.steps[step].name.clone(),
            round: self.scenario.steps[step].round.clone(),
            fate: self.schedule.fates()[step],
            code: None,
            times: Times::default(),
            invocation: 0,
            nodes: Vec::new(),
        }
    }

    pub(super) fn reports(mut self) -> Vec<StepReport> {
        (0..self.scenario.steps.len())
            .map(|step| self.ended.remove(&step).unwrap_or_else(|| self.report(step)))
            .collect()
    }
}
