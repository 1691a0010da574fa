//! What can go wrong, one enum per operation that a caller can act on.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::adapter::AdapterFailure;
use crate::id::{InvalidName, PoolName, SessionId, WorkerLife};
use crate::payload::PayloadError;
use crate::process::ProcessExit;

/// What kind of failure a worker reports, in the words of the worker contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WorkerErrorKind {
    /// The command's own code failed.
    Error,
    /// The worker does not know the command.
    UnknownCommand,
    /// The arguments do not fit the command.
    InvalidArgument,
    /// The command stopped because it was told to.
    Cancelled,
    /// The command does not answer with a stream, or only with one.
    StreamingNotSupported,
    /// The answer is over the limit.
    PayloadTooLarge,
    /// A kind that this version does not know.
    #[serde(untagged)]
    Other(String),
}

/// A failure as the worker tells it. It never costs the worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{type_name}: {message}")]
pub struct WorkerError {
    /// What kind of failure.
    pub kind: WorkerErrorKind,
    /// The error's type in the worker's language, such as `ValueError`.
    #[serde(rename = "type", default)]
    pub type_name: String,
    /// The error's text.
    #[serde(default)]
    pub message: String,
    /// Where it happened, in the worker's own form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceback: Option<String>,
    /// Whether the worker thinks that trying again may help.
    #[serde(default)]
    pub retryable: bool,
    /// Data for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<serde_json::Value>,
    /// What caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[source]
    pub cause: Option<Box<WorkerError>>,
}

/// Why a worker's life ended although nobody asked it to.
#[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
#[serde(tag = "cause", rename_all = "snake_case")]
#[non_exhaustive]
pub enum LossCause {
    /// Its process ended by itself, or a signal ended it.
    #[error("its process {exit}")]
    ProcessExited {
        /// How.
        exit: ProcessExit,
    },
    /// Its process could not be started.
    #[error("its process could not be started: {message}")]
    SpawnFailed {
        /// What the system said.
        message: String,
    },
    /// It was not ready in time.
    #[error("it was not ready within {}", humantime(*limit))]
    StartupTimeout {
        /// The pool's `startup_timeout`.
        #[serde(with = "humantime_serde")]
        limit: Duration,
    },
    /// It broke the rules of the wire.
    #[error("it broke the protocol: {what}")]
    Protocol {
        /// Which rule.
        what: String,
    },
    /// It closed the wire, and its process had to be ended.
    #[error("it closed the wire")]
    Disconnected,
    /// It gave no sign of life while it had nothing to do.
    #[error("it missed {misses} heartbeats in a row")]
    Unresponsive {
        /// How many.
        misses: u32,
    },
    /// It did not give up a cancelled request in time, and the pool's policy is to replace such a worker.
    #[error("it did not give up a cancelled request within {}", humantime(*grace))]
    Stuck {
        /// The pool's `cancel_grace`.
        #[serde(with = "humantime_serde")]
        grace: Duration,
    },
    /// Its adapter actor failed.
    #[error("its adapter failed: {what}")]
    AdapterFailed {
        /// How.
        what: String,
    },
    /// The registry would not take its record, so no process was started.
    #[error("it could not be registered: {what}")]
    NotRegistered {
        /// What the registry said.
        what: String,
    },
    /// It was ended from outside before it could say why.
    #[error("its actor was ended")]
    ActorEnded,
}

/// Writes a duration for people, cut to milliseconds.
pub(crate) fn humantime(duration: Duration) -> String {
    if duration >= Duration::from_secs(1) {
        format!("{} s", duration.as_millis() as f64 / 1000.0)
    } else {
        format!("{} ms", duration.as_millis())
    }
}

/// A worker's life that ended unasked: which, why, and what it last wrote to stderr.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorkerLoss {
    /// Which life.
    #[serde(flatten)]
    pub life: WorkerLife,
    /// Why it ended.
    #[serde(flatten)]
    pub cause: LossCause,
    /// The last lines that the process wrote to stderr, oldest first.
    pub stderr_tail: Vec<String>,
}

impl std::fmt::Display for WorkerLoss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "worker {}: {}", self.life, self.cause)?;
        if let Some(last) = self.stderr_tail.last() {
            write!(f, "; its last words: {last}")?;
        }
        Ok(())
    }
}

impl std::error::Error for WorkerLoss {}

