//! Quarantine: when a slot whose starter gave up is tried again, and when it is better to stop trying. Pure.
//!
//! A starter ends when its budget is spent; whoever owns the slots decides when to ask for a new one. Trying at once
//! only moves the crash loop up one level. So each slot waits longer every time, and when many slots fail within
//! a short time they have one cause (a broken program, a full disk), and trying each of them is churn.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use crate::backoff::Backoff;

/// How patiently slots are tried again.
#[derive(Clone, Debug, PartialEq)]
pub struct QuarantinePolicy {
    /// How long a slot waits after each time that it was given up. Default: 1 s doubling to 5 min, jitter 0.2.
    pub backoff: Backoff,
    /// How many slots may be given up within `breaker_window`; one more and it is taken for a shared cause. Default 3.
    pub breaker_limit: usize,
    /// The window for that. Default 1 min.
    pub breaker_window: Duration,
}

impl Default for QuarantinePolicy {
    fn default() -> Self {
        let (base, max) = (Duration::from_secs(1), Duration::from_mins(5));
        Self {
            backoff: Backoff { immediate_first: false, base, max, ..Backoff::default() },
            breaker_limit: 3,
            breaker_window: Duration::from_mins(1),
        }
    }
}

/// What to do about a slot that was given up.
#[must_use = "a slot that nobody tries again stays empty"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuarantineVerdict<S> {
    /// Ask for a new starter for it, after this time.
    TryAgain {
        /// How long to wait.
        after: Duration,
    },
    /// These slots were given up within the window: look for what they share instead of trying each.
    SharedCause {
        /// The slots, the longest waiting first.
        slots: Vec<S>,
    },
}

/// The slots that were given up, and when.
///
/// Time is counted from any fixed point, such as the program's start.
#[derive(Clone, Debug)]
pub struct Quarantine<S> {
    policy: QuarantinePolicy,
    slots: HashMap<S, Record>,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    times: u32,
    last: Duration,
}

impl<S: Eq + Hash + Clone> Quarantine<S> {
    /// An empty quarantine.
    pub fn new(policy: QuarantinePolicy) -> Self {
        Self { policy, slots: HashMap::new() }
    }

    /// Judges a slot that was given up just now. `chance` is in `0..1`.
    pub fn gave_up(&mut self, slot: S, now: Duration, chance: f64) -> QuarantineVerdict<S> {
        let record = self.slots.entry(slot).or_insert(Record { times: 0, last: now });
        record.times = record.times.saturating_add(1);
        record.last = now;
        let after = self.policy.backoff.delay(record.times, chance);
        let mut recent: Vec<(Duration, &S)> = self
            .slots
            .iter()
            .filter(|(_, record)| now.saturating_sub(record.last) <= self.policy.breaker_window)
            .map(|(slot, record)| (record.last, slot))
            .collect();
        if recent.len() <= self.policy.breaker_limit {
            return QuarantineVerdict::TryAgain { after };
        }
        recent.sort_by_key(|&(last, _)| last);
        QuarantineVerdict::SharedCause { slots: recent.into_iter().map(|(_, slot)| slot.clone()).collect() }
    }

    /// A slot works again: what it did is forgotten.
    pub fn recovered(&mut self, slot: &S) {
        self.slots.remove(slot);
    }

    /// All is forgotten: the shared cause is found and mended.
    pub fn reset(&mut self) {
        self.slots.clear();
    }

    /// How often a slot has been given up since it last worked.
    pub fn times(&self, slot: &S) -> u32 {
        self.slots.get(slot).map_or(0, |record| record.times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steady() -> QuarantinePolicy {
        let default = QuarantinePolicy::default();
        QuarantinePolicy { backoff: Backoff { jitter: 0.0, ..default.backoff.clone() }, ..default }
    }

    const fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_slot_waits_longer_each_time_and_starts_anew_once_it_worked() {
        let mut quarantine = Quarantine::new(steady());
        let mut waits = Vec::new();
        for nth in 0..11 {
            match quarantine.gave_up("s", at(nth * 1000), 0.0) {
                QuarantineVerdict::TryAgain { after } => waits.push(after.as_secs()),
                other @ QuarantineVerdict::SharedCause { .. } => panic!("{other:?}"),
            }
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        quarantine.recovered(&"s");
        assert_eq!(quarantine.gave_up("s", at(20_000), 0.0), QuarantineVerdict::TryAgain { after: at(1) });
    }

    #[test]
    fn many_slots_within_the_window_share_a_cause() {
        let mut quarantine = Quarantine::new(steady());
        for (slot, now) in [("a", 0), ("b", 30), ("c", 61)] {
            assert!(
                matches!(quarantine.gave_up(slot, at(now), 0.0), QuarantineVerdict::TryAgain { .. }),
                "{slot}"
            );
        }
        // a is out of the window by now; it takes one more than three to be a shared cause.
        assert!(matches!(quarantine.gave_up("d", at(62), 0.0), QuarantineVerdict::TryAgain { .. }));
        let shared = QuarantineVerdict::SharedCause { slots: vec!["b", "c", "d", "e"] };
        assert_eq!(quarantine.gave_up("e", at(63), 0.0), shared);
    }

    #[test]
    fn one_slot_alone_is_never_a_shared_cause() {
        let mut quarantine = Quarantine::new(steady());
        for now in 0..50 {
            assert!(matches!(quarantine.gave_up("a", at(now), 0.0), QuarantineVerdict::TryAgain { .. }));
        }
        assert_eq!(quarantine.times(&"a"), 50);
    }
}
