//! Why a worker, or a whole pool of them, is no more.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::id::WorkerLife;
use crate::process::ProcessExit;

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
    /// It gave no sign of life while it had nothing to do, or while it had and its processes used no processor time.
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
    /// The shim that held its process was killed, and with it the process.
    #[error("its shim was killed")]
    ShimLost,
    /// Something that it started does not end even when killed: it hangs in the kernel, or may not be signalled. Its
    /// record is kept, and its slot is tried again only after a rest.
    #[error("its process {pid}, or what that started, does not end even when killed")]
    Unstoppable {
        /// The number of its process.
        pid: i32,
    },
    /// It was ended from outside before it could say why.
    #[error("its actor was ended")]
    ActorEnded,
}

impl LossCause {
    /// The word that stands for it, also where it is serialised.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::ProcessExited { .. } => "process_exited",
            Self::SpawnFailed { .. } => "spawn_failed",
            Self::StartupTimeout { .. } => "startup_timeout",
            Self::Protocol { .. } => "protocol",
            Self::Disconnected => "disconnected",
            Self::Unresponsive { .. } => "unresponsive",
            Self::Stuck { .. } => "stuck",
            Self::AdapterFailed { .. } => "adapter_failed",
            Self::NotRegistered { .. } => "not_registered",
            Self::ShimLost => "shim_lost",
            Self::Unstoppable { .. } => "unstoppable",
            Self::ActorEnded => "actor_ended",
        }
    }
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

/// Why a pool takes no requests.
#[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
#[serde(tag = "is", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PoolFailure {
    /// All its workers have given up.
    #[error("every worker gave up; the last was {last}")]
    Workers {
        /// The last loss, standing for the others.
        #[source]
        last: Arc<WorkerLoss>,
    },
    /// Its own actors failed too often, and are started again after a rest.
    #[error("its own actors failed too often: {why}")]
    Actors {
        /// By which rule, and what failed last.
        why: String,
    },
}

impl PoolFailure {
    /// The last loss of a worker, where that is why.
    pub fn last_loss(&self) -> Option<&WorkerLoss> {
        match self {
            Self::Workers { last } => Some(last),
            Self::Actors { .. } => None,
        }
    }
}
