//! What the pool has to do with sessions: it asks where they live, and says what became of the requests that used them.

use ractor::RpcReplyPort;
use tokio::time::Instant;

use crate::adapter::AdapterMessage;
use crate::error::ExecuteError;
use crate::id::{RequestId, SessionId, Slot};
use crate::pool::actor::PoolState;
use crate::pool::in_flight::{BindingStage, Flight, Stage};
use crate::pool::message::Life;
use crate::session_affinity::{EndedSession, Parting, SessionAffinityMessage, Told};
use crate::telemetry::Event;

/// How a life that a session is bound to stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It takes requests.
    Ready,
    /// This life of the pool has not heard of it yet; it may still say that it is ready.
    Unheard,
    /// It is over, or takes no more requests.
    Over,
}

impl PoolState {
    /// Asks for a session's worker.
    pub(super) fn route(&mut self, id: RequestId) {
        let Some(flight) = self.in_flight.get_mut(id) else { return };
        let Some(session) = flight.session.clone() else { return };
        flight.binding.stage = BindingStage::Asked;
        if !self.args.sessions.cast(SessionAffinityMessage::Route { id, session }) {
            // Nobody is there to ask, so this pool is about to be restarted, too. Going on without an answer might meet
            // another worker's state without a word.
            self.give_back(id, self.args.shared.gone());
        }
    }

    pub(super) fn session_bound(&mut self, id: RequestId, life: Life, reset: bool, now: Instant) {
        let standing = self.standing(life);
        let Some(flight) = self.in_flight.get_mut(id) else { return };
        let (Stage::Routing, Some(session)) = (flight.stage, flight.session.clone()) else { return };
        flight.binding.reset = reset;
        match standing {
            Standing::Ready | Standing::Unheard => {
                flight.binding.stage = BindingStage::To(life);
                self.place(id, now);
            }
            Standing::Over if flight.affinity.is_strict() => {
                flight.binding.stage = BindingStage::To(life);
                self.session_lost(id, session, life);
            }
            Standing::Over => {
                self.args.sessions.cast(SessionAffinityMessage::Rebind { id, session, gone: life });
            }
        }
    }

    pub(super) fn session_unbound(&mut self, id: RequestId, lost: Option<Life>, now: Instant) {
        // A request that ended while the question was under way has passed its turn on already.
        let Some(flight) = self.in_flight.get_mut(id) else { return };
        flight.binding.stage = BindingStage::Binds;
        flight.binding.reset = lost.is_some();
        self.counters.affinity_resets += u64::from(lost.is_some());
        match (lost, flight.session.clone()) {
            (Some(lost), Some(session)) if flight.affinity.is_strict() => {
                self.session_lost(id, session, lost);
            }
            (Some(lost), Some(session)) => {
                let worker = self.args.shared.life(lost);
                self.args.shared.emit(Event::SessionReset { session, worker });
                self.place(id, now);
            }
            (None | Some(_), _) => self.place(id, now),
        }
    }

    /// Tells a request that may run nowhere else that its session's worker is gone.
    pub(super) fn session_lost(&mut self, id: RequestId, session: SessionId, lost: Life) {
        let worker = self.args.shared.life(lost);
        self.args.shared.emit(Event::SessionLost { session: session.clone(), worker: worker.clone() });
        let error = ExecuteError::SessionLost { session, worker };
        self.give_back(id, error);
    }

    /// Tells a request that may run nowhere else, and does not want to wait, that its session's worker is busy.
    pub(super) fn session_busy(&mut self, id: RequestId) {
        let Some(flight) = self.in_flight.get_mut(id) else { return };
        let (Some(session), Some(own)) = (flight.session.clone(), flight.binding.prefers()) else { return };
        let error = ExecuteError::WorkerBusy { session, worker: self.args.shared.life(own) };
        self.give_back(id, error);
    }

    /// Answers the requests that wait for a life of this slot which is over, or takes none of them.
    pub(super) fn give_up_pins(&mut self, slot: Slot) {
        for life in self.line.pins_in(slot) {
            if !self.lives.is_over(life) && !self.roster.is_closed(life) {
                continue;
            }
            for id in self.line.pinned_to(life) {
                let session = self.in_flight.get_mut(id).and_then(|flight| flight.session.clone());
                if let Some(session) = session {
                    self.session_lost(id, session, life);
                }
            }
        }
    }

    fn standing(&self, life: Life) -> Standing {
        if self.roster.is_retiring(life.slot) || self.roster.is_closed(life) {
            return Standing::Over;
        }
        if self.roster.get(life).is_some() {
            Standing::Ready
        } else if self.lives.is_over(life)
            || self.roster.place(life.slot).is_none()
            || self.args.shared.lives(life.slot) > life.incarnation.0
        {
            Standing::Over
        } else {
            Standing::Unheard
        }
    }

    /// Says that a request has ended which had asked for its session's worker.
    pub(super) fn leave_session(&self, id: RequestId, flight: &Flight, told: Told) {
        if flight.binding.stage == BindingStage::Free {
            return;
        }
        if let Some(session) = flight.session.clone() {
            let parting = Parting { granted: flight.binding.prefers(), told };
            self.args.sessions.cast(SessionAffinityMessage::Over { id, session, parting });
        }
    }

    /// A session ended. Its worker may forget it; whoever still waits for that worker begins the session anew, with
    /// everybody who comes later.
    pub(super) fn session_ended(&mut self, ended: EndedSession, now: Instant) {
        let EndedSession { session, life } = &ended;
        let life = *life;
        for id in self.line.pinned_to(life) {
            let Some(flight) = self.in_flight.get_mut(id) else { continue };
            let Stage::Waiting(ticket) = flight.stage else { continue };
            if flight.session.as_ref() == Some(session) {
                self.line.leave(ticket);
                flight.stage = Stage::Routing;
                self.routing += 1;
                self.begin(id, now);
            }
        }
        self.let_forget(ended);
    }

    /// A session had to make room for another.
    pub(super) fn session_evicted(&mut self, evicted: EndedSession) {
        self.counters.sessions_evicted += 1;
        let worker = self.args.shared.life(evicted.life);
        self.args.shared.emit(Event::SessionEvicted { session: evicted.session.clone(), worker });
        self.let_forget(evicted);
    }

    /// A share of a sweep has ended.
    pub(super) fn sessions_swept(&self, sessions: Vec<EndedSession>) {
        for session in sessions {
            self.let_forget(session);
        }
        self.args.sessions.cast(SessionAffinityMessage::ShareTaken);
    }

    /// Tells a session's worker that it may forget the session. One that has ended has forgotten it already, and one that is
    /// not ready for this life of the pool yet is told when it is.
    pub(super) fn let_forget(&self, ended: EndedSession) {
        let ready = self.roster.get(ended.life);
        if ready.is_none() && self.standing(ended.life) == Standing::Unheard {
            return;
        }
        self.args.shared.ended_sessions.remove(&ended);
        if let Some(ready) = ready {
            ready.worker.tell(AdapterMessage::EndSession { session: ended.session });
        }
    }

    /// Tells a worker that has just become ready which of its sessions ended while the pool's actor was not there, or had not
    /// heard of it.
    pub(super) fn let_forget_all(&self, life: Life) {
        let Some(ready) = self.roster.get(life) else { return };
        for session in self.args.shared.ended_sessions.take(life) {
            ready.worker.tell(AdapterMessage::EndSession { session });
        }
    }

    pub(super) fn end_session(&self, session: SessionId, reply: RpcReplyPort<bool>) {
        self.args.sessions.cast(SessionAffinityMessage::End { session, reply });
    }
}
