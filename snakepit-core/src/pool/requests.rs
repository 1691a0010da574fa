//! The way of a request to a worker: admitted, routed, placed, handed over.

use tokio::time::Instant;

use crate::adapter::NotTaken;
use crate::config::Affinity;
use crate::error::ExecuteError;
use crate::id::RequestId;
use crate::pool::actor::PoolState;
use crate::pool::admission::AdmissionVerdict;
use crate::pool::in_flight::{Begun, Binding, BindingStage, Flight, Run, Stage};
use crate::pool::message::{Life, PoolMessage, PoolTimer, Submission};
use crate::pool::placement::{PlacementFacts, PlacementVerdict};
use crate::pool::reservations::Reservation;
use crate::pool::watchdog::{STALL_LIMIT, WatchVerdict};
use crate::session_affinity::SessionAffinityMessage;
use crate::telemetry::Event;
use crate::timer::Timer;

impl PoolState {
    pub(super) fn execute(&mut self, mut submission: Submission, now: Instant) {
        self.counters.requests += 1;
        self.counters.streams += u64::from(submission.work.chunks.is_some());
        let id = submission.id;
        let reservation = submission.reservation.take();
        let mut flight = Flight::new(submission, self.args.shared.options.affinity, now);
        if let Err(refusal) = self.admit(&flight, reservation, now) {
            self.say_saturated(&refusal, 1, now);
            self.call_ends(id, &mut flight, None, Some(&refusal), now);
            flight.answer(Err(refusal));
            return;
        }
        if let Some(refused) = self.saturation.admitted(now) {
            self.args.shared.emit(Event::PoolRelieved { pool: self.args.shared.name.clone(), refused });
        }
        self.deadlines.insert(flight.due(), id);
        self.in_flight.insert(id, flight);
        self.routing += 1;
        self.begin(id, now);
    }

    /// So many requests found the inbox full, and have been told so.
    pub(super) fn refused_unread(&mut self, refused: u64, now: Instant) {
        if let Some(refusal) = self.refusal(AdmissionVerdict::Saturated) {
            self.counters.count_refused(&refusal, refused);
            self.say_saturated(&refusal, refused, now);
        }
    }

    fn say_saturated(&mut self, refusal: &ExecuteError, refused: u64, now: Instant) {
        if let ExecuteError::Saturated { pool, queued, limit, retry_after } = refusal
            && self.saturation.refused(refused, now)
        {
            let (pool, waiting, limit, retry_after) = (pool.clone(), *queued, *limit, *retry_after);
            self.args.shared.emit(Event::PoolSaturated { pool, waiting, limit, retry_after });
        }
    }

    /// Finds a place for a request that has none.
    pub(super) fn begin(&mut self, id: RequestId, now: Instant) {
        let Some(flight) = self.in_flight.get_mut(id) else { return };
        flight.binding = Binding::default();
        if flight.session.is_some() && flight.affinity != Affinity::Off {
            self.route(id);
        } else {
            self.place(id, now);
        }
    }

    fn admit(
        &self,
        flight: &Flight,
        reservation: Option<Reservation>,
        now: Instant,
    ) -> Result<(), ExecuteError> {
        if flight.deadline.remaining(now).is_zero() {
            return Err(ExecuteError::DeadlineExceeded { running: false, timeout: flight.timeout });
        }
        let facts = self.admission();
        let verdict = match reservation {
            Some(reservation) => {
                reservation.use_up();
                facts.judge_in_place()
            }
            None => facts.judge(),
        };
        self.refusal(verdict).map_or(Ok(()), Err)
    }

