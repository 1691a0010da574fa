//! The spans of one call: `snakepit.call`, made where the caller is, and below it `queue` and `execute`, one after the other.

use tracing::{Span, info_span};

use crate::id::{PoolName, RequestId, WorkerLife};

/// The span of a call, and of the part that it is in.
#[derive(Debug)]
pub(super) struct CallSpans {
    call: Span,
    /// Held, so that it is open.
    part: Span,
}

/// The span of a call, below whichever the caller is in. What a request was called with is not in it.
pub(super) fn call(pool: &PoolName, id: RequestId, command: &str) -> Span {
    info_span!(
        target: "snakepit::calls",
        "snakepit.call",
        %pool,
        request = id.0,
        command,
        outcome = tracing::field::Empty
    )
}

impl CallSpans {
    /// A call that has come to its pool.
    pub(super) fn new(call: Span) -> Self {
        let part = Span::none();
        let mut spans = Self { call, part };
        spans.queue();
        spans
    }

    /// It waits for a worker.
    pub(super) fn queue(&mut self) {
        self.part = info_span!(target: "snakepit::calls", parent: &self.call, "queue");
    }

    /// A worker has it.
    pub(super) fn execute(&mut self, worker: impl FnOnce() -> WorkerLife) {
        if !self.call.is_disabled() {
            let worker = worker();
            self.part = info_span!(target: "snakepit::calls", parent: &self.call, "execute", %worker);
        }
    }

    /// It is over for its caller.
    pub(super) fn end(&mut self, outcome: &str) {
        self.call.record("outcome", outcome);
        self.part = Span::none();
        self.call = Span::none();
    }
}
