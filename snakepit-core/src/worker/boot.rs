//! The boot of a worker: registered, then started, then shaken hands with. A task, so that the worker can be stopped
//! meanwhile; dropping it at any point leaves nothing behind.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ractor::ActorRef;
use tokio::sync::oneshot;
use tracing::warn;

use crate::adapter::{Adapter, AdapterFailure, AdapterReports, Connect, Connected, WorkerContext};
use crate::error::LossCause;
use crate::id::WorkerLife;
use crate::process::{
    Launcher, OnGone, ProcessExit, ProcessSpec, SpawnError, SpawnStep, Spawned, TreeEnd, WirePipes,
};
use crate::process_registry::{ProcessRegistryRef, RegistryError};
use crate::worker::farewell::Seat;
use crate::worker::message::WorkerMessage;
use crate::worker::phase::PhaseEvent;

/// What a boot needs.
pub(super) struct Boot {
    pub(super) life: WorkerLife,
    pub(super) adapter: Arc<dyn Adapter>,
    pub(super) data_dir: PathBuf,
    pub(super) registry: ProcessRegistryRef,
    pub(super) launcher: Launcher,
    pub(super) stop_grace: Duration,
    pub(super) reports: AdapterReports,
    pub(super) payload_limit: usize,
    pub(super) wants_started: bool,
    pub(super) worker: ActorRef<WorkerMessage>,
    /// Where the worker finds its process.
    pub(super) seat: Seat,
    /// Told, or dropped, when nothing is left of what the boot has started.
    pub(super) gone: Option<oneshot::Sender<()>>,
}

/// What a boot failed of.
#[derive(Debug)]
pub(crate) enum BootFailure {
    /// The process did not come to run.
    Start(LossCause),
    /// The adapter. If there is a process, how it ends may say more.
    Adapter(AdapterFailure),
}

impl From<LossCause> for BootFailure {
    fn from(cause: LossCause) -> Self {
        Self::Start(cause)
    }
}

impl From<AdapterFailure> for BootFailure {
    fn from(failure: AdapterFailure) -> Self {
        Self::Adapter(failure)
    }
}

impl From<BootFailure> for PhaseEvent {
    fn from(failure: BootFailure) -> Self {
        match failure {
            BootFailure::Start(cause) => Self::BootFailed { cause },
            BootFailure::Adapter(failure) => Self::AdapterEnded { failure },
        }
    }
}

impl Boot {
    /// Boots, and tells the worker how it went.
    pub(super) async fn run(mut self) {
        let message = match self.boot().await {
            Ok(connected) => WorkerMessage::BootFinished { connected },
            Err(failure) => WorkerMessage::BootFailed { failure },
        };
        // A worker that has ended meanwhile does not care.
        let _ = self.worker.cast(message);
    }

    async fn boot(&mut self) -> Result<Connected, BootFailure> {
        let mut owed = OwedAtEnd {
            adapter: Arc::clone(&self.adapter),
            context: self.context(),
            has_process: true,
            _gone: self.gone.take(),
        };
        let pipes = if let Some(spec) = self.adapter.process_spec(&owed.context)? {
            self.start_process(spec, owed).await?
        } else {
            owed.has_process = false;
            None
        };
        let connect = Connect {
            life: self.life.clone(),
            pipes,
            reports: self.reports.clone(),
            payload_limit: self.payload_limit,
            wants_started: self.wants_started,
            supervisor: self.worker.get_cell(),
        };
        Ok(self.adapter.connect(connect).await?)
    }

    /// The record is written before the process starts: a crash in between leaves a record without a process, which the
    /// next start forgives. The other order leaves a process without a record, which nobody would ever find.
    async fn start_process(
        &mut self,
        spec: ProcessSpec,
        owed: OwedAtEnd,
    ) -> Result<Option<WirePipes>, LossCause> {
        let marker = self.registry.marker(&self.life);
        let on_gone = self.on_gone(owed);
        let prepared = self.launcher.prepare(marker, on_gone).await?;
        self.registry.reserve(self.life.clone(), prepared.shim().cloned()).await?;
        self.launcher.observe(SpawnStep::IntentCommitted);
        let Spawned { process, pipes } = self.launcher.go(prepared, spec, self.stop_grace).await?;
        let identity = process.identity().cloned();
        // From here on the worker owns the process, also where its stop overtakes the message.
        self.seat.put(process);
        let _ = self.worker.cast(WorkerMessage::ProcessStarted);
        // A process that has ended already is not worth a record; its end takes the intent out.
        if let Some(identity) = identity {
            match self.registry.activate(self.life.clone(), identity).await {
                Ok(()) => self.launcher.observe(SpawnStep::Activated),
                // The intent is written and names the shim, and the mark names the rest.
                Err(error) => {
                    warn!(worker = %self.life, %error, "which process a worker became is not written down yet");
                }
            }
        }
        Ok(pipes)
    }

    /// What is to be done once nothing is left of the process: its record taken out, and its adapter told where the process
    /// had no chance to clean up after itself.
    fn on_gone(&self, owed: OwedAtEnd) -> OnGone {
        let (registry, life) = (self.registry.clone(), self.life.clone());
        Box::new(move |end| {
            registry.release(life);
            let cleaned_up =
                matches!(end, TreeEnd::NeverStarted | TreeEnd::Ended { exit: Some(ProcessExit::Code(_)) });
            if !cleaned_up {
                owed.tell(<dyn Adapter>::on_kill);
            }
            drop(owed);
        })
    }

    fn context(&self) -> WorkerContext {
        WorkerContext { life: self.life.clone(), data_dir: self.data_dir.clone() }
    }
}

/// What is owed once nothing is left of what a boot has started. Dropping it pays, so that a boot which is cut short does, too.
struct OwedAtEnd {
    adapter: Arc<dyn Adapter>,
    context: WorkerContext,
    has_process: bool,
    /// Dropped last, which tells the worker.
    _gone: Option<oneshot::Sender<()>>,
}

impl OwedAtEnd {
    fn tell(&self, tell: impl FnOnce(&dyn Adapter, &WorkerContext)) {
        let told = catch_unwind(AssertUnwindSafe(|| tell(&*self.adapter, &self.context)));
        if told.is_err() {
            warn!(worker = %self.context.life, "the adapter panicked while it cleaned up after a worker");
        }
    }
}

impl Drop for OwedAtEnd {
    fn drop(&mut self) {
        if self.has_process {
            self.tell(<dyn Adapter>::on_gone);
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