/// Why a pool takes no requests: all its workers have given up.
#[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
#[error("every worker gave up; the last was {last}")]
pub struct PoolFailure {
    /// The last loss, standing for the others.
    #[source]
    pub last: WorkerLoss,
}

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
        /// How many requests wait.
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
    /// Every worker of the pool has given up.
    #[error("pool {pool} has failed: {reason}")]
    PoolFailed {
        /// Which pool.
        pool: PoolName,
        /// Why.
        #[source]
        reason: PoolFailure,
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
        loss: WorkerLoss,
    },
    /// The worker that ran the request broke the rules of the wire and was replaced.
    #[error("{loss}")]
    Protocol {
        /// Which worker, and which rule.
        loss: WorkerLoss,
    },
    /// The command failed in the worker.
    #[error("the command failed: {error}")]
    Worker {
        /// What the worker said.
        #[source]
        error: WorkerError,
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
            Self::PoolRestarted { .. } => "pool_restarted",
            Self::DeadlineExceeded { .. } => "deadline_exceeded",
            Self::Cancelled => "cancelled",
            Self::WorkerLost { .. } => "worker_lost",
            Self::Protocol { .. } => "protocol_error",
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
            | Self::Protocol { .. }
            | Self::PoolFailed { .. } => true,
            Self::Worker { error } => error.retryable,
            Self::PoolNotFound { .. }
            | Self::ShuttingDown { .. }
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

/// Why a pit did not start. Nothing is left running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration contradicts itself or leaves something out.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory cannot be made or written.
    #[error("data directory {} cannot be used: {source}", path.display())]
    DataDir {
        /// Which directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Another host has the data directory open.
    #[error("data directory {} is in use by the host with process id {holder}", path.display())]
    DataDirInUse {
        /// Which directory.
        path: PathBuf,
        /// The process id in its `LOCK` file, or `unknown`.
        holder: String,
    },
    /// The registry of processes cannot be opened.
    #[error("the process registry {} cannot be opened: {message}", path.display())]
    Registry {
        /// Its file.
        path: PathBuf,
        /// What the store said.
        message: String,
    },
    /// An adapter could not get ready what its workers need.
    #[error("pool {pool} cannot start: {source}")]
    Adapter {
        /// Which pool.
        pool: PoolName,
        /// Why.
        #[source]
        source: AdapterFailure,
    },
    /// The supervision tree could not be started.
    #[error("the supervision tree could not be started: {message}")]
    Supervision {
        /// Why.
        message: String,
    },
}

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A name has a form that is not allowed.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Two pools have the same name.
    #[error("two pools are named {pool}")]
    DuplicatePool {
        /// The name.
        pool: PoolName,
    },
    /// No pool was given.
    #[error("a pit needs at least one pool")]
    NoPool,
    /// No data directory was given.
    #[error("a pit needs a data directory: its registry of processes lives there")]
    NoDataDir,
    /// An option has a value that cannot work.
    #[error("pool {pool}: {option} {rule}")]
    Option {
        /// Which pool.
        pool: PoolName,
        /// Which option.
        option: &'static str,
        /// What it must be.
        rule: String,
    },
}

impl From<PayloadError> for ExecuteError {
    fn from(error: PayloadError) -> Self {
        match error {
            PayloadError::Encode { .. } => Self::InvalidArgument { message: error.to_string() },
            PayloadError::Decode { .. } | PayloadError::NotJson { .. } => Self::Payload(error),
        }
    }
}

impl ExecuteError {
    /// What a worker's own error means to the caller of `command`.
    pub(crate) fn from_worker(error: WorkerError, command: &str, payload_limit: usize) -> Self {
        match error.kind {
            WorkerErrorKind::UnknownCommand => {
                Self::UnknownCommand { command: command.to_owned(), message: error.message }
            }
            WorkerErrorKind::InvalidArgument => Self::InvalidArgument { message: error.message },
            WorkerErrorKind::Cancelled => Self::Cancelled,
            WorkerErrorKind::StreamingNotSupported => Self::StreamingNotSupported { message: error.message },
            WorkerErrorKind::PayloadTooLarge => {
                Self::PayloadTooLarge { what: "the answer", size: payload_limit, limit: payload_limit }
            }
            WorkerErrorKind::Error | WorkerErrorKind::Other(_) => Self::Worker { error },
        }
    }

    /// What the loss of a worker means to a caller whose request it had.
    pub(crate) fn from_loss(loss: WorkerLoss) -> Self {
        match loss.cause {
            LossCause::Protocol { .. } => Self::Protocol { loss },
            _ => Self::WorkerLost { loss },
        }
    }
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
