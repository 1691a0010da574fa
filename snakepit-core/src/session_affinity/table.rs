//! The table of sessions: which life each is bound to, and whether its users know what became of it.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::id::{Incarnation, RequestId, SessionId, Slot};
use crate::pool::Life;
use crate::session_affinity::binders::{Binders, Turn};
use crate::session_affinity::kept::Kept;
use crate::session_affinity::recency::{Recency, Spot};
use crate::session_affinity::spots::{OfSession, Spots};

/// What a request is told.
#[must_use = "a request that is told nothing waits until its deadline"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RouteVerdict {
    /// Go there. `reset`: the session started anew there, and nobody has been told.
    Bound { life: Life, reset: bool },
    /// Go anywhere; the session belongs there from then on. `lost`: where it was before, which nobody has been told.
    Bind { lost: Option<Life> },
    /// Wait: another request of the session is about to bind it.
    Hold,
}

/// A session that is no more, and the life that still keeps its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EndedSession {
    pub(super) session: SessionId,
    pub(super) life: Life,
}

/// What ending a session came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EndVerdict {
    /// There was none.
    NotFound,
    /// It was known, and the life that kept its state is gone.
    LostAlready,
    /// Its worker may forget it.
    Ended(EndedSession),
}

impl EndVerdict {
    /// The session, where its worker is to be told.
    pub(super) fn ended(self) -> Option<EndedSession> {
        match self {
            Self::Ended(session) => Some(session),
            Self::NotFound | Self::LostAlready => None,
        }
    }
}

/// What a request that has ended leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parting {
    /// The life that it was sent to, where it was sent to one.
    pub(crate) granted: Option<Life>,
    /// What its caller has learned about the session.
    pub(crate) told: Told,
}

/// What the caller of an ended request has learned about its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Nothing,
    /// That it started anew.
    Reset,
    /// That it is lost: the next request starts it afresh.
    Lost,
}

/// Sessions and what they are bound to.
#[derive(Debug)]
pub(super) struct SessionTable {
    spots: Spots,
    /// Sessions that no request uses are in the order of their last use; the others are held out of it.
    bindings: Recency<Binding>,
    /// How many of them each life keeps; those that lost theirs are kept by none.
    kept: Kept,
    /// Sessions that are just being bound.
    binders: HashMap<SessionId, Binders>,
    born: Instant,
    ttl: Duration,
    limit: usize,
}

/// One session. A million of these are kept, so every field counts.
#[derive(Debug)]
struct Binding {
    session: SessionId,
    incarnation: Incarnation,
    /// When it was last used, in milliseconds since the table was made.
    used_ms: u64,
    /// How many requests use it now.
    uses: u32,
    slot: Slot,
    standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Bound,
    /// Bound anew after a loss that nobody has been told.
    BoundAnew,
    /// Its worker is gone, and nobody has been told.
    Lost,
}

impl Binding {
    fn life(&self) -> Life {
        Life { slot: self.slot, incarnation: self.incarnation }
    }
}

impl OfSession for Binding {
    fn session(&self) -> &SessionId {
        &self.session
    }
}

impl SessionTable {
    pub(super) fn new(ttl: Duration, limit: usize, now: Instant) -> Self {
        Self {
            spots: Spots::default(),
            bindings: Recency::default(),
            kept: Kept::default(),
            binders: HashMap::new(),
            born: now,
            ttl,
            limit,
        }
    }

    /// Where a request goes. A binding that has expired is ended first, and returned.
    pub(super) fn route(
        &mut self,
        id: RequestId,
        session: &SessionId,
        now: Instant,
    ) -> (RouteVerdict, Option<EndedSession>) {
        if let Some(binders) = self.binders.get_mut(session) {
            binders.hold(id);
            return (RouteVerdict::Hold, None);
        }
        let expired = if self.has_expired(session, now) { self.end(session).ended() } else { None };
        let verdict = match self.binding_mut(session) {
            None => self.begin_binding(id, session, None),
            Some((spot, binding)) if binding.standing == Standing::Lost => {
                let lost = Some(binding.life());
                self.bindings.hold(spot);
                self.begin_binding(id, session, lost)
            }
            Some((spot, binding)) => {
                binding.uses += 1;
                let reset = binding.standing == Standing::BoundAnew;
                let life = binding.life();
                self.bindings.hold(spot);
                RouteVerdict::Bound { life, reset }
            }
        };
        (verdict, expired)
    }

