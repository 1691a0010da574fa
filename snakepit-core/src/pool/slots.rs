//! The slots of the pool: started, ready, lost, given up; and the questions about them.

use std::sync::Arc;

use ractor::{ActorRef, RpcReplyPort};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::error::{AwaitReadyError, ExecuteError, LossCause, PoolFailure, WorkerLoss};
use crate::id::{Incarnation, Slot, WorkerLife};
use crate::pool::actor::{Drain, PoolState, PoolWorker};
use crate::pool::in_flight::Stage;
use crate::pool::message::{DrainReport, Life, PoolMessage, PoolTimer, RosterRow, SlotReport};
use crate::pool::roster::{Occupant, Seats};
use crate::pool::statistics::PoolStats;
use crate::timer::Timer;
use crate::worker::WorkerMessage;

impl PoolState {
    /// Asks for the Starter of every slot that has none, as many at once as may boot at once.
    pub(super) fn start_slots(&mut self) {
        self.args.shared.starters_are_under(self.args.starters.cell().map(|cell| cell.get_id()));
        (0..self.args.shared.options.size).map(Slot).for_each(|slot| self.boots.ask(slot));
        self.start_next();
    }

    fn start_next(&mut self) {
        while let Some(slot) = self.boots.next() {
            if self.args.shared.claim_starter(slot) {
                self.start_slot(slot);
            } else {
                // Its Starter has outlived an earlier life of the pool.
                self.boots.over(slot);
            }
        }
    }

    /// A slot's boot came to something, and the next may begin.
    pub(super) fn boot_over(&mut self, slot: Slot) {
        self.boots.over(slot);
        self.start_next();
    }

    fn start_slot(&self, slot: Slot) {
        let shared = &self.args.shared;
        let (starters, spec, shared) =
            (self.args.starters.clone(), (self.args.starter)(slot), shared.clone());
        // Asked in a task: a supervisor that is busy must not hold up requests.
        tokio::spawn(async move {
            if let Err(error) = starters.start_child(spec).await {
                shared.starter_gone(slot);
                let life =
                    WorkerLife { worker: shared.worker(slot), incarnation: Incarnation(shared.lives(slot)) };
                let cause = LossCause::SpawnFailed { message: error.to_string() };
                let loss = Arc::new(WorkerLoss { life, cause, stderr_tail: Vec::new() });
                shared.reporter().slot(SlotReport::GaveUp { loss });
            }
        });
    }

    pub(super) fn worker_booting(&mut self, life: Life, worker: ActorRef<WorkerMessage>) {
        self.lives.booting(life, worker);
        self.give_up_pins(life.slot);
    }

    pub(super) fn worker_ready(&mut self, life: Life, capacity: u16, worker: PoolWorker, now: Instant) {
        if self.roster.get(life).is_some() || !self.lives.ready(life) {
            return;
        }
        let slot = life.slot;
        self.boot_over(slot);
        let capacity = capacity.clamp(1, self.args.shared.options.capacity);
        self.quarantines.remove(&slot);
        let running = worker.vitals.running();
        // Of a worker that does not say what it has begun with, nothing could go elsewhere when it is lost.
        let prefetch = if worker.tells_started { self.args.shared.options.prefetch } else { 0 };
        self.roster.ready(life, Seats { capacity, prefetch }, worker, now);
        self.roster.inherit(slot, running);
        info!(worker = %self.args.shared.life(life), capacity, "worker is ready");
        for waiter in self.ready_waiters.drain(..) {
            // Whoever asked may have stopped waiting.
            let _ = waiter.send(Ok(()));
        }
        self.give_up_pins(slot);
        self.serve(life, now);
    }

    /// A slot's Starter is gone: the slot rests, and is then tried again.
    pub(super) fn slot_gave_up(&mut self, loss: Arc<WorkerLoss>, now: Instant) {
        let slot = loss.life.worker.slot;
        if self.drain.is_some() {
            return;
        }
        self.worker_lost_unsaid(&loss, now);
        self.boot_over(slot);
        let times = self.roster.given_up(slot, loss);
        let rest = self.args.shared.options.restart.rest_after_giving_up(times);
        warn!(pool = %self.args.shared.name, %slot, times, ?rest, "slot gave up; it is tried again later");
        let over = PoolMessage::Timer(PoolTimer::QuarantineOver { slot });
        self.quarantines.insert(slot, Timer::after(rest, &self.myself, over));
        if let Some(last) = self.roster.failure().cloned() {
            self.fail(&PoolFailure { last });
        }
    }

    /// Requests of a life whose loss was never reported are answered all the same.
    fn worker_lost_unsaid(&mut self, loss: &Arc<WorkerLoss>, now: Instant) {
        if self.roster.get(Life::from(&loss.life)).is_some() {
            self.worker_lost(loss, now);
        }
    }

