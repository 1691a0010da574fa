//! Whether a failed child is tried again: intensity, failures in a row, and the delay. Pure; time and chance are given.
//!
//! Two guards against crash loops. The intensity window is OTP's; it is blind to slow loops (3 in 5 s never fires for
//! a child that takes 2 s to boot), and so is any window once there is a backoff. The count of failures in a row
//! is not: only a stable time resets it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::backoff::Backoff;
use crate::moment::Moment;
use crate::report::GaveUpReason;

/// At most `limit` restarts within `period`; one more and the supervisor gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartIntensity {
    /// How many restarts a period may hold. With 0 the first failure is final.
    pub limit: u32,
    /// The length of the window. It slides, and its ends belong to it.
    pub period: Duration,
}

impl Default for RestartIntensity {
    /// 3 in 5 s, as Elixir has it; OTP's 1 in 5 s forgives too little.
    fn default() -> Self {
        Self { limit: 3, period: Duration::from_secs(5) }
    }
}

/// How patiently a supervisor restarts.
#[derive(Clone, Debug, PartialEq)]
pub struct RestartPolicy {
    /// The budget of the supervisor, shared by its children. Default 3 in 5 s.
    pub intensity: RestartIntensity,
    /// How many restarts in a row one child gets without a stable time between them; `None` for no limit. Default 5.
    pub consecutive_limit: Option<u32>,
    /// The delays between restarts; `None` to restart at once, as OTP does. Default [`Backoff::default`].
    pub backoff: Option<Backoff>,
    /// How long a child must have been up for its failures in a row to be forgotten. Default 60 s.
    pub stable_after: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            intensity: RestartIntensity::default(),
            consecutive_limit: Some(5),
            backoff: Some(Backoff::default()),
            stable_after: Duration::from_mins(1),
        }
    }
}

impl RestartPolicy {
    /// OTP's rule alone: the intensity window, no delay, no count of failures in a row.
    pub fn otp(intensity: RestartIntensity) -> Self {
        Self { intensity, consecutive_limit: None, backoff: None, ..Self::default() }
    }
}

/// What becomes of a child that failed.
#[must_use = "a failure that nobody acts on leaves the child dead"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RestartVerdict {
    /// It is started again.
    Restart {
        /// After this time.
        after: Duration,
        /// The restarts that the window would still allow.
        budget_left: u32,
    },
    /// It is not; for this reason.
    GiveUp(GaveUpReason),
}

/// The restarts within the sliding window: one per supervisor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct RestartWindow(VecDeque<Moment>);

impl RestartWindow {
    /// How long ago each of them was.
    #[cfg(test)]
    pub(crate) fn ages(&self, now: Moment) -> Vec<Duration> {
        self.0.iter().map(|&then| now - then).collect()
    }

    /// How many failures it holds.
    #[cfg(test)]
    pub(crate) fn counted(&self) -> usize {
        self.0.len()
    }

    /// How many failures are within the period now.
    pub(crate) fn recent(&self, intensity: RestartIntensity, now: Moment) -> u32 {
        let recent = self.0.iter().filter(|&&then| now - then <= intensity.period).count();
        u32::try_from(recent).unwrap_or(u32::MAX)
    }

    /// Counts one failure, and says how many more the window allows; `None` when this one was too many.
    ///
    /// `supervisor.erl, add_restart/1`, without its truncation to whole seconds.
    fn count(&mut self, intensity: RestartIntensity, now: Moment) -> Option<u32> {
        while self.0.front().is_some_and(|&then| now - then > intensity.period) {
            self.0.pop_front();
        }
        self.0.push_back(now);
        let counted = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        intensity.limit.checked_sub(counted)
    }
}

/// The failures of one child since it was last stable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct FailureStreak(u32);

impl FailureStreak {
    /// The failures so far.
    pub(crate) fn failures(&self) -> u32 {
        self.0
    }

    /// Judges one failure, and remembers it. `uptime` is `None` for a start that failed; `chance` is in `0..1`.
    pub(crate) fn on_failure(
        &mut self,
        window: &mut RestartWindow,
        policy: &RestartPolicy,
        failure: &Failure,
    ) -> RestartVerdict {
        if failure.uptime.is_some_and(|up| up >= policy.stable_after) {
            self.0 = 0;
        }
        self.0 = self.0.saturating_add(1);
        let Some(budget_left) = window.count(policy.intensity, failure.now) else {
            return RestartVerdict::GiveUp(GaveUpReason::Intensity {
                limit: policy.intensity.limit,
                period: policy.intensity.period,
            });
        };
        if let Some(limit) = policy.consecutive_limit
            && self.0 > limit
        {
            return RestartVerdict::GiveUp(GaveUpReason::Consecutive { limit });
        }
        let after =
            policy.backoff.as_ref().map_or(Duration::ZERO, |backoff| backoff.delay(self.0, failure.chance));
        RestartVerdict::Restart { after, budget_left }
    }
}

