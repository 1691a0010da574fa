//! What of the pool's condition is told to operators when it changes.

use crate::id::Slot;
use crate::pool::actor::PoolState;
use crate::pool::message::Life;
use crate::pool::roster::{Occupant, Place};
use crate::telemetry::Event;

/// How the pool and one of its slots stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    has_ready: bool,
    has_failed: bool,
    slot_rests: bool,
}

impl PoolState {
    pub(super) fn condition(&self, slot: Slot) -> Condition {
        let rests = |(of, place): (Slot, &Place<_>)| {
            of == slot && matches!(place.occupant, Occupant::Quarantined { .. })
        };
        Condition {
            has_ready: self.roster.has_ready(),
            has_failed: self.was_down || self.roster.failure().is_some(),
            slot_rests: self.roster.slots().any(rests),
        }
    }

    /// A worker has become ready: tells what that changes.
    pub(super) fn tell_condition(&mut self, before: Condition, life: Life) {
        self.was_down = false;
        let shared = &self.args.shared;
        let pool = || shared.name.clone();
        if before.slot_rests {
            shared.emit(Event::SlotHealed { worker: shared.life(life) });
        }
        if before.has_failed {
            shared.emit(Event::PoolRecovered { pool: pool() });
        }
        if !before.has_ready {
            shared.emit(Event::PoolReady { pool: pool() });
        }
    }
}
