//! Workers that are replaced with ever more file descriptors to be had, from none on: a start fails or succeeds, and
//! nothing stays open.

use std::error::Error;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use snakepit_adapters::Snakepit;
use tokio::time::{Instant, sleep};

use crate::host::PATIENCE;
use crate::host::plan::Plan;

/// The sweep: so many descriptors more than none.
const ROOM: std::ops::RangeInclusive<u64> = 0..=20;
/// Descriptors that the host has of a worker, at the least: they are free again when it is gone.
const OF_A_WORKER: u64 = 6;
/// How long a worker may take to come back under the limit before its starts are taken to fail.
const UNDER_THE_LIMIT: Duration = Duration::from_millis(100);

/// Says `room N WORD before F after F` for each step of the sweep.
pub(super) async fn run(plan: &Plan) -> Result<(), Box<dyn Error>> {
    let pit = plan.builder().start().await?;
    pit.await_ready("default", PATIENCE).await?;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    for room in ROOM {
        let before = settled().await?;
        setrlimit(Resource::RLIMIT_NOFILE, before.saturating_sub(OF_A_WORKER) + room, hard)?;
        let incarnation = pit.workers("default").await?[0].incarnation;
        // It is lost with its worker.
        let _ = pit.execute("crash", &json!({})).await;
        let word = if replaced(&pit, incarnation.0, UNDER_THE_LIMIT).await? { "ready" } else { "failed" };
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?;
        if !replaced(&pit, incarnation.0, PATIENCE).await? {
            return Err(format!("room {room}: the worker does not come back").into());
        }
        println!("room {room} {word} before {before} after {}", settled().await?);
    }
    println!("done");
    pit.shutdown(PATIENCE).await;
    std::future::pending().await
}

/// Waits until a later life of the worker is ready.
async fn replaced(pit: &Snakepit, than: u64, patience: Duration) -> Result<bool, Box<dyn Error>> {
    let by = Instant::now() + patience;
    loop {
        let worker = &pit.workers("default").await?[0];
        if worker.incarnation.0 > than && worker.agent.is_some() {
            return Ok(true);
        }
        if Instant::now() > by {
            return Ok(false);
        }
        sleep(Duration::from_millis(2)).await;
    }
}

/// How many descriptors are open, once that is the same twice: an actor that is told to end lets go a little later.
async fn settled() -> Result<u64, Box<dyn Error>> {
    let mut last = 0;
    loop {
        // The directory that is being read has one too.
        let open = std::fs::read_dir("/proc/self/fd")?.count() as u64 - 1;
        if open == last {
            return Ok(open);
        }
        last = open;
        sleep(Duration::from_millis(20)).await;
    }
}
