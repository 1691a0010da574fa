//! The roster: which slot has which worker, and which worker is free.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::WorkerLoss;
use crate::id::{Incarnation, Slot};
use crate::pool::message::Life;

/// The slots of a pool. `W` is what is known of a ready worker beyond how busy it is.
#[derive(Debug)]
pub(super) struct Roster<W> {
    places: Vec<Place<W>>,
    /// Slots that may have room, the one that waited longest first. An entry may be out of date; `listed` says that a
    /// slot has one.
    free: VecDeque<Slot>,
    /// How many requests the ready workers could take now, all together.
    room: usize,
}

#[derive(Debug)]
struct Place<W> {
    occupant: Occupant<W>,
    listed: bool,
    /// How often in a row the slot was given up.
    given_up: u32,
}

/// Who is in a slot.
#[derive(Debug)]
pub(super) enum Occupant<W> {
    /// A worker boots, or its Starter is about to start one.
    Starting,
    /// A worker takes requests.
    Ready(Ready<W>),
    /// Its Starter gave up; it is tried again later.
    Quarantined { last: Arc<WorkerLoss> },
}

/// A worker that takes requests.
#[derive(Debug)]
pub(super) struct Ready<W> {
    pub(super) incarnation: Incarnation,
    pub(super) since: Instant,
    pub(super) capacity: u16,
    pub(super) running: u16,
    /// How many of these an earlier life of the pool had asked for.
    inherited: u16,
    pub(super) worker: W,
}

/// How many slots are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RosterCounts {
    pub(super) total: usize,
    pub(super) available: usize,
    pub(super) busy: usize,
    pub(super) starting: usize,
    pub(super) quarantined: usize,
}

