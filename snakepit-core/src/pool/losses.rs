//! What becomes of the requests of a worker that is lost: moved, tried again, or answered with the loss.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{ExecuteError, WorkerLoss};
use crate::id::RequestId;
use crate::pool::actor::PoolState;
use crate::pool::in_flight::{Begun, Flight, Run, Stage};
use crate::pool::message::Life;
use crate::pool::retry::{LossKind, RetryPolicy, RetryVerdict};
use crate::session_affinity::Told;
use crate::telemetry::Event;

/// What a request may do whose worker is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prospect {
    /// It never began: it goes elsewhere, as if it had waited on.
    Move,
    /// It may have run in part, and its caller says that this does no harm.
    TryAgain,
    /// It may have run, or its caller has been answered, or its session's state went with the worker, or some of it has come.
    End,
}

impl PoolState {
    /// A life ended: everyone whose request it had goes elsewhere or is told, each once.
    pub(super) fn worker_lost(&mut self, loss: &Arc<WorkerLoss>, now: Instant) {
        let life = Life::from(&loss.life);
        self.roster.lost(life, self.args.shared.options.stable_after(), now);
        self.lives.over(life);
        self.boot_over(life.slot);
        self.counters.restarts += 1;
        let mut ids = self.in_flight.on_worker(life);
        // Those who came first go first.
        ids.sort_unstable();
        for id in ids {
            self.request_lost(id, loss, now);
        }
        self.give_up_pins(life.slot);
    }

    pub(super) fn request_lost(&mut self, id: RequestId, loss: &Arc<WorkerLoss>, now: Instant) {
        let heard_out = self.lives.is_heard_out(Life::from(&loss.life));
        let Some(flight) = self.in_flight.get_mut(id) else { return };
        let prospect = prospect(flight, heard_out);
        match if flight.take_back() { prospect } else { Prospect::End } {
            Prospect::Move => self.start_over(id, Duration::ZERO, now),
            Prospect::TryAgain => {
                let policy = RetryPolicy::from(&self.args.shared.options);
                let time_left = flight.deadline.remaining(now);
                let kind = LossKind::from(&loss.cause);
                match flight.history.on_loss(kind, policy, time_left, chance()) {
                    RetryVerdict::Now => self.try_again(id, loss, Duration::ZERO, now),
                    RetryVerdict::After(rest) => self.try_again(id, loss, rest, now),
                    RetryVerdict::GiveUp => self.end_lost(id, ExecuteError::from_loss(Arc::clone(loss))),
                    RetryVerdict::Poisoned { crashes } => {
                        let (command, worker) = (Arc::clone(&flight.command), loss.life.clone());
                        let event = Event::RequestPoisoned { request: id, command, worker, crashes };
                        self.args.shared.emit(event);
                        self.end_lost(id, ExecuteError::Poisoned { crashes, loss: Arc::clone(loss) });
                    }
                }
            }
            Prospect::End => self.end_lost(id, ExecuteError::from_loss(Arc::clone(loss))),
        }
    }

    /// A worker takes no more work, and has not begun with a request: that goes elsewhere, as if it had waited on. Returns
    /// whether it does. A request whose caller is gone does not, nor does a stream of which some has come against the rules.
    pub(super) fn declined(&mut self, id: RequestId, life: Life, now: Instant) -> bool {
        self.takes_no_more(life, now);
        self.give_up_pins(life.slot);
        let Some(flight) = self.in_flight.get(id) else { return false };
        let is_here = matches!(flight.stage, Stage::Running(run) if run.life == life);
        if !is_here || !flight.is_awaited() {
            return false;
        }
        match flight.session.clone() {
            // What the session knew is there, and nobody gets to it any more.
            Some(session) if flight.has_state_there() => {
                self.roster.release(life);
                self.session_lost(id, session, life);
                true
            }
            Some(_) | None => {
                let goes_on = flight.take_back();
                if goes_on {
                    self.roster.release(life);
                    self.start_over(id, Duration::ZERO, now);
                }
                goes_on
            }
        }
    }

    fn try_again(&mut self, id: RequestId, loss: &WorkerLoss, rest: Duration, now: Instant) {
        self.counters.retried += 1;
        if let Some(flight) = self.in_flight.get(id) {
            let (command, worker) = (Arc::clone(&flight.command), loss.life.clone());
            self.args.shared.emit(Event::RequestRetried { request: id, command, worker, rest });
        }
        self.start_over(id, rest, now);
    }

