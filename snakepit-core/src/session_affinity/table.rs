//! The table of sessions: bindings, requests that wait for one, and which binding was used least recently.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::id::{RequestId, SessionId};
use crate::pool::Life;

/// What a request is told.
#[must_use = "a request that is told nothing waits until its deadline"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RouteVerdict {
    /// Go there.
    Bound(Life),
    /// Go anywhere; the session belongs there from then on.
    Bind { reset: bool },
    /// Wait: another request of the session is about to bind it.
    Hold,
}

/// A session that is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EndedSession {
    pub(super) session: SessionId,
    pub(super) life: Life,
}

/// Sessions and what they are bound to.
#[derive(Debug)]
pub(super) struct SessionTable {
    sessions: HashMap<SessionId, Entry>,
    /// Bound sessions in the order of their last use.
    recency: BTreeMap<Use, SessionId>,
    uses: u64,
    ttl: Duration,
    limit: usize,
}

/// A moment of use; the number tells apart what happened in one instant.
type Use = (Instant, u64);

#[derive(Debug)]
enum Entry {
    Bound { life: Life, used: Use },
    Binding { binder: RequestId, reset: bool, held: VecDeque<RequestId> },
}

impl SessionTable {
    pub(super) fn new(ttl: Duration, limit: usize) -> Self {
        Self { sessions: HashMap::new(), recency: BTreeMap::new(), uses: 0, ttl, limit }
    }

    /// Where a request goes. A binding that has expired is ended first, and returned.
    pub(super) fn route(
        &mut self,
        id: RequestId,
        session: &SessionId,
        now: Instant,
    ) -> (RouteVerdict, Option<EndedSession>) {
        let expired = match self.sessions.get(session) {
            Some(Entry::Bound { used, .. }) if now.saturating_duration_since(used.0) >= self.ttl => {
                self.end(session)
            }
            _ => None,
        };
        let verdict = match self.sessions.get_mut(session) {
            Some(Entry::Bound { life, .. }) => {
                let life = *life;
                self.touch(session, now);
                RouteVerdict::Bound(life)
            }
            Some(Entry::Binding { held, .. }) => {
                held.push_back(id);
                RouteVerdict::Hold
            }
            None => self.begin_binding(id, session, false),
        };
        (verdict, expired)
    }

    /// The same after the place that was named turned out to be gone.
    pub(super) fn reroute(
        &mut self,
        id: RequestId,
        session: &SessionId,
        gone: Life,
        now: Instant,
    ) -> (RouteVerdict, Option<EndedSession>) {
        if matches!(self.sessions.get(session), Some(Entry::Bound { life, .. }) if *life == gone) {
            self.end(session);
            return (self.begin_binding(id, session, true), None);
        }
        self.route(id, session, now)
    }

    /// The binder runs: the session belongs to `life`. Returns who was held, and the session that had to make room.
    pub(super) fn bind(
        &mut self,
        id: RequestId,
        session: &SessionId,
        life: Life,
        now: Instant,
    ) -> (VecDeque<RequestId>, Option<EndedSession>) {
        let held = match self.sessions.get_mut(session) {
            Some(Entry::Binding { binder, held, .. }) if *binder == id => std::mem::take(held),
            // The session was ended meanwhile, or somebody else binds it.
            Some(_) | None => return (VecDeque::new(), None),
        };
        let evicted = if self.recency.len() >= self.limit { self.end_least_recent() } else { None };
        let used = self.next_use(now);
        self.recency.insert(used, session.clone());
        self.sessions.insert(session.clone(), Entry::Bound { life, used });
        (held, evicted)
    }

    /// A request ended before it ran. Where it was the binder, the next that is held takes its turn; it is returned with
    /// what it is told.
    pub(super) fn forgo(&mut self, id: RequestId, session: &SessionId) -> Option<(RequestId, RouteVerdict)> {
        let Some(Entry::Binding { binder, held, reset }) = self.sessions.get_mut(session) else {
            return None;
        };
        if *binder != id {
            held.retain(|other| *other != id);
            return None;
        }
        if let Some(next) = held.pop_front() {
            *binder = next;
            return Some((next, RouteVerdict::Bind { reset: *reset }));
        }
        self.sessions.remove(session);
        None
    }

    /// Ends a session. `None` where there is none that is bound; one that is just being bound goes on.
    pub(super) fn end(&mut self, session: &SessionId) -> Option<EndedSession> {
        let Some(Entry::Bound { life, used }) = self.sessions.get(session) else { return None };
        let (life, used) = (*life, *used);
        self.recency.remove(&used);
        self.sessions.remove(session);
        Some(EndedSession { session: session.clone(), life })
    }

    /// Ends at most `most` sessions that have been idle for their time. Call again where that many were returned.
    pub(super) fn sweep(&mut self, most: usize, now: Instant) -> Vec<EndedSession> {
        let mut ended = Vec::new();
        while ended.len() < most {
            match self.recency.first_key_value() {
                Some(((used, _), _)) if now.saturating_duration_since(*used) >= self.ttl => {
                    ended.extend(self.end_least_recent());
                }
                _ => break,
            }
        }
        ended
    }

    fn begin_binding(&mut self, binder: RequestId, session: &SessionId, reset: bool) -> RouteVerdict {
        self.sessions.insert(session.clone(), Entry::Binding { binder, reset, held: VecDeque::new() });
        RouteVerdict::Bind { reset }
    }

