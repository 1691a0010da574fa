//! The pool's side of replacing a worker that works: another boots in another slot, takes over when it is ready, and only
//! then the first one retires. One that does not get ready is withdrawn, and the first one stays.

use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use crate::error::RecycleError;
use crate::id::{Slot, WorkerId};
use crate::pool::actor::PoolState;
use crate::pool::losses::chance;
use crate::pool::message::{Life, PoolMessage, PoolTimer};
use crate::pool::recycling::{RecycleReason, RecycleReply, Recycled};
use crate::pool::restless::RestlessVerdict;
use crate::pool::slot_plan::{Duty, Retirement};
use crate::pool::wear::{LOOK_EVERY, WearFacts};
use crate::telemetry::Event;
use crate::timer::Timer;

/// Why a worker has to be replaced that declined a request.
const TAKES_NO_MORE: &str = "it takes no more requests";

/// A worker that wants to be replaced, and goes on for a while.
#[derive(Debug)]
pub(super) struct PutOff {
    life: Life,
    reason: RecycleReason,
    /// Held, so that it rings.
    _timer: Timer,
}

impl PoolState {
    /// Somebody wants a worker replaced.
    pub(super) fn recycle(
        &mut self,
        slot: Slot,
        reason: RecycleReason,
        reply: Option<RecycleReply>,
        now: Instant,
    ) {
        match self.refusal_to_recycle(slot) {
            None => {
                self.recyclings.ask(slot, reason, reply);
                self.begin_replacements(now);
            }
            Some(refusal) => {
                // Whoever asked may have stopped waiting.
                let _ = reply.map(|reply| reply.send(Err(refusal)));
            }
        }
    }

    /// A worker wants to be replaced.
    pub(super) fn recycle_asked(&mut self, life: Life, why: String, now: Instant) {
        self.recycle_for_cause(life, RecycleReason::Worker { why }, now);
    }

    /// A worker takes no more requests, and has said so to this life of the pool or to an earlier one: it is to be replaced,
    /// unless another is about to take over.
    pub(super) fn takes_no_more(&mut self, life: Life, now: Instant) {
        let Some(ready) = self.roster.get(life) else { return };
        ready.worker.vitals.declined();
        self.roster.takes_no_more(life);
        let substitute = self.args.shared.plan().substitute_of(life.slot);
        if substitute.is_none() {
            self.recycle_asked(life, TAKES_NO_MORE.to_owned(), now);
        }
    }

    /// A worker is to be replaced for what it is like. Where it is like those before it, each of them as soon as it was there,
    /// it goes on for a while: another would be no better, and nobody gains by a boot without pause.
    fn recycle_for_cause(&mut self, life: Life, reason: RecycleReason, now: Instant) {
        let Some(ready) = self.roster.get(life) else { return };
        let slot = life.slot;
        if self.recyclings.has(slot) || self.is_put_off(life) || self.roster.is_retiring(slot) {
            return;
        }
        let (age, stable_after) = (ready.worker.vitals.age(now), self.args.shared.options.stable_after());
        match self.restless.wants(slot, age, stable_after, chance()) {
            RestlessVerdict::Now => self.recycle(slot, reason, None, now),
            RestlessVerdict::After { times, rest } => {
                let (worker, told) = (self.args.shared.life(life), reason.clone());
                self.args.shared.emit(Event::WorkerRestless { worker, times, rest, reason: told });
                self.put_off(life, reason, rest);
            }
        }
    }

    fn put_off(&mut self, life: Life, reason: RecycleReason, rest: Duration) {
        let over = PoolMessage::Timer(PoolTimer::PutOffOver { slot: life.slot });
        let timer = Timer::after(rest, &self.myself, over);
        self.put_off.insert(life.slot, PutOff { life, reason, _timer: timer });
    }

    fn is_put_off(&self, life: Life) -> bool {
        self.put_off.get(&life.slot).is_some_and(|put_off| put_off.life == life)
    }

    /// A worker that wants to be replaced has gone on for long enough; one that was lost meanwhile wants nothing any more.
    pub(super) fn put_off_over(&mut self, slot: Slot, now: Instant) {
        let Some(PutOff { life, reason, .. }) = self.put_off.remove(&slot) else { return };
        if self.roster.get(life).is_some() {
            self.recycle(slot, reason, None, now);
        }
    }

    fn refusal_to_recycle(&self, slot: Slot) -> Option<RecycleError> {
        let worker = self.args.shared.worker(slot);
        if self.closing.is_some() {
            return Some(RecycleError::ShuttingDown { pool: worker.pool });
        }
        match self.roster.place(slot).map(|place| place.duty) {
            Some(Duty::Kept) => None,
            Some(Duty::Substitute { .. } | Duty::Retiring { .. }) => Some(RecycleError::InTransit { worker }),
            None => Some(RecycleError::NotFound { worker }),
        }
    }

    /// Begins with as many replacements as may be under way at once. Each is a process more than the pool is to have, from
    /// the start of the new one to the end of the old one.
    pub(super) fn begin_replacements(&mut self, now: Instant) {
        while self.closing.is_none()
            && self.args.shared.plan().replacements() < self.args.shared.replacements_at_once()
        {
            let Some(slot) = self.recyclings.next() else { return };
            let until = now + self.replacement_limit();
            let substitute = self.args.shared.plan().substitute(slot, until);
            if let Some(substitute) = substitute {
                self.await_substitute(substitute, until, now);
                self.roster.add(substitute, Duty::Substitute { of: slot, until });
                self.boots.ask(substitute);
                info!(pool = %self.args.shared.name, %slot, %substitute, "worker is being replaced");
            } else {
                // It may have begun to leave while it waited for its turn; otherwise every number is taken.
                let refusal = self.refusal_to_recycle(slot);
                let no_room = |worker: WorkerId| RecycleError::NoRoom { pool: worker.pool };
                self.end_recycling(slot, |worker| refusal.unwrap_or_else(|| no_room(worker)));
            }
        }
        self.start_next();
    }

