//! One slot in the roster: who is in it, what it is there for, and what room it has.

use std::sync::Arc;

use tokio::time::Instant;

use crate::error::WorkerLoss;
use crate::id::Incarnation;
use crate::pool::placement::Room;
use crate::pool::slot_plan::Duty;

/// A slot and who is in it.
#[derive(Debug)]
pub(in crate::pool) struct Place<W> {
    pub(in crate::pool) occupant: Occupant<W>,
    pub(in crate::pool) duty: Duty,
    /// Whether the slot is among the free ones.
    pub(super) listed: bool,
    /// Whether it is among those that may be handed requests ahead.
    pub(super) listed_ahead: bool,
    /// How often in a row the slot was given up.
    pub(super) given_up: u32,
}

/// Who is in a slot.
#[derive(Debug)]
pub(in crate::pool) enum Occupant<W> {
    /// A worker boots, or its Starter is about to start one.
    Starting,
    /// A worker takes requests.
    Ready(Ready<W>),
    /// Its Starter gave up; it is tried again later.
    Quarantined { last: Arc<WorkerLoss> },
}

/// How many requests a worker may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) struct Seats {
    /// That it runs at once.
    pub(in crate::pool) capacity: u16,
    /// That it is handed beyond those, ahead of their turn.
    pub(in crate::pool) prefetch: u16,
}

/// A worker that takes requests.
#[derive(Debug)]
pub(in crate::pool) struct Ready<W> {
    pub(in crate::pool) incarnation: Incarnation,
    pub(in crate::pool) since: Instant,
    pub(in crate::pool) seats: Seats,
    /// How many requests it has, those that it was handed ahead included.
    pub(in crate::pool) running: u16,
    /// How many of these an earlier life of the pool had asked for.
    pub(super) inherited: u16,
    /// How many of these nobody waits for any more.
    pub(super) abandoned: u16,
    pub(in crate::pool) worker: W,
}

impl<W> Place<W> {
    pub(super) fn new(duty: Duty) -> Self {
        Self { occupant: Occupant::Starting, duty, listed: false, listed_ahead: false, given_up: 0 }
    }

    pub(super) fn is_retiring(&self) -> bool {
        match self.duty {
            Duty::Kept | Duty::Substitute { .. } => false,
            Duty::Retiring { .. } => true,
        }
    }

    /// Whether its worker takes no more requests: the slot is to go, or the worker has said so.
    pub(in crate::pool) fn is_leaving(&self) -> bool {
        self.is_retiring() || self.ready().is_some_and(Ready::is_closed)
    }

    /// The worker that takes requests.
    pub(super) fn serving(&self) -> Option<&Ready<W>> {
        self.ready().filter(|_| !self.is_leaving())
    }

    pub(in crate::pool) fn ready(&self) -> Option<&Ready<W>> {
        match &self.occupant {
            Occupant::Ready(ready) => Some(ready),
            Occupant::Starting | Occupant::Quarantined { .. } => None,
        }
    }

    pub(super) fn ready_mut(&mut self) -> Option<&mut Ready<W>> {
        match &mut self.occupant {
            Occupant::Ready(ready) => Some(ready),
            Occupant::Starting | Occupant::Quarantined { .. } => None,
        }
    }

    /// What room its worker has. One that retires has none, however little it has to do.
    pub(super) fn room(&self) -> Room {
        match self.ready() {
            Some(ready) if !self.is_retiring() => ready.room(),
            Some(_) | None => Room::Full,
        }
    }

    /// How many requests its worker could take now, and how many it could be handed beyond that.
    pub(super) fn rooms(&self) -> (usize, usize) {
        match self.ready() {
            Some(ready) if !self.is_retiring() => ready.rooms(),
            Some(_) | None => (0, 0),
        }
    }
}

impl<W> Ready<W> {
    pub(super) fn room(&self) -> Room {
        if self.running < self.seats.capacity {
            Room::Free
        } else if self.running < self.seats.capacity.saturating_add(self.seats.prefetch) {
            Room::Ahead
        } else {
            Room::Full
        }
    }

    /// Whether it takes no more requests, although nobody told it to leave.
    pub(super) fn is_closed(&self) -> bool {
        self.seats.capacity == 0
    }

    /// How many requests it has that somebody waits for.
    pub(super) fn awaited(&self) -> u16 {
        let (running, abandoned) = self.of_this_pool();
        running.saturating_sub(abandoned)
    }

    /// How many requests it has of this life of the pool, and how many of these nobody waits for.
    pub(in crate::pool) fn of_this_pool(&self) -> (u16, u16) {
        (self.running.saturating_sub(self.inherited), self.abandoned)
    }

    fn rooms(&self) -> (usize, usize) {
        let over = self.running.saturating_sub(self.seats.capacity);
        let free = self.seats.capacity.saturating_sub(self.running);
        (usize::from(free), usize::from(self.seats.prefetch.saturating_sub(over)))
    }
}
