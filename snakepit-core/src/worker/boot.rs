//! The boot of a worker: registered, then started, then shaken hands with. A task, so that the worker can be stopped
//! meanwhile; dropping it at any point leaves nothing behind.

use std::path::PathBuf;
use std::sync::Arc;

use ractor::ActorRef;
use tokio::task::spawn_blocking;

use crate::adapter::{Adapter, AdapterReports, Connect, Connected, WorkerContext};
use crate::error::LossCause;
use crate::id::WorkerLife;
use crate::process::{Marker, ProcessSpec, SpawnError, Spawned, WirePipes, spawn};
use crate::process_registry::{ProcessRegistryRef, RegistryError};
use crate::worker::message::WorkerMessage;

/// What a boot needs.
pub(super) struct Boot {
    pub(super) life: WorkerLife,
    pub(super) adapter: Arc<dyn Adapter>,
    pub(super) data_dir: PathBuf,
    pub(super) registry: ProcessRegistryRef,
    pub(super) reports: AdapterReports,
    pub(super) payload_limit: usize,
    pub(super) worker: ActorRef<WorkerMessage>,
}

impl Boot {
    /// Boots, and tells the worker how it went.
    pub(super) async fn run(self) {
        let message = match self.boot().await {
            Ok(connected) => WorkerMessage::BootFinished { connected },
            Err(cause) => WorkerMessage::BootFailed { cause },
        };
        // A worker that has ended meanwhile does not care.
        let _ = self.worker.cast(message);
    }

    async fn boot(&self) -> Result<Connected, LossCause> {
        let context = WorkerContext { life: self.life.clone(), data_dir: self.data_dir.clone() };
        let pipes = match self.adapter.process_spec(&context)? {
            Some(spec) => self.start_process(spec).await?,
            None => None,
        };
        let connect = Connect {
            life: self.life.clone(),
            pipes,
            reports: self.reports.clone(),
            payload_limit: self.payload_limit,
            supervisor: self.worker.get_cell(),
        };
        Ok(self.adapter.connect(connect).await?)
    }

    /// The record is written before the process starts: a crash in between leaves a record without a process, which the
    /// next start forgives. The other order leaves a process without a record, which nobody would ever find.
    async fn start_process(&self, spec: ProcessSpec) -> Result<Option<WirePipes>, LossCause> {
        self.registry.reserve(self.life.clone()).await?;
        let marker = self.registry.marker(&self.life);
        let Spawned { process, pipes } = self.spawn(spec, marker).await?;
        let identity = process.identity().clone();
        // From here on the worker owns the process. A worker that has ended drops it, which kills it.
        let _ = self.worker.cast(WorkerMessage::ProcessStarted { process });
        self.registry.activate(self.life.clone(), identity).await?;
        Ok(pipes)
    }

    async fn spawn(&self, spec: ProcessSpec, marker: Marker) -> Result<Spawned, LossCause> {
        // Forking a large host takes long. Where nobody waits any more, the process is dropped as soon as it exists.
        let spawned = spawn_blocking(move || spawn(&spec, &marker)).await;
        match spawned {
            Ok(result) => Ok(result?),
            Err(error) => Err(LossCause::SpawnFailed { message: error.to_string() }),
        }
    }
}

impl From<SpawnError> for LossCause {
    fn from(error: SpawnError) -> Self {
        Self::SpawnFailed { message: error.to_string() }
    }
}

impl From<RegistryError> for LossCause {
    fn from(error: RegistryError) -> Self {
        Self::NotRegistered { what: error.to_string() }
    }
}