/// One failure to be judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    pub(crate) uptime: Option<Duration>,
    pub(crate) now: Moment,
    pub(crate) chance: f64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(millis: u64) -> Moment {
        Moment::at(Duration::from_millis(millis))
    }

    fn crash(now: Moment) -> Failure {
        Failure { uptime: Some(Duration::ZERO), now, chance: 0.0 }
    }

    fn outcomes(policy: &RestartPolicy, crashes: &[u64]) -> Vec<bool> {
        let (mut streak, mut window) = (FailureStreak::default(), RestartWindow::default());
        crashes
            .iter()
            .map(|&t| {
                matches!(
                    streak.on_failure(&mut window, policy, &crash(at(t))),
                    RestartVerdict::Restart { .. }
                )
            })
            .collect()
    }

    fn otp(limit: u32, period_ms: u64) -> RestartPolicy {
        RestartPolicy::otp(RestartIntensity { limit, period: Duration::from_millis(period_ms) })
    }

    #[test]
    fn intensity_zero_makes_the_first_failure_final() {
        assert_eq!(outcomes(&otp(0, 5000), &[0]), [false]);
    }

    #[test]
    fn intensity_n_allows_n_restarts_in_the_window() {
        assert_eq!(outcomes(&otp(3, 5000), &[0, 1, 2, 3]), [true, true, true, false]);
    }

    #[test]
    fn the_ends_of_the_window_belong_to_it() {
        assert_eq!(outcomes(&otp(1, 5000), &[0, 5000]), [true, false]);
        assert_eq!(outcomes(&otp(1, 5000), &[0, 5001]), [true, true]);
    }

    #[test]
    fn a_slow_loop_escapes_the_window_and_the_count_in_a_row_ends_it() {
        let slow: Vec<u64> = (0..20).map(|n| n * 2100).collect();
        assert!(outcomes(&otp(3, 5000), &slow).iter().all(|&restarted| restarted));
        let guarded = RestartPolicy { consecutive_limit: Some(5), ..otp(3, 5000) };
        assert_eq!(outcomes(&guarded, &slow).iter().filter(|&&restarted| restarted).count(), 5);
    }

    #[test]
    fn a_stable_time_resets_the_count_and_the_delay() {
        let policy = RestartPolicy {
            intensity: RestartIntensity { limit: 100, period: Duration::from_secs(1) },
            consecutive_limit: Some(2),
            backoff: Some(Backoff { immediate_first: false, jitter: 0.0, ..Backoff::default() }),
            stable_after: Duration::from_mins(1),
        };
        let (mut streak, mut window) = (FailureStreak::default(), RestartWindow::default());
        let mut fail = |uptime: Option<u64>, now| {
            let failure = Failure { uptime: uptime.map(Duration::from_secs), now: at(now), chance: 0.0 };
            streak.on_failure(&mut window, &policy, &failure)
        };
        let after = |verdict| match verdict {
            RestartVerdict::Restart { after, .. } => after.as_millis(),
            RestartVerdict::GiveUp(reason) => panic!("gave up: {reason}"),
        };
        assert_eq!(after(fail(Some(0), 0)), 100);
        assert_eq!(after(fail(None, 10_000)), 200);
        assert_eq!(after(fail(Some(60), 80_000)), 100);
        assert_eq!(after(fail(Some(59), 140_000)), 200);
        assert_eq!(fail(Some(0), 150_000), RestartVerdict::GiveUp(GaveUpReason::Consecutive { limit: 2 }));
    }

    proptest! {
        #[test]
        fn no_window_ever_holds_more_restarts_than_the_limit(
            limit in 0u32..6, period in 1u64..5_000, gaps in prop::collection::vec(0u64..3_000, 1..40),
        ) {
            let times: Vec<u64> = gaps.iter().scan(0, |t, gap| { *t += gap; Some(*t) }).collect();
            let allowed = outcomes(&otp(limit, period), &times);
            // After the first refusal a supervisor is gone; what counts is what it did until then.
            let lived = allowed.iter().take_while(|&&ok| ok).count();
            for (i, &end) in times[..lived].iter().enumerate() {
                let inside = times[..=i].iter().filter(|&&t| end - t <= period).count();
                prop_assert!(inside <= limit as usize);
            }
        }
    }
}
