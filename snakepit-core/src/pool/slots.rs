//! The slots of the pool: started, ready, lost, given up; and the questions about them.

use std::sync::Arc;

use ractor::{ActorRef, RpcReplyPort};
use tokio::time::Instant;

use crate::error::{AwaitReadyError, ExecuteError, LossCause, PoolFailure, RecycleError, WorkerLoss};
use crate::id::Slot;
use crate::pool::actor::PoolState;
use crate::pool::message::{Life, PoolMessage, PoolTimer, ReadyReply, RosterRow, SlotReport, Wanted};
use crate::pool::pool_worker::PoolWorker;
use crate::pool::roster::{Occupant, Place, Seats};
use crate::pool::slot_plan::{Claim, Duty};
use crate::pool::statistics::PoolStats;
use crate::telemetry::Event;
use crate::timer::Timer;
use crate::worker::WorkerMessage;

impl PoolState {
    /// Takes up the plan as an earlier life of the pool left it: asks for the Starter of every slot that has none, as many
    /// at once as may boot at once, and goes on with what was half done.
    pub(super) fn start_slots(&mut self, now: Instant) {
        let shared = &self.args.shared;
        shared.starters_are_under(self.args.starters.cell().map(|cell| cell.get_id()));
        let planned: Vec<_> = shared.plan().slots().collect();
        for (slot, duty) in planned {
            self.roster.add(slot, duty);
            match duty {
                Duty::Kept => match self.args.shared.given_up_for_good(slot) {
                    Some(loss) => drop(self.roster.given_up(slot, loss)),
                    None => self.boots.ask(slot),
                },
                Duty::Substitute { until, .. } => {
                    self.boots.ask(slot);
                    self.await_substitute(slot, until, now);
                }
                Duty::Retiring { .. } => drop(self.retiring.insert(slot)),
            }
        }
        self.man_slots();
        self.clear_retired(now);
    }

    pub(super) fn start_next(&mut self) {
        while let Some(slot) = self.boots.next() {
            let claim = self.args.shared.plan().claim_starter(slot);
            match claim {
                Some(claim) => self.start_slot(slot, claim),
                // Its Starter has outlived an earlier life of the pool.
                None => self.boots.over(slot),
            }
        }
    }

    /// A slot's boot came to something, and the next may begin.
    pub(super) fn boot_over(&mut self, slot: Slot) {
        self.boots.over(slot);
        self.start_next();
    }

    fn start_slot(&self, slot: Slot, claim: Claim) {
        let shared = &self.args.shared;
        let (starters, spec, shared) =
            (self.args.starters.clone(), (self.args.starter)(slot), shared.clone());
        // Asked in a task: a supervisor that is busy must not hold up requests.
        tokio::spawn(async move {
            let cause = match starters.start_child(spec).await {
                Ok(Some(started)) => {
                    shared.plan().starter_up(slot, claim, started.cell);
                    shared.reporter().slot(SlotReport::StarterUp);
                    return;
                }
                Ok(None) => LossCause::ActorEnded,
                Err(error) => LossCause::SpawnFailed { message: error.to_string() },
            };
            if shared.plan().starter_ended(slot, claim) {
                let loss =
                    Arc::new(WorkerLoss { life: shared.present_life(slot), cause, stderr_tail: Vec::new() });
                shared.reporter().slot(SlotReport::GaveUp { loss });
            }
        });
    }

    pub(super) fn worker_booting(&mut self, life: Life, worker: ActorRef<WorkerMessage>) {
        self.lives.booting(life, worker);
        self.give_up_pins(life.slot);
    }

    pub(super) fn worker_ready(&mut self, life: Life, capacity: u16, worker: PoolWorker, now: Instant) {
        if self.roster.get(life).is_some()
            || self.roster.place(life.slot).is_none()
            || !self.lives.ready(life)
        {
            return;
        }
        let slot = life.slot;
        // Its age is counted from here.
        worker.vitals.age(now);
        self.boot_over(slot);
        let capacity = capacity.clamp(1, self.args.shared.options.capacity);
        self.quarantines.remove(&slot);
        let running = self.args.shared.inbox.unread_ends(life, &worker.vitals);
        let takes_no_more = worker.vitals.takes_no_more();
        // Of a worker that does not say what it has begun with, nothing could go elsewhere when it is lost.
        let prefetch = if worker.tells_started { self.args.shared.options.prefetch } else { 0 };
        let before = self.condition(slot);
        self.take_over(life);
        self.roster.ready(life, Seats { capacity, prefetch }, worker, now);
        self.roster.inherit(slot, running);
        if takes_no_more {
            self.takes_no_more(life, now);
        }
        self.let_forget_all(life);
        self.tell_condition(before, life);
        if self.roster.is_retiring(slot) {
            // It was about to leave when the pool restarted.
            return;
        }
        self.tell_ready();
        self.look_at_wear(life, now);
        self.give_up_pins(slot);
        self.serve(life, now);
    }