    /// The same after the life that was named turned out to be gone.
    pub(super) fn reroute(
        &mut self,
        id: RequestId,
        session: &SessionId,
        gone: Life,
        now: Instant,
    ) -> (RouteVerdict, Option<EndedSession>) {
        let used_ms = self.ms(now);
        if let Some((spot, binding)) = self.binding_mut(session)
            && binding.life() == gone
            && binding.standing != Standing::Lost
        {
            (binding.standing, binding.uses, binding.used_ms) = (Standing::Lost, 0, used_ms);
            self.bindings.settle(spot);
            self.kept.less(gone);
        }
        self.route(id, session, now)
    }

    /// The binder runs: the session belongs to `life`. Returns who was held, with what they are told, and the session that
    /// had to make room.
    pub(super) fn bind(
        &mut self,
        id: RequestId,
        session: &SessionId,
        life: Life,
        now: Instant,
    ) -> (Vec<(RequestId, RouteVerdict)>, Option<EndedSession>) {
        let Some(held) = self.binders.get_mut(session).and_then(|binders| binders.bound_by(id)) else {
            // The pool has a new life, or the request was not its turn's any more.
            return (Vec::new(), None);
        };
        self.binders.remove(session);
        let uses = u32::try_from(held.len()).unwrap_or(u32::MAX).saturating_add(1);
        let used_ms = self.ms(now);
        let (mut reset, mut evicted) = (false, None);
        if let Some((spot, binding)) = self.binding_mut(session) {
            reset = true;
            (binding.slot, binding.incarnation) = (life.slot, life.incarnation);
            (binding.standing, binding.uses, binding.used_ms) = (Standing::BoundAnew, uses, used_ms);
            self.bindings.hold(spot);
        } else {
            if self.spots.len() >= self.limit {
                evicted = self.end_oldest();
            }
            let Life { slot, incarnation } = life;
            let standing = Standing::Bound;
            let binding = Binding { session: session.clone(), incarnation, used_ms, uses, slot, standing };
            let spot = self.bindings.insert(binding);
            self.spots.insert(session, spot, &self.bindings);
        }
        self.kept.more(life);
        let told = held.into_iter().map(|id| (id, RouteVerdict::Bound { life, reset })).collect();
        (told, evicted)
    }

    /// A request has ended, in whatever way. Where it was the binder, the next that is held takes its turn; it is returned
    /// with what it is told.
    pub(super) fn over(
        &mut self,
        id: RequestId,
        session: &SessionId,
        parting: Parting,
        now: Instant,
    ) -> Option<(RequestId, RouteVerdict)> {
        match self.binders.get_mut(session).map(|binders| binders.leave(id)) {
            Some(Turn::Passes(next)) => {
                // Whoever was held asked before the loss was told, and is told as well.
                let lost = self.binding_mut(session).map(|(_, binding)| binding.life());
                return Some((next, RouteVerdict::Bind { lost }));
            }
            Some(Turn::Ends) => {
                self.binders.remove(session);
                let lost = self.spots.find(session, &self.bindings);
                match lost {
                    Some(_) if parting.told != Told::Nothing => drop(self.end(session)),
                    Some(spot) => self.bindings.settle(spot),
                    None => {}
                }
                return None;
            }
            Some(Turn::Stays) | None => {}
        }
        let used_ms = self.ms(now);
        let (spot, binding) = self.binding_mut(session)?;
        if parting.granted != Some(binding.life()) {
            return None;
        }
        match (parting.told, binding.standing) {
            (Told::Lost, _) => {
                // A binder that is under way takes the loss on.
                drop(self.end(session));
                return None;
            }
            (Told::Nothing | Told::Reset, Standing::Lost) => return None,
            (Told::Reset, Standing::Bound | Standing::BoundAnew) => binding.standing = Standing::Bound,
            (Told::Nothing, Standing::Bound | Standing::BoundAnew) => {}
        }
        binding.uses = binding.uses.saturating_sub(1);
        binding.used_ms = used_ms;
        if binding.uses == 0 {
            self.bindings.settle(spot);
        }
        None
    }

