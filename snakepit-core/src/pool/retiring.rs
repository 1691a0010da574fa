//! Slots that go: no more requests, those that the worker has finished, then its Starter stopped and the slot forgotten.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::{info, warn};

use crate::error::{LossCause, RecycleError, WorkerLoss};
use crate::id::{Slot, WorkerLife};
use crate::pool::actor::PoolState;
use crate::pool::message::{Life, SlotReport};
use crate::pool::slot_plan::{Claim, Clearance, Duty, Retirement};

impl PoolState {
    /// A slot takes no more requests, and goes when its worker has nothing left that anybody waits for.
    pub(super) fn retire(&mut self, slot: Slot, reason: Retirement) {
        let substitute = {
            let mut plan = self.args.shared.plan();
            plan.retire(slot, reason);
            plan.substitute_of(slot)
        };
        if let Some(substitute) = substitute {
            self.withdraw(substitute, |worker| RecycleError::InTransit { worker }, Instant::now());
        }
        self.quarantines.remove(&slot);
        self.boots.forget(slot);
        self.roster.set_duty(slot, Duty::Retiring { reason });
        self.retiring.insert(slot);
        info!(pool = %self.args.shared.name, %slot, ?reason, "slot retires");
    }

    /// Lets go of the slots whose workers have nothing left to do. Called after every message.
    pub(super) fn clear_retired(&mut self, now: Instant) {
        if self.retiring.is_empty() || self.closing.is_some() {
            return;
        }
        let is_done = |slot: &&Slot| self.roster.is_at_rest(**slot) && !self.line.has_pins_in(**slot);
        let done: Vec<_> = self.retiring.iter().filter(is_done).copied().collect();
        for slot in done {
            let clearance = self.args.shared.plan().clear(slot);
            match clearance {
                Clearance::Forget => self.slot_cleared(slot, now),
                // What came of its start is said, and then it is looked at again.
                Clearance::Wait => {}
                Clearance::Stop(claim, starter) => {
                    self.retiring.remove(&slot);
                    self.stop_starter(slot, claim, starter);
                }
            }
        }
    }

    fn stop_starter(&self, slot: Slot, claim: Claim, starter: ractor::ActorCell) {
        let (starters, shared) = (self.args.starters.clone(), Arc::clone(&self.args.shared));
        // Asked in a task: a worker may take its grace to leave.
        tokio::spawn(async move {
            // Whatever the answer is, the Starter is gone: it was stopped, or had gone by itself, or with all others.
            if let Err(error) = starters.terminate_child(starter).await
                && !shared.is_stopping()
            {
                warn!(pool = %shared.name, %slot, %error, "the starter of a retired slot had gone already");
            }
            shared.plan().starter_ended(slot, claim);
            shared.reporter().slot(SlotReport::Cleared { slot });
        });
    }

    /// Nothing is left of a slot that retired. Old news of another slot of that number are passed over.
    pub(super) fn slot_cleared(&mut self, slot: Slot, now: Instant) {
        let is_cleared = {
            let plan = self.args.shared.plan();
            let is_retiring = matches!(plan.duty(slot), Some(Duty::Retiring { .. }));
            is_retiring && plan.clear(slot) == Clearance::Forget
        };
        if !is_cleared {
            return;
        }
        self.worker_left(self.args.shared.present_life(slot), now);
        self.retiring.remove(&slot);
        self.roster.remove(slot);
        self.args.shared.plan().forget(slot);
        self.args.shared.forget_slot(slot);
        self.wear.forget(slot);
        self.restless.forget(slot);
        self.put_off.remove(&slot);
        self.replacement_over(slot, now);
        // In the largest pool another slot may have waited for this number.
        self.man_slots();
    }

    /// A life has ended as it was asked to. Nobody waits for what it may still have had, unless it was stopped in haste.
    fn worker_left(&mut self, worker: WorkerLife, now: Instant) {
        let life = Life::from(&worker);
        self.lives.over(life);
        let loss =
            Arc::new(WorkerLoss { life: worker, cause: LossCause::ActorEnded, stderr_tail: Vec::new() });
        for id in self.in_flight.on_worker(life) {
            self.request_lost(id, &loss, now);
        }
        self.give_up_pins(life.slot);
    }

    /// Gives a worker that retires the requests that have waited for it, and may run nowhere else.
    pub(super) fn serve_last(&mut self, life: Life, now: Instant) {
        while self.line.has_pins_to(life) && self.roster.take_last(life) {
            let Some(id) = self.line.next_pinned(life) else { return };
            self.dispatch(id, life, now);
        }
    }
}
