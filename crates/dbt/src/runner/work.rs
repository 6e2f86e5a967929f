//! The thread that does what is asked for: one group of requests after the other.

use std::{path::PathBuf, sync::Arc, time::Instant};

use dbmux_client::Reads;
use dbmux_lock::CancelFlag;
use dbmux_os::process::{self, ProcessId};

use super::{
    protocol::{Ended, Reply},
    shared::{Asked, Shared, Stop},
};
use crate::{
    DbtCommand, DbtError, Environment, Project,
    guarded::{Asking, Guarded},
    host::{self, Heard, Job},
    profile::{self, Asked as AskedProfile, Profile, ProfileOptions, Read},
    warm::{Cancel, Setting, Warm, WarmOptions},
};

/// Does what is asked for.
pub(super) struct Worker {
    project: PathBuf,
    shared: Arc<Shared>,
    warm: Warm,
    /// The last one that only dbt could tell.
    profile: Option<AskedProfile>,
}

/// What a request needs to be run.
struct Ground {
    project: Project,
    profile: Profile,
    setting: Setting,
}

impl Stop for Cancel {
    fn stop(&self) {
        self.cancel();
    }
}

impl Worker {
    pub(super) fn new(project: PathBuf, options: WarmOptions, shared: Arc<Shared>) -> Self {
        Self { project, shared, warm: Warm::new(options), profile: None }
    }

    /// Runs the first one in line, and those that go with it.
    pub(super) fn work(&mut self) {
        let Some((first, cancel)) = self.shared.begin_waiting() else { return };
        let entered = self.enter(&first, cancel);
        if matches!(entered, Err(DbtError::Cancelled)) {
            return;
        }
        let group = self.shared.take_group();
        let done = match (entered, group.first()) {
            (_, None) => Ok(()),
            // Another has come to be first meanwhile, and may ask for something else: its turn is the next.
            (_, Some(now_first)) if now_first.id != first.id => {
                self.shared.put_back();
                return;
            }
            (Err(error), _) => Err(error),
            (Ok((guarded, ground)), Some(first)) => self.run(first, guarded, &ground),
        };
        match done {
            // All of it has gone.
            Ok(()) | Err(DbtError::Cancelled) => self.shared.end_group(),
            Err(error) => self.shared.fail_group(&error),
        }
    }

    fn ground(&mut self, asked: &Asked) -> Result<Ground, DbtError> {
        let request = &asked.request;
        let project = Project::at(&self.project)?;
        let environment: Environment = request.environment.iter().collect();
        let options = ProfileOptions::of(&asked.command, &request.directory, &environment);
        let setting = Setting::for_profile(request.interpreter.clone(), environment, &project.root, &options);
        let profile = self.profile(&project, &options, &setting)?;
        Ok(Ground { project, profile, setting })
    }

    /// Where only dbt can tell, it is not asked again for what it would say again.
    fn profile(&mut self, project: &Project, options: &ProfileOptions, setting: &Setting) -> Result<Profile, DbtError> {
        if let Read::Profile(profile) = profile::read(project, options)? {
            return Ok(profile);
        }
        let known = self.profile.take().filter(|known| known.is_still_true(options, setting));
        let known = match known {
            Some(known) => known,
            None => AskedProfile::of(project, options, setting, &mut self.warm)?,
        };
        Ok(self.profile.insert(known).profile())
    }

    fn enter(&mut self, first: &Asked, cancel: CancelFlag) -> Result<(Guarded, Ground), DbtError> {
        let ground = self.ground(first)?;
        let shared = &self.shared;
        let asking = asking(&ground.project, first, cancel)?;
        let guarded = Guarded::enter(&asking, &ground.profile.databases, &mut |waiting| shared.tell(waiting))?;
        Ok((guarded, ground))
    }

    fn run(&mut self, first: &Asked, mut guarded: Guarded, ground: &Ground) -> Result<(), DbtError> {
        let shared = Arc::clone(&self.shared);
        if first.command.kind().opens_database() {
            let asking = asking(&ground.project, first, shared.group_flag())?;
            guarded.lease(&asking, &ground.profile.databases, Reads::Snapshot, &mut |waiting| shared.tell(waiting))?;
        }
        let cancel = Cancel::new();
        let members = shared.begin_running(first.merge_key().as_deref(), Box::new(cancel.clone()));
        if members.is_empty() {
            return Ok(());
        }
        for note in guarded.notes() {
            members.iter().for_each(|member| member.reply(Reply::Note(note.to_owned())));
        }
        let waited: Vec<f64> = members.iter().map(|member| member.arrived.elapsed().as_secs_f64()).collect();
        let ended = self.dbt(&members, &mut guarded, ground, &cancel)?;
        // The file is given back before anybody hears that it is done.
        drop(guarded);
        for ((member, mut ended), waiting) in members.iter().zip(ended).zip(waited) {
            ended.times.waiting = waiting;
            member.reply(Reply::Ended(ended));
        }
        Ok(())
    }

    fn dbt(
        &mut self,
        members: &[Asked],
        guarded: &mut Guarded,
        ground: &Ground,
        cancel: &Cancel,
    ) -> Result<Vec<Ended>, DbtError> {
        let commands: Vec<&DbtCommand> = members.iter().map(|member| &*member.command).collect();
        let descriptors = guarded.descriptors()?;
        let borrowed: Vec<_> = descriptors.iter().map(std::os::fd::AsFd::as_fd).collect();
        let Some(first) = members.first() else { return Ok(Vec::new()) };
        let job = Job {
            commands: &commands,
            setting: &ground.setting,
            directory: &first.request.directory,
            descriptors: &borrowed,
            cancel,
            profile_has_threads: ground.profile.threads.is_some(),
        };
        host::run(&mut self.warm, &job, &mut |heard| match heard {
            Heard::Started { warm, pid } => {
                if let Some(dbt) = pid.and_then(|pid| process::id(pid).ok()) {
                    show(guarded, dbt);
                }
                for member in members {
                    member.reply(Reply::Started { together: members.len(), warm });
                }
            }
            Heard::Output { member, stream, text } => {
                if let Some(member) = members.get(member) {
                    member.reply(Reply::Output { stream, text: text.to_owned() });
                }
            }
            Heard::Note(text) => members.iter().for_each(|member| member.reply(Reply::Note(text.clone()))),
        })
    }
}

/// Others see dbt itself as the one who has the locks.
fn show(guarded: &mut Guarded, dbt: ProcessId) {
    if let Err(error) = guarded.show_as(dbt) {
        tracing::warn!(%error, "the locks show the runner in place of dbt");
    }
}

fn asking<'a>(project: &'a Project, first: &'a Asked, cancel: CancelFlag) -> Result<Asking<'a>, DbtError> {
    Ok(Asking {
        project,
        scope: first.request.scope,
        priority: first.priority(),
        began: Instant::now(),
        // Each request's own thread knows when its time is up.
        wait: None,
        command: &first.request.command,
        cancel,
        ours: vec![process::id(std::process::id())?],
    })
}
