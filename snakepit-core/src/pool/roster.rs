//! The roster: which slot has which worker, and which worker is free.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::WorkerLoss;
use crate::id::{Incarnation, Slot};
use crate::pool::message::Life;
use crate::pool::placement::Room;
use crate::pool::slot_plan::Duty;

mod place;
#[cfg(test)]
mod tests;

pub(super) use place::{Occupant, Place, Ready, Seats};

/// The slots of a pool. `W` is what is known of a ready worker beyond how busy it is.
#[derive(Debug)]
pub(super) struct Roster<W> {
    /// By number; a number that no slot has is empty.
    places: Vec<Option<Place<W>>>,
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

impl<W> Default for Roster<W> {
    fn default() -> Self {
        Self { places: Vec::new(), free: VecDeque::new(), ahead: VecDeque::new(), room: 0, room_ahead: 0 }
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
    pub(super) retiring: usize,
}

impl<W> Roster<W> {
    /// A slot that is about to start. One that there is already stays as it is.
    pub(super) fn add(&mut self, slot: Slot, duty: Duty) {
        let index = usize::from(slot.0);
        if self.places.len() <= index {
            self.places.resize_with(index + 1, || None);
        }
        self.places[index].get_or_insert_with(|| Place::new(duty));
    }

    /// Changes what a slot is there for. The worker of one that retires has no room any more.
    pub(super) fn set_duty(&mut self, slot: Slot, duty: Duty) {
        self.change(slot, |place| place.duty = duty);
        self.list(slot);
    }

