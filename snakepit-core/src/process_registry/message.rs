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
    /// Takes the record out: the process and its group are gone.
    Release { life: WorkerLife },
}

#[cfg(feature = "cluster")]
impl ractor::Message for ProcessRegistryMessage {}
