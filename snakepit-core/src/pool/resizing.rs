//! How many slots the pool has: more or fewer, as it is told.

use std::cmp::Reverse;

use ractor::RpcReplyPort;

use crate::error::ResizeError;
use crate::id::Slot;
use crate::pool::actor::PoolState;
use crate::pool::message::Resized;
use crate::pool::roster::{Occupant, Roster};
use crate::pool::slot_plan::{Duty, Retirement};
use crate::telemetry::Event;

/// How little the pool loses with a slot, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Loss {
    /// Its Starter gave up: it has no worker.
    Nothing,
    /// Its worker boots.
    Boot,
    /// Its worker is to be replaced anyway.
    Replaced,
    /// Its worker has nothing to do.
    Idle,
    /// Its worker has to finish what it has.
    Busy,
}

impl PoolState {
    pub(super) fn resize(&mut self, size: u16, reply: RpcReplyPort<Result<Resized, ResizeError>>) {
        let answer = if self.closing.is_some() {
            Err(ResizeError::ShuttingDown { pool: self.args.shared.name.clone() })
        } else {
            let from = self.args.shared.plan().resize(size);
            self.args.shared.emit(Event::PoolResized { pool: self.args.shared.name.clone(), from, to: size });
            self.man_slots();
            self.tell_ready();
            Ok(Resized { from, to: size })
        };
        // Whoever asked may have stopped waiting; the pool has the new size all the same.
        let _ = reply.send(answer);
    }

    /// Brings the slots to the number that the plan says.
    pub(super) fn man_slots(&mut self) {
        if self.closing.is_some() {
            return;
        }
        let added = self.args.shared.plan().fill();
        for slot in added {
            self.roster.add(slot, Duty::Kept);
            self.boots.ask(slot);
        }
        let surplus = self.args.shared.plan().surplus();
        if surplus > 0 {
            let replaced: Vec<_> = self.substituted();
            for slot in spare(&self.roster, &replaced, surplus) {
                self.retire(slot, Retirement::Surplus);
            }
        }
        self.start_next();
    }

    /// The slots from which others are about to take over.
    fn substituted(&self) -> Vec<Slot> {
        let of = |(_, duty)| match duty {
            Duty::Substitute { of, .. } => Some(of),
            Duty::Kept | Duty::Retiring { .. } => None,
        };
        self.args.shared.plan().slots().filter_map(of).collect()
    }
}

/// The slots that the pool can do best without; among equals the highest numbers.
fn spare<W>(roster: &Roster<W>, replaced: &[Slot], count: usize) -> Vec<Slot> {
    let kept = roster.slots().filter(|(_, place)| place.duty == Duty::Kept);
    let mut ranked: Vec<_> = kept
        .map(|(slot, place)| {
            let loss = match &place.occupant {
                Occupant::Quarantined { .. } => Loss::Nothing,
                Occupant::Starting => Loss::Boot,
                Occupant::Ready(_) if replaced.contains(&slot) => Loss::Replaced,
                Occupant::Ready(ready) if ready.running == 0 => Loss::Idle,
                Occupant::Ready(_) => Loss::Busy,
            };
            (loss, Reverse(slot))
        })
        .collect();
    ranked.sort_unstable();
    ranked.into_iter().take(count).map(|(_, Reverse(slot))| slot).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{LossCause, WorkerLoss};
    use crate::id::{Incarnation, PoolName, WorkerId, WorkerLife};
    use crate::pool::message::Life;
    use crate::pool::roster::Seats;
    use std::sync::Arc;
    use tokio::time::Instant;

    #[test]
    fn a_pool_does_first_without_what_serves_it_least() {
        let mut roster = Roster::default();
        for slot in 0..7 {
            roster.add(Slot(slot), Duty::Kept);
        }
        let seats = Seats { capacity: 1, prefetch: 0 };
        for slot in [0, 1, 3, 4] {
            let life = Life { slot: Slot(slot), incarnation: Incarnation(1) };
            roster.ready(life, seats, (), Instant::now());
        }
        assert!(roster.take_this(Life { slot: Slot(4), incarnation: Incarnation(1) }));
        let worker = WorkerId { pool: PoolName::new("p").unwrap(), slot: Slot(2) };
        let life = WorkerLife { worker, incarnation: Incarnation(1) };
        let loss = WorkerLoss { life, cause: LossCause::Disconnected, stderr_tail: Vec::new() };
        roster.given_up(Slot(2), Arc::new(loss));
        roster.set_duty(Slot(6), Duty::Retiring { reason: Retirement::Surplus });
        let order: Vec<_> = spare(&roster, &[Slot(0)], 9).into_iter().map(|slot| slot.0).collect();
        assert_eq!(order, [2, 5, 0, 3, 1, 4]);
        assert_eq!(spare(&roster, &[], 1), [Slot(2)]);
    }
}
