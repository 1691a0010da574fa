//! The life of a request in the pool: admitted, routed, waiting, running, answered.

use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use crate::adapter::{AdapterMessage, Outcome};
use crate::config::{Affinity, OnStuck};
use crate::error::{ExecuteError, LossCause, PoolFailure};
use crate::id::{Incarnation, RequestId, SessionId, Slot, WorkerLife};
use crate::payload::Payload;
use crate::pool::actor::PoolState;
use crate::pool::admission::{AdmissionFacts, AdmissionVerdict};
use crate::pool::in_flight::{BindingState, Flight, Run, Stage};
use crate::pool::message::{PoolMessage, PoolTimer, Reply, Response, Work};
use crate::request::Deadline;
use crate::session_affinity::SessionAffinityMessage;
use crate::timer::Timer;
use crate::worker::WorkerMessage;

impl PoolState {
    pub(super) fn execute(
        &mut self,
        id: RequestId,
        work: Work,
        deadline: Deadline,
        timeout: Duration,
        reply: Reply,
        now: Instant,
    ) {
        self.counters.requests += 1;
        self.counters.streams += u64::from(work.chunks.is_some());
        let mut flight = Flight::new(work, deadline, timeout, reply, now);
        if let Err(refusal) = self.admit(&flight, now) {
            self.counters.count_error(&refusal);
            flight.answer(Err(refusal));
            return;
        }
        let session = flight.session.clone().filter(|_| self.args.shared.options.affinity == Affinity::Hint);
        self.deadlines.insert(flight.due(), id);
        self.in_flight.insert(id, flight);
        self.routing += 1;
        match session {
            Some(session) => self.route(id, session),
            None => self.place(id, None, now),
        }
    }

    fn admit(&self, flight: &Flight, now: Instant) -> Result<(), ExecuteError> {
        let shared = &self.args.shared;
        let facts = AdmissionFacts {
            draining: self.drain.is_some(),
            failed: self.roster.failure().is_some(),
            waiting: self.waiting(),
            queue_limit: shared.options.queue_limit,
            room: self.roster.room(),
        };
        if flight.deadline.remaining(now).is_zero() {
            return Err(ExecuteError::DeadlineExceeded { running: false, timeout: flight.timeout });
        }
        match facts.judge() {
            AdmissionVerdict::Admit => Ok(()),
            AdmissionVerdict::ShuttingDown => Err(ExecuteError::ShuttingDown { pool: shared.name.clone() }),
            AdmissionVerdict::Failed => Err(self.failure().unwrap_or(ExecuteError::Cancelled)),
            AdmissionVerdict::Saturated => Err(ExecuteError::Saturated {
                pool: shared.name.clone(),
                queued: facts.waiting,
                limit: facts.queue_limit,
                retry_after: self.counters.retry_after(facts.waiting, usize::from(shared.options.size)),
            }),
        }
    }

    /// Requests that no worker has yet.
    pub(super) fn waiting(&self) -> usize {
        self.line.len() + self.routing
    }

    pub(super) fn failure(&self) -> Option<ExecuteError> {
        let reason = PoolFailure { last: self.roster.failure()?.clone() };
        Some(ExecuteError::PoolFailed { pool: self.args.shared.name.clone(), reason })
    }

    /// Asks for a session's worker. Without an answer the request would wait until its deadline, so where nobody can be
    /// asked it goes on without a session's worker.
    fn route(&mut self, id: RequestId, session: SessionId) {
        if !self.args.sessions.cast(SessionAffinityMessage::Route { id, session }) {
            self.place(id, None, Instant::now());
        }
    }

    pub(super) fn session_bound(
        &mut self,
        id: RequestId,
        slot: Slot,
        incarnation: Incarnation,
        now: Instant,
    ) {
        let Some(Flight { stage: Stage::Routing, session: Some(session), .. }) = self.in_flight.get_mut(id)
        else {
            return;
        };
        if self.roster.get(slot, incarnation).is_some() {
            self.place(id, Some((slot, incarnation)), now);
        } else {
            let session = session.clone();
            self.args.sessions.cast(SessionAffinityMessage::Rebind { id, session, slot, incarnation });
        }
    }

