//! Why a pool does not take on another size.

use crate::error::loss::PoolFailure;
use crate::id::PoolName;

/// Why [`resize`](crate::PoolRef::resize) changed nothing, or may not have.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ResizeError {
    /// No pool has that name.
    #[error("there is no pool {pool:?}")]
    PoolNotFound {
        /// The name that was asked for.
        pool: String,
    },
    /// A pool has at least one worker: without any, its requests would wait for nothing until their deadlines.
    #[error("pool {pool} needs at least 1 worker")]
    NoWorkers {
        /// Which pool.
        pool: PoolName,
    },
    /// So many more workers need more open files than this process may have.
    #[error("pool {pool} would need {need} open files, and the limit is {limit}")]
    OpenFilesLimit {
        /// Which pool.
        pool: PoolName,
        /// How many are needed, with those that are open already.
        need: u64,
        /// The soft limit (`getrlimit(2)`, `RLIMIT_NOFILE`).
        limit: u64,
    },
    /// The pool's own actors failed too often. It is tried again after a rest, and then has the size that `stats` tells.
    #[error("pool {pool} has failed: {reason}")]
    PoolFailed {
        /// Which pool.
        pool: PoolName,
        /// Why.
        #[source]
        reason: PoolFailure,
    },
    /// The pool's actor ended before it answered. The size may have been taken on: `stats` tells.
    #[error("pool {pool} restarted; it may have taken on the size")]
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

impl ResizeError {
    /// A stable word for programs, such as `no_workers`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::PoolNotFound { .. } => "pool_not_found",
            Self::NoWorkers { .. } => "no_workers",
            Self::OpenFilesLimit { .. } => "open_files_limit",
            Self::PoolFailed { .. } => "pool_failed",
            Self::PoolRestarted { .. } => "pool_restarted",
            Self::ShuttingDown { .. } => "shutting_down",
        }
    }

    /// Whether asking again may help. The same size twice does no harm.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::PoolFailed { .. } | Self::PoolRestarted { .. } => true,
            Self::NoWorkers { .. }
            | Self::OpenFilesLimit { .. }
            | Self::PoolNotFound { .. }
            | Self::ShuttingDown { .. } => false,
        }
    }
}
