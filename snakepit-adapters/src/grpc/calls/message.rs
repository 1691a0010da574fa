//! What the actor is told: by the pool and the worker, and by its own calls.

use snakepit_core::adapter::AdapterMessage;
use snakepit_core::{RequestId, SessionId};

use crate::grpc::calls::call::CallEnd;

#[derive(Debug)]
pub(in crate::grpc) enum CallsMessage {
    /// What the pool and the worker ask.
    Asked(AdapterMessage),
    /// A call has ended.
    CallEnded { id: RequestId, end: CallEnd },
    /// The worker has answered a Cancel: it is done with that request, or does not know it yet.
    CancelAnswered { id: RequestId },
    /// It is to be asked again, if it is not done.
    CancelDue { id: RequestId },
    /// The worker has forgotten a session.
    SessionEnded { session: SessionId },
    /// The worker's process has closed its pipe.
    WorkerGone,
}

#[cfg(feature = "cluster")]
impl ractor::Message for CallsMessage {}

impl From<AdapterMessage> for CallsMessage {
    fn from(message: AdapterMessage) -> Self {
        Self::Asked(message)
    }
}

/// A message of the actor's own, which nobody else may send or receive.
#[derive(Debug)]
pub(in crate::grpc) struct NotAsked;

impl TryFrom<CallsMessage> for AdapterMessage {
    type Error = NotAsked;

    fn try_from(message: CallsMessage) -> Result<Self, NotAsked> {
        match message {
            CallsMessage::Asked(message) => Ok(message),
            CallsMessage::CallEnded { .. }
            | CallsMessage::CancelAnswered { .. }
            | CallsMessage::CancelDue { .. }
            | CallsMessage::SessionEnded { .. }
            | CallsMessage::WorkerGone => Err(NotAsked),
        }
    }
}