    /// Takes a request back from a life that is over, and begins with it anew, after a rest if it is to have one.
    fn start_over(&mut self, id: RequestId, rest: Duration, now: Instant) {
        let Some(mut flight) = self.in_flight.remove(id) else { return };
        self.deadlines.remove(flight.due(), id);
        self.leave_session(id, &flight, Told::Nothing);
        flight.spans.queue();
        flight.stage = Stage::Resting { until: now + rest };
        self.resting += 1;
        self.deadlines.insert(flight.due(), id);
        self.in_flight.insert(id, flight);
        if rest.is_zero() {
            self.rested(id, now);
        }
    }

    /// A request has rested, and is placed as if it had just come.
    pub(super) fn rested(&mut self, id: RequestId, now: Instant) {
        let Some(flight) = self.in_flight.get_mut(id) else { return };
        let Stage::Resting { .. } = flight.stage else { return };
        self.deadlines.remove(flight.due(), id);
        flight.stage = Stage::Routing;
        self.deadlines.insert(flight.due(), id);
        self.resting -= 1;
        self.routing += 1;
        self.begin(id, now);
    }

    fn end_lost(&mut self, id: RequestId, error: ExecuteError) {
        let Some(mut flight) = self.in_flight.remove(id) else { return };
        self.deadlines.remove(flight.due(), id);
        match flight.stage {
            // Counted when its caller was answered or left.
            Stage::Abandoned { .. } => {}
            _ if flight.is_awaited() => self.call_ends(id, &mut flight, None, Some(&error), Instant::now()),
            // The word that its caller left is still under way.
            _ => {
                let error = ExecuteError::Cancelled;
                self.call_ends(id, &mut flight, None, Some(&error), Instant::now());
            }
        }
        self.leave_session(id, &flight, Told::Nothing);
        flight.answer(Err(error));
    }
}

/// `heard_out`: nothing that the worker said is still on its way.
fn prospect(flight: &Flight, heard_out: bool) -> Prospect {
    let Stage::Running(Run { begun, .. }) = flight.stage else { return Prospect::End };
    if flight.has_state_there() || !flight.is_awaited() {
        return Prospect::End;
    }
    match begun {
        Begun::Undelivered => Prospect::Move,
        Begun::NotYet if heard_out => Prospect::Move,
        Begun::NotYet | Begun::Perhaps if flight.is_idempotent => Prospect::TryAgain,
        Begun::NotYet | Begun::Perhaps => Prospect::End,
    }
}

/// A number in `0..1` that differs from request to request.
pub(super) fn chance() -> f64 {
    // Every `RandomState` has keys of its own.
    let bits = RandomState::new().hash_one(()) >> 32;
    bits as f64 / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Affinity;
    use crate::id::{Incarnation, SessionId, Slot};
    use crate::payload::Payload;
    use crate::pool::tests::bench::submission;
    use crate::request::Request;

    #[test]
    fn what_a_request_may_do_depends_on_whether_it_began_and_what_it_would_lose() {
        let plain = || Request::new("c", Payload::bytes(Vec::new()));
        let in_session =
            |affinity| plain().idempotent().session(SessionId::new("s").unwrap()).affinity(affinity);
        let table = [
            ("never left", plain(), Begun::Undelivered, Prospect::Move),
            ("may have run", plain(), Begun::Perhaps, Prospect::End),
            ("harmless twice", plain().idempotent(), Begun::Perhaps, Prospect::TryAgain),
            ("told that it would say", plain(), Begun::NotYet, Prospect::Move),
            ("state to lose", in_session(Affinity::StrictQueue), Begun::Undelivered, Prospect::End),
            ("state to lose", in_session(Affinity::StrictFailFast), Begun::Perhaps, Prospect::End),
            ("no state to lose", in_session(Affinity::Hint), Begun::Perhaps, Prospect::TryAgain),
        ];
        for (case, request, begun, expected) in table {
            let now = Instant::now();
            let (submission, answer) = submission(RequestId(1), request);
            let mut flight = Flight::new(submission, Affinity::Hint, now);
            assert_eq!(prospect(&flight, true), Prospect::End, "{case}, and no worker has it");
            let life = Life { slot: Slot(0), incarnation: Incarnation(1) };
            flight.stage = Stage::Running(Run { life, since: now, begun });
            assert_eq!(prospect(&flight, true), expected, "{case}");
            if begun == Begun::NotYet {
                assert_eq!(prospect(&flight, false), Prospect::End, "{case}, and more was on its way");
            }
            drop(answer);
            assert_eq!(prospect(&flight, true), Prospect::End, "{case}, and nobody waits");
        }
    }

    #[test]
    fn chance_is_a_share_and_not_always_the_same() {
        let drawn: Vec<_> = (0..100).map(|_| chance()).collect();
        assert!(drawn.iter().all(|chance| (0.0..=1.0).contains(chance)));
        assert!(drawn.iter().any(|chance| *chance < 0.5) && drawn.iter().any(|chance| *chance >= 0.5));
    }
}
