//! Who is let in, and who waits to be: the pool's side of admission and of reserved places.

use crate::error::{ExecuteError, PoolFailure};
use crate::pool::actor::PoolState;
use crate::pool::admission::{AdmissionFacts, AdmissionVerdict};
use crate::pool::reservations::{Reservation, ReservationReply};

impl PoolState {
    pub(super) fn admission(&self) -> AdmissionFacts {
        let shared = &self.args.shared;
        AdmissionFacts {
            closing: self.closing.is_some(),
            failed: self.roster.failure().is_some(),
            draining: shared.intake.is_closed(),
            waiting: self.waiting(),
            reserved: shared.reservations.held(),
            queue_limit: shared.options.queue_limit,
            room: self.roster.room(),
        }
    }

    /// What the caller hears who is not let in.
    pub(super) fn refusal(&self, verdict: AdmissionVerdict) -> Option<ExecuteError> {
        let shared = &self.args.shared;
        match verdict {
            AdmissionVerdict::Admit => None,
            AdmissionVerdict::ShuttingDown => Some(ExecuteError::ShuttingDown { pool: shared.name.clone() }),
            AdmissionVerdict::Failed => Some(self.failure().unwrap_or(ExecuteError::Cancelled)),
            AdmissionVerdict::Draining => Some(ExecuteError::PoolDraining { pool: shared.name.clone() }),
            AdmissionVerdict::Saturated => {
                let queued = self.waiting() + shared.reservations.held();
                Some(ExecuteError::Saturated {
                    pool: shared.name.clone(),
                    queued,
                    limit: shared.options.queue_limit,
                    retry_after: self.counters.retry_after(queued, usize::from(shared.plan().size())),
                })
            }
        }
    }

    /// Requests that no worker has yet.
    pub(super) fn waiting(&self) -> usize {
        self.line.len() + self.routing + self.resting
    }

    pub(super) fn failure(&self) -> Option<ExecuteError> {
        let reason = PoolFailure::Workers { last: self.roster.failure()?.clone() };
        Some(ExecuteError::PoolFailed { pool: self.args.shared.name.clone(), reason })
    }

    /// A caller waits for a place. What is free is handed out after every message, to those who came first.
    pub(super) fn reserve(&mut self, reply: ReservationReply) {
        if let Err(reply) = self.reservers.join(reply)
            && let Some(refusal) = self.refusal(AdmissionVerdict::Saturated)
        {
            // Whoever asked may have stopped waiting.
            let _ = reply.send(Err(refusal));
        }
    }

    /// Hands the places that are free to those who wait for one, and says how many others may take.
    pub(super) fn grant_reservations(&mut self) {
        let facts = self.admission();
        let reservable = facts.reservable();
        while let Some(reply) = self.reservers.next() {
            // Whoever asked may have stopped waiting; a place comes back by being dropped.
            if let Some(refusal) = self.refusal(facts.judge_in_place()) {
                let _ = reply.send(Err(refusal));
            } else if let Some(reservation) = Reservation::take_of(&self.args.shared, reservable) {
                let _ = reply.send(Ok(reservation));
            } else {
                self.reservers.put_back(reply);
                break;
            }
        }
        // While somebody waits, nobody takes a place past them.
        self.args.shared.reservations.publish(if self.reservers.is_empty() { reservable } else { 0 });
    }

    /// Nobody takes a place of a pool that is not there to say how many there are.
    pub(super) fn close_reservations(&self) {
        self.args.shared.reservations.publish(0);
    }
}
