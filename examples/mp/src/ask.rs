//! The database, as this tool uses it: lazily, reading or writing, and never waiting without a word.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use dbmux_client::{Client, ClientError, ClientOptions, Session, Statement, StatementEvent};
use futures::StreamExt;
use indicatif::ProgressBar;

use crate::{args::Common, failure::Failure, report};

/// A statement that takes longer than this says what it waits for.
const SILENT: Duration = Duration::from_millis(500);

/// A way to the database. Nothing is started, made or opened before the first statement.
pub(crate) struct Database {
    client: Client,
    json: bool,
}

impl Database {
    /// Only reads, and makes no file.
    pub(crate) fn reading(common: &Common) -> Result<Self, Failure> {
        Self::open(common, ClientOptions { read_only: true, create: false, ..ClientOptions::default() })
    }

    /// Writes too, into a new file where there is none.
    pub(crate) fn writing(common: &Common) -> Result<Self, Failure> {
        Self::open(common, ClientOptions::default())
    }

    fn open(common: &Common, options: ClientOptions) -> Result<Self, Failure> {
        let broker_program = std::env::var_os("DBMUX_BIN").map(Into::into);
        let options = ClientOptions { wait: common.wait, broker_program, ..options };
        Ok(Self { client: Client::open(&common.db, options)?, json: common.json })
    }

    /// Opens a session; with it the database's broker is there.
    pub(crate) async fn session(&self) -> Result<Session, Failure> {
        Ok(self.client.session().await?)
    }

    /// Runs a statement, and shows its result.
    pub(crate) async fn show(&self, statement: impl Into<Statement>) -> Result<(), Failure> {
        let (schema, batches) = self.ask(statement).await?;
        report::rows(&schema, &batches, self.json)
    }

    /// Runs a statement. When that takes long, a spinner says why.
    pub(crate) async fn ask(&self, statement: impl Into<Statement>) -> Result<(SchemaRef, Vec<RecordBatch>), Failure> {
        let session = self.session().await?;
        let statement = statement.into();
        let id = statement.id();
        let answer = async {
            let answer = session.run(statement).await?;
            let schema = answer.schema();
            Ok::<_, ClientError>((schema, answer.collect().await?))
        };
        tokio::select! {
            answer = answer => Ok(answer?),
            never = spin(&session, id) => match never {},
        }
    }
}

/// Shows what becomes of a statement. Never ends by itself: whoever asked drops it when the answer is there.
async fn spin(session: &Session, statement: u64) -> Infallible {
    let began = Instant::now();
    tokio::time::sleep(SILENT).await;
    let spinner = ProgressBar::new_spinner();
    spinner.enable_steady_tick(Duration::from_millis(100));
    if let Ok(mut events) = session.watch(statement).await {
        while let Some(event) = events.next().await {
            spinner.set_message(format!("{} · {} s", told(&event), began.elapsed().as_secs()));
        }
    }
    drop(spinner);
    std::future::pending().await
}

/// `waiting for python report.py (pid 66618)`, `2 ahead`, `running`.
fn told(event: &StatementEvent) -> String {
    match &event.holder {
        Some(holder) => format!("waiting for {} (pid {})", holder.command, holder.pid),
        None if event.ahead > 0 => format!("{} ahead", event.ahead),
        None => "running".to_owned(),
    }
}
