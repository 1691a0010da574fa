//! The embedding service's own actor, above the pit: it panics when it is spoken to.

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::task::JoinHandle;

struct Service;

impl Actor for Service {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _myself: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(&self, _myself: ActorRef<()>, (): (), _state: &mut ()) -> Result<(), ActorProcessingErr> {
        panic!("the service was told to panic")
    }

    /// A pit that ends is this service's own doing.
    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<()>,
        _event: SupervisionEvent,
        _state: &mut (),
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

/// Makes the actor panic. Panics that were asked for need no report.
pub(super) fn panic(service: &ActorRef<()>) {
    std::panic::set_hook(Box::new(|_| {}));
    // One that is no more has panicked already.
    let _ = service.cast(());
}

/// Starts the actor.
pub(super) async fn start() -> Result<(ActorRef<()>, JoinHandle<()>), ractor::SpawnErr> {
    Actor::spawn(None, Service, ()).await
}