    /// A slot is no more.
    pub(super) fn remove(&mut self, slot: Slot) {
        self.change(slot, |place| place.occupant = Occupant::Starting);
        if let Some(place) = self.places.get_mut(usize::from(slot.0)) {
            *place = None;
        }
        // Its number may be used again, and would then be listed twice.
        self.free.retain(|other| *other != slot);
        self.ahead.retain(|other| *other != slot);
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = (Slot, &Place<W>)> {
        // The places come first: counting past the last of them would overflow in the largest pool.
        self.places.iter().zip(0..).filter_map(|(place, slot)| Some((Slot(slot), place.as_ref()?)))
    }

    /// A worker is ready. It replaces whatever the slot had.
    pub(super) fn ready(&mut self, life: Life, seats: Seats, worker: W, now: Instant) {
        let Life { slot, incarnation } = life;
        let ready = Ready { incarnation, since: now, seats, running: 0, inherited: 0, abandoned: 0, worker };
        self.change(slot, |place| place.occupant = Occupant::Ready(ready));
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

    /// The caller of a request that a worker has is gone or answered. Returns whether the worker is the slot's present life.
    pub(super) fn abandon(&mut self, life: Life) -> bool {
        match self.ready_worker_mut(life.slot) {
            Some(ready) if ready.incarnation == life.incarnation => {
                ready.abandoned = ready.abandoned.saturating_add(1);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Gives back the place of a request that had been abandoned. Returns whether it was one of the slot's present life.
    pub(super) fn release_abandoned(&mut self, life: Life) -> bool {
        if let Some(ready) = self.ready_worker_mut(life.slot)
            && ready.incarnation == life.incarnation
        {
            ready.abandoned = ready.abandoned.saturating_sub(1);
        }
        self.release(life)
    }

    /// A life ended, and its Starter is about to start the next. Returns whether it was the slot's present life.
    pub(super) fn lost(&mut self, life: Life, stable_after: Duration, now: Instant) -> bool {
        let Life { slot, incarnation } = life;
        match self.ready_worker(slot) {
            Some(ready) if ready.incarnation == incarnation => {
                let was_stable = now.saturating_duration_since(ready.since) >= stable_after;
                self.change(slot, |place| {
                    place.occupant = Occupant::Starting;
                    if was_stable {
                        place.given_up = 0;
                    }
                });
                true
            }
            Some(_) | None => false,
        }
    }

    /// The slot's Starter gave up. Returns how often in a row that has happened. The slot counts as quarantined until a
    /// worker of it is ready, so that a pool that has failed says so until it has healed.
    pub(super) fn given_up(&mut self, slot: Slot, last: Arc<WorkerLoss>) -> u32 {
        self.change(slot, |place| {
            place.given_up += 1;
            place.occupant = Occupant::Quarantined { last };
            place.given_up
        })
        .unwrap_or(0)
    }

    /// The loss that stands for all, where every slot that the pool is to have has been given up. A slot that is only about
    /// to take over from another changes nothing until it has.
    pub(super) fn failure(&self) -> Option<&Arc<WorkerLoss>> {
        let mut last = None;
        for (_, place) in self.slots().filter(|(_, place)| place.duty == Duty::Kept) {
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
            if let Some(place) = self.place_mut(slot) {
                place.listed = false;
            }
            if self.room_in(slot) == Room::Free && self.take(slot, None) {
                return self.life(slot);
            }
            self.list(slot);
        }
        while let Some(slot) = self.ahead.pop_front() {
            if let Some(place) = self.place_mut(slot) {
                place.listed_ahead = false;
            }
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

    /// Takes a place on a worker that retires, for a request that has waited for this very worker.
    pub(super) fn take_last(&mut self, life: Life) -> bool {
        let is_retiring = self.place(life.slot).is_some_and(Place::is_retiring);
        match self.ready_worker_mut(life.slot) {
            Some(ready)
                if is_retiring && ready.incarnation == life.incarnation && ready.room() > Room::Full =>
            {
                ready.running += 1;
                true
            }
            Some(_) | None => false,
        }
    }

    /// A worker takes no more requests, for as long as it lives.
    pub(super) fn takes_no_more(&mut self, life: Life) {
        if self.get(life).is_some() {
            self.change(life.slot, |place| {
                if let Some(ready) = place.ready_mut() {
                    ready.seats = Seats { capacity: 0, prefetch: 0 };
                }
            });
        }
    }

    /// Whether a worker lives that takes no more requests, although nobody told it to leave.
    pub(super) fn is_closed(&self, life: Life) -> bool {
        self.get(life).is_some_and(Ready::is_closed)
    }

    /// Gives a place back. Returns whether it was one of the slot's present life.
    pub(super) fn release(&mut self, life: Life) -> bool {
        let is_of_this_life = |ready: &Ready<W>| ready.incarnation == life.incarnation && ready.running > 0;
        if !self.ready_worker(life.slot).is_some_and(is_of_this_life) {
            return false;
        }
        self.change(life.slot, |place| {
            if let Some(ready) = place.ready_mut() {
                ready.running -= 1;
            }
        });
        self.list(life.slot);
        true
    }

    /// The worker in a slot, if it is ready and of this life.
    pub(super) fn get(&self, life: Life) -> Option<&Ready<W>> {
        self.ready_worker(life.slot).filter(|ready| ready.incarnation == life.incarnation)
    }

    /// What room a life has.
    pub(super) fn room_of(&self, life: Life) -> Room {
        if self.get(life).is_some() { self.room_in(life.slot) } else { Room::Full }
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

    /// How many requests the ready workers have.
    pub(super) fn running(&self) -> usize {
        self.slots().filter_map(|(_, place)| place.ready()).map(|ready| usize::from(ready.running)).sum()
    }

    pub(super) fn counts(&self) -> RosterCounts {
        let mut counts = RosterCounts::default();
        for (_, place) in self.slots() {
            counts.total += 1;
            match &place.occupant {
                // One that has declined a request serves nobody any more, although its slot is to stay.
                _ if place.is_leaving() => counts.retiring += 1,
                Occupant::Starting => counts.starting += 1,
                Occupant::Quarantined { .. } => counts.quarantined += 1,
                Occupant::Ready(ready) if ready.room() == Room::Free => counts.available += 1,
                Occupant::Ready(_) => counts.busy += 1,
            }
        }
        counts
    }

    /// The lives that take requests.
    pub(super) fn ready_lives(&self) -> Vec<Life> {
        self.slots()
            .filter_map(|(slot, place)| Some(Life { slot, incarnation: place.serving()?.incarnation }))
            .collect()
    }

    /// Whether any life takes requests.
    pub(super) fn has_ready(&self) -> bool {
        self.slots().any(|(_, place)| place.serving().is_some())
    }

    /// Whether a life takes no more requests, however ready it is.
    pub(super) fn is_retiring(&self, slot: Slot) -> bool {
        self.place(slot).is_some_and(Place::is_retiring)
    }

    /// Whether nobody waits for anything that the worker of a slot has.
    pub(super) fn is_at_rest(&self, slot: Slot) -> bool {
        self.ready_worker(slot).is_none_or(|ready| ready.awaited() == 0)
    }

    pub(super) fn place(&self, slot: Slot) -> Option<&Place<W>> {
        self.places.get(usize::from(slot.0))?.as_ref()
    }

    /// The life that is ready in a slot.
    pub(super) fn life(&self, slot: Slot) -> Option<Life> {
        self.ready_worker(slot).map(|ready| Life { slot, incarnation: ready.incarnation })
    }

    fn place_mut(&mut self, slot: Slot) -> Option<&mut Place<W>> {
        self.places.get_mut(usize::from(slot.0))?.as_mut()
    }

    fn ready_worker(&self, slot: Slot) -> Option<&Ready<W>> {
        self.place(slot)?.ready()
    }

    fn ready_worker_mut(&mut self, slot: Slot) -> Option<&mut Ready<W>> {
        self.place_mut(slot)?.ready_mut()
    }

    fn take(&mut self, slot: Slot, incarnation: Option<Incarnation>) -> bool {
        let Some(ready) = self.ready_worker(slot) else { return false };
        let wanted = incarnation.is_none_or(|incarnation| incarnation == ready.incarnation);
        if !wanted || self.room_in(slot) == Room::Full {
            return false;
        }
        self.change(slot, |place| {
            if let Some(ready) = place.ready_mut() {
                ready.running += 1;
            }
        });
        self.list(slot);
        true
    }

    fn room_in(&self, slot: Slot) -> Room {
        self.place(slot).map_or(Room::Full, Place::room)
    }

    /// Changes a place, and with it how much room there is all together.
    fn change<R>(&mut self, slot: Slot, change: impl FnOnce(&mut Place<W>) -> R) -> Option<R> {
        let place = self.places.get_mut(usize::from(slot.0))?.as_mut()?;
        let (free, ahead) = place.rooms();
        let changed = change(place);
        let (free_now, ahead_now) = place.rooms();
        self.room = self.room - free + free_now;
        self.room_ahead = self.room_ahead - ahead + ahead_now;
        Some(changed)
    }

    /// Puts a slot at the end of those that have the room that it has, once.
    fn list(&mut self, slot: Slot) {
        let room = self.room_in(slot);
        let Some(place) = self.places.get_mut(usize::from(slot.0)).and_then(Option::as_mut) else { return };
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
