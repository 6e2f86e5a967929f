//! Many servers on one database, and kills in the middle: what was acknowledged is there, once.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicUsize, Ordering},
};

use dbmux_testkit::{Kind, Place};
use serde_json::json;

use super::agent::Agent;

on_each_engine_with_sql!(every_acknowledged_write_is_there_once);

const SERVERS: i64 = 8;
const CALLS: i64 = 40;

fn every_acknowledged_write_is_there_once(kind: Kind) {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    place.sql(kind.file(), "create table t (id bigint primary key)");
    let done = AtomicUsize::new(0);
    let half = usize::try_from(SERVERS * CALLS / 2).expect("a number");
    let (acknowledged, unknown) = std::thread::scope(|scope| {
        let servers: Vec<_> = (0..SERVERS)
            .map(|server| {
                let (place, done) = (&place, &done);
                scope.spawn(move || {
                    let mut agent = Agent::start(place, &["--db", kind.file()]);
                    let (mut acknowledged, mut unknown) = (Vec::new(), Vec::new());
                    for id in server * CALLS..(server + 1) * CALLS {
                        if server == 0 && id == CALLS / 2 {
                            // One server of eight is killed, too, while it writes: another one goes on.
                            let insert = json!({ "sql": "INSERT INTO t VALUES (?)", "parameters": [id] });
                            agent.send("tools/call", json!({ "name": "execute", "arguments": insert }));
                            agent.server.kill().expect("a kill");
                            agent = Agent::start(place, &["--db", kind.file()]);
                            unknown.push(id);
                            continue;
                        }
                        let insert = json!({ "sql": "INSERT INTO t VALUES (?)", "parameters": [id] });
                        match agent.call("execute", insert) {
                            Ok(_) => acknowledged.push(id),
                            Err(failure) => {
                                assert_eq!(failure["code"], "OUTCOME_UNKNOWN", "{failure}");
                                unknown.push(id);
                            }
                        }
                        if done.fetch_add(1, Ordering::Relaxed) == half {
                            place.kill_brokers();
                        }
                    }
                    (acknowledged, unknown)
                })
            })
            .collect();
        let each = servers.into_iter().map(|server| server.join().expect("it goes on"));
        each.fold((Vec::new(), Vec::new()), |mut all, (acknowledged, unknown)| {
            all.0.extend(acknowledged);
            all.1.extend(unknown);
            all
        })
    });
    let mut agent = Agent::start(&place, &["--db", kind.file()]);
    let found = agent.call("query", json!({ "sql": "SELECT id FROM t", "limit": 1000 })).expect("rows");
    let found: Vec<i64> = found["rows"].as_array().expect("rows").iter().filter_map(|row| row[0].as_i64()).collect();
    let there: HashSet<_> = found.iter().copied().collect();
    assert_eq!(there.len(), found.len(), "something is there twice");
    for id in &acknowledged {
        assert!(there.contains(id), "{id} was acknowledged, and is lost");
    }
    let known: HashSet<_> = acknowledged.iter().chain(&unknown).copied().collect();
    assert!(there.is_subset(&known), "something is there that nobody has written");
    assert!(acknowledged.len() > half, "{} of {} were acknowledged", acknowledged.len(), SERVERS * CALLS);
    assert_eq!(place.brokers().len(), 1);
}
