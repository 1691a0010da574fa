//! The end of a request: answered by its worker, cancelled, or out of time.

use std::time::Duration;

use tokio::time::Instant;

use crate::adapter::{AdapterMessage, NotTaken, Outcome};
use crate::config::OnStuck;
use crate::error::{ExecuteError, LossCause, WorkerError, WorkerErrorKind};
use crate::id::RequestId;
use crate::payload::Payload;
use crate::pool::actor::PoolState;
use crate::pool::calls::CallEnd;
use crate::pool::in_flight::{Begun, Flight, Run, Stage};
use crate::pool::message::{Life, PoolMessage, PoolTimer, Response};
use crate::session_affinity::Told;
use crate::telemetry::Event;
use crate::timer::Timer;
use crate::worker::WorkerMessage;

impl PoolState {
    pub(super) fn request_finished(&mut self, id: RequestId, life: Life, outcome: Outcome, now: Instant) {
        let declines = |error: &WorkerError| error.kind == WorkerErrorKind::Draining;
        if matches!(&outcome, Outcome::Failed(error) if declines(error)) && self.declined(id, life, now) {
            return;
        }
        let Some((mut flight, run)) = self.in_flight.finish(id, life) else {
            // An earlier life of the pool asked for it, and its caller has been told.
            if self.roster.release_inherited(life) {
                self.serve(life, now);
            }
            return;
        };
        self.deadlines.remove(flight.due(), id);
        // The place is free before the caller hears, so that its next request finds it.
        match flight.stage {
            Stage::Abandoned { .. } => self.roster.release_abandoned(life),
            Stage::Routing | Stage::Resting { .. } | Stage::Waiting(_) | Stage::Running(_) => {
                self.roster.release(life)
            }
        };
        let ran = now.saturating_duration_since(run.since);
        self.counters.count_run(ran);
        if matches!(flight.stage, Stage::Running(_)) {
            let answer = self.response(&flight, run, outcome, ran);
            self.call_ends(id, &mut flight, Some(run), answer.as_ref().err(), now);
            if flight.is_awaited() {
                self.args.shared.intake.answered();
                if let Some(closing) = &mut self.closing {
                    closing.finished += 1;
                }
            }
            // The session hears first, so that the caller's next request finds it as it is now.
            let hears = answer.is_ok() && flight.binding.reset && flight.is_awaited();
            self.leave_session(id, &flight, if hears { Told::Reset } else { Told::Nothing });
            flight.answer(answer);
        } else {
            self.leave_session(id, &flight, Told::Nothing);
        }
        if self.wear.counts_requests() {
            self.look_at_wear(life, now);
        }
        self.serve(life, now);
    }

    fn response(
        &self,
        flight: &Flight,
        run: Run,
        outcome: Outcome,
        ran: Duration,
    ) -> Result<Response, ExecuteError> {
        let payload = match outcome {
            Outcome::Answered(payload) => payload,
            Outcome::StreamEnded => Payload::bytes(Vec::new()),
            Outcome::Failed(error) => {
                let limit = self.args.shared.options.payload_limit;
                return Err(ExecuteError::from_worker(error, &flight.command, flight.timeout, limit));
            }
        };
        Ok(Response {
            payload,
            worker: self.args.shared.life(run.life),
            session_reset: flight.binding.reset,
            waited: run.since.saturating_duration_since(flight.accepted),
            ran,
        })
    }

    /// The caller is gone.
    pub(super) fn cancel(&mut self, id: RequestId, now: Instant) {
        let Some(flight) = self.in_flight.get_mut(id) else { return };
        // A request whose deadline has passed already has been told to stop, and counted.
        let is_running = match flight.stage {
            Stage::Abandoned { .. } => return,
            Stage::Running(_) => true,
            Stage::Routing | Stage::Resting { .. } | Stage::Waiting(_) => false,
        };
        if is_running {
            self.abandon(id, ExecuteError::Cancelled, now);
        } else {
            self.give_back(id, ExecuteError::Cancelled);
        }
    }

    /// A stream's worker cannot be told what its reader took: it would wait for credit, and the reader for chunks.
    pub(super) fn credit_not_taken(&mut self, id: RequestId, why: NotTaken, now: Instant) {
        let Some(Stage::Running(run)) = self.in_flight.get(id).map(|flight| flight.stage) else { return };
        match why {
            // Its worker is about to report its loss, which ends the stream.
            NotTaken::Ended => {}
            NotTaken::Unsayable { what } => {
                let error = ExecuteError::AdapterFailed { worker: self.args.shared.life(run.life), what };
                self.abandon(id, error, now);
            }
            NotTaken::OutletPanicked { what } => {
                if let Some(ready) = self.roster.get(run.life) {
                    ready.worker.adapter_failed(what);
                }
            }
        }
    }

