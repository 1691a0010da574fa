//! The actor around the core: it tells the core what happened, and carries out what the core decides.
//!
//! Nothing here waits inside a handler. A child is spawned without waiting for its `pre_start`; a task of its own
//! ([`life`]) follows it to its end and posts notices.

mod answer;
mod ending;
pub(crate) mod life;
pub(crate) mod message;
#[cfg(test)]
mod probe;
mod question;
mod seat;
mod shell;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::{mpsc, oneshot, watch};

use crate::blueprint::Blueprint;
use crate::core::message::Event;
use crate::error::StartFailure;
use crate::exit::ExitReason;
use crate::handle::AddressEntry;
use crate::offspring::Descendant;
use crate::report::ReportSink;
use message::SupervisorMessage;
use shell::Shell;

/// Every supervisor of this crate. What its tasks hold on to lives here and not in the state: ractor drops a dead
/// actor's handler at once, but its state only when somebody reads the event of its death.
pub(crate) struct SupervisorActor {
    /// Closed when this actor is gone: whoever is starting for it gives up.
    alive: watch::Sender<()>,
    /// Cloned for every child's task: whoever holds the other end learns when the last descendant is gone.
    lineage: mpsc::Sender<Descendant>,
    /// Our entry in the address that handles look at; gone with us.
    address: OnceLock<AddressEntry>,
}

impl SupervisorActor {
    pub(crate) fn new(lineage: mpsc::Sender<Descendant>) -> Self {
        Self { alive: watch::Sender::new(()), lineage, address: OnceLock::new() }
    }
}

/// What a supervisor is started with.
pub(crate) struct SupervisorArguments {
    pub(crate) blueprint: Arc<Blueprint>,
    /// Where its reports go.
    pub(crate) reports: Option<ReportSink>,
    /// Who waits for its children to be up.
    pub(crate) boot: oneshot::Sender<Result<(), StartFailure>>,
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for SupervisorActor {
    type Msg = SupervisorMessage;
    type State = Shell;
    type Arguments = SupervisorArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        arguments: SupervisorArguments,
    ) -> Result<Shell, ActorProcessingErr> {
        let entry = AddressEntry::new(&arguments.blueprint.address, myself.get_cell());
        _ = self.address.set(entry);
        Ok(Shell::new(myself, arguments, self.alive.subscribe(), self.lineage.clone().downgrade()))
    }

    async fn post_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        shell: &mut Shell,
    ) -> Result<(), ActorProcessingErr> {
        shell.step(Event::Boot);
        Ok(())
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: SupervisorMessage,
        shell: &mut Shell,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SupervisorMessage::Request(request) => shell.serve(request),
            SupervisorMessage::Question(question) => shell.answer(question),
            SupervisorMessage::ShutDown { reason } => shell.step(Event::ShutdownRequested { reason }),
            SupervisorMessage::NoticesPosted => shell.read_notices(),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        shell: &mut Shell,
    ) -> Result<(), ActorProcessingErr> {
        if let Some((who, reason)) = ExitReason::read(event) {
            shell.note_exit(&who, reason);
        }
        Ok(())
    }

    /// Somebody stopped the bare actor, or drained it: the children are stopped in order all the same.
    async fn post_stop(
        &self,
        _myself: ActorRef<Self::Msg>,
        shell: &mut Shell,
    ) -> Result<(), ActorProcessingErr> {
        shell.close_and_wait().await;
        Ok(())
    }
}
