//! Workers that are replaced while they serve: who waits to be, who is being, and who is to be told.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::oneshot;

use crate::error::RecycleError;
use crate::id::{Slot, WorkerLife};

/// A worker that another has taken over from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Recycled {
    /// The life that ended.
    pub old: WorkerLife,
    /// The life that took over, in another slot.
    pub new: WorkerLife,
    /// Why.
    pub reason: RecycleReason,
}

/// Why a worker is replaced although it works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RecycleReason {
    /// Somebody asked for it.
    Asked,
    /// The worker itself asked for it.
    Worker {
        /// What it said.
        why: String,
    },
    /// It has served as many requests as it was to.
    Requests {
        /// How many.
        done: u64,
    },
    /// It has served as long as it was to.
    Age {
        /// How long.
        #[serde(with = "humantime_serde")]
        age: Duration,
    },
    /// It has had nothing to do for as long as it might.
    Idle {
        /// How long.
        #[serde(with = "humantime_serde")]
        idle: Duration,
    },
    /// Its processes hold more memory than they may.
    Rss {
        /// How many bytes, resident.
        rss_bytes: u64,
    },
}

/// The answer to whoever wants a worker replaced.
pub(crate) type RecycleReply = oneshot::Sender<Result<Recycled, RecycleError>>;

/// One replacement, wanted or under way.
#[derive(Debug)]
pub(super) struct Recycling {
    pub(super) reason: RecycleReason,
    pub(super) replies: Vec<RecycleReply>,
    /// Who leaves and who took over, once somebody has.
    pub(super) change: Option<(WorkerLife, WorkerLife)>,
}

/// The replacements of a pool, by the slot whose worker is to go. In each slot at most one.
#[derive(Debug, Default)]
pub(super) struct Recyclings {
    waiting: VecDeque<Slot>,
    all: BTreeMap<Slot, Recycling>,
}

impl Recycling {
    fn new(reason: RecycleReason) -> Self {
        Self { reason, replies: Vec::new(), change: None }
    }

    /// Whether it is still wanted: what somebody asked for is not when nobody waits for it any more.
    fn is_wanted(&self) -> bool {
        match self.reason {
            RecycleReason::Asked => self.replies.iter().any(|reply| !reply.is_closed()),
            RecycleReason::Worker { .. }
            | RecycleReason::Requests { .. }
            | RecycleReason::Age { .. }
            | RecycleReason::Idle { .. }
            | RecycleReason::Rss { .. } => true,
        }
    }

    pub(super) fn answer(self, result: &Result<Recycled, RecycleError>) {
        for reply in self.replies {
            // Whoever asked may have stopped waiting.
            let _ = reply.send(result.clone());
        }
    }
}

impl Recyclings {
    /// A worker is to be replaced, if it is not to be already.
    pub(super) fn ask(&mut self, slot: Slot, reason: RecycleReason, reply: Option<RecycleReply>) {
        let waiting = &mut self.waiting;
        let recycling = self.all.entry(slot).or_insert_with(|| {
            waiting.push_back(slot);
            Recycling::new(reason)
        });
        recycling.replies.extend(reply);
    }

    /// The one that has waited longest and is still wanted. It is under way from now on.
    #[must_use = "a replacement that nobody begins is waited for in vain"]
    pub(super) fn next(&mut self) -> Option<Slot> {
        while let Some(slot) = self.waiting.pop_front() {
            match self.all.get(&slot) {
                Some(recycling) if recycling.is_wanted() => return Some(slot),
                Some(_) => drop(self.all.remove(&slot)),
                None => {}
            }
        }
        None
    }

    /// Whether a worker is to be replaced.
    pub(super) fn has(&self, slot: Slot) -> bool {
        self.all.contains_key(&slot)
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Recycling> {
        self.all.get_mut(&slot)
    }

    /// It is over, in whatever way.
    pub(super) fn take(&mut self, slot: Slot) -> Option<Recycling> {
        self.waiting.retain(|other| *other != slot);
        self.all.remove(&slot)
    }

    /// All of them are over.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Recycling> + use<> {
        self.waiting.clear();
        std::mem::take(&mut self.all).into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leak() -> RecycleReason {
        RecycleReason::Worker { why: "leak".to_owned() }
    }

    #[test]
    fn each_worker_is_replaced_once_in_the_order_of_asking() {
        let mut recyclings = Recyclings::default();
        let ((first, _answer), (second, _other)) = (oneshot::channel(), oneshot::channel());
        recyclings.ask(Slot(2), RecycleReason::Asked, Some(first));
        recyclings.ask(Slot(0), leak(), None);
        recyclings.ask(Slot(2), leak(), Some(second));
        assert_eq!(
            (recyclings.next(), recyclings.next(), recyclings.next()),
            (Some(Slot(2)), Some(Slot(0)), None)
        );
        recyclings.ask(Slot(2), leak(), None);
        assert_eq!(recyclings.next(), None, "it is under way");
        assert_eq!(recyclings.take(Slot(2)).map(|recycling| recycling.replies.len()), Some(2));
        recyclings.ask(Slot(2), leak(), None);
        assert_eq!(recyclings.next(), Some(Slot(2)));
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_not_begun_unless_the_worker_wants_it() {
        let mut recyclings = Recyclings::default();
        let (reply, answer) = oneshot::channel();
        recyclings.ask(Slot(0), RecycleReason::Asked, Some(reply));
        drop(answer);
        recyclings.ask(Slot(1), leak(), None);
        assert_eq!(recyclings.next(), Some(Slot(1)));
        assert!(recyclings.take(Slot(0)).is_none());
    }
}
