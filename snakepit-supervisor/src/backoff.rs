//! How long to wait before the nth restart in a row. Chance is given.

use std::time::Duration;

/// Growing delays between restarts, with jitter.
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    /// Whether the first restart after a stable time is made at once. Default: yes; one crash is often an accident.
    pub immediate_first: bool,
    /// The first delay. Default 100 ms: shorter ones exhaust any intensity before a person could act.
    pub base: Duration,
    /// What each further delay is multiplied by. Default 2.
    pub factor: f64,
    /// No delay is longer. Default 30 s.
    pub max: Duration,
    /// The share of a delay that chance may take away, from 0 to 1. Default 0.2.
    ///
    /// It spreads restarts that have one cause; chance only shortens, so `max` holds.
    pub jitter: f64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            immediate_first: true,
            base: Duration::from_millis(100),
            factor: 2.0,
            max: Duration::from_secs(30),
            jitter: 0.2,
        }
    }
}

impl Backoff {
    /// The delay before the restart that follows the `failures`th failure in a row (counted from 1).
    ///
    /// `chance` is in `0..1`.
    pub fn delay(&self, failures: u32, chance: f64) -> Duration {
        let steps = match (self.immediate_first, failures) {
            (true, 0 | 1) => return Duration::ZERO,
            (true, n) => n - 2,
            (false, n) => n.saturating_sub(1),
        };
        let grown = self.base.as_secs_f64() * self.factor.max(1.0).powf(f64::from(steps));
        let whole = grown.min(self.max.as_secs_f64());
        let kept = 1.0 - self.jitter.clamp(0.0, 1.0) * chance.clamp(0.0, 1.0);
        Duration::try_from_secs_f64(whole * kept).unwrap_or(self.max).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain() -> Backoff {
        Backoff { immediate_first: false, jitter: 0.0, ..Backoff::default() }
    }

    #[test]
    fn delays_double_up_to_the_limit() {
        let delays: Vec<u128> = (1..=11).map(|n| plain().delay(n, 0.0).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]);
    }

    #[test]
    fn the_first_restart_may_be_immediate_and_the_second_takes_the_base() {
        let backoff = Backoff { immediate_first: true, ..plain() };
        let delays: Vec<u128> = (1..=4).map(|n| backoff.delay(n, 0.0).as_millis()).collect();
        assert_eq!(delays, [0, 100, 200, 400]);
    }

    #[test]
    fn jitter_takes_away_at_most_its_share() {
        let backoff = Backoff { jitter: 0.5, ..plain() };
        assert_eq!(backoff.delay(1, 0.0), Duration::from_millis(100));
        assert_eq!(backoff.delay(1, 0.5), Duration::from_millis(75));
    }

    proptest! {
        #[test]
        fn no_delay_is_over_the_limit_and_none_shrinks_without_jitter(
            base in 0u64..10_000, factor in 0.0f64..10.0, max in 0u64..100_000,
            jitter in -1.0f64..2.0, chance in 0.0f64..1.0, n in 1u32..5_000,
        ) {
            let backoff = Backoff {
                immediate_first: false,
                base: Duration::from_millis(base),
                factor,
                max: Duration::from_millis(max),
                jitter,
            };
            prop_assert!(backoff.delay(n, chance) <= backoff.max);
            let steady = Backoff { jitter: 0.0, ..backoff };
            prop_assert!(steady.delay(n, chance) <= steady.delay(n + 1, chance));
        }
    }
}
