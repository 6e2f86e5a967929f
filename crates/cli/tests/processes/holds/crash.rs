//! The broker is killed again and again under six writers: nothing acknowledged is lost, nothing is sent twice, and
//! every writer goes on. On each engine.
//!
//! Each writer goes another way: a process a statement, sessions that live on, parameters, transactions. Each row has a
//! number of its own, so that a row that is there twice was sent twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use dbmux_client::{ClientError, ClientOptions, ErrorCode, blocking};
use dbmux_testkit::{Dice, Kind, Place, T, seed, soak_time};

on_each_engine!(nothing_acknowledged_is_lost_whenever_the_broker_is_killed);
on_each_engine!(async: writes_that_commit_together_are_there_once);
on_each_engine!(soak: soak_nothing_acknowledged_is_lost_whenever_the_broker_is_killed);

const WRITERS: i64 = 6;
/// Added to the second row's number of a transaction.
const HALF: i64 = 1 << 40;
/// "The outcome is unknown: look before you repeat it."
const OUTCOME_UNKNOWN: i32 = 76;

/// What one writer was told.
#[derive(Default)]
struct Told {
    acknowledged: Vec<i64>,
    unknown: Vec<i64>,
    /// Told that it has not happened.
    lost: Vec<i64>,
}

impl Told {
    fn hear(&mut self, ids: &[i64], answer: Result<u64, ClientError>) {
        match answer {
            Ok(_) => self.acknowledged.extend(ids),
            Err(error) if error.is_outcome_unknown() => self.unknown.extend(ids),
            Err(error) => panic!("neither a success nor an unknown outcome: {:?}: {error}", error.code()),
        }
    }

    fn add(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        self.unknown.extend(other.unknown);
        self.lost.extend(other.lost);
    }
}

/// Writers of one database, whose brokers are killed.
struct Storm {
    kind: Kind,
    place: Place,
    over: AtomicBool,
}

impl Storm {
    fn new(kind: Kind) -> Self {
        let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
        kind.make(&place, &kind.create(T));
        Self { kind, place, over: AtomicBool::new(false) }
    }

    /// The numbers of one writer of so many, until it is over.
    fn numbers(&self, writer: i64, of: i64) -> impl Iterator<Item = i64> {
        (0..).map(move |turn| turn * of + writer).take_while(|_| !self.over.load(Ordering::Relaxed))
    }

    fn write(&self, writer: i64) -> Told {
        match writer {
            0 | 1 => self.by_processes(writer),
            2 | 3 => self.by_a_session(writer),
            4 => self.by_parameters(writer),
            _ => self.by_transactions(writer),
        }
    }

    /// One process a statement.
    fn by_processes(&self, writer: i64) -> Told {
        let mut told = Told::default();
        for id in self.numbers(writer, WRITERS) {
            let output = self.kind.insert_by_process(&self.place, T, &[&[id]]);
            match output.status.code() {
                Some(0) => told.acknowledged.push(id),
                Some(OUTCOME_UNKNOWN) => told.unknown.push(id),
                code => panic!(
                    "neither a success nor an unknown outcome: {code:?}: {}",
                    String::from_utf8_lossy(&output.stderr)
                ),
            }
        }
        told
    }

    fn session(&self) -> blocking::Session {
        let options = ClientOptions { wait: Duration::from_secs(60), ..ClientOptions::default() };
        self.place.blocking_client(self.kind.file(), options).session().expect("a session")
    }

    /// One session that lives on, whatever becomes of its brokers.
    fn by_a_session(&self, writer: i64) -> Told {
        let (mut told, session) = (Told::default(), self.session());
        for id in self.numbers(writer, WRITERS) {
            // Every second one is not of the kind that is merged.
            let statement = if id % 4 < 2 { self.kind.insert(T, &[&[id]]) } else { self.kind.insert_alone(T, &[id]) };
            told.hear(&[id], session.execute(statement));
        }
        told
    }

    /// The same with parameters.
    fn by_parameters(&self, writer: i64) -> Told {
        let (mut told, session) = (Told::default(), self.session());
        for id in self.numbers(writer, WRITERS) {
            told.hear(&[id], session.execute(self.kind.insert_parameters(T, &[id])));
        }
        told
    }

    /// Transactions of two rows: both are there, or none.
    fn by_transactions(&self, writer: i64) -> Told {
        let (mut told, session) = (Told::default(), self.session());
        for id in self.numbers(writer, WRITERS) {
            // Numbers that no writer has by itself.
            let ids = [id, HALF + id];
            if !self.kind.has_transactions() {
                told.hear(&ids, session.execute(self.kind.insert(T, &ids.each_ref().map(std::slice::from_ref))));
                continue;
            }
            let rows = ids.map(|id| self.kind.insert(T, &[&[id]]));
            // Before its COMMIT is sent nothing has happened; what a lost session had is undone.
            let begun = session.execute("begin");
            let ready = rows.into_iter().fold(begun, |ready, row| ready.and_then(|_| session.execute(row)));
            let undone = |error: &ClientError| error.code() == ErrorCode::SessionLost;
            match ready.map(|_| session.execute("commit")) {
                // The broker was gone before the COMMIT was sent, or while it went about the rest.
                Ok(Err(error)) | Err(error) if undone(&error) => told.lost.extend(ids),
                // Of a BEGIN that was on its way.
                Err(error) if error.is_outcome_unknown() => told.lost.extend(ids),
                Ok(committed) => told.hear(&ids, committed),
                Err(error) => panic!("{:?}: {error}", error.code()),
            }
        }
        told
    }