    pub(super) fn session_unbound(&mut self, id: RequestId, reset: bool, now: Instant) {
        // A request that ended while the question was under way has passed its turn on already.
        let Some(flight) = self.in_flight.get_mut(id) else { return };
        flight.binding = BindingState::Binds { reset };
        self.counters.affinity_resets += u64::from(reset);
        self.place(id, None, now);
    }

    /// Gives a request to its session's worker, to any worker, or a place in the line.
    fn place(&mut self, id: RequestId, wanted: Option<(Slot, Incarnation)>, now: Instant) {
        let Some(flight) = self.in_flight.get_mut(id) else { return };
        if flight.stage != Stage::Routing {
            return;
        }
        self.routing -= 1;
        let taken = match wanted {
            Some((slot, incarnation)) if self.roster.take_this(slot, incarnation).is_some() => {
                self.counters.affinity_hits += 1;
                Some((slot, incarnation))
            }
            // Those who wait came first; while there are any, no worker is free.
            _ => self.roster.take_any().map(|(slot, ready)| (slot, ready.incarnation)),
        };
        self.counters.affinity_misses += u64::from(wanted.is_some() && taken != wanted);
        match taken {
            Some((slot, incarnation)) => self.dispatch(id, Run { slot, incarnation, since: now }),
            None => flight.stage = Stage::Waiting(self.line.join(id)),
        }
    }

    /// Hands a request to a worker whose place has been taken for it.
    fn dispatch(&mut self, id: RequestId, run: Run) {
        let Some(flight) = self.in_flight.get_mut(id) else { return };
        let Some(ready) = self.roster.get(run.slot, run.incarnation) else { return };
        let Some(work) = flight.work.take() else { return };
        flight.stage = Stage::Running(run);
        if let (BindingState::Binds { .. }, Some(session)) = (flight.binding, flight.session.clone()) {
            let Run { slot, incarnation, .. } = run;
            self.args.sessions.cast(SessionAffinityMessage::Bind { id, session, slot, incarnation });
        }
        ready.worker.vitals.began();
        let (request, deadline) = (work.request, flight.deadline);
        let message = match work.chunks {
            None => AdapterMessage::Execute { id, request, deadline },
            Some((chunks, adapter)) => {
                // Set once: a stream is dispatched once.
                let _ = adapter.set(ready.worker.adapter.clone());
                AdapterMessage::ExecuteStream { id, request, deadline, chunks }
            }
        };
        // An adapter that has just ended takes nothing. Its worker is about to report its loss, which answers this
        // request like every other that the worker has.
        let _ = ready.worker.adapter.cast(message);
    }

