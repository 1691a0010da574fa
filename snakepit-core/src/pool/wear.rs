//! The watch over how worn a worker is: what it has done, how old it is, how long it has been idle, what memory it holds.
//! Pure; time and chance are given.

use std::collections::BTreeMap;
use std::time::Duration;

use snakepit_supervisor::Backoff;
use tokio::time::Instant;

use crate::config::RecycleOptions;
use crate::id::{Incarnation, Slot};
use crate::pool::message::Life;
use crate::pool::recycling::RecycleReason;

/// How often workers are looked at. Limits in time are minutes and hours; a second more is nothing.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is seen of a worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct WearFacts {
    /// Requests that it has answered or failed.
    pub(super) done: u64,
    /// Requests that it has now.
    pub(super) running: u32,
    /// How long it has served.
    pub(super) age: Duration,
    /// What its processes had resident when they were last looked at.
    pub(super) rss: Option<u64>,
}

/// The wear of a pool's workers.
#[derive(Debug)]
pub(super) struct Wear {
    options: RecycleOptions,
    slots: BTreeMap<Slot, Worn>,
    /// Slots whose worker could not be replaced, how often in a row, and when that is tried again.
    resting: BTreeMap<Slot, (u32, Instant)>,
}

/// One life, and its own limits.
#[derive(Clone, Copy, Debug)]
struct Worn {
    incarnation: Incarnation,
    max_requests: Option<u64>,
    max_age: Option<Duration>,
    idle: Option<Duration>,
    done: u64,
    /// Since when it has done nothing; `None` while it does something.
    idle_since: Option<Instant>,
}

impl Worn {
    fn new(life: Life, options: &RecycleOptions, chance: f64) -> Self {
        let kept = 1.0 - options.jitter.clamp(0.0, 1.0) * chance.clamp(0.0, 1.0);
        let cut = |limit: Duration| limit.mul_f64(kept);
        Self {
            incarnation: life.incarnation,
            max_requests: options.max_requests.map(|limit| share(limit, kept)),
            max_age: options.max_age.map(cut),
            idle: options.idle.map(cut),
            done: 0,
            idle_since: None,
        }
    }
}

/// A share of a number, and at least 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share in 0..=1 of a number is none that the number's type could not hold"
)]
fn share(of: u64, share: f64) -> u64 {
    ((of as f64 * share) as u64).max(1)
}

impl Wear {
    pub(super) fn new(options: RecycleOptions) -> Self {
        Self { options, slots: BTreeMap::new(), resting: BTreeMap::new() }
    }

    /// Whether there is anything to look for.
    pub(super) fn is_watched(&self) -> bool {
        let RecycleOptions { max_requests, max_age, idle, max_rss, .. } = &self.options;
        max_requests.is_some() || max_age.is_some() || idle.is_some() || max_rss.is_some()
    }

    /// Whether it is worth a look after every request.
    pub(super) fn counts_requests(&self) -> bool {
        self.options.max_requests.is_some()
    }

    /// Judges a worker: why it is to be replaced, if it is.
    pub(super) fn look(
        &mut self,
        life: Life,
        facts: WearFacts,
        now: Instant,
        chance: f64,
    ) -> Option<RecycleReason> {
        let options = &self.options;
        let worn = self.slots.entry(life.slot).or_insert_with(|| Worn::new(life, options, chance));
        if worn.incarnation != life.incarnation {
            *worn = Worn::new(life, options, chance);
        }
        if facts.running > 0 || facts.done != worn.done {
            worn.idle_since = None;
        }
        worn.done = facts.done;
        let idle_since = *worn.idle_since.get_or_insert(now);
        // A replacement of one that has not served would be no different.
        let idle = (facts.running == 0 && facts.done > 0).then(|| now.saturating_duration_since(idle_since));
        let is_over = |value: Option<Duration>, limit: Option<Duration>| {
            value.zip(limit).is_some_and(|(value, limit)| value >= limit)
        };
        if self.resting.get(&life.slot).is_some_and(|(_, until)| now < *until) {
            None
        } else if worn.max_requests.is_some_and(|limit| facts.done >= limit) {
            Some(RecycleReason::Requests { done: facts.done })
        } else if is_over(Some(facts.age), worn.max_age) {
            Some(RecycleReason::Age { age: facts.age })
        } else if let Some(rss_bytes) =
            facts.rss.filter(|rss| options.max_rss.is_some_and(|limit| *rss > limit))
        {
            Some(RecycleReason::Rss { rss_bytes })
        } else if is_over(idle, worn.idle) {
            Some(RecycleReason::Idle { idle: idle.unwrap_or_default() })
        } else {
            None
        }
    }

