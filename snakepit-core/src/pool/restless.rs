//! Workers that want to be replaced as soon as they are there, one after the other. Pure; chance is given.

use std::collections::BTreeMap;
use std::time::Duration;

use snakepit_supervisor::QuarantinePolicy;

use crate::id::Slot;

/// How often in a row the worker of each slot, and those that it took over from, wanted to be replaced before they had
/// served for a stable time.
#[derive(Debug, Default)]
pub(super) struct Restless {
    times: BTreeMap<Slot, u32>,
}

/// When a worker is replaced that wants to be.
#[must_use = "a worker that nobody replaces goes on for ever"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RestlessVerdict {
    /// At once.
    Now,
    /// After a rest, since one after the other wants it.
    After { times: u32, rest: Duration },
}

impl Restless {
    /// Judges a worker that wants to be replaced after it has served for `age`. The first is replaced at once; each that
    /// follows too soon goes on for a while, twice as long as the one before. `chance` is in `0..1`.
    pub(super) fn wants(
        &mut self,
        slot: Slot,
        age: Duration,
        stable_after: Duration,
        chance: f64,
    ) -> RestlessVerdict {
        if age >= stable_after {
            self.times.remove(&slot);
            return RestlessVerdict::Now;
        }
        match self.one_more(slot) {
            1 => RestlessVerdict::Now,
            times => RestlessVerdict::After { times, rest: rest_after(times - 1, chance) },
        }
    }

    /// How long a worker goes on that has to be replaced and was not, until that is tried again.
    pub(super) fn was_not_replaced(&mut self, slot: Slot, chance: f64) -> Duration {
        rest_after(self.one_more(slot), chance)
    }

    fn one_more(&mut self, slot: Slot) -> u32 {
        let times = self.times.entry(slot).or_insert(0);
        *times = times.saturating_add(1);
        *times
    }

    /// Another has taken over, and what came before it with it.
    pub(super) fn taken_over(&mut self, from: Slot, by: Slot) {
        if let Some(times) = self.times.remove(&from) {
            self.times.insert(by, times);
        }
    }

    /// A slot is no more.
    pub(super) fn forget(&mut self, slot: Slot) {
        self.times.remove(&slot);
    }
}

fn rest_after(times: u32, chance: f64) -> Duration {
    QuarantinePolicy::default().backoff.delay(times, chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn rest(verdict: RestlessVerdict) -> u64 {
        match verdict {
            RestlessVerdict::Now => 0,
            RestlessVerdict::After { rest, .. } => rest.as_secs(),
        }
    }

    #[test]
    fn each_that_follows_too_soon_goes_on_for_longer() {
        let mut restless = Restless::default();
        let rests: Vec<_> = (0..12)
            .map(|nth| {
                let rest = rest(restless.wants(Slot(nth), Duration::ZERO, MINUTE, 0.0));
                restless.taken_over(Slot(nth), Slot(nth + 1));
                rest
            })
            .collect();
        assert_eq!(rests, [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    }

    #[test]
    fn one_that_has_served_well_is_replaced_at_once_and_begins_anew() {
        let mut restless = Restless::default();
        let mut wants = |age| restless.wants(Slot(0), age, MINUTE, 0.0);
        assert_eq!((wants(Duration::ZERO), rest(wants(Duration::ZERO))), (RestlessVerdict::Now, 1));
        assert_eq!(wants(MINUTE), RestlessVerdict::Now);
        assert_eq!((wants(MINUTE / 2), rest(wants(MINUTE / 2))), (RestlessVerdict::Now, 1));
    }

    #[test]
    fn one_that_could_not_be_replaced_rests_as_long_as_one_that_is_as_restless() {
        let mut restless = Restless::default();
        let rests: Vec<_> = (0..3).map(|_| restless.was_not_replaced(Slot(0), 0.0).as_secs()).collect();
        assert_eq!((rests, rest(restless.wants(Slot(0), Duration::ZERO, MINUTE, 0.0))), (vec![1, 2, 4], 4));
    }

    #[test]
    fn a_slot_is_judged_for_itself_and_forgotten_when_it_goes() {
        let mut restless = Restless::default();
        for slot in [0, 1, 0] {
            let _ = restless.wants(Slot(slot), Duration::ZERO, MINUTE, 0.0);
        }
        assert_eq!(rest(restless.wants(Slot(1), Duration::ZERO, MINUTE, 0.0)), 1);
        restless.forget(Slot(0));
        assert_eq!(restless.wants(Slot(0), Duration::ZERO, MINUTE, 0.0), RestlessVerdict::Now);
    }
}
