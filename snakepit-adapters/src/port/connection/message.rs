//! What the connection is told: by whoever knows it as an actor, by its reader, and by its outlet.

use snakepit_core::RequestId;
use snakepit_core::adapter::{AdapterFailure, AdapterMessage};

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all of them are the large ones")]
pub(super) enum ConnectionMessage {
    /// What somebody asks who does not know of the outlet.
    Asked(AdapterMessage),
    /// Write what is in the outbox.
    Flush,
    /// The pipe is full, and something is left in the outbox.
    PipeFull,
    /// The pipe was full and takes more now.
    WireWritable,
    /// A request came under the number of another that is under way.
    AskedTwice { id: RequestId },
    /// Nothing more comes from the worker; all that came before has been reported.
    WireEnded { failure: AdapterFailure },
}

#[cfg(feature = "cluster")]
impl ractor::Message for ConnectionMessage {}

impl From<AdapterMessage> for ConnectionMessage {
    fn from(message: AdapterMessage) -> Self {
        Self::Asked(message)
    }
}

/// A message of the connection's own, which nobody else may send or receive.
#[derive(Debug)]
pub(super) struct NotAsked;

impl TryFrom<ConnectionMessage> for AdapterMessage {
    type Error = NotAsked;

    fn try_from(message: ConnectionMessage) -> Result<Self, NotAsked> {
        match message {
            ConnectionMessage::Asked(message) => Ok(message),
            ConnectionMessage::Flush
            | ConnectionMessage::PipeFull
            | ConnectionMessage::WireWritable
            | ConnectionMessage::AskedTwice { .. }
            | ConnectionMessage::WireEnded { .. } => Err(NotAsked),
        }
    }
}
