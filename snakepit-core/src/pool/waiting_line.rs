//! The waiting line: requests that found no free worker, first come, first served.

use std::collections::BTreeMap;

use crate::id::RequestId;

/// A place in the line; what [`WaitingLine::leave`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// Requests in the order in which they came. Leaving from the middle leaves nothing behind.
#[derive(Debug, Default)]
pub(super) struct WaitingLine {
    requests: BTreeMap<Ticket, RequestId>,
    next: u64,
}

impl WaitingLine {
    /// Puts a request at the end.
    pub(super) fn join(&mut self, id: RequestId) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.requests.insert(ticket, id);
        ticket
    }

    /// Takes a request out, wherever it is.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        self.requests.remove(&ticket);
    }

    /// Takes out the request that has waited longest.
    pub(super) fn next(&mut self) -> Option<RequestId> {
        self.requests.pop_first().map(|(_, id)| id)
    }

    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_come_is_served_first() {
        let mut line = WaitingLine::default();
        for id in 1..=3 {
            line.join(RequestId(id));
        }
        assert_eq!(std::iter::from_fn(|| line.next()).collect::<Vec<_>>(), [1, 2, 3].map(RequestId));
    }

    #[test]
    fn leaving_leaves_nothing_behind() {
        let mut line = WaitingLine::default();
        let tickets: Vec<_> = (1..=1200).map(|id| line.join(RequestId(id))).collect();
        let last = line.join(RequestId(9999));
        for ticket in tickets {
            line.leave(ticket);
            line.leave(ticket);
        }
        assert_eq!(line.len(), 1);
        assert_eq!(line.next(), Some(RequestId(9999)));
        line.leave(last);
        assert!(line.is_empty());
    }
}
