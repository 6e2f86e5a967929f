//! Reads while another process has the file by a lease: from the snapshot, beside the same reads before.
//!
//! The lease is this process's own, so that nothing is started in between; what is read while the copy is made, and while
//! the file goes and comes back, is told apart.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use dbmux_client::{LeaseRequest, Reads, Session};
use tokio::task::JoinHandle;

use crate::{
    Result,
    context::Context,
    figures::{Figure, Goal, Line, Samples},
    place::Place,
};

const PAUSE: Duration = Duration::from_millis(3);
const READ: &str = "SELECT sum(i) FROM small";
/// Rows of the large table: about a gigabyte.
const ROWS: u64 = 45_000_000;

/// A read's moment, how long it took, and whether a snapshot answered.
type Read = (Instant, f64, bool);

pub(crate) fn measure(context: &Context) -> Result<Vec<Line>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let place = Place::new(context)?;
    let rows = if context.quick { ROWS / 8 } else { ROWS };
    let session = runtime.block_on(async {
        let session = place.client.session().await?;
        session.execute("CREATE TABLE small AS SELECT i FROM range(1000) r(i)").await?;
        let large = format!(
            "CREATE TABLE large AS SELECT hash(i) AS h, hash(i + 1) AS g, hash(i + 2) AS f FROM range({rows}) r(i)"
        );
        session.execute(large.as_str()).await?;
        session.execute("CHECKPOINT").await?;
        Ok::<_, dbmux_client::ClientError>(session)
    })?;
    let bytes = std::fs::metadata(place.database())?.len();
    let (mut before, mut during) = (Samples::default(), Samples::default());
    let (mut granted, mut handing) = (Vec::new(), Vec::new());
    for _ in 0..context.rounds(3, 1) {
        let over = Arc::new(AtomicBool::new(false));
        let reads = runtime.spawn(read(runtime.block_on(place.client.session())?, Arc::clone(&over)));
        std::thread::sleep(context.time(Duration::from_secs(3)));
        let asked = Instant::now();
        let lease = LeaseRequest::new([place.database()])?.reads(Reads::Snapshot).acquire(&mut |_| {})?;
        let given = Instant::now();
        std::thread::sleep(context.time(Duration::from_secs(3)));
        let back = Instant::now();
        drop(lease);
        std::thread::sleep(context.time(Duration::from_secs(1)));
        over.store(true, Ordering::Relaxed);
        let reads = ended(&runtime, reads)?;
        let of = |wanted: &dyn Fn(&Read) -> bool| reads.iter().filter(|read| wanted(read)).map(|read| read.1).collect();
        before.push(of(&|(at, ..)| *at < asked));
        during.push(of(&|(at, _, copy)| *at >= given && *at < back && *copy));
        let among: Vec<f64> = of(&|(at, ..)| (*at >= asked && *at < given) || *at >= back);
        handing.extend(among);
        granted.push((given - asked).as_secs_f64());
        if reads.iter().any(|(at, _, copy)| *at >= given && *at < back && !copy) {
            return Err("a read during the lease was not answered from the snapshot".into());
        }
    }
    drop(session);
    runtime.block_on(place.stop())?;
    let (mut hand_over, mut grants) = (Samples::default(), Samples::default());
    hand_over.push(handing);
    grants.push(granted);
    let p99 = |samples: &Samples| Figure::Seconds(samples.overall(0.99));
    let longest = |samples: &Samples| Figure::Seconds(samples.overall(1.0));
    let copied = format!(
        "a lease on {:.1} GiB granted, its snapshot made, while reads go on",
        bytes as f64 / f64::from(1 << 30)
    );
    Ok(vec![
        Line::beside("reads while a lease is out, p99", p99(&during), ("before", p99(&before)), Goal::Within(2.0)),
        Line::beside("the longest of these reads", longest(&during), ("before", longest(&before)), Goal::None),
        Line::alone("the longest read while the file goes, or comes back", longest(&hand_over), Goal::None),
        Line::alone(&copied, Figure::Seconds(grants.overall(0.5)), Goal::None),
    ])
}

async fn read(session: Session, over: Arc<AtomicBool>) -> Result<Vec<Read>> {
    let mut reads = Vec::new();
    while !over.load(Ordering::Relaxed) {
        tokio::time::sleep(PAUSE).await;
        let began = Instant::now();
        let answer = session.query(READ).await?;
        let copy = answer.as_of().is_some();
        answer.collect().await?;
        reads.push((began, began.elapsed().as_secs_f64(), copy));
    }
    Ok(reads)
}

fn ended(runtime: &tokio::runtime::Runtime, reads: JoinHandle<Result<Vec<Read>>>) -> Result<Vec<Read>> {
    runtime.block_on(reads)?
}
