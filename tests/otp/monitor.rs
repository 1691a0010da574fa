//! The monitor: an actor that supervisors are started under, and that writes down how they end.

use std::sync::{Arc, Mutex};

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SupervisionEvent};
use snakepit_supervisor::ExitReason;

use crate::otp::journal::word;

/// What a monitor has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<(ActorCell, ExitReason)>>>);

impl Seen {
    /// How an actor ended, if it has.
    pub(crate) fn end_of(&self, cell: &ActorCell) -> Option<String> {
        let seen = self.0.lock().expect("nobody panics while holding it");
        seen.iter().find(|(who, _)| who.get_id() == cell.get_id()).map(|(_, reason)| word(reason))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().expect("nobody panics while holding it").is_empty()
    }
}

/// The monitor's handler.
#[derive(Debug)]
pub(crate) struct Monitor(Seen);

/// A monitor takes no messages.
#[derive(Debug)]
pub(crate) enum MonitorMessage {}

#[cfg(feature = "cluster")]
impl ractor::Message for MonitorMessage {}

impl Monitor {
    pub(crate) async fn spawn() -> (ActorCell, Seen) {
        let seen = Seen::default();
        let (monitor, _task) = Actor::spawn(None, Self(seen.clone()), ()).await.expect("a monitor starts");
        (monitor.get_cell(), seen)
    }
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Monitor {
    type Msg = MonitorMessage;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<MonitorMessage>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<MonitorMessage>,
        event: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        if let Some(end) = ExitReason::read(event) {
            self.0.0.lock().expect("nobody panics while holding it").push(end);
        }
        Ok(())
    }
}