    fn touch(&mut self, session: &SessionId, now: Instant) {
        let next = self.next_use(now);
        if let Some(Entry::Bound { used, .. }) = self.sessions.get_mut(session) {
            let key = self.recency.remove(used).unwrap_or_else(|| session.clone());
            *used = next;
            self.recency.insert(next, key);
        }
    }

    fn next_use(&mut self, now: Instant) -> Use {
        self.uses += 1;
        (now, self.uses)
    }

    fn end_least_recent(&mut self) -> Option<EndedSession> {
        let session = self.recency.first_key_value()?.1.clone();
        self.end(&session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Incarnation, Slot};

    const TTL: Duration = Duration::from_hours(1);

    fn session(name: &str) -> SessionId {
        SessionId::new(name).unwrap()
    }

    fn place(slot: u16, incarnation: u64) -> Life {
        Life { slot: Slot(slot), incarnation: Incarnation(incarnation) }
    }

    fn route(table: &mut SessionTable, id: u64, name: &str, now: Instant) -> RouteVerdict {
        table.route(RequestId(id), &session(name), now).0
    }

    fn bound(table: &mut SessionTable, name: &str, life: Life, now: Instant) {
        assert_eq!(route(table, 1, name, now), RouteVerdict::Bind { reset: false });
        let _ = table.bind(RequestId(1), &session(name), life, now);
    }

    #[test]
    fn the_first_request_binds_and_the_others_are_held_until_it_has() {
        let now = Instant::now();
        let mut table = SessionTable::new(TTL, 10);
        assert_eq!(route(&mut table, 1, "s", now), RouteVerdict::Bind { reset: false });
        assert_eq!(route(&mut table, 2, "s", now), RouteVerdict::Hold);
        assert_eq!(route(&mut table, 3, "s", now), RouteVerdict::Hold);
        let (held, _) = table.bind(RequestId(1), &session("s"), place(2, 1), now);
        assert_eq!(held, [2, 3].map(RequestId));
        assert_eq!(route(&mut table, 4, "s", now), RouteVerdict::Bound(place(2, 1)));
    }

    #[test]
    fn a_binder_that_ends_passes_its_turn_on() {
        let now = Instant::now();
        let mut table = SessionTable::new(TTL, 10);
        assert_eq!(route(&mut table, 1, "s", now), RouteVerdict::Bind { reset: false });
        for id in 2..=4 {
            assert_eq!(route(&mut table, id, "s", now), RouteVerdict::Hold);
        }
        assert_eq!(table.forgo(RequestId(2), &session("s")), None);
        let next = table.forgo(RequestId(1), &session("s"));
        assert_eq!(next, Some((RequestId(3), RouteVerdict::Bind { reset: false })));
        let (held, _) = table.bind(RequestId(3), &session("s"), place(0, 1), now);
        assert_eq!(held, [RequestId(4)]);
    }

    #[test]
    fn a_binder_that_nobody_waits_for_leaves_nothing_behind() {
        let mut table = SessionTable::new(TTL, 10);
        let _ = route(&mut table, 1, "s", Instant::now());
        assert_eq!(table.forgo(RequestId(1), &session("s")), None);
        assert!(table.sessions.is_empty());
    }

    #[test]
    fn a_place_that_is_gone_is_reset_once_for_all() {
        let now = Instant::now();
        let mut table = SessionTable::new(TTL, 10);
        bound(&mut table, "s", place(0, 1), now);
        let mut reroute = |id| table.reroute(RequestId(id), &session("s"), place(0, 1), now).0;
        assert_eq!(reroute(5), RouteVerdict::Bind { reset: true });
        assert_eq!(reroute(6), RouteVerdict::Hold);
        let (held, _) = table.bind(RequestId(5), &session("s"), place(0, 2), now);
        assert_eq!(held, [RequestId(6)]);
        // Whoever still has the old place in mind is sent to the new one.
        let (verdict, _) = table.reroute(RequestId(7), &session("s"), place(0, 1), now);
        assert_eq!(verdict, RouteVerdict::Bound(place(0, 2)));
    }

    #[test]
    fn an_idle_session_expires_on_access_and_in_the_sweep() {
        let now = Instant::now();
        let mut table = SessionTable::new(TTL, 10);
        bound(&mut table, "a", place(0, 1), now);
        bound(&mut table, "b", place(1, 1), now);
        let half = now + TTL / 2;
        assert_eq!(route(&mut table, 9, "a", half), RouteVerdict::Bound(place(0, 1)));
        assert_eq!(table.sweep(10, now + TTL), [EndedSession { session: session("b"), life: place(1, 1) }]);
        let (verdict, expired) = table.route(RequestId(9), &session("a"), half + TTL);
        assert_eq!(verdict, RouteVerdict::Bind { reset: false });
        assert_eq!(expired, Some(EndedSession { session: session("a"), life: place(0, 1) }));
    }

    #[test]
    fn beyond_the_limit_the_least_recently_used_goes() {
        let now = Instant::now();
        let mut table = SessionTable::new(TTL, 2);
        bound(&mut table, "a", place(0, 1), now);
        bound(&mut table, "b", place(1, 1), now);
        let _ = route(&mut table, 9, "a", now);
        assert_eq!(route(&mut table, 1, "c", now), RouteVerdict::Bind { reset: false });
        let (_, evicted) = table.bind(RequestId(1), &session("c"), place(2, 1), now);
        assert_eq!(evicted, Some(EndedSession { session: session("b"), life: place(1, 1) }));
        assert_eq!(table.sessions.len(), 2);
    }
}
