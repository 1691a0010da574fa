//! The registry as others hold it. It needs no actor to be up: what is asked waits for the writer.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::id::WorkerLife;
use crate::process::{HostRun, Marker, ProcessIdentity};
use crate::process_registry::ledger::Change;
use crate::process_registry::queue::{Queue, Request};

/// How long a stopping worker waits for its record to be taken out: many commits, and less than its farewell.
const PATIENCE: Duration = Duration::from_millis(500);

/// A way to the registry. Cheap to clone; the registry is closed when the last clone is gone.
#[derive(Clone, Debug)]
pub(crate) struct ProcessRegistryRef {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    host: HostRun,
    queue: Arc<Queue>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Why the registry did not take something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RegistryError {
    #[error("the process registry could not write: {message}")]
    NotWritten { message: String },
    #[error("too much waits for the process registry")]
    Busy,
    #[error("the process registry has no record of this life")]
    NotReserved,
    #[error("the process registry was interrupted")]
    Interrupted,
}

impl ProcessRegistryRef {
    pub(crate) fn new(host: HostRun) -> Self {
        Self { shared: Arc::new(Shared { host, queue: Arc::default() }) }
    }

    /// Where requests wait for the writer.
    pub(super) fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.shared.queue)
    }

    /// The mark that the processes of a life carry.
    pub(crate) fn marker(&self, life: &WorkerLife) -> Marker {
        self.shared.host.marker(life)
    }

    /// Writes the intent to start a process below `shim`, where there is one. Nothing may be started before this returns
    /// `Ok`.
    ///
    /// # Cancellation
    /// The intent may be written all the same; [`release`](Self::release) takes it out.
    pub(crate) async fn reserve(
        &self,
        life: WorkerLife,
        shim: Option<ProcessIdentity>,
    ) -> Result<(), RegistryError> {
        self.ask(life, Change::Reserve { shim }).await
    }

    /// Writes which process it became. Where that fails it is tried again with whatever is written next.
    pub(crate) async fn activate(
        &self,
        life: WorkerLife,
        process: ProcessIdentity,
    ) -> Result<(), RegistryError> {
        self.ask(life, Change::Activate { process }).await
    }

    /// Writes that the process was asked to leave, without waiting.
    pub(crate) fn stopping(&self, life: WorkerLife) {
        self.tell(life, Change::Stopping);
    }

    /// Writes that the process does not go, without waiting. The record stays, for the next start to find.
    pub(crate) fn stuck(&self, life: WorkerLife, why: String) {
        self.tell(life, Change::Stuck { why });
    }

    /// Takes the record out, without waiting, from any thread: the processes are gone. A life without a record is left
    /// alone.
    pub(crate) fn release(&self, life: WorkerLife) {
        self.tell(life, Change::Release);
    }

    /// The same, and waits until it is done. For a worker that was asked to stop: this host may end next.
    pub(crate) async fn release_and_wait(&self, life: WorkerLife) {
        // Where it takes too long, the next start takes the record out.
        let _ = tokio::time::timeout(PATIENCE, self.ask(life, Change::Release)).await;
    }

    fn tell(&self, life: WorkerLife, change: Change) {
        // Nothing to change about a life without a record.
        let _ = self.shared.queue.push(Request { life, change, reply: None });
    }

    async fn ask(&self, life: WorkerLife, change: Change) -> Result<(), RegistryError> {
        let (reply, answer) = oneshot::channel();
        self.shared.queue.push(Request { life, change, reply: Some(reply) })?;
        // The writer has panicked over it. Whether it was written is not known.
        answer.await.unwrap_or(Err(RegistryError::Interrupted))
    }
}
