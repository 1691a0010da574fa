//! Why a request was not answered.

use std::sync::Arc;
use std::time::Duration;

use crate::error::loss::{LossCause, PoolFailure, WorkerLoss, humantime};
use crate::error::worker::{WorkerError, WorkerErrorKind};
use crate::id::{PoolName, SessionId, WorkerLife};
use crate::payload::PayloadError;

/// What [`ExecuteError::PayloadTooLarge`] says of an answer: no fault of the caller's.
pub(super) const THE_ANSWER: &str = "the answer";

/// Why a request was not answered. Each request ends in exactly one answer or one of these.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError {
    /// No pool has that name, or none was named and there are several but no `default`.
    #[error("there is no pool {pool:?}")]
    PoolNotFound {
        /// The name that was asked for.
        pool: String,
    },
    /// As many requests wait as the pool allows.
    #[error("pool {pool} is saturated: {queued} requests wait, limit {limit}")]
    Saturated {
        /// Which pool.
        pool: PoolName,
        /// How many requests wait, places included that callers have reserved.
        queued: usize,
        /// The pool's `queue_limit`.
        limit: usize,
        /// When trying again is likely to help, judged by how fast the pool has answered lately.
        retry_after: Duration,
    },
    /// The pit is being shut down.
    #[error("pool {pool} is shutting down")]
    ShuttingDown {
        /// Which pool.
        pool: PoolName,
    },
    /// Every worker of the pool has given up, or its own actors failed too often. It is tried again after a rest.
    #[error("pool {pool} has failed: {reason}")]
    PoolFailed {
        /// Which pool.
        pool: PoolName,
        /// Why.
        #[source]
        reason: PoolFailure,
    },
    /// The pool is drained: it takes no requests until it is resumed.
    #[error("pool {pool} is drained and takes no requests until it is resumed")]
    PoolDraining {
        /// Which pool.
        pool: PoolName,
    },
    /// The pool's actor ended while the request was under way. It may have run.
    #[error("pool {pool} restarted; the request may have run")]
    PoolRestarted {
        /// Which pool.
        pool: PoolName,
    },
    /// Time ran out. A running request was told to stop.
    #[error("the deadline passed while the request was {} (timeout {})", if *.running { "running" } else { "waiting" }, humantime(*.timeout))]
    DeadlineExceeded {
        /// Whether a worker had begun with it.
        running: bool,
        /// How long the caller was willing to wait.
        timeout: Duration,
    },
    /// The request was cancelled, by its caller or in the worker.
    #[error("the request was cancelled")]
    Cancelled,
    /// The worker that ran the request ended. The request may have run in part.
    #[error("{loss}")]
    WorkerLost {
        /// Which worker, why, and its last words.
        loss: Arc<WorkerLoss>,
    },
    /// The request may run on its session's worker only, and that is busy.
    #[error("worker {worker} of session {session:?} is busy")]
    WorkerBusy {
        /// Which session.
        session: SessionId,
        /// Its worker.
        worker: WorkerLife,
    },
    /// The request may run on its session's worker only, and that is gone with what it remembered. Told once: the next
    /// request of the session starts afresh.
    #[error("session {session:?} was lost with worker {worker}")]
    SessionLost {
        /// Which session.
        session: SessionId,
        /// The worker that it had.
        worker: WorkerLife,
    },
    /// The worker that ran the request broke the rules of the wire and was replaced.
    #[error("{loss}")]
    Protocol {
        /// Which worker, and which rule.
        loss: Arc<WorkerLoss>,
    },
    /// The adapter's own message could not be made of the request, or of what the reader of its stream took: its code panicked.
    /// The worker goes on. None of the request ran; of a stream, what came before.
    #[error("the adapter of worker {worker} cannot say the request: {what}")]
    AdapterFailed {
        /// The worker that was to run it.
        worker: WorkerLife,
        /// What the panic said.
        what: String,
    },
    /// The request was tried on several workers, and each of them crashed: it is not tried on another.
    #[error("the request crashed {crashes} workers; the last was {loss}")]
    Poisoned {
        /// How many.
        crashes: u32,
        /// The last of them.
        loss: Arc<WorkerLoss>,
    },
    /// The command failed in the worker.
    #[error("the command failed: {error}")]
    Worker {
        /// What the worker said.
        #[source]
        error: Box<WorkerError>,
    },
    /// The worker does not know the command.
    #[error("unknown command {command:?}: {message}")]
    UnknownCommand {
        /// The command that was asked for.
        command: String,
        /// What the worker said.
        message: String,
    },
    /// The arguments do not fit the command, or cannot be written down.
    #[error("invalid argument: {message}")]
    InvalidArgument {
        /// What is wrong with them.
        message: String,
    },
    /// The request or its answer holds more bytes than the pool allows.
    #[error("{what} is {size} bytes, limit {limit}")]
    PayloadTooLarge {
        /// What is too large.
        what: &'static str,
        /// How many bytes it holds, where known; otherwise the limit.
        size: usize,
        /// The pool's `payload_limit`, or the wire's limit for that part.
        limit: usize,
    },
    /// The command answers with a stream and was called without one, or the other way round.
    #[error("streaming does not fit: {message}")]
    StreamingNotSupported {
        /// What the worker said.
        message: String,
    },
    /// The worker answered, but not in the form that the caller asked for.
    #[error(transparent)]
    Payload(PayloadError),
}

