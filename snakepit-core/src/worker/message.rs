//! What is said to a worker, and what it says to itself.

use ractor::RpcReplyPort;

use crate::adapter::Connected;
use crate::error::LossCause;
use crate::process::TreeUsage;
use crate::worker::boot::BootFailure;
use crate::worker::status::StatusReport;

/// Everything that is said to a worker.
#[derive(Debug)]
pub(crate) enum WorkerMessage {
    /// The boot got as far as a running process, and has put it where the worker finds it.
    ProcessStarted,
    /// The boot ended: the adapter is ready for requests.
    BootFinished { connected: Connected },
    /// The boot ended: it failed.
    BootFailed { failure: BootFailure },
    /// The worker has taken too long to boot.
    StartupElapsed,
    /// The process has ended, in whatever way.
    ProcessEnded,
    /// What was left to hear of a dying worker has taken too long.
    FarewellElapsed,
    /// Time to ask for a sign of life.
    HeartbeatDue,
    /// What its process tree uses, as the heartbeat wanted to know; `None`: nobody can say.
    UsageRead { usage: Option<TreeUsage> },
    /// The pool has a new life, which does not know this worker.
    PoolChanged,
    /// The pool wants another worker in this slot.
    Replace { cause: LossCause },
    /// What can the worker say of itself?
    GetStatus { reply: RpcReplyPort<StatusReport> },
}

#[cfg(feature = "cluster")]
impl ractor::Message for WorkerMessage {}
