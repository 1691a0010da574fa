//! Pits that are started with ever fewer file descriptors left: each is refused, or runs, and nothing stays open.

use std::error::Error;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use snakepit_adapters::{Snakepit, StartError};
use tokio::time::sleep;

use crate::host::plan::Plan;

/// The sweep: so many descriptors above those in use.
const ROOM: std::ops::RangeInclusive<u64> = 0..=20;
/// How long a pit that was started may take to say that it is ready or that it is not.
const PATIENCE: Duration = Duration::from_millis(300);

/// Says `room N WORD before F after F` for each step of the sweep.
pub(super) async fn run(plan: &Plan) -> Result<(), Box<dyn Error>> {
    // The first start opens what the process keeps for good.
    stop(plan.builder().start().await?).await?;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    for room in ROOM {
        let before = settled().await?;
        setrlimit(Resource::RLIMIT_NOFILE, before + room, hard)?;
        let started = attempt(plan).await;
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard)?;
        let word = match started {
            Ok(pit) => {
                let is_ready = pit.await_ready("default", PATIENCE).await.is_ok();
                stop(pit).await?;
                if is_ready { "ready" } else { "failed" }
            }
            Err(_) => "refused",
        };
        println!("room {room} {word} before {before} after {}", settled().await?);
    }
    println!("done");
    std::future::pending().await
}

/// Starts a pit, and lets its first boots run into the limit.
async fn attempt(plan: &Plan) -> Result<Snakepit, StartError> {
    let pit = plan.builder().start().await?;
    let _ = pit.await_ready("default", PATIENCE).await;
    Ok(pit)
}

async fn stop(pit: Snakepit) -> Result<(), Box<dyn Error>> {
    let report = pit.shutdown(Duration::from_secs(1)).await;
    if report.processes_left.is_empty() { Ok(()) } else { Err(format!("left: {report:?}").into()) }
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
