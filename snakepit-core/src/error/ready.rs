//! Why a question about a pool got no good answer.

use std::time::Duration;

use crate::error::loss::{PoolFailure, humantime};
use crate::id::{PoolName, SessionId};

/// Why [`await_ready`](crate::PoolRef::await_ready) ended without a ready worker.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AwaitReadyError {
    /// No pool has that name.
    #[error("there is no pool {pool:?}")]
    PoolNotFound {
        /// The name that was asked for.
        pool: String,
    },
    /// No worker was ready in time.
    #[error("pool {pool} had no ready worker within {}", humantime(*.timeout))]
    TimedOut {
        /// Which pool.
        pool: PoolName,
        /// How long was waited.
        timeout: Duration,
    },
    /// Every worker has given up, or the pool's own actors failed too often.
    #[error("pool {pool} has failed: {reason}")]
    PoolFailed {
        /// Which pool.
        pool: PoolName,
        /// Why.
        #[source]
        reason: PoolFailure,
    },
    /// The pit is being shut down.
    #[error("pool {pool} is shutting down")]
    ShuttingDown {
        /// Which pool.
        pool: PoolName,
    },
}

/// Why a session could not be ended by name.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EndSessionError {
    /// No pool has that name.
    #[error("there is no pool {pool:?}")]
    PoolNotFound {
        /// The name that was asked for.
        pool: String,
    },
    /// The session's id cannot be one.
    #[error("{message}")]
    InvalidArgument {
        /// What is wrong with it.
        message: String,
    },
    /// The session is not known: never begun, ended, or expired.
    #[error("there is no session {session}")]
    SessionNotFound {
        /// The session that was asked for.
        session: SessionId,
    },
    /// The pool's own actors failed too often. It is tried again after a rest. The session may have been ended.
    #[error("pool {pool} has failed: {reason}")]
    PoolFailed {
        /// Which pool.
        pool: PoolName,
        /// Why.
        #[source]
        reason: PoolFailure,
    },
    /// The pool's actor ended before it answered. The session may have been ended.
    #[error("pool {pool} restarted; the session may have been ended")]
    PoolRestarted {
        /// Which pool.
        pool: PoolName,
    },
    /// The pit is being shut down, and its sessions end with it.
    #[error("pool {pool} is shutting down")]
    ShuttingDown {
        /// Which pool.
        pool: PoolName,
    },
}

impl AwaitReadyError {
    /// A stable word for programs, such as `timed_out`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::PoolNotFound { .. } => "pool_not_found",
            Self::TimedOut { .. } => "timed_out",
            Self::PoolFailed { .. } => "pool_failed",
            Self::ShuttingDown { .. } => "shutting_down",
        }
    }

    /// Whether waiting again may help: a slow pool may get there, and one that has failed is tried again.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::TimedOut { .. } | Self::PoolFailed { .. } => true,
            Self::PoolNotFound { .. } | Self::ShuttingDown { .. } => false,
        }
    }
}

impl EndSessionError {
    /// A stable word for programs, such as `session_not_found`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::PoolNotFound { .. } => "pool_not_found",
            Self::InvalidArgument { .. } => "invalid_argument",
            Self::SessionNotFound { .. } => "session_not_found",
            Self::PoolFailed { .. } => "pool_failed",
            Self::PoolRestarted { .. } => "pool_restarted",
            Self::ShuttingDown { .. } => "shutting_down",
        }
    }

    /// Whether asking again may help. Ending a session twice does no harm.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::PoolFailed { .. } | Self::PoolRestarted { .. } => true,
            Self::PoolNotFound { .. }
            | Self::InvalidArgument { .. }
            | Self::SessionNotFound { .. }
            | Self::ShuttingDown { .. } => false,
        }
    }
}
