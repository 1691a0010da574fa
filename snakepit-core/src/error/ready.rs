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
    /// Every worker has given up.
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
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndSessionError {
    /// No pool has that name.
    #[error("there is no pool {pool:?}")]
    PoolNotFound {
        /// The name that was asked for.
        pool: String,
    },
    /// The session is not known: never begun, ended, or expired.
    #[error("there is no session {session}")]
    SessionNotFound {
        /// The session that was asked for.
        session: SessionId,
    },
}
