//! What the pool has to do with sessions: it asks where they live, and says what became of the requests that used them.

use ractor::RpcReplyPort;
use tokio::time::Instant;

use crate::adapter::AdapterMessage;
use crate::id::{RequestId, SessionId};
use crate::pool::actor::PoolState;
use crate::pool::in_flight::{BindingStage, Flight, Stage};
use crate::pool::message::Life;
use crate::session_affinity::{Parting, SessionAffinityMessage};

/// What the caller of an ended request has learned about its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Nothing,
    /// That the session has lost what its worker remembered.
    Loss,
}

/// How a life that a session is bound to stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It takes requests.
    Ready,
    /// This life of the pool has not heard of it yet; it may still say that it is ready.
    Unheard,
    /// It is over.
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
        self.place(id, now);
    }

    fn standing(&self, life: Life) -> Standing {
        if self.roster.get(life).is_some() {
            Standing::Ready
        } else if self.lives.is_over(life) || self.args.shared.lives(life.slot) > life.incarnation.0 {
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
            let parting = Parting { granted: flight.binding.prefers(), told: told == Told::Loss };
            self.args.sessions.cast(SessionAffinityMessage::Over { id, session, parting });
        }
    }

    pub(super) fn session_ended(&self, session: SessionId, life: Life) {
        if let Some(ready) = self.roster.get(life) {
            // A worker that has ended has forgotten the session already.
            let _ = ready.worker.adapter.cast(AdapterMessage::EndSession { session });
        }
    }

    pub(super) fn end_session(&self, session: SessionId, reply: RpcReplyPort<bool>) {
        self.args.sessions.cast(SessionAffinityMessage::End { session, reply });
    }
}
