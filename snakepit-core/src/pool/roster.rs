//! The roster: which slot has which worker, and which worker is free.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::WorkerLoss;
use crate::id::{Incarnation, Slot};
use crate::pool::message::Life;
use crate::pool::placement::Room;

/// The slots of a pool. `W` is what is known of a ready worker beyond how busy it is.
#[derive(Debug)]
pub(super) struct Roster<W> {
    places: Vec<Place<W>>,
    /// Slots that may have room, the one that waited longest first. An entry may be out of date; `listed` says that a
    /// slot has one.
    free: VecDeque<Slot>,
    /// The same for slots that have no room but may be handed requests ahead.
    ahead: VecDeque<Slot>,
    /// How many requests the ready workers could take now, all together.
    room: usize,
    /// How many they could be handed beyond that.
    room_ahead: usize,
}

#[derive(Debug)]
struct Place<W> {
    occupant: Occupant<W>,
    /// Whether the slot is among the free ones.
    listed: bool,
    /// Whether it is among those that may be handed requests ahead.
    listed_ahead: bool,
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

/// How many requests a worker may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seats {
    /// That it runs at once.
    pub(super) capacity: u16,
    /// That it is handed beyond those, ahead of their turn.
    pub(super) prefetch: u16,
}

/// A worker that takes requests.
#[derive(Debug)]
pub(super) struct Ready<W> {
    pub(super) incarnation: Incarnation,
    pub(super) since: Instant,
    pub(super) seats: Seats,
    /// How many requests it has, those that it was handed ahead included.
    pub(super) running: u16,
    /// How many of these an earlier life of the pool had asked for.
    inherited: u16,
    pub(super) worker: W,
}

impl<W> Ready<W> {
    fn room(&self) -> Room {
        if self.running < self.seats.capacity {
            Room::Free
        } else if self.running < self.seats.capacity.saturating_add(self.seats.prefetch) {
            Room::Ahead
        } else {
            Room::Full
        }
    }

    /// How many requests it could take now, and how many it could be handed beyond that.
    fn rooms(&self) -> (usize, usize) {
        let over = self.running.saturating_sub(self.seats.capacity);
        let free = self.seats.capacity.saturating_sub(self.running);
        (usize::from(free), usize::from(self.seats.prefetch.saturating_sub(over)))
    }
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
        let place =
            || Place { occupant: Occupant::Starting, listed: false, listed_ahead: false, given_up: 0 };
        Self {
            places: (0..size).map(|_| place()).collect(),
            free: VecDeque::new(),
            ahead: VecDeque::new(),
            room: 0,
            room_ahead: 0,
        }
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = (Slot, &Occupant<W>)> {
        // The places come first: counting past the last of them would overflow in the largest pool.
        self.places.iter().zip(0..).map(|(place, slot)| (Slot(slot), &place.occupant))
    }

    /// A worker is ready. It replaces whatever the slot had.
    pub(super) fn ready(&mut self, life: Life, seats: Seats, worker: W, now: Instant) {
        let Life { slot, incarnation } = life;
        if usize::from(slot.0) >= self.places.len() {
            return;
        }
        let ready = Ready { incarnation, since: now, seats, running: 0, inherited: 0, worker };
        let (room, room_ahead) = ready.rooms();
        self.vacate(slot, Occupant::Ready(ready));
        self.room += room;
        self.room_ahead += room_ahead;
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

    /// Takes a place on the worker that has been free longest; where none is free, on each in its turn that may be handed
    /// a request ahead.
    pub(super) fn take_any(&mut self) -> Option<Life> {
        while let Some(slot) = self.free.pop_front() {
            self.places[usize::from(slot.0)].listed = false;
            if self.room_in(slot) == Room::Free && self.take(slot, None) {
                return self.life(slot);
            }
            self.list(slot);
        }
        while let Some(slot) = self.ahead.pop_front() {
            self.places[usize::from(slot.0)].listed_ahead = false;
            if self.take(slot, None) {
                return self.life(slot);
            }
        }
        None
    }

    /// Takes a place on one worker, if it still lives and has room, if only ahead.
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
        match ready.room() {
            Room::Free => self.room += 1,
            Room::Ahead | Room::Full => self.room_ahead += 1,
        }
        self.list(slot);
        true
    }

    /// The worker in a slot, if it is ready and of this life.
    pub(super) fn get(&self, life: Life) -> Option<&Ready<W>> {
        self.ready_worker(life.slot).filter(|ready| ready.incarnation == life.incarnation)
    }

    /// What room a life has.
    pub(super) fn room_of(&self, life: Life) -> Room {
        self.get(life).map_or(Room::Full, Ready::room)
    }

    /// The best room that any worker has.
    pub(super) fn best_room(&self) -> Room {
        match (self.room, self.room_ahead) {
            (0, 0) => Room::Full,
            (0, _) => Room::Ahead,
            (_, _) => Room::Free,
        }
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
                Occupant::Ready(ready) if ready.room() == Room::Free => counts.available += 1,
                Occupant::Ready(_) => counts.busy += 1,
            }
        }
        counts
    }

    pub(super) fn ready_lives(&self) -> Vec<Life> {
        self.slots().filter_map(|(slot, _)| self.life(slot)).collect()
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
        let room = ready.room();
        if !wanted || room == Room::Full {
            return false;
        }
        ready.running += 1;
        match room {
            Room::Free => self.room -= 1,
            Room::Ahead | Room::Full => self.room_ahead -= 1,
        }
        self.list(slot);
        true
    }

    fn room_in(&self, slot: Slot) -> Room {
        self.ready_worker(slot).map_or(Room::Full, Ready::room)
    }

    /// Changes who is in a slot; the room that the former had is gone.
    fn vacate(&mut self, slot: Slot, next: Occupant<W>) {
        let former = std::mem::replace(&mut self.places[usize::from(slot.0)].occupant, next);
        if let Occupant::Ready(ready) = former {
            let (room, room_ahead) = ready.rooms();
            self.room -= room;
            self.room_ahead -= room_ahead;
        }
    }

    /// Puts a slot at the end of those that have the room that it has, once.
    fn list(&mut self, slot: Slot) {
        let room = self.room_in(slot);
        let place = &mut self.places[usize::from(slot.0)];
        match room {
            Room::Free if !place.listed => {
                place.listed = true;
                self.free.push_back(slot);
            }
            Room::Ahead if !place.listed_ahead => {
                place.listed_ahead = true;
                self.ahead.push_back(slot);
            }
            Room::Free | Room::Ahead | Room::Full => {}
        }
    }
}

#[cfg(test)]
mod tests;
