//! What a worker under examination tells, in the order in which it does.

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use snakepit_core::RequestId;
use snakepit_core::adapter::{AdapterFailure, Outcome, ReportSink, WorkerLog};
use tokio::sync::{mpsc, watch};

/// What has happened to a worker.
#[derive(Debug)]
pub(super) enum Told {
    Started(u64),
    Finished(u64, Outcome),
    /// Its adapter actor has ended, with a reason or without.
    Ended(Option<AdapterFailure>),
}

pub(super) struct Sink {
    pub(super) told: mpsc::UnboundedSender<Told>,
    pub(super) signs_of_life: watch::Sender<u64>,
}

impl ReportSink for Sink {
    fn finished(&self, id: RequestId, outcome: Outcome) {
        // An examination that is over has no ears.
        let _ = self.told.send(Told::Finished(id.0, outcome));
    }

    fn started(&self, id: RequestId) {
        let _ = self.told.send(Told::Started(id.0));
    }

    fn alive(&self) {
        self.signs_of_life.send_modify(|signs| *signs += 1);
    }

    fn log(&self, _: WorkerLog) {}
}

/// Stands in the place of a worker's actor: the adapter actor is linked to it.
pub(super) struct Supervisor(pub(super) mpsc::UnboundedSender<Told>);

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Supervisor {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<()>,
        event: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let failure = match event {
            SupervisionEvent::ActorFailed(_, error) => {
                let failed = || AdapterFailure::Failed { what: error.to_string() };
                Some(error.downcast_ref::<AdapterFailure>().cloned().unwrap_or_else(failed))
            }
            SupervisionEvent::ActorTerminated(..) => None,
            _ => return Ok(()),
        };
        let _ = self.0.send(Told::Ended(failure));
        Ok(())
    }
}
