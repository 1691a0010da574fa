//! The registry's actor: it keeps the writer's thread running, and holds nothing that its end could lose.

use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::process_registry::handle::ProcessRegistryRef;
use crate::process_registry::message::ProcessRegistryMessage;
use crate::process_registry::writer::Writer;
use crate::telemetry::Event;

/// The handler of the registry's actor.
#[derive(Debug)]
pub(crate) struct ProcessRegistry;

/// What every life of the actor works with; the writer outlives each of them.
#[derive(Clone, Debug)]
pub(crate) struct ProcessRegistryArgs {
    pub(super) writer: Writer,
    /// Held, so that the registry stays open for as long as its actor may be started.
    #[expect(dead_code, reason = "held, not used")]
    pub(super) handle: ProcessRegistryRef,
}

impl ProcessRegistryArgs {
    /// Closes a registry that was opened and not used. Blocks for a commit.
    pub(super) fn close(self) {
        self.writer.close();
    }
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for ProcessRegistry {
    type Msg = ProcessRegistryMessage;
    type State = Writer;
    type Arguments = ProcessRegistryArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        args: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        if args.writer.actor.current().is_some() {
            args.writer.events.emit(Event::RegistryRestarted {});
        }
        args.writer.actor.publish(myself);
        args.writer.keep_running()?;
        Ok(args.writer)
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ProcessRegistryMessage::WriterEnded => {
                state.events.emit(Event::RegistryWriterRestarted {});
                Ok(state.keep_running()?)
            }
        }
    }
}
