//! Databases that are measured: ours, Quack's, and one in this process.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};

use dbmux_client::{Client, ClientOptions, Session};
use tokio::runtime::Runtime;

use crate::{Result, context::Context, rival::Rival};

/// A database of our own, whose broker ends with it.
pub(crate) struct Place {
    pub(crate) client: Client,
    database: PathBuf,
    _directory: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new(context: &Context) -> Result<Self> {
        Self::with(context, "bench.duckdb")
    }

    /// The name says which engine it is.
    pub(crate) fn with(context: &Context, name: &str) -> Result<Self> {
        let directory = context.fresh()?;
        let database = directory.path().join(name);
        let client = client(&context.dbmux, &database)?;
        Ok(Self { client, database, _directory: directory })
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.database.clone()
    }

    /// Stops the broker, and returns when it is gone.
    pub(crate) async fn stop(&self) -> Result<()> {
        if let Some(pid) = self.client.stop(Duration::from_secs(10)).await? {
            while std::path::Path::new("/proc").join(pid.to_string()).exists() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        Ok(())
    }
}

/// A client whose broker is this `dbmux`.
pub(crate) fn client(dbmux: &Path, database: &Path) -> Result<Client> {
    let options = ClientOptions { broker_program: Some(dbmux.to_owned()), ..ClientOptions::default() };
    Ok(Client::open(database, options)?)
}

/// A runtime as a small program has it: everything on the caller's thread.
pub(crate) fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Quack's server and its client, each a process.
pub(crate) struct Quack {
    pub(crate) client: Rival,
    _server: Rival,
    _directory: tempfile::TempDir,
}

impl Quack {
    pub(crate) fn start(context: &Context) -> Result<Self> {
        let directory = context.fresh()?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port().to_string();
        let token = format!("{:032x}", rand::random::<u128>());
        let file = directory.path().join("quack.duckdb").into_os_string();
        let server = ["serve".into(), port.clone().into(), token.clone().into(), file];
        let mut server = Rival::script(context, "quack.py", server)?;
        server.ready()?;
        let mut client = Rival::script(context, "quack.py", ["client", &port, &token])?;
        client.ready()?;
        Ok(Self { client, _server: server, _directory: directory })
    }
}

/// DuckDB as Python has it, in a process of its own without a server.
pub(crate) struct PythonLocal {
    pub(crate) peer: Rival,
    _directory: tempfile::TempDir,
}

impl PythonLocal {
    pub(crate) fn start(context: &Context) -> Result<Self> {
        let directory = context.fresh()?;
        let file = directory.path().join("local.duckdb").into_os_string();
        let mut peer = Rival::script(context, "quack.py", ["local".into(), file])?;
        peer.ready()?;
        Ok(Self { peer, _directory: directory })
    }
}

/// DuckDB in this process: the one that dbmux links.
pub(crate) struct Local {
    pub(crate) database: dbmux_duckdb::plain::Database,
    _directory: tempfile::TempDir,
}

impl Local {
    pub(crate) fn open(context: &Context) -> Result<Self> {
        let directory = context.fresh()?;
        let database = dbmux_duckdb::plain::Database::open(&directory.path().join("local.duckdb"), false)?;
        Ok(Self { database, _directory: directory })
    }
}

/// The four that are compared on one table: dbmux, Quack, and one process with either DuckDB.
pub(crate) struct Sides {
    pub(crate) place: Place,
    pub(crate) session: Session,
    pub(crate) quack: Quack,
    pub(crate) local: Local,
    pub(crate) python: PythonLocal,
}

impl Sides {
    /// Starts them, each with a table that this statement makes.
    pub(crate) fn with(context: &Context, runtime: &Runtime, make: &str) -> Result<Self> {
        let place = Place::new(context)?;
        let session = runtime.block_on(place.client.session())?;
        runtime.block_on(session.execute(make))?;
        let mut quack = Quack::start(context)?;
        quack.client.ask(&format!("run {make}"))?;
        let local = Local::open(context)?;
        local.database.connect()?.run(make)?;
        let mut python = PythonLocal::start(context)?;
        python.peer.ask(&format!("run {make}"))?;
        Ok(Self { place, session, quack, local, python })
    }
}
