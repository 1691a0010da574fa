//! When something about a request is due, and when the pool's one timer must ring.

use std::collections::BTreeSet;

use tokio::time::Instant;

use crate::id::RequestId;

/// The moments at which requests need attention, at most one for each request.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    due: BTreeSet<(Instant, RequestId)>,
    armed: Option<Instant>,
}

impl Deadlines {
    pub(super) fn insert(&mut self, at: Instant, id: RequestId) {
        self.due.insert((at, id));
    }

    pub(super) fn remove(&mut self, at: Instant, id: RequestId) {
        self.due.remove(&(at, id));
    }

    /// How often requests are due, all together.
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }

    /// Takes out one request that is due.
    pub(super) fn next_due(&mut self, now: Instant) -> Option<RequestId> {
        let (at, _) = self.due.first()?;
        if *at <= now { self.due.pop_first().map(|(_, id)| id) } else { None }
    }

    /// When the timer must ring, if it must be set anew: nothing is set, or something is due earlier than what is.
    #[must_use = "a deadline without a timer is never noticed"]
    pub(super) fn rearm(&mut self) -> Option<Instant> {
        let (earliest, _) = *self.due.first()?;
        if self.armed.is_some_and(|armed| armed <= earliest) {
            return None;
        }
        self.armed = Some(earliest);
        self.armed
    }

    /// The timer rang.
    pub(super) fn rang(&mut self) {
        self.armed = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_timer_is_set_for_the_earliest_and_only_when_it_changes() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut deadlines = Deadlines::default();
        assert_eq!(deadlines.rearm(), None);
        deadlines.insert(at(30), RequestId(1));
        assert_eq!(deadlines.rearm(), Some(at(30)));
        deadlines.insert(at(31), RequestId(2));
        assert_eq!(deadlines.rearm(), None);
        deadlines.insert(at(5), RequestId(3));
        assert_eq!(deadlines.rearm(), Some(at(5)));
    }

    #[test]
    fn what_was_removed_is_never_due_but_the_timer_may_ring_for_it() {
        let now = Instant::now();
        let mut deadlines = Deadlines::default();
        deadlines.insert(now, RequestId(1));
        deadlines.insert(now, RequestId(2));
        assert_eq!(deadlines.rearm(), Some(now));
        deadlines.remove(now, RequestId(1));
        deadlines.rang();
        assert_eq!(deadlines.next_due(now), Some(RequestId(2)));
        assert_eq!(deadlines.next_due(now), None);
        assert_eq!(deadlines.rearm(), None);
    }
}
