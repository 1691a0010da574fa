//! What the connection is told: by the pool and the worker, by its reader, and by itself.

use snakepit_core::adapter::{AdapterFailure, AdapterMessage};

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all of them are the large ones")]
pub(super) enum ConnectionMessage {
    /// What the pool and the worker ask.
    Asked(AdapterMessage),
    /// Let whoever is about to ask do so, then flush.
    Gather,
    /// Write what is in the outbox. It stands behind everything that was asked before, so that one write takes all.
    Flush,
    /// The pipe was full and takes more now.
    WireWritable,
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
            ConnectionMessage::Gather
            | ConnectionMessage::Flush
            | ConnectionMessage::WireWritable
            | ConnectionMessage::WireEnded { .. } => Err(NotAsked),
        }
    }
}
