//! A process, as those are shown who wait for it.

use dbmux_engine::Holder;
use dbmux_os::process::ProcessInfo;
use dbmux_proto::HolderKind;

/// What is known of it as a process: since when it has what, is somebody else's knowledge.
pub(crate) fn of_process(seen: &ProcessInfo, kind: HolderKind) -> Holder {
    let directory = seen.working_directory.as_ref();
    Holder {
        kind: kind.into(),
        pid: seen.id.pid,
        command: seen.command.clone(),
        user: seen.user.clone(),
        working_directory: directory.map(|path| path.display().to_string()).unwrap_or_default(),
        stopped: seen.stopped,
        ..Holder::default()
    }
}