    /// Kills brokers under the writers for this long. Answers with what they were told.
    fn rage(&self, time: Duration) -> Told {
        let mut dice = Dice(seed());
        let (mut kills, began) = (0, Instant::now());
        let told: Vec<Told> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || self.write(writer))).collect();
            while began.elapsed() < time && workers.iter().all(|worker| !worker.is_finished()) {
                std::thread::sleep(Duration::from_millis(10 + dice.roll(400)));
                kills += self.place.kill_brokers();
            }
            self.over.store(true, Ordering::Relaxed);
            workers.into_iter().map(|worker| worker.join().expect("a writer failed")).collect()
        });
        let mut all = Told::default();
        for (writer, told) in told.into_iter().enumerate() {
            println!(
                "writer {writer}: {} acknowledged, {} unknown, {} lost",
                told.acknowledged.len(),
                told.unknown.len(),
                told.lost.len()
            );
            assert!(!told.acknowledged.is_empty(), "writer {writer} did nothing");
            all.add(told);
        }
        println!("{kills} kills in {:?}", began.elapsed());
        assert!(kills >= 5, "this test saw nothing");
        all
    }

    /// Everything that was acknowledged is there, once, and nothing that nobody was told of; and the engine's own tool finds
    /// nothing wrong.
    fn all_is_there(&self, told: &Told) {
        let rows = self.place.sql(self.kind.file(), "select id, count(*) from t group by id");
        let rows: BTreeMap<i64, i64> = rows
            .lines()
            .map(|line| line.split_once(',').expect("two numbers"))
            .map(|(id, count)| (id.parse().expect("a number"), count.parse().expect("a number")))
            .collect();
        for (id, count) in &rows {
            assert_eq!(*count, 1, "row {id} is there {count} times");
        }
        for id in &told.acknowledged {
            assert!(rows.contains_key(id), "row {id} was acknowledged, and is gone");
        }
        for id in &told.lost {
            assert!(!rows.contains_key(id), "row {id} was told to be undone, and is there");
        }
        let known: BTreeSet<i64> = told.acknowledged.iter().chain(&told.unknown).copied().collect();
        assert!(rows.keys().all(|id| known.contains(id)), "there are rows that nobody was told of");
        let mut halves = rows.keys().filter(|id| **id >= HALF).map(|id| id - HALF);
        assert!(halves.all(|id| rows.contains_key(&id)), "half of a transaction is there");
        self.kind.check(&self.place);
    }
}

fn nothing_acknowledged_is_lost_in(kind: Kind, time: Duration) {
    let storm = Storm::new(kind);
    let told = storm.rage(time);
    storm.all_is_there(&told);
}

fn nothing_acknowledged_is_lost_whenever_the_broker_is_killed(kind: Kind) {
    // What is the broker's is the same for each engine: with one of them it has a whole minute.
    nothing_acknowledged_is_lost_in(kind, Duration::from_secs(if kind == Kind::DuckDb { 60 } else { 10 }));
}

fn soak_nothing_acknowledged_is_lost_whenever_the_broker_is_killed(kind: Kind) {
    nothing_acknowledged_is_lost_in(kind, soak_time());
}

/// How many sessions write at once, so that their writes commit together.
const TOGETHER: i64 = 24;

/// Kills the broker while many sessions' writes are committed together: each of them is there for itself, or is not.
async fn writes_that_commit_together_are_there_once(kind: Kind) -> Result<(), ClientError> {
    let storm = Storm::new(kind);
    let client = storm.place.client(kind.file(), ClientOptions::default());
    let writers = (0..TOGETHER).map(|writer| {
        let (storm, client) = (&storm, &client);
        async move {
            let (mut told, session) = (Told::default(), client.session().await?);
            for id in storm.numbers(writer, TOGETHER) {
                told.hear(&[id], session.execute(kind.insert(T, &[&[id]])).await);
            }
            Ok::<_, ClientError>(told)
        }
    });
    let mut dice = Dice(seed());
    let kills = async {
        let (mut kills, mut together) = (0, 0);
        while kills < 8 {
            tokio::time::sleep(Duration::from_millis(100 + dice.roll(200))).await;
            // Killed by now already, it has no statistics.
            let stats = client.stats().await?.unwrap_or_default();
            together += stats.merged_statements.saturating_sub(stats.merged_batches);
            kills += storm.place.kill_brokers();
        }
        storm.over.store(true, Ordering::Relaxed);
        Ok::<_, ClientError>(together)
    };
    let (told, together) = tokio::join!(futures::future::join_all(writers), kills);
    assert!(together? > 100, "they did not commit together: this test saw nothing");
    let mut all = Told::default();
    for told in told {
        all.add(told?);
    }
    println!("{} acknowledged, {} unknown", all.acknowledged.len(), all.unknown.len());
    assert!(all.acknowledged.len() > 100);
    storm.all_is_there(&all);
    Ok(())
}
