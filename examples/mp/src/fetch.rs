//! `mp fetch events`: pages from the remote service into the database, for as long as the service takes.
//!
//! A page is one statement. The bar counts a page when the database has acknowledged it: it is in the file then, whatever
//! happens next. Events have an `insert_id`, and one that is there already is passed over; so a page whose outcome is not
//! known may be sent again, which is what a tool can arrange for itself and dbmux cannot do behind its back.

use dbmux_client::{ClientError, Session, Statement};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::{
    args::Common,
    ask::Database,
    failure::Failure,
    inspect::quoted,
    remote::{Export, PAGES},
    report,
};

/// How often a page is sent again when its outcome is not known.
const AGAIN: usize = 3;

/// Fetches all pages.
pub(crate) async fn run(database: &Database, table: &str, common: &Common) -> Result<(), Failure> {
    let insert = insert(table);
    let session = database.session().await?;
    session.execute(create(table)).await?;
    let bar = bar();
    let (mut export, mut acknowledged) = (Export::begin(common.time()), 0);
    while let Some(page) = export.next().await {
        acknowledged += send(&session, &insert, page).await?;
        bar.inc(1);
        bar.set_message(format!("{acknowledged} events"));
    }
    bar.finish_and_clear();
    if common.json {
        return report::print(&json!({"table": table, "events": acknowledged}).to_string());
    }
    report::print(&format!("{acknowledged} events are in {table}"))
}

/// Answers with the number of new events.
async fn send(session: &Session, insert: &str, page: Vec<Value>) -> Result<u64, Failure> {
    let page = Value::Array(page).to_string();
    let mut sent = 1;
    loop {
        match session.execute(Statement::new(insert).bind(page.as_str())).await {
            Err(ClientError::OutcomeUnknown { .. }) if sent < AGAIN => sent += 1,
            done => return Ok(done?),
        }
    }
}

fn create(table: &str) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {} (insert_id VARCHAR PRIMARY KEY, name VARCHAR, distinct_id VARCHAR, \
         time TIMESTAMP, properties JSON)",
        quoted(table)
    )
}

fn insert(table: &str) -> String {
    let structure = r#"[{"insert_id": "VARCHAR", "name": "VARCHAR", "distinct_id": "VARCHAR", "time": "TIMESTAMP", "properties": "JSON"}]"#;
    format!(
        "INSERT INTO {} BY NAME SELECT unnest(from_json($1::JSON, '{structure}'), max_depth := 2) \
         ON CONFLICT DO NOTHING",
        quoted(table)
    )
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(PAGES);
    if let Ok(style) = ProgressStyle::with_template("{spinner} fetching {bar:40} {percent} % · {msg} · {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    bar
}
