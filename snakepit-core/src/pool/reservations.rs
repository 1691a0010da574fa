//! The places that are kept for callers who have reserved one. They outlive the pool's actor, so that none is ever held
//! uncounted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::oneshot;

use crate::error::ExecuteError;
use crate::pool::message::{PoolCommand, PoolMessage};
use crate::pool::shared::PoolShared;

/// How many callers may wait for a place where the pool's `queue_limit` says less: a pool in which no request may wait
/// still has somebody who waits for its workers, one in each of a server's tasks.
const LEAST_RESERVERS: usize = 1024;

/// How many places are held, and how many may be. The pool's actor says the latter after every message; whoever wants a
/// place takes one without asking it.
#[derive(Debug, Default)]
pub(crate) struct Reservations {
    held: AtomicUsize,
    reservable: AtomicUsize,
}

impl Reservations {
    /// Reservations that are held by callers who have not used them yet.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }

    /// Says how many may be held from now on. Those beyond it stay held.
    pub(super) fn publish(&self, reservable: usize) {
        self.reservable.store(reservable, Ordering::Release);
    }

    fn take(&self, reservable: usize) -> bool {
        let one_more = |held: usize| (held < reservable).then_some(held + 1);
        self.held.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).is_ok()
    }
}

/// One place that is held. Dropped, the place is free again, and the pool hears so.
#[derive(Debug)]
pub(crate) struct Reservation {
    shared: Arc<PoolShared>,
    is_used: bool,
}

impl Reservation {
    /// Takes a place, where one is free and nobody waits for it.
    pub(super) fn take(shared: &Arc<PoolShared>) -> Option<Self> {
        let reservable = shared.reservations.reservable.load(Ordering::Acquire);
        Self::take_of(shared, reservable)
    }

    /// Takes a place, where fewer than `reservable` are held.
    pub(super) fn take_of(shared: &Arc<PoolShared>, reservable: usize) -> Option<Self> {
        shared.reservations.take(reservable).then(|| Self { shared: Arc::clone(shared), is_used: false })
    }

    /// A request has come for the place. The pool, which calls this, need not be told.
    pub(super) fn use_up(mut self) {
        self.is_used = true;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shared.reservations.held.fetch_sub(1, Ordering::AcqRel);
        if !self.is_used {
            self.shared.address.cast(PoolMessage::Command(PoolCommand::ReservationDropped));
        }
    }
}

/// Where a place goes that was waited for.
pub(crate) type ReservationReply = oneshot::Sender<Result<Reservation, ExecuteError>>;

/// Callers who wait for a place, in the order in which they came.
#[derive(Debug)]
pub(super) struct Reservers {
    waiting: VecDeque<ReservationReply>,
    limit: usize,
}

impl Reservers {
    pub(super) fn new(queue_limit: usize) -> Self {
        Self { waiting: VecDeque::new(), limit: queue_limit.max(LEAST_RESERVERS) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Lets a caller wait; gives it back where too many do.
    pub(super) fn join(&mut self, reply: ReservationReply) -> Result<(), ReservationReply> {
        if self.waiting.len() >= self.limit {
            // Those who gave up stand here until somebody looks.
            self.waiting.retain(|waiting| !waiting.is_closed());
        }
        if self.waiting.len() >= self.limit {
            return Err(reply);
        }
        self.waiting.push_back(reply);
        Ok(())
    }

    /// The caller that has waited longest of those that still do.
    pub(super) fn next(&mut self) -> Option<ReservationReply> {
        std::iter::from_fn(|| self.waiting.pop_front()).find(|reply| !reply.is_closed())
    }

    /// Puts a caller back to the head, where it came from.
    pub(super) fn put_back(&mut self, reply: ReservationReply) {
        self.waiting.push_front(reply);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_places_are_held_than_may_be() {
        let places = Reservations::default();
        assert!(!places.take(0));
        assert!(places.take(2) && places.take(2) && !places.take(2));
        assert_eq!(places.held(), 2);
        assert!(!places.take(1), "fewer may be held than are");
        assert!(places.take(3));
    }

    #[test]
    fn the_first_who_still_waits_is_next() {
        let mut reservers = Reservers::new(0);
        let (gone, gone_answer) = oneshot::channel();
        let (stays, mut answer) = oneshot::channel();
        assert!(reservers.join(gone).is_ok() && reservers.join(stays).is_ok());
        drop(gone_answer);
        let next = reservers.next().unwrap();
        reservers.put_back(next);
        let next = reservers.next().unwrap();
        assert!(next.send(Err(ExecuteError::Cancelled)).is_ok());
        assert!(matches!(answer.try_recv(), Ok(Err(ExecuteError::Cancelled))));
        assert!(reservers.next().is_none() && reservers.is_empty());
    }

    #[test]
    fn those_who_gave_up_make_room_for_others() {
        let mut reservers = Reservers::new(LEAST_RESERVERS + 1);
        let mut answers: Vec<_> = (0..=LEAST_RESERVERS)
            .map(|_| {
                let (reply, answer) = oneshot::channel();
                assert!(reservers.join(reply).is_ok());
                answer
            })
            .collect();
        assert!(reservers.join(oneshot::channel().0).is_err());
        answers.pop();
        let (reply, _answer) = oneshot::channel();
        assert!(reservers.join(reply).is_ok());
    }
}
