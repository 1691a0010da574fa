//! The requests of a session that has no worker yet: one binds it, the others wait for that.

use std::collections::VecDeque;

use crate::id::RequestId;

/// The binder of a session, and who is held until it has bound.
#[derive(Debug)]
pub(super) struct Binders {
    binder: RequestId,
    held: VecDeque<RequestId>,
}

/// Whose turn it is after a request has left.
#[must_use = "a turn that nobody takes holds the session's requests for ever"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The same as before.
    Stays,
    /// That of the next.
    Passes(RequestId),
    /// Nobody's.
    Ends,
}

impl Binders {
    pub(super) fn new(binder: RequestId) -> Self {
        Self { binder, held: VecDeque::new() }
    }

    pub(super) fn hold(&mut self, id: RequestId) {
        self.held.push_back(id);
    }

    /// Who was held, if it is this request's turn to bind.
    pub(super) fn bound_by(&mut self, id: RequestId) -> Option<VecDeque<RequestId>> {
        (self.binder == id).then(|| std::mem::take(&mut self.held))
    }

    /// A request ended before the session was bound.
    pub(super) fn leave(&mut self, id: RequestId) -> Turn {
        if self.binder != id {
            self.held.retain(|other| *other != id);
            return Turn::Stays;
        }
        match self.held.pop_front() {
            Some(next) => {
                self.binder = next;
                Turn::Passes(next)
            }
            None => Turn::Ends,
        }
    }
}
