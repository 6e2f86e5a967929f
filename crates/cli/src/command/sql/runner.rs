//! Runs statements one after the other in one session, and shows each answer as it arrives.
//!
//! While a statement waits or runs, its line is alive on standard error; Ctrl-C cancels it, and a second one gives up.

use std::{
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use arrow::array::AsArray;
use dbmux_client::{Answer, Client, ErrorCode, Session, Statement};
use dbmux_lock::{Lock, LockName};
use futures::StreamExt;
use tokio::{pin, select, sync::watch, time::sleep};

use super::{
    catalog::Catalog,
    parameters::{self, Parameter},
};
use crate::{
    args::Format,
    exit::Exit,
    failure::Failure,
    render::{
        self, answer,
        live::{self, Live},
        person,
        table::Limits,
    },
    split, terminal,
};

/// How long a cancelled statement may take to end.
const CANCELLING: Duration = Duration::from_secs(5);

/// How often it is looked at whom one waits for, and for how long: nothing wakes us for that.
const LOOK: Duration = Duration::from_millis(250);

/// How answers are shown.
#[derive(Debug, Clone, Copy)]
pub(in crate::command) struct Output {
    pub(super) format: Format,
    pub(super) limits: Limits,
    pub(super) read_only: bool,
}

/// A session and how its answers are shown.
pub(in crate::command) struct Runner {
    client: Client,
    session: Option<Session>,
    pub(super) output: Output,
    parameters: Vec<Parameter>,
    /// Results that were shown.
    results: usize,
}

impl Runner {
    pub(in crate::command) fn new(client: Client, output: Output, parameters: Vec<Parameter>) -> Self {
        Self { client, session: None, output, parameters, results: 0 }
    }

    /// Runs one statement to its end.
    pub(super) async fn run(&mut self, sql: &str) -> Result<(), Failure> {
        let mut statement = Statement::new(sql).read_only(self.output.read_only);
        if split::has_parameters(sql) {
            statement = parameters::bind(statement, &self.parameters);
        }
        self.run_statement(statement).await
    }

    /// The same of one that has all it needs.
    pub(in crate::command) async fn run_statement(&mut self, statement: Statement) -> Result<(), Failure> {
        let session = self.take_session().await?;
        let done = run(&session, statement, self.output, &mut self.results).await;
        self.session = Some(session);
        done
    }

    /// Runs what shows nothing, for the statements behind it.
    pub(in crate::command) async fn run_quietly(&mut self, statement: Statement) -> Result<(), Failure> {
        let session = self.take_session().await?;
        let done = session.run(statement).await;
        self.session = Some(session);
        let mut answer = done?;
        while answer.next().await?.is_some() {}
        Ok(())
    }

    /// How to ask what there is.
    pub(super) async fn catalog(&mut self) -> Result<Option<Catalog>, Failure> {
        let session = self.take_session().await?;
        let hello = session.hello();
        self.session = Some(session);
        Ok(Catalog::of(&hello.engine, &hello.catalog))
    }

    pub(super) fn database(&self) -> &Path {
        self.client.database()
    }

    /// Ends the session. A transaction that is open is rolled back; tells whether there was one.
    pub(super) async fn leave(&mut self) -> bool {
        let Some(session) = self.session.take().filter(Session::may_be_in_transaction) else { return false };
        match session.execute("ROLLBACK").await {
            Ok(_) => true,
            // The engine's word: there is none. Any other error leaves it to the broker, which rolls back by itself.
            Err(error) => !matches!(error.code(), ErrorCode::Sql | ErrorCode::SessionLost),
        }
    }

    async fn take_session(&mut self) -> Result<Session, Failure> {
        match self.session.take() {
            Some(session) => Ok(session),
            None => self.connect().await,
        }
    }

    async fn connect(&self) -> Result<Session, Failure> {
        let began = Instant::now();
        let opening = self.client.session();
        pin!(opening);
        let opened = select! {
            opened = &mut opening => opened,
            () = sleep(live::AFTER) => {
                let mut live = Live::since(began, terminal::stderr_is_terminal());
                loop {
                    live.waiting(&broker(&self.client));
                    select! {
                        opened = &mut opening => break opened,
                        () = sleep(LOOK) => {}
                        _ = tokio::signal::ctrl_c() => return Err(Failure::quiet(Exit::Interrupted)),
                    }
                }
            }
            _ = tokio::signal::ctrl_c() => return Err(Failure::quiet(Exit::Interrupted)),
        };
        let session = opened?;
        for notice in &session.hello().notices {
            render::note(&format!("note: {notice}"));
        }
        Ok(session)
    }
}

/// For which broker one waits: the one that has the owner lock, where somebody has it.
fn broker(client: &Client) -> String {
    let sidecar = dbmux_lock::sidecar_path(client.database());
    let owner = Lock::peek(&sidecar, LockName::Owner).ok().flatten();
    let ticket = owner.as_ref().and_then(|owner| owner.holders.first()).filter(|ticket| ticket.same_namespace);
    match ticket.map(|ticket| (ticket.process.pid, ticket.stopped)) {
        Some((pid, true)) => format!("for the broker (pid {pid}), which is stopped: kill -CONT {pid} lets it go on"),
        Some((pid, false)) => format!("for the broker (pid {pid}) to answer"),
        None => "for the broker to start".to_owned(),
    }
}

async fn run(session: &Session, statement: Statement, output: Output, results: &mut usize) -> Result<(), Failure> {
    let id = statement.id();
    // Set when the answer has begun: from then on standard output speaks.
    let (begun, answering) = watch::channel(false);
    let work = async {
        let answer = session.run(statement).await?;
        show(answer, output, results, &begun).await
    };
    pin!(work);
    let line = line(session, id, answering);
    pin!(line);
    let mut cancelled = false;
    loop {
        select! {
            // The line first: it must be gone before the answer is written.
            biased;
            () = &mut line => {}
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                if cancelled {
                    return Err(Failure::quiet(Exit::Interrupted));
                }
                cancelled = true;
                let _ = session.cancel(id).await;
            }
            done = &mut work => return done,
            () = sleep(CANCELLING), if cancelled => return Err(Failure::quiet(Exit::Interrupted)),
        }
    }
}

