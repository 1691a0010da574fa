//! The worker's actor: one call for each message, and the verdict carried out.

use std::path::PathBuf;
use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use snakepit_supervisor::ExitReason;

use crate::adapter::Adapter;
use crate::error::WorkerLoss;
use crate::id::WorkerLife;
use crate::pool::PoolShared;
use crate::process::Launcher;
use crate::process_registry::ProcessRegistryRef;
use crate::worker::farewell::Farewell;
use crate::worker::life::WorkerState;
use crate::worker::message::WorkerMessage;
use crate::worker::output::WorkerOutput;
use crate::worker::phase::{PhaseEvent, PhaseVerdict};

/// The handler of a worker's actor.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(super) life: WorkerLife,
    pub(super) farewell: Farewell,
    pub(super) output: Arc<WorkerOutput>,
}

/// What every life of a worker works with.
#[derive(Clone)]
pub(crate) struct WorkerArgs {
    pub(crate) pool: Arc<PoolShared>,
    pub(crate) adapter: Arc<dyn Adapter>,
    pub(crate) registry: ProcessRegistryRef,
    pub(crate) launcher: Launcher,
    pub(crate) data_dir: PathBuf,
}

/// Why a worker ended unasked; what its Starter sees.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{loss}")]
pub(crate) struct WorkerExit {
    pub(crate) loss: Arc<WorkerLoss>,
}

impl Worker {
    /// A new life.
    pub(crate) fn new(life: WorkerLife, args: &WorkerArgs) -> Self {
        let farewell = Farewell::new(life.clone(), Arc::clone(&args.pool), args.registry.clone());
        let output = Arc::new(WorkerOutput::new(life.clone(), Arc::clone(&args.pool)));
        Self { life, farewell, output }
    }
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Worker {
    type Msg = WorkerMessage;
    type State = WorkerState;
    type Arguments = WorkerArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        args: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let state = WorkerState::new(args, myself);
        state.begin_boot(self);
        state.follow_pool(self);
        Ok(state)
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let verdict = match message {
            WorkerMessage::ProcessStarted => state.process_started(self),
            WorkerMessage::BootFinished { connected } => state.boot_finished(self, connected),
            WorkerMessage::BootFailed { failure } => state.event(failure.into()),
            WorkerMessage::StartupElapsed => state.startup_elapsed(),
            WorkerMessage::ProcessEnded => state.process_ended(self),
            WorkerMessage::FarewellElapsed => state.event(PhaseEvent::FarewellElapsed),
            WorkerMessage::HeartbeatDue => state.heartbeat_due(self),
            WorkerMessage::UsageRead { usage } => state.usage_read(self, usage),
            WorkerMessage::PoolChanged => state.announce(self),
            WorkerMessage::Replace { cause } => state.event(PhaseEvent::Condemned { cause }),
            WorkerMessage::GetStatus { reply } => {
                // Whoever asked may have stopped waiting.
                let _ = reply.send(state.status(self));
                PhaseVerdict::Stay
            }
        };
        state.carry_out(self, verdict).await
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorStarted(cell) = event {
            state.linked = Some(cell);
            return Ok(());
        }
        let Some((cell, reason)) = ExitReason::read(event) else { return Ok(()) };
        let verdict = state.adapter_ended(&cell, &reason);
        state.carry_out(self, verdict).await
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<Self::Msg>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        state.stop(self).await;
        Ok(())
    }
}