    /// Gives a request to its session's worker, to any worker, or a place in the line.
    pub(super) fn place(&mut self, id: RequestId, now: Instant) {
        let Some(flight) = self.in_flight.get_mut(id) else { return };
        if flight.stage != Stage::Routing {
            return;
        }
        let own = flight.binding.prefers();
        let facts = PlacementFacts {
            affinity: flight.affinity,
            own: own.map(|own| self.roster.room_of(own)),
            any: self.roster.best_room(),
        };
        let verdict = facts.judge();
        if verdict == PlacementVerdict::Busy {
            self.session_busy(id);
            return;
        }
        self.routing -= 1;
        // Those who wait came first; while there are any, no worker that they may run on has room.
        let taken = match verdict {
            PlacementVerdict::Own => own.filter(|own| self.roster.take_this(*own)),
            PlacementVerdict::Any => self.roster.take_any(),
            PlacementVerdict::WaitForAny | PlacementVerdict::WaitForOwn | PlacementVerdict::Busy => None,
        };
        let pin = own.filter(|_| verdict == PlacementVerdict::WaitForOwn);
        match taken {
            Some(life) => self.dispatch(id, life, now),
            None => flight.stage = Stage::Waiting(self.line.join(id, pin)),
        }
    }

    /// Hands a request to a worker whose place has been taken for it.
    pub(super) fn dispatch(&mut self, id: RequestId, life: Life, now: Instant) {
        let Some(flight) = self.in_flight.get_mut(id) else { return };
        let Some(ready) = self.roster.get(life) else { return };
        let tells_started = ready.worker.tells_started && self.args.shared.options.prefetch > 0;
        let mut begun = if tells_started { Begun::NotYet } else { Begun::Perhaps };
        let Some(order) = flight.order(id, &ready.worker.adapter) else { return };
        // Counted here and not when it was placed: one that had to wait may still end up where it belongs.
        match (flight.binding.stage, flight.session.clone()) {
            (BindingStage::To(own), _) if own == life => self.counters.affinity_hits += 1,
            (BindingStage::To(_), _) => self.counters.affinity_misses += 1,
            (BindingStage::Binds, Some(session)) => {
                flight.binding.stage = BindingStage::To(life);
                self.args.sessions.cast(SessionAffinityMessage::Bind { id, session, life });
            }
            (BindingStage::Free | BindingStage::Asked | BindingStage::Binds, _) => {}
        }
        let handover = ready.worker.vitals.begin();
        // An adapter that has just ended takes nothing. Its worker is about to report its loss, and then this request,
        // which never left, goes elsewhere.
        match ready.worker.adapter.try_hand_over(order) {
            Ok(()) if self.handed_over.last() == Some(&life) => {}
            Ok(()) => self.handed_over.push(life),
            Err(NotTaken::Unsayable { what }) => {
                drop(handover);
                return self.give_up_unsayable(id, life, what, now);
            }
            Err(NotTaken::OutletPanicked { what }) => {
                // Never taken for one that has not left: it might end one worker after the other.
                begun = Begun::Perhaps;
                ready.worker.adapter_failed(what);
            }
            Err(NotTaken::Ended) => begun = Begun::Undelivered,
        }
        handover.done();
        flight.spans.execute(|| self.args.shared.life(life));
        flight.stage = Stage::Running(Run { life, since: now, begun });
    }

    /// Looks whether anybody waits beside a free worker, which our own rules forbid, and mends it where it lasts.
    pub(super) fn watch(&mut self, now: Instant) {
        match self.watchdog.look(self.line.has_any(), self.roster.room() > 0, now) {
            WatchVerdict::Calm => self.watch_timer = None,
            WatchVerdict::Watched => {}
            WatchVerdict::Suspicious => {
                let due = PoolMessage::Timer(PoolTimer::WatchDue);
                self.watch_timer = Some(Timer::after(STALL_LIMIT, &self.myself, due));
            }
            WatchVerdict::Stalled => {
                self.watch_timer = None;
                self.counters.stalls += 1;
                let pool = self.args.shared.name.clone();
                self.args.shared.emit(Event::PoolStalled { pool, waiting: self.waiting() });
                for life in self.roster.ready_lives() {
                    self.serve(life, now);
                }
            }
        }
    }

    /// Gives a worker that has room what it may take of the line.
    pub(super) fn serve(&mut self, life: Life, now: Instant) {
        if self.roster.is_retiring(life.slot) {
            return self.serve_last(life, now);
        }
        while self.line.has_any_for(life) && self.roster.take_this(life) {
            let Some(id) = self.line.next_for(life) else { return };
            self.dispatch(id, life, now);
        }
    }
}