    pub(super) fn request_finished(
        &mut self,
        id: RequestId,
        slot: Slot,
        incarnation: Incarnation,
        outcome: Outcome,
        now: Instant,
    ) {
        let Some((mut flight, run)) = self.in_flight.finish(id, slot, incarnation) else {
            // An earlier life of the pool asked for it, and its caller has been told.
            if self.roster.release_inherited(slot, incarnation) {
                self.serve_line(now);
            }
            return;
        };
        self.deadlines.remove(flight.due(), id);
        // The place is free before the caller hears, so that its next request finds it.
        self.roster.release(slot, incarnation);
        let ran = now.saturating_duration_since(run.since);
        self.counters.count_run(ran);
        if matches!(flight.stage, Stage::Running(_)) {
            let answer = self.response(&flight, run, outcome, ran);
            match &answer {
                Ok(_) => self.counters.succeeded += 1,
                Err(error) => self.counters.count_error(error),
            }
            if let (Some(drain), true) = (&mut self.drain, flight.is_awaited()) {
                drain.finished += 1;
            }
            flight.answer(answer);
        }
        self.serve_line(now);
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
                return Err(ExecuteError::from_worker(error, &flight.command, limit));
            }
        };
        Ok(Response {
            payload,
            worker: WorkerLife { worker: self.args.shared.worker(run.slot), incarnation: run.incarnation },
            session_reset: flight.binding == BindingState::Binds { reset: true },
            waited: run.since.saturating_duration_since(flight.accepted),
            ran,
        })
    }

    /// Gives those who wait to whoever is free.
    pub(super) fn serve_line(&mut self, now: Instant) {
        while !self.line.is_empty() {
            let Some((slot, ready)) = self.roster.take_any() else { return };
            let run = Run { slot, incarnation: ready.incarnation, since: now };
            let Some(id) = self.line.next() else { return };
            self.dispatch(id, run);
        }
    }

    /// The caller is gone.
    pub(super) fn cancel(&mut self, id: RequestId, now: Instant) {
        let Some(flight) = self.in_flight.get_mut(id) else { return };
        // A request whose deadline has passed already has been told to stop, and counted.
        let is_running = match flight.stage {
            Stage::Abandoned { .. } => return,
            Stage::Running(_) => true,
            Stage::Routing | Stage::Waiting(_) => false,
        };
        self.counters.count_error(&ExecuteError::Cancelled);
        if is_running {
            self.abandon(id, ExecuteError::Cancelled, now);
        } else {
            self.give_back(id, ExecuteError::Cancelled);
        }
    }

    /// Ends a request that no worker has.
    pub(super) fn give_back(&mut self, id: RequestId, error: ExecuteError) {
        let Some(mut flight) = self.in_flight.remove(id) else { return };
        self.deadlines.remove(flight.due(), id);
        match flight.stage {
            Stage::Waiting(ticket) => self.line.leave(ticket),
            Stage::Routing => self.routing -= 1,
            Stage::Running(_) | Stage::Abandoned { .. } => {}
        }
        if let Some(session) = flight.session.take() {
            // Others of its session may be held until it binds, or it may be one of those held.
            self.args.sessions.cast(SessionAffinityMessage::Forgo { id, session });
        }
        flight.answer(Err(error));
    }

    /// Answers a request that a worker has, and tells the worker to stop. Its place stays taken until it does.
    fn abandon(&mut self, id: RequestId, error: ExecuteError, now: Instant) {
        let Some(flight) = self.in_flight.get_mut(id) else { return };
        let Stage::Running(run) = flight.stage else { return };
        let stuck_at = now + self.args.shared.options.cancel_grace;
        self.deadlines.remove(flight.due(), id);
        self.deadlines.insert(stuck_at, id);
        flight.stage = Stage::Abandoned { run, stuck_at };
        flight.answer(Err(error));
        if let Some(ready) = self.roster.get(run.slot, run.incarnation) {
            // An adapter that has ended cancels nothing; its worker's loss frees the place.
            let _ = ready.worker.adapter.cast(AdapterMessage::Cancel { id });
        }
    }

    /// Tells the workers of all requests that they have: this life of the pool ends, and the next knows none of them.
    pub(super) fn cancel_everything(&mut self) {
        for (id, run) in self.in_flight.runs() {
            if let Some(ready) = self.roster.get(run.slot, run.incarnation) {
                // An adapter that has ended runs nothing.
                let _ = ready.worker.adapter.cast(AdapterMessage::Cancel { id });
            }
        }
    }

    pub(super) fn deadlines_due(&mut self, now: Instant) {
        self.deadlines.rang();
        while let Some(id) = self.deadlines.next_due(now) {
            let Some(flight) = self.in_flight.get_mut(id) else { continue };
            let timeout = flight.timeout;
            match flight.stage {
                Stage::Routing | Stage::Waiting(_) => {
                    let error = ExecuteError::DeadlineExceeded { running: false, timeout };
                    self.counters.count_error(&error);
                    self.give_back(id, error);
                }
                Stage::Running(_) => {
                    let error = ExecuteError::DeadlineExceeded { running: true, timeout };
                    self.counters.count_error(&error);
                    self.abandon(id, error, now);
                }
                Stage::Abandoned { run, .. } => self.worker_stuck(run),
            }
        }
    }

    /// A worker has not given up a cancelled request in time.
    fn worker_stuck(&mut self, run: Run) {
        let Some(ready) = self.roster.get(run.slot, run.incarnation) else { return };
        let grace = self.args.shared.options.cancel_grace;
        let worker = self.args.shared.worker(run.slot);
        match self.args.shared.options.on_stuck {
            OnStuck::Wait => warn!(%worker, ?grace, "a worker does not give up a cancelled request"),
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
