//! Where an actor is found, over its restarts.

use std::fmt;
use std::sync::Arc;

use ractor::{ActorRef, Message, MessagingErr};
use tokio::sync::watch;

/// A place where the present life of an actor says that it is up. Cheap to clone; all clones are one place.
pub(crate) struct Address<M> {
    place: Arc<watch::Sender<Option<ActorRef<M>>>>,
}

impl<M: Message> Address<M> {
    /// Says where the actor is from now on. Called by the actor itself, in `pre_start`.
    pub(crate) fn publish(&self, actor: ActorRef<M>) {
        self.place.send_replace(Some(actor));
    }

    /// Where it was last seen; it may have ended since.
    pub(crate) fn current(&self) -> Option<ActorRef<M>> {
        self.place.borrow().clone()
    }

    /// Sends a message to the present life. Returns whether there was one to take it.
    pub(crate) fn cast(&self, message: M) -> bool {
        let place = self.place.borrow();
        let sent = match place.as_ref() {
            Some(actor) => actor.cast(message),
            None => Err(MessagingErr::SendErr(message)),
        };
        // The place is let go first: what is in a message that nobody takes may have to say something itself when it is
        // dropped, and would wait here for whoever waits to change the place.
        drop(place);
        sent.is_ok()
    }

    /// Resolves whenever a new life is up.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<ActorRef<M>>> {
        self.place.subscribe()
    }
}

impl<M> Clone for Address<M> {
    fn clone(&self) -> Self {
        Self { place: Arc::clone(&self.place) }
    }
}

impl<M> Default for Address<M> {
    fn default() -> Self {
        Self { place: Arc::new(watch::Sender::new(None)) }
    }
}

impl<M> fmt::Debug for Address<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address")
    }
}
