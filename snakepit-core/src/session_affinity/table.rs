//! The table of sessions: which life each is bound to, and whether its users know what became of it.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::id::{RequestId, SessionId};
use crate::pool::Life;
use crate::session_affinity::binders::{Binders, Turn};
use crate::session_affinity::kept::{Kept, LifeKey};
use crate::session_affinity::recency::{Recency, Spot};
use crate::session_affinity::spots::{Hash, OfSession, Spots};

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
pub(crate) struct EndedSession {
    pub(crate) session: SessionId,
    pub(crate) life: Life,
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
    /// The lives that they name, and how many each keeps; those that lost theirs are kept by none.
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
    /// The [`Spots::hash`] of its name. Kept, because to read a name costs as much as all else.
    hash: Hash,
    life: LifeKey,
    /// When it was last used, in milliseconds since the table was made.
    used_ms: u64,
    /// How many requests use it now.
    uses: u32,
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
        let Some((spot, binding)) = self.binding(session) else {
            return (self.begin_binding(id, session, None), None);
        };
        if binding.uses == 0 && is_over_age(binding, self.ms(now), self.ttl) {
            let expired = self.forget(spot).ended();
            return (self.begin_binding(id, session, None), expired);
        }
        let life = self.kept.life(binding.life);
        let verdict = match binding.standing {
            Standing::Lost => self.begin_binding(id, session, Some(life)),
            Standing::Bound => RouteVerdict::Bound { life, reset: false },
            Standing::BoundAnew => RouteVerdict::Bound { life, reset: true },
        };
        if let (RouteVerdict::Bound { .. }, Some(binding)) = (verdict, self.bindings.get_mut(spot)) {
            binding.uses += 1;
        }
        self.bindings.hold(spot);
        (verdict, None)
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
        if let Some((spot, binding)) = find(&self.spots, &mut self.bindings, session)
            && binding.standing != Standing::Lost
            && self.kept.life(binding.life) == gone
        {
            (binding.standing, binding.uses, binding.used_ms) = (Standing::Lost, 0, used_ms);
            self.kept.lose(binding.life);
            self.bindings.settle(spot);
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
        let key = self.kept.keep(life);
        let (mut reset, mut evicted) = (false, None);
        if let Some((spot, binding)) = find(&self.spots, &mut self.bindings, session) {
            reset = true;
            let lost = std::mem::replace(&mut binding.life, key);
            (binding.standing, binding.uses, binding.used_ms) = (Standing::BoundAnew, uses, used_ms);
            self.kept.forget_lost(lost);
            self.bindings.hold(spot);
        } else {
            if self.spots.len() >= self.limit {
                evicted = self.make_room();
            }
            let (session, hash) = (session.clone(), self.spots.hash(session));
            let binding = Binding { session, hash, life: key, used_ms, uses, standing: Standing::Bound };
            let spot = self.bindings.insert(binding);
            self.spots.insert(hash, spot);
        }
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
                let lost = self.binding(session).map(|(_, binding)| self.kept.life(binding.life));
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
        let (spot, binding) = find(&self.spots, &mut self.bindings, session)?;
        if parting.granted != Some(self.kept.life(binding.life)) {
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
        self.spots.remove(binding.hash, spot);
        self.ended(binding).map_or(EndVerdict::LostAlready, EndVerdict::Ended)
    }

    /// What is left of a binding that was taken out.
    fn ended(&mut self, binding: Binding) -> Option<EndedSession> {
        if binding.standing == Standing::Lost {
            self.kept.forget_lost(binding.life);
            return None;
        }
        let life = self.kept.life(binding.life);
        self.kept.forget(binding.life);
        Some(EndedSession { session: binding.session, life })
    }

    /// Ends at most `most` sessions that have been idle for their time. Returns how many ended, and those whose worker may
    /// forget them. Call again where it was `most`.
    pub(super) fn sweep(&mut self, most: usize, now: Instant) -> (usize, Vec<EndedSession>) {
        let (now_ms, ttl) = (self.ms(now), self.ttl);
        // What is in the order is used by nobody, and nobody binds it.
        let due = self.bindings.remove_oldest(most, |binding| is_over_age(binding, now_ms, ttl));
        // One thing after the other for all of them: the processor waits for many places in memory at once.
        for (spot, binding) in &due {
            self.spots.remove(binding.hash, *spot);
        }
        let count = due.len();
        let ended = due.into_iter().filter_map(|(_, binding)| self.ended(binding)).collect();
        (count, ended)
    }

    /// How many sessions each life keeps. One that is gone may be among them until its sessions are asked for.
    pub(super) fn counts(&self) -> HashMap<Life, u64> {
        self.kept.counts().clone()
    }

    fn ms(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.born).as_millis()).unwrap_or(u64::MAX)
    }

    fn binding(&self, session: &SessionId) -> Option<(Spot, &Binding)> {
        let spot = self.spots.find(session, &self.bindings)?;
        self.bindings.get(spot).map(|binding| (spot, binding))
    }

    fn begin_binding(&mut self, binder: RequestId, session: &SessionId, lost: Option<Life>) -> RouteVerdict {
        self.binders.insert(session.clone(), Binders::new(binder));
        RouteVerdict::Bind { lost }
    }

    /// Ends the session that has been idle for longest. Where every session is in use there is no room to be made, and the
    /// requests under way are the limit.
    fn make_room(&mut self) -> Option<EndedSession> {
        let (spot, binding) = self.bindings.remove_oldest(1, |_| true).pop()?;
        self.spots.remove(binding.hash, spot);
        self.ended(binding)
    }
}

/// A session's binding, to be changed while the other parts of the table are at hand.
fn find<'a>(
    spots: &Spots,
    bindings: &'a mut Recency<Binding>,
    session: &SessionId,
) -> Option<(Spot, &'a mut Binding)> {
    let spot = spots.find(session, bindings)?;
    bindings.get_mut(spot).map(|binding| (spot, binding))
}

fn is_over_age(binding: &Binding, now_ms: u64, ttl: Duration) -> bool {
    Duration::from_millis(now_ms.saturating_sub(binding.used_ms)) >= ttl
}

#[cfg(test)]
mod tests;
