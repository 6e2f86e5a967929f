//! dbt in a process of its own: what changes what a runner has imported.

use std::{
    process::{Command, Stdio},
    time::Instant,
};

use dbmux_client::Holder;
use dbmux_dbt::{
    DbtCommand, DbtError, Scope,
    guarded::{Asking, Guarded},
};
use dbmux_lock::CancelFlag;
use dbmux_os::process;
use dbmux_report::person;
use tokio::sync::mpsc;

use super::{
    Dbt, Locked, Ran,
    invoke::{clean, told},
    manifest::blocking,
};
use crate::{call::Call, failure::Failure};

/// Ends the wait for the lock, once nobody waits for it any more.
struct Cancels(CancelFlag);

impl Drop for Cancels {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Dbt {
    /// Runs dbt with these arguments, in the project's directory, under the project's lock. It opens no database.
    pub(crate) async fn run_apart(
        &self,
        call: &Call,
        arguments: Vec<String>,
        wait: Option<std::time::Duration>,
    ) -> Result<Ran, Failure> {
        let project = self.project()?;
        let mut command = Command::new(self.interpreter(&project)?.script);
        command.args(&arguments).current_dir(&project.root).stdin(Stdio::null());
        command.env_clear().envs(self.options.environment.iter());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let asked = DbtCommand::parse(arguments);
        let text = format!("dbmux mcp for {}: {}", call.caller().as_deref().unwrap_or("an agent"), asked.text());
        let (began, wait) = (Instant::now(), Some(wait.unwrap_or(self.wait)));
        let cancels = Cancels(CancelFlag::default());
        let cancel = cancels.0.clone();
        let (news, mut heard) = mpsc::unbounded_channel();
        let taking = blocking(move || {
            let (scope, priority) = (Scope::default(), asked.usual_priority());
            let ours = vec![process::id(std::process::id()).map_err(DbtError::from)?];
            let asking = Asking { project: &project, scope, priority, began, wait, command: &text, cancel, ours };
            // Where nobody listens any more, it has been cancelled.
            Ok(Guarded::enter(&asking, &[], &mut |waiting| drop(news.send(waiting)))?)
        });
        let taking = tokio::spawn(taking);
        let ran = call.unless_cancelled(async {
            let mut locked = Locked { together: 1, ..Locked::default() };
            let mut waiting = call.waiting();
            while let Some(news) = heard.recv().await {
                locked.waited_for = news.whom.as_ref().map(|whom| person::holder(&Holder::from(whom)));
                waiting.tell(&told(&news)).await;
            }
            let mut taken = taking.await.map_err(|error| Failure::system("a thread", &error.into()))??;
            locked.waited_s = if locked.waited_for.is_some() { began.elapsed().as_secs_f64() } else { 0.0 };
            let started = Instant::now();
            taken.share_with(&mut command)?;
            let child = tokio::process::Command::from(command).spawn();
            let child = child.map_err(|error| Failure::system("dbt", &error))?;
            // One that has ended already is the holder no more.
            if let Some(id) = child.id().and_then(|pid| process::id(pid).ok()) {
                taken.show_as(id)?;
            }
            // It goes on under its lock should the caller give up: half of the packages would be worse than none.
            let ending = tokio::spawn(async move {
                let output = child.wait_with_output().await;
                drop(taken);
                output
            });
            let output = ending.await.map_err(|error| Failure::system("a thread", &error.into()))?;
            let output = output.map_err(|error| Failure::system("dbt", &error))?;
            let (out, errors) = (clean(&output.stdout), clean(&output.stderr));
            let code = output.status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(2);
            let (log, seconds) = (out.clone() + &errors, started.elapsed().as_secs_f64());
            Ok(Ran { code, nodes: Vec::new(), seconds, locked, output: out, log })
        });
        let ran = ran.await;
        drop(cancels);
        ran
    }
}
