//! What the thread that reads does about what the host asks.

use snakepit_core::WorkerErrorKind;

use crate::port::frame::{Kind, ProtocolError};
use crate::worker::crew::{Crew, Shared};
use crate::worker::error::CommandError;
use crate::worker::intake::Asked;
use crate::worker::requests::{ArrivalVerdict, CancelVerdict};

/// What the thread that reads answers itself.
pub(super) enum Reply {
    Pong { id: u64 },
    Error { id: u64, error: CommandError },
}

impl Reply {
    pub(super) fn draining(id: u64) -> Self {
        let kind = WorkerErrorKind::Draining;
        let error = CommandError::of(kind, "Draining", "the worker takes no more work").retryable();
        Self::Error { id, error }
    }
}

impl Shared {
    pub(super) fn take(&mut self, asked: Asked, replies: &mut Vec<Reply>) -> Result<(), ProtocolError> {
        match asked {
            Asked::Request { job, credit } => {
                let id = job.id;
                match self.requests.arrive(job, credit)? {
                    ArrivalVerdict::Waits => {}
                    ArrivalVerdict::RefuseDraining => replies.push(Reply::draining(id)),
                }
            }
            Asked::CancelledOnArrival { id } => {
                replies.push(Reply::Error { id, error: CommandError::cancelled() });
            }
            Asked::Cancel { id } => match self.requests.cancel(id) {
                CancelVerdict::TakenBack => {
                    replies.push(Reply::Error { id, error: CommandError::cancelled() });
                }
                CancelVerdict::Told | CancelVerdict::Nothing => {}
            },
            Asked::Credit { id, more } => self.requests.grant(id, more),
            Asked::Ping { id } => replies.push(Reply::Pong { id }),
            Asked::Drain => self.requests.drain(),
        }
        Ok(())
    }
}

impl Crew {
    pub(super) fn reply(&self, reply: Reply) {
        let sent = match reply {
            Reply::Pong { id } => self.output.send(Kind::Pong, id, &[]),
            Reply::Error { id, error } => self.send_error(id, &error),
        };
        self.or_host_gone(&sent);
    }
}
