//! Two brokers whose sessions attach each other's file: both are answered, and neither waits for the other.

use std::time::{Duration, Instant};

use dbmux_client::{Client, ClientError, ClientOptions, ErrorCode, Statement};
use dbmux_testkit::{Dice, Place, seed};

/// What an answer may take. Nothing here waits for anybody.
const SOON: Duration = Duration::from_secs(5);
const ROUNDS: u64 = 25;

/// One side: attaches the other's file, reads it, lets it go, and writes to its own meanwhile.
async fn attach_and_write(client: Client, other: &str, mut dice: Dice) -> Result<(u64, u64), ClientError> {
    let (attaching, writing) = (client.session().await?, client.session().await?);
    let (mut attached, mut refused) = (0, 0);
    for round in 0..ROUNDS {
        let began = Instant::now();
        let attach = Statement::new(format!("attach '{other}' as other (read_only)")).wait(SOON);
        let (answer, written) =
            tokio::join!(attaching.execute(attach), writing.execute(format!("insert into t values ({round})")));
        written?;
        match answer {
            Ok(_) => {
                let rows = attaching.query("select count(*) from other.t").await?.collect().await?;
                assert_eq!(rows[0].num_rows(), 1);
                attaching.execute("detach other").await?;
                attached += 1;
            }
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::Refused, "{error}");
                // Whoever had it may have let go before it was looked for.
                let hint = error.suggestion();
                let named = hint.contains("dbmux broker") && hint.contains("pid ");
                assert!(named || hint.starts_with("somebody is writing to it"), "it does not say who has it: {hint}");
                refused += 1;
            }
        }
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        // Long enough, now and then, that a file is released.
        tokio::time::sleep(Duration::from_millis(dice.roll(120))).await;
    }
    Ok((attached, refused))
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_attach_each_others_file_do_not_wait_for_each_other() -> Result<(), ClientError> {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux")).with("DBMUX_RELEASE_AFTER", "40ms");
    for database in ["a.duckdb", "b.duckdb"] {
        place.sql(database, "create table t (i int)");
    }
    let seed = seed();
    let [a, b] = ["a.duckdb", "b.duckdb"].map(|name| place.client(name, ClientOptions::default()));
    let (a, b) = tokio::join!(
        attach_and_write(a, "b.duckdb", Dice(seed)),
        attach_and_write(b, "a.duckdb", Dice(seed.wrapping_add(1))),
    );
    let ((attached_a, refused_a), (attached_b, refused_b)) = (a?, b?);
    println!("attached {attached_a} and {attached_b} times, refused {refused_a} and {refused_b} times");
    assert!(refused_a + refused_b > 0 && attached_a + attached_b > 0, "this test saw one side only");
    for database in ["a.duckdb", "b.duckdb"] {
        assert_eq!(place.sql(database, "select count(*), count(distinct i) from t"), format!("{ROUNDS},{ROUNDS}"));
    }
    Ok(())
}

#[test]
fn while_both_files_are_in_use_both_sides_are_refused_by_name() {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux")).with("DBMUX_RELEASE_AFTER", "1h");
    for database in ["a.duckdb", "b.duckdb"] {
        place.sql(database, "create table t (i int)");
    }
    for (database, other) in [("a.duckdb", "b.duckdb"), ("b.duckdb", "a.duckdb")] {
        let broker = place.status(other)["pid"].clone();
        for options in ["", " (read_only)"] {
            let (code, error) = place.fails(&["sql", database, &format!("attach '{other}' as other{options}")]);
            assert_eq!((code, &error["code"]), (1, &"REFUSED".into()), "{error}");
            if !options.is_empty() {
                assert!(error["suggestion"].to_string().contains(&format!("pid {broker}")), "{error}");
            }
        }
        assert_eq!(place.sql(database, "select count(*) from t"), "0");
    }
}
