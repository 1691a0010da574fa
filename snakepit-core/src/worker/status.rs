//! A worker, described.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::error::WorkerLoss;
use crate::id::{Incarnation, PoolName, Slot, WorkerId};
use crate::pool::LastLoss;
use crate::process::{TreeUsage, UsageGauge};

/// Where a worker is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WorkerPhase {
    /// Its process starts, or is about to.
    Booting,
    /// It takes requests.
    Ready,
    /// It is about to be replaced.
    Dying,
    /// It takes no more requests, finishes those it has, and leaves: the pool was made smaller, another has taken over, or it
    /// has declined a request and waits for another to.
    Retiring,
    /// Its slot gave up, and is tried again later.
    Quarantined,
    /// Its slot was given up for good: it is tried again only where somebody asks for another worker.
    GivenUp,
}

/// One slot of a pool and the worker in it. What is not known is `None`, never zero.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct WorkerStatus {
    /// `pool/slot`.
    pub id: String,
    /// The pool.
    pub pool: PoolName,
    /// The slot.
    pub slot: Slot,
    /// Which life of the slot's worker; 0 before the first.
    pub incarnation: Incarnation,
    /// How many lives came before.
    pub restarts: u64,
    /// Where it is in its life.
    pub phase: WorkerPhase,
    /// Since when it has been there, in milliseconds since 1970 by the clock of now; `None` where nobody can say.
    pub since_unix_ms: Option<u64>,
    /// The number of its process, where it has one.
    pub os_pid: Option<i32>,
    /// How long this life has lasted, in milliseconds; `None` where there is none.
    pub uptime_ms: Option<u64>,
    /// Bytes of memory that are resident in its process and all that this has started, together; what processes share
    /// counts for each. `None` where there is no process, or the system (other than Linux) does not tell, or they are too
    /// many to be looked at (some 10,000).
    pub rss_bytes: Option<u64>,
    /// Processor time that those have used in this life, in milliseconds, those that have ended included; `None` as above.
    pub cpu_time_ms: Option<u64>,
    /// What the worker says it is; `None` before it has said so.
    pub agent: Option<String>,
    /// Requests that it has now.
    pub running: usize,
    /// Requests that it has answered in this life.
    pub served: Option<u64>,
    /// Requests that failed in this life.
    pub failed: Option<u64>,
    /// Sessions whose state it keeps.
    pub sessions: Option<u64>,
    /// How the slot's last worker that was lost ended, and why; of a quarantined slot, why it gave up. An end that was
    /// asked for is no loss.
    pub last_loss: Option<Arc<WorkerLoss>>,
}

/// What a worker's own actor says of it.
#[derive(Debug)]
pub(crate) struct StatusReport {
    pub(super) incarnation: Incarnation,
    pub(super) phase: WorkerPhase,
    pub(super) os_pid: Option<i32>,
    /// How long it has been in that phase, and how long it has lived.
    pub(super) in_phase: Duration,
    pub(super) uptime: Duration,
    /// How to read what its process uses, where it has one: that takes a while, and is left to whoever asked.
    pub(crate) usage: Option<UsageGauge>,
    pub(super) agent: Option<String>,
    pub(super) served: u64,
    pub(super) failed: u64,
}

impl WorkerStatus {
    /// Which worker it is, as [`Snakepit::explain`](crate::Snakepit::explain) and
    /// [`Snakepit::recycle`](crate::Snakepit::recycle) ask for it.
    pub fn worker(&self) -> WorkerId {
        WorkerId { pool: self.pool.clone(), slot: self.slot }
    }

    /// A slot of which nothing more is known than how many lives it has had, and how the last ended.
    pub(crate) fn unknown(worker: WorkerId, lives: u64, last_loss: Option<&LastLoss>) -> Self {
        Self {
            id: worker.to_string(),
            pool: worker.pool,
            slot: worker.slot,
            incarnation: Incarnation(lives),
            restarts: lives.saturating_sub(1),
            phase: WorkerPhase::Booting,
            since_unix_ms: last_loss.map(|last| unix_ms_ago(last.at.elapsed())),
            os_pid: None,
            uptime_ms: None,
            rss_bytes: None,
            cpu_time_ms: None,
            agent: None,
            running: 0,
            served: None,
            failed: None,
            sessions: None,
            last_loss: last_loss.map(|last| Arc::clone(&last.loss)),
        }
    }

    /// The slot gave up, and stays so until a worker of it is ready, also while one boots; or it stays so for good.
    pub(crate) fn gave_up(&mut self, loss: Arc<WorkerLoss>, for_good: bool) {
        self.phase = if for_good { WorkerPhase::GivenUp } else { WorkerPhase::Quarantined };
        self.last_loss = Some(loss);
    }

    /// It takes no more requests; the worker itself does not know since when.
    pub(crate) fn retiring(&mut self) {
        (self.phase, self.since_unix_ms) = (WorkerPhase::Retiring, None);
    }

    /// Adds what the worker says of itself, and what its process uses.
    pub(crate) fn report(&mut self, report: StatusReport, usage: Option<TreeUsage>) {
        self.incarnation = report.incarnation;
        self.restarts = report.incarnation.0.saturating_sub(1);
        self.phase = report.phase;
        self.os_pid = report.os_pid;
        self.since_unix_ms = Some(unix_ms_ago(report.in_phase));
        self.uptime_ms = Some(ms(report.uptime));
        self.rss_bytes = usage.map(|usage| usage.rss_bytes);
        self.cpu_time_ms = usage.map(|usage| ms(usage.cpu_time));
        self.agent = report.agent;
        self.served = Some(report.served);
        self.failed = Some(report.failed);
    }
}

/// The clock of now, less some time: where the clock has been set since, the times of all workers still agree.
fn unix_ms_ago(ago: Duration) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    ms(now.saturating_sub(ago))
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