impl<W> Roster<W> {
    /// `size` slots, all about to start.
    pub(super) fn new(size: u16) -> Self {
        let place = || Place { occupant: Occupant::Starting, listed: false, given_up: 0 };
        Self { places: (0..size).map(|_| place()).collect(), free: VecDeque::new(), room: 0 }
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = (Slot, &Occupant<W>)> {
        // The places come first: counting past the last of them would overflow in the largest pool.
        self.places.iter().zip(0..).map(|(place, slot)| (Slot(slot), &place.occupant))
    }

    /// A worker is ready. It replaces whatever the slot had.
    pub(super) fn ready(&mut self, life: Life, capacity: u16, worker: W, now: Instant) {
        let Life { slot, incarnation } = life;
        if usize::from(slot.0) >= self.places.len() {
            return;
        }
        let ready = Ready { incarnation, since: now, capacity, running: 0, inherited: 0, worker };
        self.vacate(slot, Occupant::Ready(ready));
        self.room += usize::from(capacity);
        self.list(slot);
    }

    /// A worker that has just been entered still runs requests of an earlier life of the pool: their places are taken.
    pub(super) fn inherit(&mut self, slot: Slot, running: u32) {
        for _ in 0..running {
            if !self.take(slot, None) {
                return;
            }
            if let Some(ready) = self.ready_worker_mut(slot) {
                ready.inherited += 1;
            }
        }
    }

    /// Gives back a place that was inherited. Returns whether there was one.
    pub(super) fn release_inherited(&mut self, life: Life) -> bool {
        match self.ready_worker_mut(life.slot) {
            Some(ready) if ready.incarnation == life.incarnation && ready.inherited > 0 => {
                ready.inherited -= 1;
            }
            Some(_) | None => return false,
        }
        self.release(life)
    }

    /// A life ended, and its Starter is about to start the next. Returns whether it was the slot's present life.
    pub(super) fn lost(&mut self, life: Life, stable_after: Duration, now: Instant) -> bool {
        let Life { slot, incarnation } = life;
        let Some(place) = self.places.get_mut(usize::from(slot.0)) else { return false };
        match &place.occupant {
            Occupant::Ready(ready) if ready.incarnation == incarnation => {
                if now.saturating_duration_since(ready.since) >= stable_after {
                    place.given_up = 0;
                }
                self.vacate(slot, Occupant::Starting);
                true
            }
            Occupant::Ready(_) | Occupant::Starting | Occupant::Quarantined { .. } => false,
        }
    }

    /// The slot's Starter gave up. Returns how often in a row that has happened. The slot counts as quarantined until a
    /// worker of it is ready, so that a pool that has failed says so until it has healed.
    pub(super) fn given_up(&mut self, slot: Slot, last: Arc<WorkerLoss>) -> u32 {
        let Some(place) = self.places.get_mut(usize::from(slot.0)) else { return 0 };
        place.given_up += 1;
        let times = place.given_up;
        self.vacate(slot, Occupant::Quarantined { last });
        times
    }

    /// The loss that stands for all, where every slot has been given up.
    pub(super) fn failure(&self) -> Option<&Arc<WorkerLoss>> {
        let mut last = None;
        for place in &self.places {
            match &place.occupant {
                Occupant::Quarantined { last: loss } => last = Some(loss),
                Occupant::Starting | Occupant::Ready(_) => return None,
            }
        }
        last
    }

    /// Takes a place on the worker that has been free longest.
    pub(super) fn take_any(&mut self) -> Option<Life> {
        while let Some(slot) = self.free.pop_front() {
            self.places[usize::from(slot.0)].listed = false;
            if self.take(slot, None) {
                return self.life(slot);
            }
        }
        None
    }

    /// Takes a place on one worker, if it still lives and has room.
    pub(super) fn take_this(&mut self, life: Life) -> bool {
        self.take(life.slot, Some(life.incarnation))
    }

    /// Gives a place back. Returns whether it was one of the slot's present life.
    pub(super) fn release(&mut self, life: Life) -> bool {
        let Life { slot, incarnation } = life;
        let Some(ready) = self.ready_worker_mut(slot) else { return false };
        if ready.incarnation != incarnation || ready.running == 0 {
            return false;
        }
        ready.running -= 1;
        self.room += 1;
        self.list(slot);
        true
    }

    /// The worker in a slot, if it is ready and of this life.
    pub(super) fn get(&self, life: Life) -> Option<&Ready<W>> {
        self.ready_worker(life.slot).filter(|ready| ready.incarnation == life.incarnation)
    }

    /// Whether a life could take a request now.
    pub(super) fn has_room(&self, life: Life) -> bool {
        self.get(life).is_some_and(|ready| ready.running < ready.capacity)
    }

    /// How many requests the ready workers could take now, all together.
    pub(super) fn room(&self) -> usize {
        self.room
    }

    pub(super) fn counts(&self) -> RosterCounts {
        let mut counts = RosterCounts { total: self.places.len(), ..RosterCounts::default() };
        for place in &self.places {
            match &place.occupant {
                Occupant::Starting => counts.starting += 1,
                Occupant::Quarantined { .. } => counts.quarantined += 1,
                Occupant::Ready(ready) if ready.running < ready.capacity => counts.available += 1,
                Occupant::Ready(_) => counts.busy += 1,
            }
        }
        counts
    }

    pub(super) fn has_ready(&self) -> bool {
        self.places.iter().any(|place| matches!(place.occupant, Occupant::Ready(_)))
    }

    fn life(&self, slot: Slot) -> Option<Life> {
        self.ready_worker(slot).map(|ready| Life { slot, incarnation: ready.incarnation })
    }

    fn ready_worker(&self, slot: Slot) -> Option<&Ready<W>> {
        match &self.places.get(usize::from(slot.0))?.occupant {
            Occupant::Ready(ready) => Some(ready),
            Occupant::Starting | Occupant::Quarantined { .. } => None,
        }
    }

    fn ready_worker_mut(&mut self, slot: Slot) -> Option<&mut Ready<W>> {
        match &mut self.places.get_mut(usize::from(slot.0))?.occupant {
            Occupant::Ready(ready) => Some(ready),
            Occupant::Starting | Occupant::Quarantined { .. } => None,
        }
    }

    fn take(&mut self, slot: Slot, incarnation: Option<Incarnation>) -> bool {
        let Some(ready) = self.ready_worker_mut(slot) else { return false };
        let wanted = incarnation.is_none_or(|incarnation| incarnation == ready.incarnation);
        if !wanted || ready.running >= ready.capacity {
            return false;
        }
        ready.running += 1;
        let has_room = ready.running < ready.capacity;
        self.room -= 1;
        if has_room {
            self.list(slot);
        }
        true
    }

    /// Changes who is in a slot; the room that the former had is gone.
    fn vacate(&mut self, slot: Slot, next: Occupant<W>) {
        let former = std::mem::replace(&mut self.places[usize::from(slot.0)].occupant, next);
        if let Occupant::Ready(ready) = former {
            self.room -= usize::from(ready.capacity - ready.running);
        }
    }

    /// Puts a slot at the end of the free ones, once.
    fn list(&mut self, slot: Slot) {
        let place = &mut self.places[usize::from(slot.0)];
        if !place.listed {
            place.listed = true;
            self.free.push_back(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::LossCause;
    use crate::id::{PoolName, WorkerId, WorkerLife};
    use proptest::prelude::*;

    fn loss(slot: u16) -> Arc<WorkerLoss> {
        let worker = WorkerId { pool: PoolName::new("p").unwrap(), slot: Slot(slot) };
        let life = WorkerLife { worker, incarnation: Incarnation(1) };
        Arc::new(WorkerLoss { life, cause: LossCause::Disconnected, stderr_tail: Vec::new() })
    }

    fn life(slot: u16, incarnation: u64) -> Life {
        Life { slot: Slot(slot), incarnation: Incarnation(incarnation) }
    }

    fn roster(capacities: &[u16]) -> Roster<()> {
        let mut roster = Roster::new(u16::try_from(capacities.len()).unwrap());
        for (slot, capacity) in (0..).zip(capacities) {
            roster.ready(life(slot, 1), *capacity, (), Instant::now());
        }
        roster
    }

    fn taken(roster: &mut Roster<()>) -> Option<u16> {
        roster.take_any().map(|life| life.slot.0)
    }

    #[test]
    fn work_goes_to_whoever_has_been_free_longest() {
        let mut roster = roster(&[1, 1, 1]);
        assert_eq!([taken(&mut roster), taken(&mut roster)], [Some(0), Some(1)]);
        assert!(roster.release(life(1, 1)));
        assert!(roster.release(life(0, 1)));
        assert_eq!([taken(&mut roster), taken(&mut roster), taken(&mut roster)], [Some(2), Some(1), Some(0)]);
        assert_eq!(taken(&mut roster), None);
    }

    #[test]
    fn room_for_two_is_given_twice_and_spread() {
        let mut roster = roster(&[2, 2]);
        let order: Vec<_> = std::iter::from_fn(|| taken(&mut roster)).collect();
        assert_eq!(order, [0, 1, 0, 1]);
    }

    #[test]
    fn a_wanted_worker_is_taken_only_in_its_life_and_with_room() {
        let mut roster = roster(&[1, 1]);
        assert!(!roster.take_this(life(1, 2)));
        assert!(roster.take_this(life(1, 1)));
        assert!(!roster.take_this(life(1, 1)));
        // Its entry among the free ones is out of date and is passed over.
        assert_eq!([taken(&mut roster), taken(&mut roster)], [Some(0), None]);
    }

    #[test]
    fn a_lost_life_gives_nothing_back() {
        let mut roster = roster(&[1]);
        assert_eq!(taken(&mut roster), Some(0));
        assert!(!roster.lost(life(0, 9), Duration::ZERO, Instant::now()));
        assert!(roster.lost(life(0, 1), Duration::ZERO, Instant::now()));
        assert!(!roster.release(life(0, 1)));
        roster.ready(life(0, 2), 1, (), Instant::now());
        assert!(!roster.release(life(0, 1)));
        assert_eq!([taken(&mut roster), taken(&mut roster)], [Some(0), None]);
    }

    #[test]
    fn an_inherited_place_is_given_back_once() {
        let mut roster = roster(&[2]);
        roster.inherit(Slot(0), 1);
        assert_eq!((roster.room(), taken(&mut roster), taken(&mut roster)), (1, Some(0), None));
        assert!(!roster.release_inherited(life(0, 2)));
        assert!(roster.release_inherited(life(0, 1)));
        assert!(!roster.release_inherited(life(0, 1)), "the other place was asked for here");
        assert_eq!((taken(&mut roster), taken(&mut roster)), (Some(0), None));
    }

    #[test]
    fn no_more_is_inherited_than_there_are_places() {
        let mut roster = roster(&[1]);
        roster.inherit(Slot(0), 7);
        assert!(roster.release_inherited(life(0, 1)));
        assert!(!roster.release_inherited(life(0, 1)));
        assert_eq!(roster.room(), 1);
    }

    #[test]
    fn a_pool_has_failed_when_every_slot_is_given_up() {
        let mut roster = Roster::<()>::new(2);
        assert_eq!(roster.given_up(Slot(0), loss(0)), 1);
        assert_eq!(roster.failure(), None);
        assert_eq!(roster.given_up(Slot(1), loss(1)), 1);
        assert_eq!(roster.failure(), Some(&loss(1)));
        roster.ready(life(0, 2), 1, (), Instant::now());
        assert_eq!(roster.failure(), None);
    }

    #[test]
    fn giving_up_counts_in_a_row_until_a_stable_life() {
        let now = Instant::now();
        let minute = Duration::from_mins(1);
        let mut roster = Roster::<()>::new(1);
        assert_eq!(roster.given_up(Slot(0), loss(0)), 1);
        roster.ready(life(0, 2), 1, (), now);
        roster.lost(life(0, 2), minute, now + Duration::from_secs(59));
        assert_eq!(roster.given_up(Slot(0), loss(0)), 2);
        roster.ready(life(0, 3), 1, (), now);
        roster.lost(life(0, 3), minute, now + minute);
        assert_eq!(roster.given_up(Slot(0), loss(0)), 1);
    }

    proptest! {
        #[test]
        fn no_place_is_given_twice_and_none_is_lost(steps in prop::collection::vec((0u8..4, 0u16..4), 0..200)) {
            let mut roster = roster(&[1, 2, 1, 3]);
            let capacity = [1u16, 2, 1, 3];
            let mut running = [0u16; 4];
            for (step, slot) in steps {
                match step {
                    0 => if let Some(slot) = taken(&mut roster) { running[usize::from(slot)] += 1; },
                    1 => if roster.take_this(life(slot, 1)) { running[usize::from(slot)] += 1; },
                    _ => if roster.release(life(slot, 1)) { running[usize::from(slot)] -= 1; },
                }
                prop_assert!(running.iter().zip(capacity).all(|(running, capacity)| *running <= capacity));
            }
            let room: u16 = capacity.iter().zip(running).map(|(capacity, running)| capacity - running).sum();
            prop_assert_eq!(roster.room(), usize::from(room));
            let given = std::iter::from_fn(|| taken(&mut roster)).count();
            prop_assert_eq!(given, usize::from(room));
        }
    }
}
