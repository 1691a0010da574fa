//! A message to oneself, due later, that dies with whoever holds it.

use std::time::Duration;

use ractor::{ActorRef, Message};
use tokio::task::JoinHandle;

/// A message under way. Dropping the timer takes the message back, unless it has arrived.
#[derive(Debug)]
pub(crate) struct Timer(JoinHandle<()>);

impl Timer {
    /// Sends `message` to `actor` after `delay`.
    pub(crate) fn after<M: Message>(delay: Duration, actor: &ActorRef<M>, message: M) -> Self {
        let actor = actor.clone();
        Self(tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            // An actor that has ended needs no reminder.
            let _ = actor.cast(message);
        }))
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.abort();
    }
}
