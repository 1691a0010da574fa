//! What waits to be written: handed in from any thread, taken out in one piece by the writer.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::id::WorkerLife;
use crate::process_registry::handle::RegistryError;
use crate::process_registry::ledger::Change;

/// How much may wait before an intent is refused. All workers of a large host can wait at once.
///
/// Only an intent is ever refused. What follows it is bounded by it: a life is reserved once, changes a few times, and its
/// worker waits once for its release.
const INTENT_LIMIT: usize = 4096;

/// A change, and who waits for it to be written.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) life: WorkerLife,
    pub(super) change: Change,
    pub(super) reply: Option<oneshot::Sender<Result<(), RegistryError>>>,
}

/// The requests that wait.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    requests: Vec<Request>,
    /// The lives that have, or wait for, a record.
    lives: HashSet<WorkerLife>,
    closed: bool,
}

/// What the writer finds.
#[derive(Debug)]
pub(super) enum Taken {
    /// All that waited.
    Requests(Vec<Request>),
    /// Nothing came within its patience.
    Nothing,
    /// Nothing waits, and nothing will come: nobody holds the registry any more.
    Closed,
}

impl Queue {
    /// Lets a request wait to be written. Blocks for no longer than others take to do the same.
    ///
    /// # Errors
    /// [`RegistryError::Busy`] for an intent when too much waits; [`RegistryError::NotReserved`] for a change to a life
    /// that has no record.
    pub(super) fn push(&self, request: Request) -> Result<(), RegistryError> {
        let mut waiting = self.lock();
        match request.change {
            Change::Reserve { .. } if waiting.requests.len() >= INTENT_LIMIT => {
                return Err(RegistryError::Busy);
            }
            Change::Reserve { .. } => {
                waiting.lives.insert(request.life.clone());
            }
            Change::Release if waiting.lives.remove(&request.life) => {}
            // Somebody has handed it in before, and whether it is written yet is what this one waits for.
            Change::Release if request.reply.is_some() => {}
            Change::Activate { .. } | Change::Stopping | Change::Stuck { .. }
                if waiting.lives.contains(&request.life) => {}
            Change::Activate { .. } | Change::Stopping | Change::Stuck { .. } | Change::Release => {
                return Err(RegistryError::NotReserved);
            }
        }
        waiting.requests.push(request);
        drop(waiting);
        self.arrived.notify_one();
        Ok(())
    }

    /// A life was refused its record.
    pub(super) fn forget(&self, life: &WorkerLife) {
        self.lock().lives.remove(life);
    }

    /// How many requests wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.lock().requests.len()
    }

    /// Nothing more will come.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_one();
    }

    /// Waits for requests, for ever or as long as `patience`, and takes all of them.
    pub(super) fn take(&self, patience: Option<Duration>) -> Taken {
        let mut waiting = self.lock();
        while waiting.requests.is_empty() {
            if waiting.closed {
                return Taken::Closed;
            }
            let Some(patience) = patience else {
                waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let (woken, time) =
                self.arrived.wait_timeout(waiting, patience).unwrap_or_else(PoisonError::into_inner);
            waiting = woken;
            if time.timed_out() && waiting.requests.is_empty() {
                return Taken::Nothing;
            }
        }
        Taken::Requests(std::mem::take(&mut waiting.requests))
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Incarnation, PoolName, Slot, WorkerId};

    fn request(incarnation: usize, change: Change) -> Request {
        let worker = WorkerId { pool: PoolName::new("default").unwrap(), slot: Slot(0) };
        let incarnation = Incarnation(incarnation as u64);
        Request { life: WorkerLife { worker, incarnation }, change, reply: None }
    }

    fn count(taken: Taken) -> Option<usize> {
        match taken {
            Taken::Requests(requests) => Some(requests.len()),
            Taken::Nothing | Taken::Closed => None,
        }
    }

    #[test]
    fn an_intent_is_refused_at_the_limit_and_what_follows_one_never() {
        let queue = Queue::default();
        for life in 0..INTENT_LIMIT {
            queue.push(request(life, Change::Reserve { shim: None })).unwrap();
        }
        let one_more = queue.push(request(INTENT_LIMIT, Change::Reserve { shim: None }));
        assert_eq!(one_more, Err(RegistryError::Busy));
        queue.push(request(0, Change::Stopping)).unwrap();
        queue.push(request(0, Change::Release)).unwrap();
        assert_eq!(count(queue.take(None)), Some(INTENT_LIMIT + 2));
    }

    #[test]
    fn nothing_is_written_about_a_life_that_was_not_reserved() {
        let queue = Queue::default();
        for change in [Change::Stopping, Change::Stuck { why: String::new() }, Change::Release] {
            assert_eq!(queue.push(request(1, change)), Err(RegistryError::NotReserved));
        }
        queue.push(request(1, Change::Reserve { shim: None })).unwrap();
        queue.forget(&request(1, Change::Stopping).life);
        assert_eq!(queue.push(request(1, Change::Release)), Err(RegistryError::NotReserved));
    }

    #[test]
    fn what_waits_is_taken_before_the_end_is_seen() {
        let queue = Queue::default();
        assert!(matches!(queue.take(Some(Duration::from_millis(1))), Taken::Nothing));
        queue.push(request(1, Change::Reserve { shim: None })).unwrap();
        queue.close();
        assert_eq!(count(queue.take(None)), Some(1));
        assert!(matches!(queue.take(None), Taken::Closed));
    }
}
