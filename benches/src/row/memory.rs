//! The broker's resident memory with the file released: before and after a query over 20 million rows.

use std::time::Duration;

use crate::{
    Result,
    context::Context,
    figures::{Figure, Goal, Line},
    place::{Place, runtime},
};

const MAKE: &str = "CREATE TABLE t AS SELECT i AS a, hash(i) AS b FROM range(20000000) r(i)";
const QUERY: &str = "SELECT a % 1000, count(*), max(b) FROM t GROUP BY 1 ORDER BY 3";
const MOST: f64 = 80.0 * 1024.0 * 1024.0;

pub(crate) fn measure(context: &Context) -> Result<Vec<Line>> {
    runtime()?.block_on(async {
        let place = Place::new(context)?;
        let session = place.client.session().await?;
        session.query("SELECT 42").await?.collect().await?;
        let fresh = released(&place).await?;
        session.execute(MAKE).await?;
        session.query(QUERY).await?.collect().await?;
        let after = released(&place).await?;
        drop(session);
        place.stop().await?;
        let goal = Goal::AtMost(Figure::Bytes(MOST));
        Ok(vec![
            Line::alone("the broker's memory, idle, file released", Figure::Bytes(fresh), goal),
            Line::alone("the same after a query over 20 million rows", Figure::Bytes(after), goal),
        ])
    })
}

/// Its resident memory as the kernel counts it, when it has released the file.
async fn released(place: &Place) -> Result<f64> {
    for _ in 0..3000 {
        let status = place.client.status().await?.ok_or("no broker")?;
        if format!("{:?}", status.state()).eq_ignore_ascii_case("released") {
            return settled(status.pid).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err("the broker does not release the file".into())
}

/// Freed memory goes back to the system after the release: when it does not get less any more, all of it has.
async fn settled(pid: u32) -> Result<f64> {
    let mut present = resident(pid)?;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let later = resident(pid)?;
        if later >= present {
            return Ok(present.min(later));
        }
        present = later;
    }
}

fn resident(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no memory is told")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0)
}
