//! A statement on its way: who is waited for is told meanwhile, and remembered for the answer.

use std::{convert::Infallible, time::Duration};

use dbmux_client::{Answer, Client, ClientError, Session, Statement, StatementEvent, StatementState};
use dbmux_report::{parts::seconds, person};
use futures::StreamExt;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    call::{Call, Waiting},
    failure::Failure,
};

/// An answer that comes sooner needs no news of its waiting.
const PATIENCE: Duration = Duration::from_millis(150);

/// For whom was waited, and how long.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Waited {
    /// Seconds.
    pub(crate) seconds: f64,
    /// Who had the file, or was before in line.
    pub(crate) waited_for: Option<String>,
}

/// Opens a session; a broker is started where there is none.
pub(crate) async fn session(call: &Call, client: &Client) -> Result<Session, Failure> {
    let mut waiting = call.waiting();
    let told = async {
        tokio::time::sleep(PATIENCE).await;
        waiting.tell(&format!("waiting for the broker of {}", client.database().display())).await;
        std::future::pending().await
    };
    let opened = with_news(client.session(), told);
    call.unless_cancelled(async { Ok(opened.await?) }).await
}

/// Runs a statement until its answer begins.
pub(crate) async fn run(
    call: &Call,
    session: &Session,
    statement: Statement,
) -> Result<(Answer, Option<Waited>), Failure> {
    let waited = Mutex::new(None);
    let news = news(session, statement.id(), call.waiting(), &waited);
    let answer = with_news(session.run(statement), news);
    let answer = call.unless_cancelled(async { Ok(answer.await?) }).await?;
    Ok((answer, waited.into_inner()))
}

async fn with_news<T>(
    work: impl Future<Output = Result<T, ClientError>>,
    news: impl Future<Output = Infallible>,
) -> Result<T, ClientError> {
    tokio::select! {
        biased;
        done = work => done,
        never = news => match never {},
    }
}

/// Tells what becomes of a statement, for as long as it is asked.
async fn news(
    session: &Session,
    statement: u64,
    mut waiting: Waiting<'_>,
    waited: &Mutex<Option<Waited>>,
) -> Infallible {
    loop {
        // A statement that the broker does not know yet, or any more, has no events.
        tokio::time::sleep(PATIENCE).await;
        let Ok(mut events) = session.watch(statement).await else { continue };
        while let Some(event) = events.next().await {
            let who = event.holder.as_ref().map(person::holder);
            if is_waiting(&event) {
                *waited.lock() = Some(Waited { seconds: seconds(event.elapsed_ms), waited_for: who.clone() });
            }
            waiting.tell(&told(&event, who.as_deref())).await;
        }
    }
}

fn is_waiting(event: &StatementEvent) -> bool {
    matches!(event.state(), StatementState::Queued | StatementState::WaitingForFile)
}

/// `waiting for dbt build (pid 7), 2 ahead`, `running, 40 %`.
fn told(event: &StatementEvent, who: Option<&str>) -> String {
    let progress = if event.progress > 0.0 { format!(", {:.0} %", event.progress) } else { String::new() };
    match event.state() {
        StatementState::Queued | StatementState::WaitingForFile => {
            let ahead = if event.ahead > 0 { format!(", {} ahead of you", event.ahead) } else { String::new() };
            format!("waiting for {}{ahead}", who.unwrap_or("others"))
        }
        StatementState::Running => format!("running{progress}"),
        StatementState::Sending => "reading the answer".to_owned(),
        StatementState::Ended | StatementState::Unspecified => "ending".to_owned(),
    }
}
