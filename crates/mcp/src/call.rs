//! One call of a tool: who asked, whether he has given up, and what he is told while he waits.

use std::sync::atomic::{AtomicU32, Ordering};

use rmcp::{
    RoleServer,
    model::{ProgressNotificationParam, ProgressToken},
    service::RequestContext,
};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// A call that runs.
pub(crate) struct Call {
    context: RequestContext<RoleServer>,
    /// Cancelled when the client has gone away.
    gone: CancellationToken,
    progress: Option<ProgressToken>,
    /// News that it was told.
    told: AtomicU32,
}

impl Call {
    pub(crate) fn new(context: RequestContext<RoleServer>, gone: CancellationToken) -> Self {
        let progress = context.meta.get_progress_token();
        Self { context, gone, progress, told: AtomicU32::new(0) }
    }

    /// The program that the call came from, as it calls itself.
    pub(crate) fn caller(&self) -> Option<String> {
        Some(self.context.client_info()?.name)
    }

    /// Does work until the caller gives up, or goes away; it is dropped then.
    pub(crate) async fn unless_cancelled<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            biased;
            done = work => done,
            () = self.context.ct.cancelled() => Err(Failure::cancelled()),
            () = self.gone.cancelled() => Err(Failure::cancelled()),
        }
    }

    /// Tells what is waited for, where the caller wants to know.
    pub(crate) fn waiting(&self) -> Waiting<'_> {
        Waiting { call: self, last: String::new() }
    }
}

/// What a caller is told while he waits: each news once.
pub(crate) struct Waiting<'a> {
    call: &'a Call,
    last: String,
}

impl Waiting<'_> {
    /// Tells it, unless it was told last. That nobody listens is no failure.
    pub(crate) async fn tell(&mut self, text: &str) {
        let Some(token) = &self.call.progress else { return };
        if text == self.last {
            return;
        }
        text.clone_into(&mut self.last);
        // What is told must grow with each news of a call, whatever it is about.
        let told = self.call.told.fetch_add(1, Ordering::Relaxed) + 1;
        let news = ProgressNotificationParam::new(token.clone(), f64::from(told)).with_message(text);
        let _ = self.call.context.peer.notify_progress(news).await;
    }
}