impl ExecuteError {
    /// A stable word for programs, such as `worker_lost`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::PoolNotFound { .. } => "pool_not_found",
            Self::Saturated { .. } => "saturated",
            Self::ShuttingDown { .. } => "shutting_down",
            Self::PoolFailed { .. } => "pool_failed",
            Self::PoolDraining { .. } => "pool_draining",
            Self::PoolRestarted { .. } => "pool_restarted",
            Self::DeadlineExceeded { .. } => "deadline_exceeded",
            Self::Cancelled => "cancelled",
            Self::WorkerLost { .. } => "worker_lost",
            Self::WorkerBusy { .. } => "worker_busy",
            Self::SessionLost { .. } => "session_lost",
            Self::Protocol { .. } => "protocol_error",
            Self::AdapterFailed { .. } => "adapter_failed",
            Self::Poisoned { .. } => "poisoned",
            Self::Worker { .. } => "worker_error",
            Self::UnknownCommand { .. } => "unknown_command",
            Self::InvalidArgument { .. } => "invalid_argument",
            Self::PayloadTooLarge { .. } => "payload_too_large",
            Self::StreamingNotSupported { .. } => "streaming_not_supported",
            Self::Payload(_) => "invalid_answer",
        }
    }

    /// Whether the same request may succeed later. A request that ran in part is retryable only if it is idempotent,
    /// which the caller alone knows.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Saturated { .. }
            | Self::PoolRestarted { .. }
            | Self::WorkerLost { .. }
            | Self::WorkerBusy { .. }
            | Self::Protocol { .. }
            | Self::PoolFailed { .. }
            | Self::PoolDraining { .. } => true,
            Self::Worker { error } => error.retryable,
            Self::PoolNotFound { .. }
            | Self::ShuttingDown { .. }
            | Self::SessionLost { .. }
            | Self::AdapterFailed { .. }
            | Self::Poisoned { .. }
            | Self::DeadlineExceeded { .. }
            | Self::Cancelled
            | Self::UnknownCommand { .. }
            | Self::InvalidArgument { .. }
            | Self::PayloadTooLarge { .. }
            | Self::StreamingNotSupported { .. }
            | Self::Payload(_) => false,
        }
    }

    /// When trying again is likely to help, where that can be said.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Saturated { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }
}

impl From<PayloadError> for ExecuteError {
    fn from(error: PayloadError) -> Self {
        match error {
            PayloadError::Encode { .. } => Self::InvalidArgument { message: error.to_string() },
            PayloadError::Decode { .. } | PayloadError::NotDecodable { .. } => Self::Payload(error),
        }
    }
}

impl ExecuteError {
    /// What a worker's own error means to the caller of `command`, who was willing to wait for `timeout`.
    pub(crate) fn from_worker(
        error: WorkerError,
        command: &str,
        timeout: Duration,
        payload_limit: usize,
    ) -> Self {
        match error.kind {
            WorkerErrorKind::UnknownCommand => {
                Self::UnknownCommand { command: command.to_owned(), message: error.message }
            }
            WorkerErrorKind::InvalidArgument => Self::InvalidArgument { message: error.message },
            WorkerErrorKind::Cancelled => Self::Cancelled,
            WorkerErrorKind::StreamingNotSupported => Self::StreamingNotSupported { message: error.message },
            WorkerErrorKind::PayloadTooLarge => {
                Self::PayloadTooLarge { what: THE_ANSWER, size: payload_limit, limit: payload_limit }
            }
            // The worker has found out a moment before the pool.
            WorkerErrorKind::DeadlineExceeded => Self::DeadlineExceeded { running: false, timeout },
            WorkerErrorKind::Error | WorkerErrorKind::Draining | WorkerErrorKind::Other(_) => {
                Self::Worker { error: Box::new(error) }
            }
        }
    }

    /// What the loss of a worker means to a caller whose request it had.
    pub(crate) fn from_loss(loss: Arc<WorkerLoss>) -> Self {
        match loss.cause {
            LossCause::Protocol { .. } => Self::Protocol { loss },
            _ => Self::WorkerLost { loss },
        }
    }
}
