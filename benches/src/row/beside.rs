//! Small statements beside heavy ones: reads alone and beside a writer of large tables; writes beside one long CREATE
//! TABLE AS.
//!
//! One session asks, pauses, and asks again. A stall counts once in such a p99, so the longest one is told beside it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use dbmux_client::{ClientError, Session};
use tokio::task::JoinHandle;

use crate::{
    Result,
    context::Context,
    figures::{Figure, Goal, Line, Samples},
    place::Place,
};

const PAUSE: Duration = Duration::from_millis(3);
const READ: &str = "SELECT sum(i) FROM small";
const WRITE: &str = "INSERT INTO log VALUES (1)";
/// How long the CREATE TABLE AS is to take in a full run.
const LONG: Duration = Duration::from_secs(10);

pub(crate) fn measure(context: &Context) -> Result<Vec<Line>> {
    // The heavy statement and the small ones are two clients' business.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let place = Place::new(context)?;
        let session = place.client.session().await?;
        session.execute("CREATE TABLE small AS SELECT i FROM range(1000) r(i)").await?;
        session.execute("CREATE TABLE log (i BIGINT)").await?;
        let (alone, beside) = reads(context, &place, &session).await?;
        let (writes, long) = writes(context, &place, &session).await?;
        drop(session);
        place.stop().await?;
        let p99 = |samples: &Samples| Figure::Seconds(samples.overall(0.99));
        let longest = |samples: &Samples| Figure::Seconds(samples.overall(1.0));
        let what = format!("small writes beside a CREATE TABLE AS of {:.0} s, p99", long.as_secs_f64());
        Ok(vec![
            Line::beside(
                "small reads beside one heavy writer, p99",
                p99(&beside),
                ("alone", p99(&alone)),
                Goal::Within(3.0),
            ),
            Line::beside("the longest of these reads", longest(&beside), ("alone", longest(&alone)), Goal::None),
            Line::alone(&what, p99(&writes), Goal::AtMost(Figure::Seconds(0.1))),
            Line::alone("the longest of these writes", longest(&writes), Goal::None),
        ])
    })
}

async fn reads(context: &Context, place: &Place, session: &Session) -> Result<(Samples, Samples)> {
    let time = context.time(Duration::from_secs(3));
    let (mut alone, mut beside) = (Samples::default(), Samples::default());
    paced(session, READ, Until::time(time / 3)).await?;
    for _ in 0..context.rounds(4, 2) {
        alone.push(paced(session, READ, Until::time(time)).await?);
        let over = Arc::new(AtomicBool::new(false));
        let heavy = again_and_again(place.client.session().await?, Arc::clone(&over));
        beside.push(paced(session, READ, Until::time(time)).await?);
        over.store(true, Ordering::Relaxed);
        if heavy.await?? == 0 {
            return Err("the heavy writer has done nothing".into());
        }
    }
    Ok((alone, beside))
}

/// Makes a large table until told to stop; answers with how often.
fn again_and_again(session: Session, over: Arc<AtomicBool>) -> JoinHandle<std::result::Result<usize, ClientError>> {
    tokio::spawn(async move {
        let mut times = 0;
        while !over.load(Ordering::Relaxed) {
            session.execute(&*table(2_000_000)).await?;
            times += 1;
        }
        Ok(times)
    })
}

fn table(rows: u64) -> String {
    format!("CREATE OR REPLACE TABLE heavy AS SELECT i, hash(i) AS h, i::VARCHAR AS s FROM range({rows}) r(i)")
}

/// Answers with how long the CREATE TABLE AS took, too.
async fn writes(context: &Context, place: &Place, session: &Session) -> Result<(Samples, Duration)> {
    let heavy = place.client.session().await?;
    let (began, rows) = (Instant::now(), 4_000_000);
    heavy.execute(&*table(rows)).await?;
    let long = context.time(LONG);
    // Beside the small ones it takes longer still.
    let rows = (rows as f64 * long.as_secs_f64() / began.elapsed().as_secs_f64()) as u64;
    let over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&over);
    let heavy = tokio::spawn(async move {
        let began = Instant::now();
        let outcome = heavy.execute(&*table(rows)).await;
        told.store(true, Ordering::Relaxed);
        outcome.map(|_| began.elapsed())
    });
    let mut samples = Samples::default();
    samples.push(paced(session, WRITE, Until::told(over)).await?);
    Ok((samples, heavy.await??))
}

/// When to stop.
struct Until {
    moment: Option<Instant>,
    told: Arc<AtomicBool>,
}

impl Until {
    fn time(time: Duration) -> Self {
        Self { moment: Some(Instant::now() + time), told: Arc::default() }
    }

    fn told(told: Arc<AtomicBool>) -> Self {
        Self { moment: None, told }
    }

    fn is_over(&self) -> bool {
        self.told.load(Ordering::Relaxed) || self.moment.is_some_and(|moment| Instant::now() >= moment)
    }
}

async fn paced(session: &Session, sql: &str, until: Until) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    while !until.is_over() {
        tokio::time::sleep(PAUSE).await;
        let began = Instant::now();
        session.query(sql).await?.collect().await?;
        times.push(began.elapsed().as_secs_f64());
    }
    Ok(times)
}
