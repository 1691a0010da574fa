//! What the registry is asked.

use ractor::RpcReplyPort;

use crate::id::WorkerLife;
use crate::process::ProcessIdentity;
use crate::process_registry::handle::RegistryError;

/// What workers ask of the registry.
#[derive(Debug)]
pub(crate) enum ProcessRegistryMessage {
    /// Writes the intent to start a process; answered once it would survive this host's death.
    Reserve { life: WorkerLife, reply: RpcReplyPort<Result<(), RegistryError>> },
    /// Writes which process it became.
    Activate { life: WorkerLife, process: ProcessIdentity, reply: RpcReplyPort<Result<(), RegistryError>> },
    /// Takes the record out: the process and its group are gone. Whoever is about to end waits for the answer, because
    /// the registry ends next, and what still lies in its mailbox then is lost.
    Release { life: WorkerLife, reply: Option<RpcReplyPort<()>> },
}

#[cfg(feature = "cluster")]
impl ractor::Message for ProcessRegistryMessage {}
