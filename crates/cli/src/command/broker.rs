//! The daemon: puts engine, broker and wire together, and tells its starter whether it is ready.

use std::{
    os::unix::{fs::PermissionsExt, net::UnixListener as StdListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use dbmux_broker::{Broker, BrokerOptions};
use dbmux_client::ClientError;
use dbmux_engine::{EngineError, ErrorCode, ServiceError};
use dbmux_proto::{Ready, ready::Outcome};
use prost::Message;
use tokio::{
    net::UnixListener,
    signal::unix::{SignalKind, signal},
};

use crate::{
    args::{BrokerArgs, BrokerOptionArgs, EngineArg},
    engine,
    exit::Exit,
    failure::Failure,
};

/// Threads of the runtime: they only pass messages on; statements run on threads of their own.
const RUNTIME_THREADS: usize = 2;
/// Threads on which statements, locks and looks may block.
const BLOCKING_THREADS: usize = 512;
/// How long calls may go on after the broker has ended: their answers' last bytes.
const LAST_CALLS: Duration = Duration::from_secs(10);
/// How long threads may go on after that.
const LAST_THREADS: Duration = Duration::from_secs(1);

/// Run by clients: detached, with its one word on standard output.
pub(crate) fn run(args: &BrokerArgs) -> Result<Exit, Failure> {
    // The first to need a broker may run under a lock, which must not live as long as the broker.
    dbmux_os::daemon::close_inherited_files();
    // Refused only where it leads a session already: then it is detached enough.
    let _ = dbmux_os::daemon::leave_session();
    let outcome = start_and_serve(args, |ready| {
        let outcome = match ready {
            Ok(socket) => Outcome::Socket(socket.display().to_string()),
            Err(error) => Outcome::Error((*error.0).clone()),
        };
        say(&Ready { outcome: Some(outcome) });
        ready.map(drop).map_err(Clone::clone)
    });
    // The starter has been told, and shows it; the log has it too.
    outcome.inspect_err(|failure| tracing::error!(code = failure.code, "{}", failure.message))
}

/// Tells the starter that the daemon's options make no sense: they may come from its environment.
pub(crate) fn refuse(usage: &Failure) {
    let error = ServiceError::new(ErrorCode::InvalidArgument, usage.message.clone().into_string());
    say(&Ready { outcome: Some(Outcome::Error(*error.0)) });
}

fn say(ready: &Ready) {
    // Whoever started us may be gone: then nobody waits for the word.
    let _ = dbmux_os::daemon::say_last(&ready.encode_to_vec());
}

/// Becomes the broker of the database, and serves it until it ends. `report` is called once, when that is known.
pub(crate) fn start_and_serve(
    args: &BrokerArgs,
    report: impl FnOnce(Result<&Path, &ServiceError>) -> Result<(), ServiceError>,
) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RUNTIME_THREADS)
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        let started = start(args).await;
        let told = report(started.as_ref().map(|(_, _, socket)| socket.as_path()));
        let (broker, listener, _) = started.map_err(failed)?;
        told.map_err(failed)?;
        serve(broker, listener, args.options.drain).await
    });
    // A statement that cannot be interrupted must not keep the process, for the process keeps the file.
    runtime.shutdown_timeout(LAST_THREADS);
    outcome
}

async fn start(args: &BrokerArgs) -> Result<(Arc<Broker>, UnixListener, PathBuf), ServiceError> {
    let refused = |error: dbmux_os::OsError| ServiceError::new(ErrorCode::InvalidArgument, error.to_string());
    let path = args.database.clone();
    let database = dbmux_os::runtime::canonical_database_path(&path).map_err(|error| match error {
        dbmux_os::OsError::Path { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            let missing = ClientError::NoSuchDirectory { database: path.clone() };
            ServiceError::new(missing.code(), missing.to_string()).suggest(missing.suggestion())
        }
        other => refused(other),
    })?;
    dbmux_os::runtime::runtime_dir().map_err(|error| match error {
        dbmux_os::OsError::NotPrivate { path, found, closable } => {
            let open = ClientError::RuntimeDirectory { directory: path, found, closable };
            ServiceError::new(open.code(), open.to_string()).suggest(open.suggestion())
        }
        other => refused(other),
    })?;
    let socket = dbmux_os::runtime::socket_path(&database).map_err(refused)?;
    let engine = engine::of(&database, args.options.engine)?;
    check_kind(engine, &database)?;
    let (path, chosen) = (database.clone(), args.options.clone());
    let options = broker_options(&args.options, database, socket.clone());
    let broker = Broker::start(options, move || engine.start(path, &chosen)).await?;
    // The owner lock is ours: a socket that is there was left behind.
    let listener = listen(&socket)
        .map_err(|error| ServiceError::new(ErrorCode::Internal, format!("listen on {}: {error}", socket.display())))?;
    Ok((Arc::new(broker), listener, socket))
}

/// Refuses a file that will never be a database, before a lock is laid beside it. One that may only not be read now is
/// its statements' affair: that can change while the broker lives.
fn check_kind(engine: EngineArg, database: &Path) -> Result<(), ServiceError> {
    match engine.check(database) {
        Err(
            error @ (EngineError::NotADatabase { .. } | EngineError::Refused { .. } | EngineError::Unsupported { .. }),
        ) => {
            let mut error = ServiceError::from(error);
            error.0.db_path = database.display().to_string();
            Err(error)
        }
        _ => Ok(()),
    }
}

fn listen(socket: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = StdListener::bind(socket)?;
    // The directory is ours alone; the socket is so too, should somebody move it.
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

async fn serve(broker: Arc<Broker>, listener: UnixListener, drain: Duration) -> Result<Exit, Failure> {
    let leaving = Arc::clone(&broker);
    tokio::spawn(async move {
        end_of_process().await;
        leaving.drain(drain);
    });
    let (ended, over) = (broker.ended(), broker.ended());
    let service: Arc<dyn dbmux_engine::Service> = broker;
    let served = tokio::select! {
        served = dbmux_wire::serve(listener, service, ended) => served,
        () = async { over.await; tokio::time::sleep(LAST_CALLS).await } => Ok(()),
    };
    served.map_err(|error| Failure::system(error.to_string()))?;
    Ok(Exit::Done)
}

/// Resolves at the first signal that asks to leave.
async fn end_of_process() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

fn broker_options(args: &BrokerOptionArgs, database: PathBuf, socket: PathBuf) -> BrokerOptions {
    let mut options = BrokerOptions::new(database, socket);
    options.start_wait = args.start_wait;
    options.release_after = args.release_after;
    options.idle_exit = args.idle_exit;
    options.idle_transaction = args.idle_transaction;
    options.drain = args.drain;
    options.workers_min = args.workers.min;
    options.workers_max = args.workers.max;
    options.serial = args.serial;
    options.queue = args.queue;
    options.max_inflight = args.max_inflight;
    // This program, wherever it has gone since it was started.
    options.snapshots.program = vec![PathBuf::from("/proc/self/exe"), PathBuf::from("snapshot-copy")];
    options.snapshots.limit = args.snapshot_limit;
    options
}

fn failed(error: ServiceError) -> Failure {
    ClientError::Broker(error.0).into()
}