    /// A slot's Starter is gone: the slot rests, and is then tried again, unless its worker said that this is of no use.
    pub(super) fn slot_gave_up(&mut self, loss: Arc<WorkerLoss>, now: Instant) {
        let slot = loss.life.worker.slot;
        if self.closing.is_some() {
            return;
        }
        self.worker_lost_unsaid(&loss, now);
        if self.roster.is_retiring(slot) {
            // Nothing is left to be stopped.
            self.slot_cleared(slot, now);
            return;
        }
        self.args.shared.lost(&loss, now);
        self.boot_over(slot);
        if self.substitutes.contains_key(&slot) {
            return self.withdraw(slot, |worker| RecycleError::Failed { worker, loss }, now);
        }
        let had_failed = self.roster.failure().is_some();
        let times = self.roster.given_up(slot, Arc::clone(&loss));
        if self.args.shared.options.restart.is_fatal(&loss.cause) {
            self.args.shared.emit(Event::SlotGaveUp { slot: self.args.shared.worker(slot), last: loss });
        } else {
            self.rest(slot, times, loss, now);
        }
        if let Some(last) = self.roster.failure().cloned() {
            if !had_failed {
                let pool = self.args.shared.name.clone();
                self.args.shared.emit(Event::PoolFailed { pool, last: Arc::clone(&last) });
            }
            self.fail(&PoolFailure::Workers { last });
        }
    }

    /// A slot that was given up rests before it is tried again.
    fn rest(&mut self, slot: Slot, times: u32, last: Arc<WorkerLoss>, now: Instant) {
        let rest = self.args.shared.options.restart.rest_after_giving_up(times);
        self.args.shared.rests(slot, times, now + rest);
        let worker = self.args.shared.worker(slot);
        self.args.shared.emit(Event::SlotQuarantined { slot: worker, times, rest, last });
        let over = PoolMessage::Timer(PoolTimer::QuarantineOver { slot });
        self.quarantines.insert(slot, Timer::after(rest, &self.myself, over));
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
        for (_, waiter) in self.ready_waiters.drain(..) {
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

    pub(super) fn await_ready(&mut self, wanted: Wanted, reply: ReadyReply) {
        if let Some(verdict) = self.readiness(wanted) {
            // Whoever asked may have stopped waiting.
            let _ = reply.send(verdict);
        } else {
            self.ready_waiters.retain(|(_, waiter)| !waiter.is_closed());
            self.ready_waiters.push((wanted, reply));
        }
    }

    /// What somebody is told at once who waits for workers; `None` where it is worth waiting.
    fn readiness(&self, wanted: Wanted) -> Option<Result<(), AwaitReadyError>> {
        let pool = || self.args.shared.name.clone();
        if self.closing.is_some() {
            Some(Err(AwaitReadyError::ShuttingDown { pool: pool() }))
        } else if self.has(wanted) {
            Some(Ok(()))
        } else {
            let last = self.roster.failure()?.clone();
            Some(Err(AwaitReadyError::PoolFailed { pool: pool(), reason: PoolFailure::Workers { last } }))
        }
    }

    fn has(&self, wanted: Wanted) -> bool {
        match wanted {
            Wanted::One => self.roster.has_ready(),
            Wanted::All => self.roster.ready_lives().len() >= usize::from(self.args.shared.plan().size()),
        }
    }

    /// Tells those who wait for as many workers as there are now.
    pub(super) fn tell_ready(&mut self) {
        for (wanted, waiter) in std::mem::take(&mut self.ready_waiters) {
            if self.has(wanted) {
                let _ = waiter.send(Ok(()));
            } else {
                self.ready_waiters.push((wanted, waiter));
            }
        }
    }

    pub(super) fn get_stats(&self, reply: RpcReplyPort<PoolStats>) {
        // Whoever asked may have stopped waiting.
        let _ = reply.send(self.stats());
    }

    pub(super) fn stats(&self) -> PoolStats {
        let running = self.in_flight.running();
        let size = self.args.shared.plan().size();
        let stats = self.counters.stats(size, self.roster.counts(), self.waiting(), running);
        PoolStats { reserved: self.args.shared.reservations.held(), ..stats }
    }

    pub(super) fn get_roster(&self, reply: RpcReplyPort<Vec<RosterRow>>) {
        let row = |(slot, place): (Slot, &Place<PoolWorker>)| {
            let booting = self.lives.booting_in(slot).cloned();
            let (quarantined, worker, running) = match &place.occupant {
                Occupant::Starting => (None, booting, 0),
                Occupant::Quarantined { last } => (Some(last.clone()), booting, 0),
                Occupant::Ready(ready) => (None, Some(ready.worker.actor.clone()), ready.running),
            };
            RosterRow { slot, duty: place.duty, is_leaving: place.is_leaving(), quarantined, worker, running }
        };
        let _ = reply.send(self.roster.slots().map(row).collect());
    }
}
