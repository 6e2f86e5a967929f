//! What the broker is doing now.

use std::{sync::Arc, time::Instant};

use dbmux_engine::{Access, Holder, StatusReply};
use dbmux_lock::TicketInfo;
use dbmux_proto::{BrokerState, HolderKind, SessionStatus};

use crate::{
    core::Core,
    errors::{self, millis},
    locks,
    session::BrokerSession,
    track::Phase,
};

pub(crate) async fn status(core: &Core) -> StatusReply {
    let admission = core.admission.view();
    let limits = core.options.limits();
    let database = core.options.database.clone();
    let leases = tokio::task::spawn_blocking(move || locks::leases(&database)).await.unwrap_or_default();
    let mut reply = StatusReply {
        database_path: core.options.database.display().to_string(),
        engine: core.engine.name().to_owned(),
        engine_version: core.engine.version(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: Some(dbmux_proto::protocol()),
        pid: std::process::id(),
        socket: core.options.socket.display().to_string(),
        state: state(core, !leases.is_empty()).into(),
        read_only: core.file.attached() == Some(Access::ReadOnly),
        catalog: core.engine.catalog().to_owned(),
        uptime_ms: millis(core.began.elapsed()),
        queue_limit: u32::try_from(limits.queue).unwrap_or(u32::MAX),
        workers: u32::try_from(admission.workers).unwrap_or(u32::MAX),
        workers_min: u32::try_from(limits.workers_min).unwrap_or(u32::MAX),
        workers_max: u32::try_from(limits.workers_max).unwrap_or(u32::MAX),
        settings: core.engine.settings().into_iter().collect(),
        memory_bytes: dbmux_os::process::resident_memory(std::process::id()).unwrap_or_default(),
        serial: core.options.serial,
        release_after_ms: millis(core.options.release_after),
        idle_exit_ms: millis(core.options.idle_exit),
        holders: holders(core, &leases).await,
        as_of: core.file.snapshot().map(errors::rfc3339).unwrap_or_default(),
        ..StatusReply::default()
    };
    for session in core.all_sessions() {
        session.report(&mut reply);
    }
    reply.sessions.sort_by_key(|session| std::cmp::Reverse(session.age_ms));
    reply.queued.sort_by_key(|statement| std::cmp::Reverse(statement.elapsed_ms));
    reply
}

/// Who keeps the file from those who want it: a lease, foreign processes; and, while somebody waits, our own sessions.
async fn holders(core: &Core, leases: &[TicketInfo]) -> Vec<Holder> {
    let mut holders: Vec<_> = leases.iter().map(locks::lease).collect();
    holders.extend(core.file.foreign_holders().await);
    if core.is_draining() || core.file.is_waited_for() {
        let keeps = |session: Arc<BrokerSession>| Some(session.as_holder(session.keeps_file_since()?));
        holders.extend(core.all_sessions().into_iter().filter_map(keeps));
    }
    holders
}

fn state(core: &Core, leased: bool) -> BrokerState {
    match core.file.attached() {
        _ if core.is_draining() => BrokerState::Draining,
        Some(_) => BrokerState::Attached,
        None if leased => BrokerState::Leased,
        None => BrokerState::Released,
    }
}

impl BrokerSession {
    /// Enough to tell sessions apart, too little to take one over.
    pub(crate) fn name(&self) -> String {
        format!("{:?}", self.id)
    }

    /// This session as the one for whom others wait.
    pub(crate) fn as_holder(&self, since: Instant) -> Holder {
        let mut holder = Holder {
            pid: self.identity.peer.pid,
            command: self.identity.command.clone(),
            user: self.identity.user.clone(),
            part: format!("session {}", self.name()),
            ..Holder::default()
        };
        holder.set_kind(HolderKind::Session);
        errors::set_since(&mut holder, since);
        holder
    }

    fn report(&self, reply: &mut StatusReply) {
        let tracks: Vec<_> = self.tracks.lock().values().cloned().collect();
        for track in tracks {
            let mut statement = track.status();
            statement.session = self.name();
            statement.pid = self.identity.peer.pid;
            statement.command.clone_from(&self.identity.command);
            match track.phase() {
                Phase::Queued | Phase::WaitingForFile => reply.queued.push(statement),
                Phase::Running | Phase::Sending => reply.running.push(statement),
                Phase::Ended => {}
            }
        }
        let kept = self.kept.lock();
        reply.sessions.push(SessionStatus {
            name: self.name(),
            pid: self.identity.peer.pid,
            command: self.identity.command.clone(),
            user: self.identity.user.clone(),
            in_transaction: kept.state.in_transaction,
            idle_ms: millis(kept.last_active.elapsed()),
            read_only: self.identity.read_only,
            statements: kept.statements,
            age_ms: millis(self.identity.opened.elapsed()),
        });
    }
}
