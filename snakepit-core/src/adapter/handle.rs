//! The way to an adapter actor, as the pool, the worker and the reader of a stream hold it.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
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
///
/// # Panics
/// One that panics cannot be trusted any further, as an actor that does: its worker is replaced, and its callers hear
/// what the panic said.
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

/// Why an adapter has not taken a message.
#[derive(Debug)]
pub(crate) enum NotTaken {
    /// Its actor has ended.
    Ended,
    /// Its own message cannot be made of this one: that panicked. Nothing has left, and the adapter goes on.
    Unsayable { what: String },
    /// Its outlet panicked. The message may have left, if in part.
    OutletPanicked { what: String },
}

/// An adapter's outlet panicked while it was to write.
#[derive(Debug)]
pub(crate) struct FlushPanicked {
    pub(crate) what: String,
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
    ///
    /// # Panics
    /// Where the adapter's own code does: its message is made of this one here, or its outlet takes it here. A pool
    /// catches that.
    pub fn cast(&self, message: AdapterMessage) -> Result<(), AdapterEnded> {
        self.hand_over(message)?;
        self.flush_soon();
        Ok(())
    }

    /// Sends a message that may lie until [`flush`](Self::flush) or [`flush_soon`](Self::flush_soon) follows, so that
    /// several leave together.
    ///
    /// # Errors
    /// # Panics
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

    /// Hands a message over as [`hand_over`](Self::hand_over) does, and catches a panic of the adapter's own code.
    pub(crate) fn try_hand_over(&self, message: AdapterMessage) -> Result<(), NotTaken> {
        match catch_unwind(AssertUnwindSafe(|| self.hand_over(message))) {
            Ok(taken) => taken.map_err(|AdapterEnded { .. }| NotTaken::Ended),
            Err(panic) if self.outlet.is_some() => {
                Err(NotTaken::OutletPanicked { what: panic_text(&*panic) })
            }
            Err(panic) => Err(NotTaken::Unsayable { what: panic_text(&*panic) }),
        }
    }

    /// Writes as [`flush`](Self::flush) does, and catches a panic of the adapter's own code.
    pub(crate) fn try_flush(&self) -> Result<(), FlushPanicked> {
        caught(|| self.flush())
    }

    /// Leaves the writing to the actor as [`flush_soon`](Self::flush_soon) does, and catches a panic of the adapter's own code.
    pub(crate) fn try_flush_soon(&self) -> Result<(), FlushPanicked> {
        caught(|| self.flush_soon())
    }

    /// Says something that asks for no answer, and without which nobody waits for ever. An adapter that has ended, or cannot be
    /// told, is not told.
    pub(crate) fn tell(&self, message: AdapterMessage) {
        if self.try_hand_over(message).is_ok() {
            let _ = self.try_flush_soon();
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

fn caught(writes: impl FnOnce()) -> Result<(), FlushPanicked> {
    catch_unwind(AssertUnwindSafe(writes)).map_err(|panic| FlushPanicked { what: panic_text(&*panic) })
}

/// What a panic said, in the words that an actor's panic is told in.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".to_owned())
}