    /// Every request under way has ended with the life of the pool that knew it. What nobody was told stays untold.
    pub(super) fn pool_restarted(&mut self) {
        for (session, _) in self.binders.drain() {
            if let Some(spot) = self.spots.find(&session, &self.bindings) {
                self.bindings.settle(spot);
            }
        }
        for spot in self.bindings.spots() {
            if let Some(binding) = self.bindings.get_mut(spot)
                && binding.uses > 0
            {
                binding.uses = 0;
                self.bindings.settle(spot);
            }
        }
    }

    /// Ends a session. One that is just being bound goes on.
    pub(super) fn end(&mut self, session: &SessionId) -> EndVerdict {
        if self.binders.contains_key(session) {
            return EndVerdict::NotFound;
        }
        self.spots.find(session, &self.bindings).map_or(EndVerdict::NotFound, |spot| self.forget(spot))
    }

    fn forget(&mut self, spot: Spot) -> EndVerdict {
        let Some(binding) = self.bindings.remove(spot) else { return EndVerdict::NotFound };
        self.spots.remove(&binding.session, spot);
        if binding.standing == Standing::Lost {
            return EndVerdict::LostAlready;
        }
        self.kept.less(binding.life());
        EndVerdict::Ended(EndedSession { life: binding.life(), session: binding.session })
    }

    /// Ends at most `most` sessions that have been idle for their time. Returns how many ended, and those whose worker may
    /// forget them. Call again where it was `most`.
    pub(super) fn sweep(&mut self, most: usize, now: Instant) -> (usize, Vec<EndedSession>) {
        let (mut count, mut ended) = (0, Vec::new());
        while count < most && self.oldest_has_expired(now) {
            count += 1;
            ended.extend(self.end_oldest());
        }
        (count, ended)
    }

    /// How many sessions each life keeps. One that is gone may be among them until its sessions are asked for.
    pub(super) fn counts(&self) -> HashMap<Life, u64> {
        self.kept.counts().clone()
    }

    fn oldest_has_expired(&self, now: Instant) -> bool {
        self.bindings.oldest().is_some_and(|(_, binding)| self.is_over_age(binding, now))
    }

    fn has_expired(&self, session: &SessionId, now: Instant) -> bool {
        let binding = self.spots.find(session, &self.bindings).and_then(|spot| self.bindings.get(spot));
        binding.is_some_and(|binding| binding.uses == 0 && self.is_over_age(binding, now))
    }

    fn is_over_age(&self, binding: &Binding, now: Instant) -> bool {
        Duration::from_millis(self.ms(now).saturating_sub(binding.used_ms)) >= self.ttl
    }

    fn ms(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.born).as_millis()).unwrap_or(u64::MAX)
    }

    fn binding_mut(&mut self, session: &SessionId) -> Option<(Spot, &mut Binding)> {
        let spot = self.spots.find(session, &self.bindings)?;
        self.bindings.get_mut(spot).map(|binding| (spot, binding))
    }

    fn begin_binding(&mut self, binder: RequestId, session: &SessionId, lost: Option<Life>) -> RouteVerdict {
        self.binders.insert(session.clone(), Binders::new(binder));
        RouteVerdict::Bind { lost }
    }

    /// Makes room. Where every session is in use there is none to be made, and the requests under way are the limit.
    fn end_oldest(&mut self) -> Option<EndedSession> {
        // What is in the order is used by nobody, and nobody binds it.
        let (spot, _) = self.bindings.oldest()?;
        self.forget(spot).ended()
    }
}

#[cfg(test)]
mod tests;