    /// Every slot has given up: whoever waits is told why.
    fn fail(&mut self, reason: &PoolFailure) {
        let pool = self.args.shared.name.clone();
        for id in self.in_flight.not_running() {
            let error = ExecuteError::PoolFailed { pool: pool.clone(), reason: reason.clone() };
            self.give_back(id, error);
        }
        for waiter in self.ready_waiters.drain(..) {
            let _ =
                waiter.send(Err(AwaitReadyError::PoolFailed { pool: pool.clone(), reason: reason.clone() }));
        }
    }

    pub(super) fn quarantine_over(&mut self, slot: Slot) {
        if self.quarantines.remove(&slot).is_some() {
            self.boots.ask(slot);
            self.start_next();
        }
    }

    pub(super) fn await_ready(&mut self, reply: oneshot::Sender<Result<(), AwaitReadyError>>) {
        let pool = || self.args.shared.name.clone();
        let verdict = if self.drain.is_some() {
            Err(AwaitReadyError::ShuttingDown { pool: pool() })
        } else if self.roster.has_ready() {
            Ok(())
        } else if let Some(last) = self.roster.failure().cloned() {
            Err(AwaitReadyError::PoolFailed { pool: pool(), reason: PoolFailure { last } })
        } else {
            self.ready_waiters.retain(|waiter| !waiter.is_closed());
            self.ready_waiters.push(reply);
            return;
        };
        let _ = reply.send(verdict);
    }

    pub(super) fn get_stats(&self, reply: RpcReplyPort<PoolStats>) {
        let running = self.in_flight.running();
        let stats = self.counters.stats(self.roster.counts(), self.waiting(), running);
        let _ = reply.send(PoolStats { reserved: self.args.shared.reservations.held(), ..stats });
    }

    pub(super) fn get_roster(&self, reply: RpcReplyPort<Vec<RosterRow>>) {
        let row = |(slot, occupant): (Slot, &Occupant<PoolWorker>)| {
            let booting = self.lives.booting_in(slot).cloned();
            match occupant {
                Occupant::Starting => RosterRow { slot, quarantined: None, worker: booting, running: 0 },
                Occupant::Quarantined { last } => {
                    RosterRow { slot, quarantined: Some(last.clone()), worker: booting, running: 0 }
                }
                Occupant::Ready(ready) => RosterRow {
                    slot,
                    quarantined: None,
                    worker: Some(ready.worker.actor.clone()),
                    running: ready.running,
                },
            }
        };
        let _ = reply.send(self.roster.slots().map(row).collect());
    }

    /// Takes no more requests. A second call may only bring the end forward.
    pub(super) fn begin_drain(&mut self, until: Instant, reply: RpcReplyPort<DrainReport>, now: Instant) {
        self.quarantines.clear();
        self.boots.give_up();
        for waiter in self.ready_waiters.drain(..) {
            let _ = waiter.send(Err(AwaitReadyError::ShuttingDown { pool: self.args.shared.name.clone() }));
        }
        let timer = || {
            let over = PoolMessage::Timer(PoolTimer::DrainOver);
            Timer::after(until.saturating_duration_since(now), &self.myself, over)
        };
        match &mut self.drain {
            None => {
                let timer = timer();
                self.drain = Some(Drain { until, finished: 0, abandoned: 0, replies: vec![reply], timer });
            }
            Some(drain) => {
                if until < drain.until {
                    (drain.until, drain.timer) = (until, timer());
                }
                drain.replies.push(reply);
            }
        }
    }

    /// Tells everyone who still waits that this life of the pool is over.
    pub(super) fn refuse_everything(&mut self) {
        // The workers may outlive this life of the pool, and nobody waits for what they run.
        self.cancel_everything();
        let mut abandoned = 0;
        for id in self.in_flight.ids() {
            let Some(mut flight) = self.in_flight.remove(id) else { continue };
            abandoned += usize::from(flight.is_awaited());
            let error = self.over();
            if !matches!(flight.stage, Stage::Abandoned { .. }) {
                self.counters.count_error(&error);
            }
            flight.answer(Err(error));
        }
        if let Some(drain) = &mut self.drain {
            drain.abandoned += abandoned;
        }
        (self.routing, self.resting) = (0, 0);
        self.line.clear();
    }

    fn over(&self) -> ExecuteError {
        match self.drain {
            Some(_) => ExecuteError::ShuttingDown { pool: self.args.shared.name.clone() },
            None => self.args.shared.gone(),
        }
    }

    pub(super) fn finish_drain_if_empty(&mut self) {
        let Some(drain) = &mut self.drain else { return };
        if drain.replies.is_empty() || self.in_flight.awaited() > 0 {
            return;
        }
        let report = DrainReport { finished: drain.finished, abandoned: drain.abandoned };
        for reply in drain.replies.drain(..) {
            let _ = reply.send(report);
        }
    }
}
