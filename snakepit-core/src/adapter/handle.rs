//! The way to an adapter actor, as the pool, the worker and the reader of a stream hold it.

use std::fmt;
use std::sync::Arc;

use ractor::{ActorCell, DerivedActorRef, MessagingErr};

use crate::adapter::AdapterMessage;

/// A reference to an adapter actor that can be sent [`AdapterMessage`]s and nothing else. Cheap to clone.
///
/// Made of what an actor is known by: `AdapterRef::from(actor.get_derived())`.
#[derive(Clone)]
pub struct AdapterRef {
    actor: DerivedActorRef<AdapterMessage>,
    outlet: Option<Arc<dyn Outlet>>,
}

/// An adapter actor's own way to its worker, opened to whoever has messages for it: they lie in order behind each other
/// without passing the actor's mailbox, and whoever put one there may write it. It ends with its actor.
///
/// An adapter without one is sent everything through its mailbox.
pub trait Outlet: Send + Sync + 'static {
    /// Takes a message, behind all that were taken before it. It leaves with the next flush.
    ///
    /// # Errors
    /// [`AdapterEnded`] gives the message back.
    fn take(&self, message: AdapterMessage) -> Result<(), AdapterEnded>;

    /// Writes what was taken, as far as there is room; the actor writes the rest. Never waits.
    fn flush(&self);

    /// Lets the actor write what was taken, together with what is taken until it does.
    fn flush_soon(&self);
}

/// An adapter actor has ended, and took nothing.
#[derive(Debug, thiserror::Error)]
#[error("the adapter has ended")]
pub struct AdapterEnded {
    /// What was sent to it.
    pub message: Option<Box<AdapterMessage>>,
}

impl AdapterRef {
    /// An adapter actor that opens its way to the worker.
    pub fn with_outlet(actor: DerivedActorRef<AdapterMessage>, outlet: Arc<dyn Outlet>) -> Self {
        Self { actor, outlet: Some(outlet) }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// [`AdapterEnded`]. What is sent while the actor ends may be lost without it.
    pub fn cast(&self, message: AdapterMessage) -> Result<(), AdapterEnded> {
        self.hand_over(message)?;
        self.flush_soon();
        Ok(())
    }

    /// Sends a message that may lie until [`flush`](Self::flush) or [`flush_soon`](Self::flush_soon) follows, so that
    /// several leave together.
    ///
    /// # Errors
    /// As [`cast`](Self::cast).
    pub fn hand_over(&self, message: AdapterMessage) -> Result<(), AdapterEnded> {
        match &self.outlet {
            Some(outlet) => outlet.take(message),
            None => self.actor.cast(message).map_err(|error| match error {
                MessagingErr::SendErr(message) => AdapterEnded { message: Some(Box::new(message)) },
                MessagingErr::ChannelClosed | MessagingErr::InvalidActorType => {
                    AdapterEnded { message: None }
                }
            }),
        }
    }

    /// Has what was handed over written on this very task, as far as there is room. Never waits.
    pub fn flush(&self) {
        if let Some(outlet) = &self.outlet {
            outlet.flush();
        }
    }

    /// Has what was handed over written by the actor.
    pub fn flush_soon(&self) {
        if let Some(outlet) = &self.outlet {
            outlet.flush_soon();
        }
    }

    /// The actor, to be watched or ended.
    pub fn get_cell(&self) -> ActorCell {
        self.actor.get_cell()
    }
}

impl From<DerivedActorRef<AdapterMessage>> for AdapterRef {
    fn from(actor: DerivedActorRef<AdapterMessage>) -> Self {
        Self { actor, outlet: None }
    }
}

impl fmt::Debug for AdapterRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AdapterRef").field(&self.actor.get_cell()).finish()
    }
}