    /// A worker could not be replaced: it is worn, and still better than none. It is left alone for a while.
    pub(super) fn not_replaced(&mut self, slot: Slot, now: Instant) {
        let rests = Backoff {
            immediate_first: false,
            base: Duration::from_mins(1),
            max: Duration::from_hours(1),
            jitter: 0.0,
            ..Backoff::default()
        };
        let (times, until) = self.resting.entry(slot).or_insert((0, now));
        *times = times.saturating_add(1);
        *until = now + rests.delay(*times, 0.0);
    }

    /// A slot is no more.
    pub(super) fn forget(&mut self, slot: Slot) {
        self.slots.remove(&slot);
        self.resting.remove(&slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: WearFacts = WearFacts { done: 0, running: 0, age: Duration::ZERO, rss: None };
    const MINUTE: Duration = Duration::from_mins(1);

    fn life(incarnation: u64) -> Life {
        Life { slot: Slot(0), incarnation: Incarnation(incarnation) }
    }

    fn wear(change: impl FnOnce(&mut RecycleOptions)) -> Wear {
        let mut options = RecycleOptions::default();
        change(&mut options);
        Wear::new(options)
    }

    #[test]
    fn nothing_is_looked_for_where_nothing_is_said() {
        assert!(!wear(|_| {}).is_watched());
        let worst = WearFacts { done: u64::MAX, age: Duration::MAX, rss: Some(u64::MAX), ..FRESH };
        assert_eq!(wear(|_| {}).look(life(1), worst, Instant::now(), 0.0), None);
    }

    #[test]
    fn each_limit_is_a_reason_of_its_own() {
        let now = Instant::now();
        let mut wear = wear(|o| {
            (o.max_requests, o.max_age, o.max_rss) = (Some(10), Some(MINUTE), Some(1000));
        });
        let table = [
            (WearFacts { done: 9, age: MINUTE / 2, rss: Some(1000), ..FRESH }, None),
            (WearFacts { done: 10, ..FRESH }, Some(RecycleReason::Requests { done: 10 })),
            (WearFacts { age: MINUTE, ..FRESH }, Some(RecycleReason::Age { age: MINUTE })),
            (WearFacts { rss: Some(1001), ..FRESH }, Some(RecycleReason::Rss { rss_bytes: 1001 })),
        ];
        for (facts, expected) in table {
            assert_eq!(wear.look(life(1), facts, now, 0.0), expected, "{facts:?}");
        }
    }

    #[test]
    fn only_a_worker_that_has_served_and_has_nothing_to_do_is_idle() {
        let start = Instant::now();
        let mut wear = wear(|o| o.idle = Some(MINUTE));
        let mut look = |done, running, seconds| {
            let now = start + Duration::from_secs(seconds);
            wear.look(life(1), WearFacts { done, running, ..FRESH }, now, 0.0)
        };
        assert_eq!([look(0, 0, 0), look(0, 0, 100)], [None, None], "it has never served");
        assert_eq!([look(1, 1, 100), look(1, 1, 200)], [None, None], "it works");
        assert_eq!([look(2, 0, 210), look(3, 0, 260), look(3, 0, 319)], [None, None, None]);
        assert_eq!(look(3, 0, 320), Some(RecycleReason::Idle { idle: MINUTE }));
    }

    #[test]
    fn chance_takes_off_its_share_once_for_each_life() {
        let now = Instant::now();
        let mut wear = wear(|o| (o.max_requests, o.jitter) = (Some(100), 0.5));
        let done = |done| WearFacts { done, ..FRESH };
        assert_eq!(wear.look(life(1), done(49), now, 1.0), None);
        assert!(wear.look(life(1), done(50), now, 0.0).is_some(), "its limit was drawn at the first look");
        assert_eq!(wear.look(life(2), done(99), now, 0.0), None);
        assert!(wear.look(life(2), done(100), now, 1.0).is_some());
    }

    #[test]
    fn a_worker_that_could_not_be_replaced_is_left_alone_longer_each_time() {
        let now = Instant::now();
        let mut wear = wear(|o| o.max_requests = Some(1));
        let used = WearFacts { done: 1, ..FRESH };
        assert!(wear.look(life(1), used, now, 0.0).is_some());
        wear.not_replaced(Slot(0), now);
        assert_eq!(wear.look(life(1), used, now + MINUTE / 2, 0.0), None);
        assert!(wear.look(life(1), used, now + MINUTE, 0.0).is_some());
        wear.not_replaced(Slot(0), now);
        assert_eq!(wear.look(life(1), used, now + MINUTE, 0.0), None);
        wear.forget(Slot(0));
        assert!(wear.look(life(1), used, now, 0.0).is_some());
    }
}