    /// Reminds the pool of the end of a substitute's time.
    pub(super) fn await_substitute(&mut self, slot: Slot, until: Instant, now: Instant) {
        let due = PoolMessage::Timer(PoolTimer::SubstituteDue { slot });
        let left = until.saturating_duration_since(now);
        self.substitutes.insert(slot, Timer::after(left, &self.myself, due));
    }

    /// A worker is ready that was started to take over from another: that one retires.
    pub(super) fn take_over(&mut self, life: Life) {
        let from = self.args.shared.plan().take_over(life.slot);
        let Some(from) = from else { return };
        self.substitutes.remove(&life.slot);
        self.restless.taken_over(from, life.slot);
        self.roster.set_duty(life.slot, Duty::Kept);
        let old = self.args.shared.present_life(from);
        let new = self.args.shared.life(life);
        self.counters.recycled += 1;
        let reason = self.recyclings.get_mut(from).map(|recycling| recycling.reason.clone());
        let (worker, successor) = (old.clone(), new.clone());
        self.args.shared.emit(Event::WorkerRecycled { worker, successor, reason });
        if let Some(recycling) = self.recyclings.get_mut(from) {
            recycling.change = Some((old, new));
        }
        self.retire(from, Retirement::Replaced);
    }

    /// A slot that was to be replaced, or that replaced another, is no more.
    pub(super) fn replacement_over(&mut self, slot: Slot, now: Instant) {
        if let Some(recycling) = self.recyclings.take(slot) {
            let result = match recycling.change.clone() {
                Some((old, new)) => Ok(Recycled { old, new, reason: recycling.reason.clone() }),
                None => Err(RecycleError::InTransit { worker: self.args.shared.worker(slot) }),
            };
            recycling.answer(&result);
        }
        self.begin_replacements(now);
    }

    pub(super) fn substitute_due(&mut self, slot: Slot, now: Instant) {
        let limit = self.replacement_limit();
        self.withdraw(slot, |worker| RecycleError::TimedOut { worker, limit }, now);
    }

    /// A substitute goes before it has taken over; whom it was to replace stays.
    pub(super) fn withdraw(&mut self, slot: Slot, why: impl FnOnce(WorkerId) -> RecycleError, now: Instant) {
        let duty = self.args.shared.plan().duty(slot);
        let Some(Duty::Substitute { of, .. }) = duty else { return };
        self.substitutes.remove(&slot);
        self.wear.not_replaced(of, now);
        self.end_recycling(of, why);
        self.retire(slot, Retirement::Withdrawn);
    }

    /// Sets the reminder to look how worn the workers are, where there is anything to look for.
    pub(super) fn await_wear(&mut self) {
        if self.wear.is_watched() {
            let due = PoolMessage::Timer(PoolTimer::WearDue);
            self.wear_timer = Some(Timer::after(LOOK_EVERY, &self.myself, due));
        }
    }

    pub(super) fn wear_due(&mut self, now: Instant) {
        for life in self.roster.ready_lives() {
            self.look_at_wear(life, now);
        }
        self.await_wear();
    }

    /// Has a worker replaced that is too worn.
    pub(super) fn look_at_wear(&mut self, life: Life, now: Instant) {
        let Some(ready) = self.roster.get(life) else { return };
        let is_going =
            self.roster.is_retiring(life.slot) || self.recyclings.has(life.slot) || self.is_put_off(life);
        if is_going || !self.wear.is_watched() {
            return;
        }
        let vitals = &ready.worker.vitals;
        let (served, failed) = vitals.totals();
        let facts = WearFacts {
            done: served + failed,
            running: vitals.running(),
            age: vitals.age(now),
            rss: vitals.rss(),
        };
        match self.wear.look(life, facts, now, chance()) {
            // A limit below what a worker needs from the start is reached by every one of them.
            Some(reason @ RecycleReason::Rss { .. }) => self.recycle_for_cause(life, reason, now),
            Some(reason) => self.recycle(life.slot, reason, None, now),
            None => {}
        }
    }

    fn end_recycling(&mut self, slot: Slot, why: impl FnOnce(WorkerId) -> RecycleError) {
        let error = why(self.args.shared.worker(slot));
        let worker = self.args.shared.worker(slot);
        self.args.shared.emit(Event::WorkerNotRecycled { worker, error: error.to_string() });
        if let Some(recycling) = self.recyclings.take(slot) {
            recycling.answer(&Err(error));
        }
        self.try_later(slot);
    }

    /// A worker that takes no more requests was not replaced: unless it leaves by itself, its slot serves nobody until it is.
    fn try_later(&mut self, slot: Slot) {
        let closed = self.roster.life(slot).filter(|life| self.roster.is_closed(*life));
        if let Some(life) = closed {
            let rest = self.restless.was_not_replaced(slot, chance());
            self.put_off(life, RecycleReason::Worker { why: TAKES_NO_MORE.to_owned() }, rest);
        }
    }

    /// How long a replacement may take: a boot that hangs, and one more chance.
    fn replacement_limit(&self) -> Duration {
        self.args.shared.options.startup_timeout.saturating_mul(2)
    }
}
