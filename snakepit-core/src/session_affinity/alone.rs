//! The table of sessions without its actor, for benches (feature `testkit`).

use std::time::Duration;

use tokio::time::Instant;

use crate::id::{Incarnation, RequestId, SessionId, Slot};
use crate::pool::Life;
use crate::session_affinity::table::{Parting, RouteVerdict, SessionTable, Told};

/// A table of sessions, used as its actor uses it.
#[derive(Debug)]
pub struct TestSessions(SessionTable);

/// The request of every call. One at a time is under way.
const REQUEST: RequestId = RequestId(1);

impl TestSessions {
    /// A table whose sessions live for `ttl` after their last request; there are at most `limit` of them.
    pub fn new(ttl: Duration, limit: usize, now: Instant) -> Self {
        Self(SessionTable::new(ttl, limit, now))
    }

    /// The first request of a session, from its question to its end. It runs on the worker of `slot`.
    pub fn begin(&mut self, session: &SessionId, slot: Slot, now: Instant) {
        let (_, expired) = self.0.route(REQUEST, session, now);
        drop(expired);
        let life = Life { slot, incarnation: Incarnation(1) };
        drop(self.0.bind(REQUEST, session, life, now));
        self.over(session, life, now);
    }

    /// A later request, from its question to its end: where it went, unless the session is no more.
    pub fn again(&mut self, session: &SessionId, now: Instant) -> Option<Slot> {
        let (verdict, expired) = self.0.route(REQUEST, session, now);
        drop(expired);
        let RouteVerdict::Bound { life, .. } = verdict else { return None };
        self.over(session, life, now);
        Some(life.slot)
    }

    /// Ends at most `most` sessions whose time is over. Returns how many it were; call again where it was `most`.
    pub fn sweep(&mut self, most: usize, now: Instant) -> usize {
        self.0.sweep(most, now).0
    }

    fn over(&mut self, session: &SessionId, life: Life, now: Instant) {
        let parting = Parting { granted: Some(life), told: Told::Nothing };
        // Nobody is held behind the only request.
        let _ = self.0.over(REQUEST, session, parting, now);
    }
}
