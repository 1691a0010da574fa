//! Why a pool is not drained, or does not go on.

use std::time::Duration;

use crate::error::loss::humantime;
use crate::id::PoolName;

/// Why [`drain`](crate::PoolRef::drain) ended before the pool had nothing left to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DrainError {
    /// No pool has that name.
    #[error("there is no pool {pool:?}")]
    PoolNotFound {
        /// The name that was asked for.
        pool: String,
    },
    /// Some requests were still under way. The pool takes no others, and goes on with these.
    #[error(
        "pool {pool} was not drained within {}: {waiting} requests wait, {running} run",
        humantime(*.timeout)
    )]
    TimedOut {
        /// Which pool.
        pool: PoolName,
        /// How long was waited.
        timeout: Duration,
        /// How many requests wait for a worker.
        waiting: usize,
        /// How many a worker has, those whose caller no longer waits included.
        running: usize,
    },
    /// The pool was resumed meanwhile: it takes requests again.
    #[error("pool {pool} was resumed")]
    Resumed {
        /// Which pool.
        pool: PoolName,
    },
    /// The pool's actor had ended and was not back in time. It is drained when it is.
    #[error("pool {pool} restarts; it takes no requests until it is resumed")]
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

/// Why [`resume`](crate::PoolRef::resume) changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// No pool has that name.
    #[error("there is no pool {pool:?}")]
    PoolNotFound {
        /// The name that was asked for.
        pool: String,
    },
    /// The pit is being shut down.
    #[error("pool {pool} is shutting down")]
    ShuttingDown {
        /// Which pool.
        pool: PoolName,
    },
}

impl DrainError {
    /// A stable word for programs, such as `timed_out`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::PoolNotFound { .. } => "pool_not_found",
            Self::TimedOut { .. } => "timed_out",
            Self::Resumed { .. } => "resumed",
            Self::PoolRestarted { .. } => "pool_restarted",
            Self::ShuttingDown { .. } => "shutting_down",
        }
    }

    /// Whether draining again may help: it waits on, and for a pool that was resumed begins anew.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::TimedOut { .. } | Self::Resumed { .. } | Self::PoolRestarted { .. } => true,
            Self::PoolNotFound { .. } | Self::ShuttingDown { .. } => false,
        }
    }
}

impl ResumeError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::PoolNotFound { .. } => "pool_not_found",
            Self::ShuttingDown { .. } => "shutting_down",
        }
    }

    /// Whether asking again may help.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::PoolNotFound { .. } | Self::ShuttingDown { .. } => false,
        }
    }
}
