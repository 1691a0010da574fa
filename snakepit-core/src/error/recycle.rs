//! Why a worker was not replaced.

use std::sync::Arc;
use std::time::Duration;

use crate::error::loss::{PoolFailure, WorkerLoss, humantime};
use crate::id::{PoolName, WorkerId};

/// Why [`recycle`](crate::PoolRef::recycle) replaced nobody. Where a worker was to be replaced, it goes on as before.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RecycleError {
    /// No pool has that name.
    #[error("there is no pool {pool:?}")]
    PoolNotFound {
        /// The name that was asked for.
        pool: String,
    },
    /// The pool has no such slot.
    #[error("there is no worker {worker}")]
    NotFound {
        /// Which worker was asked for.
        worker: WorkerId,
    },
    /// It is about to leave, or has just been started to take over from another.
    #[error("worker {worker} is just coming or going")]
    InTransit {
        /// Which worker.
        worker: WorkerId,
    },
    /// The replacement did not get ready, and was given up.
    #[error("the replacement of worker {worker} failed: {loss}")]
    Failed {
        /// The worker that stays.
        worker: WorkerId,
        /// Why the replacement was lost for the last time.
        #[source]
        loss: Arc<WorkerLoss>,
    },
    /// The replacement was not ready in time, and was withdrawn.
    #[error("the replacement of worker {worker} was not ready within {}", humantime(*limit))]
    TimedOut {
        /// The worker that stays.
        worker: WorkerId,
        /// How long it was waited for: twice the pool's `startup_timeout`.
        limit: Duration,
    },
    /// The pool has as many slots as there are numbers.
    #[error("pool {pool} has no room for a replacement")]
    NoRoom {
        /// Which pool.
        pool: PoolName,
    },
    /// The pool's own actors failed too often. It is tried again after a rest, and then has new workers.
    #[error("pool {pool} has failed: {reason}")]
    PoolFailed {
        /// Which pool.
        pool: PoolName,
        /// Why.
        #[source]
        reason: PoolFailure,
    },
    /// The pool's actor ended before it answered. A replacement that was under way goes on.
    #[error("pool {pool} restarted; the worker may be replaced")]
    PoolRestarted {
        /// Which pool.
        pool: PoolName,
    },
    /// The pit is being shut down.
    #[error("pool {pool} is shutting down")]
    ShuttingDown {
        /// Which pool.
        pool: PoolName,
    },
}

impl RecycleError {
    /// A stable word for programs, such as `not_found`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::PoolNotFound { .. } => "pool_not_found",
            Self::NotFound { .. } => "not_found",
            Self::InTransit { .. } => "in_transit",
            Self::Failed { .. } => "failed",
            Self::TimedOut { .. } => "timed_out",
            Self::NoRoom { .. } => "no_room",
            Self::PoolFailed { .. } => "pool_failed",
            Self::PoolRestarted { .. } => "pool_restarted",
            Self::ShuttingDown { .. } => "shutting_down",
        }
    }

    /// Whether asking again may help: who comes or goes has soon come or gone, and a replacement may get ready next time.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::InTransit { .. }
            | Self::Failed { .. }
            | Self::TimedOut { .. }
            | Self::PoolFailed { .. }
            | Self::PoolRestarted { .. } => true,
            Self::NotFound { .. }
            | Self::NoRoom { .. }
            | Self::PoolNotFound { .. }
            | Self::ShuttingDown { .. } => false,
        }
    }
}
