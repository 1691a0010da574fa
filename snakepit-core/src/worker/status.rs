//! A worker, described.

use std::sync::Arc;

use serde::Serialize;

use crate::error::WorkerLoss;
use crate::id::{Incarnation, PoolName, Slot, WorkerId};

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
    /// It takes no more requests, finishes those it has, and leaves: the pool was made smaller, or another has taken over.
    Retiring,
    /// Its slot gave up, and is tried again later.
    Quarantined,
}

/// One slot of a pool and the worker in it.
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
    /// The number of its process, where it has one.
    pub os_pid: Option<i32>,
    /// How long this life has lasted, in milliseconds; `None` where there is none.
    pub uptime_ms: Option<u64>,
    /// What the worker says it is; `None` before it has said so.
    pub agent: Option<String>,
    /// Requests that it has now.
    pub running: usize,
    /// Requests that it has answered in this life.
    pub served: u64,
    /// Requests that failed in this life.
    pub failed: u64,
    /// Why the slot gave up, where it has.
    pub last_loss: Option<Arc<WorkerLoss>>,
}

/// What a worker's own actor says of it.
#[derive(Debug)]
pub(crate) struct StatusReport {
    pub(super) incarnation: Incarnation,
    pub(super) phase: WorkerPhase,
    pub(super) os_pid: Option<i32>,
    pub(super) uptime_ms: u64,
    pub(super) agent: Option<String>,
    pub(super) served: u64,
    pub(super) failed: u64,
}

impl WorkerStatus {
    /// A slot of which nothing more is known than how many lives it has had.
    pub(crate) fn unknown(worker: WorkerId, lives: u64) -> Self {
        Self {
            id: worker.to_string(),
            pool: worker.pool,
            slot: worker.slot,
            incarnation: Incarnation(lives),
            restarts: lives.saturating_sub(1),
            phase: WorkerPhase::Booting,
            os_pid: None,
            uptime_ms: None,
            agent: None,
            running: 0,
            served: 0,
            failed: 0,
            last_loss: None,
        }
    }

    /// The same slot after it gave up.
    pub(crate) fn quarantined(self, loss: Arc<WorkerLoss>) -> Self {
        Self { phase: WorkerPhase::Quarantined, last_loss: Some(loss), ..self }
    }

    /// Adds what the worker says of itself.
    pub(crate) fn report(&mut self, report: StatusReport) {
        self.incarnation = report.incarnation;
        self.restarts = report.incarnation.0.saturating_sub(1);
        self.phase = report.phase;
        self.os_pid = report.os_pid;
        self.uptime_ms = Some(report.uptime_ms);
        self.agent = report.agent;
        self.served = report.served;
        self.failed = report.failed;
    }
}
