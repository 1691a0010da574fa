//! The end of a pit: one deadline for everything, and a report that the system itself confirms.

use std::time::Duration;

use serde::Serialize;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::Instant;
use tracing::error;

use crate::id::PoolName;
use crate::pool::{CloseReport, PoolRef};
use crate::process::{RunId, sighting};
use crate::snakepit::handle::Pit;
use crate::telemetry::{Event, EventSink};

/// What is left of the deadline for actors to say farewell after their processes are gone.
const FAREWELL: Duration = Duration::from_secs(2);

/// What the actors are told; a reason that OTP counts as clean.
const REASON: &str = "shutdown";

/// How a shutdown went.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What became of each pool.
    pub pools: Vec<PoolShutdown>,
    /// Process ids of workers of this run that still run, as the system says. Empty: nothing is left behind.
    pub processes_left: Vec<i32>,
}

/// What became of one pool.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PoolShutdown {
    /// Which pool.
    pub pool: PoolName,
    /// Requests that were under way and were answered in time.
    pub requests_finished: usize,
    /// Requests that were told that the pool shuts down.
    pub requests_abandoned: usize,
    /// Processes that left when asked.
    pub workers_left: u32,
    /// Processes that had to be killed.
    pub workers_killed: u32,
    /// Processes that did not go even when killed.
    pub workers_stuck: u32,
}

pub(super) async fn run(pit: &Pit, budget: Duration) -> ShutdownReport {
    let began = Instant::now();
    let by = began + budget.min(Duration::from_hours(8760));
    pit.events.emit(Event::ShutdownBegun { budget });
    for (pool, _) in pit.pools.values() {
        pool.shared().stop_by(by);
    }
    let drains = drain(pit, began, by).await;
    stop(pit, by).await;
    let pools = pit.pools.values().zip(drains).map(|((pool, _), drain)| report(pool, drain)).collect();
    let processes_left = processes_left(pit.run).await;
    let took = began.elapsed();
    let report = ShutdownReport {
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        pools,
        processes_left,
    };
    tell(&report, took, &pit.events);
    report
}

pub(super) fn tell_left(report: &ShutdownReport, events: &EventSink) {
    if !report.processes_left.is_empty() {
        events.emit(Event::ShutdownLeft { os_pids: report.processes_left.clone() });
    }
}

fn tell(report: &ShutdownReport, took: Duration, events: &EventSink) {
    tell_left(report, events);
    events.emit(Event::ShutdownEnded {
        took,
        requests_finished: report.pools.iter().map(|pool| pool.requests_finished).sum(),
        requests_abandoned: report.pools.iter().map(|pool| pool.requests_abandoned).sum(),
    });
}

/// Lets every pool finish what it has, all at once, as long as leaves time to stop its processes.
async fn drain(pit: &Pit, began: Instant, by: Instant) -> Vec<CloseReport> {
    let mut drains = JoinSet::new();
    for (place, (pool, _)) in pit.pools.values().enumerate() {
        let pool = pool.clone();
        let options = &pool.shared().options;
        let to_stop = options.stop_grace.saturating_add(options.kill_grace);
        let until = by.checked_sub(to_stop).map_or(began, |until| until.max(began));
        drains.spawn(async move { (place, pool.close(until).await) });
    }
    let mut reports = drains.join_all().await;
    reports.sort_by_key(|(place, _)| *place);
    reports.into_iter().map(|(_, report)| report).collect()
}

/// Stops the pools, all at once, and then what they stood on.
async fn stop(pit: &Pit, by: Instant) {
    let mut stops = JoinSet::new();
    for (_, supervisor) in pit.pools.values() {
        let supervisor = supervisor.clone();
        stops.spawn(async move {
            supervisor.stop(Some(REASON.to_owned()));
            // One that takes longer is ended with the root.
            let _ = supervisor.wait(Some(until(by))).await;
        });
    }
    stops.join_all().await;
    pit.root.stop(Some(REASON.to_owned()));
    if pit.root.wait(Some(until(by))).await.is_err()
        && let Some(root) = pit.root.cell()
    {
        // Killing the root ends every actor below it, and a worker's process ends with its actor.
        root.kill();
        let _ = pit.root.wait(Some(FAREWELL)).await;
    }
}

fn until(by: Instant) -> Duration {
    by.saturating_duration_since(Instant::now()) + FAREWELL
}

fn report(pool: &PoolRef, drain: CloseReport) -> PoolShutdown {
    let (workers_left, workers_killed, workers_stuck) = pool.shared().stops();
    PoolShutdown {
        pool: pool.name().clone(),
        requests_finished: drain.finished,
        requests_abandoned: drain.abandoned,
        workers_left,
        workers_killed,
        workers_stuck,
    }
}

/// Ends what still carries this run's mark: a process that was just being started when its worker was stopped, or one
/// that has left its group. Says which of them the system does not let go.
async fn processes_left(run: RunId) -> Vec<i32> {
    let swept = spawn_blocking(move || sighting::sweep(|marker| marker.run == run, FAREWELL)).await;
    let swept = match swept.map_err(std::io::Error::other).and_then(|swept| swept) {
        Ok(swept) => swept,
        Err(error) => {
            error!(%error, "what is left of this run cannot be looked for");
            sighting::Sweep::default()
        }
    };
    swept.survivors.iter().map(|sighting| sighting.identity.pid()).collect()
}