/// Shows for whom the statement waits and how far it is, until its answer begins. Never ends by itself.
async fn line(session: &Session, id: u64, mut answering: watch::Receiver<bool>) {
    let began = Instant::now();
    sleep(live::AFTER).await;
    let mut live = Live::since(began, terminal::stderr_is_terminal());
    if let Ok(mut events) = session.watch(id).await {
        loop {
            select! {
                biased;
                _ = answering.changed() => break,
                event = events.next() => match event {
                    Some(event) => live.event(&event),
                    None => break,
                },
            }
        }
    }
    drop(live);
    std::future::pending().await
}

async fn show(
    mut answer: Answer,
    output: Output,
    results: &mut usize,
    begun: &watch::Sender<bool>,
) -> Result<(), Failure> {
    for notice in answer.notices() {
        render::note(&format!("note: {notice}"));
    }
    if let Some(as_of) = answer.as_of() {
        render::as_of(as_of);
    }
    if answer.rows_changed() || answer.schema().fields().is_empty() {
        let changed = changed(&mut answer).await?;
        let _ = begun.send(true);
        return tell(&answer, changed, output.format);
    }
    // The first rows, or the end, before anything is written: a statement that fails at once writes nothing.
    let mut next = answer.next().await?;
    let _ = begun.send(true);
    tokio::task::yield_now().await;
    let mut stdout = render::result_output();
    // Results in these forms have no end of their own.
    if *results > 0 && matches!(output.format, Format::Csv | Format::Table) {
        stdout.write_all(b"\n")?;
    }
    *results += 1;
    let mut sink = answer::sink(output.format, output.limits, stdout);
    sink.begin(&answer.schema())?;
    while let Some(batch) = next {
        sink.batch(&batch)?;
        next = answer.next().await?;
    }
    sink.end()
}

/// The number of rows changed; `None` for a statement that has none.
async fn changed(answer: &mut Answer) -> Result<Option<u64>, Failure> {
    let counts = answer.rows_changed();
    let mut changed = None;
    while let Some(batch) = answer.next().await? {
        let column = batch.columns().first().filter(|_| counts && batch.num_rows() > 0);
        let count = column.and_then(|column| column.as_primitive_opt::<arrow::datatypes::Int64Type>());
        changed = count.and_then(|count| u64::try_from(count.value(0)).ok()).or(changed);
    }
    Ok(changed)
}

/// What a statement without rows of its own did. A program that reads JSON gets an array for each statement; in the other
/// forms a count would be taken for a row.
fn tell(answer: &Answer, changed: Option<u64>, format: Format) -> Result<(), Failure> {
    let count = changed.filter(|_| answer.rows_changed());
    let object = count.map(|rows| format!("{{\"rows_changed\":{rows}}}"));
    match (format, object) {
        (Format::Table, _) => {
            render::note(&changed.map_or_else(|| "done".to_owned(), |rows| format!("{} changed", person::rows(rows))));
        }
        (Format::Json, object) => writeln!(render::result_output(), "[{}]", object.unwrap_or_default())?,
        _ => {}
    }
    Ok(())
}

/// The statement was interrupted by its user.
pub(super) fn was_cancelled(failure: &Failure) -> bool {
    failure.exit() == Exit::Interrupted
}