    /// Ends a request that no worker has, and counts it.
    pub(super) fn give_back(&mut self, id: RequestId, error: ExecuteError) {
        let Some(mut flight) = self.in_flight.remove(id) else { return };
        let told = match &error {
            // Who has gone hears nothing.
            ExecuteError::SessionLost { .. } if flight.is_awaited() => Told::Lost,
            _ => Told::Nothing,
        };
        self.call_ends(id, &mut flight, None, Some(&error), Instant::now());
        self.deadlines.remove(flight.due(), id);
        match flight.stage {
            Stage::Waiting(ticket) => self.line.leave(ticket),
            Stage::Routing => self.routing -= 1,
            Stage::Resting { .. } => self.resting -= 1,
            Stage::Running(_) | Stage::Abandoned { .. } => {}
        }
        // Others of its session may be held until it binds, or it may be one of those held.
        self.leave_session(id, &flight, told);
        flight.answer(Err(error));
    }

    /// Ends a request that cannot be said to its worker's adapter. Its worker goes on without it.
    pub(super) fn give_up_unsayable(&mut self, id: RequestId, life: Life, what: String, now: Instant) {
        let Some(mut flight) = self.in_flight.remove(id) else { return };
        self.deadlines.remove(flight.due(), id);
        self.roster.release(life);
        let error = ExecuteError::AdapterFailed { worker: self.args.shared.life(life), what };
        self.call_ends(id, &mut flight, None, Some(&error), now);
        self.leave_session(id, &flight, Told::Nothing);
        flight.answer(Err(error));
    }

    /// Answers a request that a worker has, and tells the worker to stop. Its place stays taken until it does.
    fn abandon(&mut self, id: RequestId, error: ExecuteError, now: Instant) {
        let Some(flight) = self.in_flight.get_mut(id) else { return };
        let Stage::Running(run) = flight.stage else { return };
        let end = CallEnd { id, run: Some(run), error: Some(&error), now };
        self.accounts.close(&mut self.counters, flight, &end);
        let stuck_at = now + self.args.shared.options.cancel_grace;
        self.deadlines.remove(flight.due(), id);
        self.deadlines.insert(stuck_at, id);
        flight.stage = Stage::Abandoned { run, stuck_at };
        // Nobody wants it to be run elsewhere: what it holds is the worker's alone.
        flight.work = None;
        flight.answer(Err(error));
        self.roster.abandon(run.life);
        if let Some(ready) = self.roster.get(run.life) {
            // An adapter that has ended cancels nothing; its worker's loss frees the place.
            ready.worker.tell(AdapterMessage::Cancel { id });
        }
    }

    /// Tells the workers of all requests that they have: this life of the pool ends, and the next knows none of them.
    pub(super) fn cancel_everything(&mut self) {
        for (id, run) in self.in_flight.runs() {
            if let Some(ready) = self.roster.get(run.life) {
                // An adapter that has ended runs nothing.
                ready.worker.tell(AdapterMessage::Cancel { id });
            }
        }
    }

    pub(super) fn deadlines_due(&mut self, now: Instant) {
        self.deadlines.rang();
        while let Some(id) = self.deadlines.next_due(now) {
            let Some(flight) = self.in_flight.get_mut(id) else { continue };
            let timeout = flight.timeout;
            match flight.stage {
                Stage::Resting { until } if until < flight.deadline.at() => self.rested(id, now),
                Stage::Routing | Stage::Resting { .. } | Stage::Waiting(_) => {
                    let error = ExecuteError::DeadlineExceeded { running: false, timeout };
                    self.give_back(id, error);
                }
                Stage::Running(run) => {
                    let running = run.begun == Begun::Perhaps;
                    let error = ExecuteError::DeadlineExceeded { running, timeout };
                    self.abandon(id, error, now);
                }
                Stage::Abandoned { run, .. } => self.worker_stuck(run),
            }
        }
    }

    /// A worker has not given up a cancelled request in time.
    fn worker_stuck(&mut self, run: Run) {
        let Some(ready) = self.roster.get(run.life) else { return };
        let grace = self.args.shared.options.cancel_grace;
        let worker = self.args.shared.life(run.life);
        match self.args.shared.options.on_stuck {
            OnStuck::Wait => self.args.shared.emit(Event::WorkerStuck { worker, grace }),
            OnStuck::Kill => {
                // A worker that has ended by itself needs no replacing.
                let _ = ready.worker.actor.cast(WorkerMessage::Replace { cause: LossCause::Stuck { grace } });
            }
        }
    }

    /// Keeps one timer set for the earliest deadline.
    pub(super) fn arm_deadline_timer(&mut self, now: Instant) {
        if let Some(at) = self.deadlines.rearm() {
            let delay = at.saturating_duration_since(now);
            self.deadline_timer =
                Some(Timer::after(delay, &self.myself, PoolMessage::Timer(PoolTimer::DeadlineDue)));
        }
    }
}
