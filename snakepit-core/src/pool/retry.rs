//! Whether a request whose worker was lost is tried again. Pure; what is left of its time, and chance, are given.

use std::time::Duration;

use crate::config::PoolOptions;
use crate::error::LossCause;

/// What a request has been through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RetryHistory {
    /// Workers that crashed while they had begun with it.
    crashes: u32,
    /// Workers that were lost in another way.
    losses: u32,
}

/// The verdict on a request whose worker was lost.
#[must_use = "a request that is neither tried again nor answered waits until its deadline"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RetryVerdict {
    /// It is tried again at once.
    Now,
    /// It is tried again after a rest.
    After(Duration),
    /// It has been tried often enough, or has too little time left: its caller hears of the loss.
    GiveUp,
    /// It is likely to be what crashes its workers.
    Poisoned { crashes: u32 },
}

/// How a request lost its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LossKind {
    /// The worker died of something that the request may have done.
    Crash,
    /// The worker was ended for another reason.
    Other,
}

impl From<&LossCause> for LossKind {
    fn from(cause: &LossCause) -> Self {
        // Ended from outside, or because of another request: this one is innocent. Of any other cause it may be guilty.
        if matches!(cause, LossCause::ActorEnded | LossCause::Stuck { .. }) {
            Self::Other
        } else {
            Self::Crash
        }
    }
}

/// The rules, out of a pool's options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RetryPolicy {
    max_retries: u32,
    backoff: Duration,
    poison_limit: u32,
}

impl From<&PoolOptions> for RetryPolicy {
    fn from(options: &PoolOptions) -> Self {
        Self {
            max_retries: options.max_retries,
            backoff: options.retry_backoff,
            poison_limit: options.poison_limit,
        }
    }
}

impl RetryHistory {
    /// Judges a loss, and remembers it. The first retry is immediate; each later one waits twice as long as the one
    /// before, less up to half of it, which is up to chance. `chance` is in `0..1`.
    pub(super) fn on_loss(
        &mut self,
        kind: LossKind,
        policy: RetryPolicy,
        time_left: Duration,
        chance: f64,
    ) -> RetryVerdict {
        match kind {
            LossKind::Crash => self.crashes = self.crashes.saturating_add(1),
            LossKind::Other => self.losses = self.losses.saturating_add(1),
        }
        if policy.max_retries == 0 || self.losses > policy.max_retries {
            return RetryVerdict::GiveUp;
        }
        if self.crashes >= policy.poison_limit {
            return RetryVerdict::Poisoned { crashes: self.crashes };
        }
        let rest = self.rest(policy.backoff, chance);
        if rest >= time_left {
            RetryVerdict::GiveUp
        } else if rest.is_zero() {
            RetryVerdict::Now
        } else {
            RetryVerdict::After(rest)
        }
    }

    fn rest(self, backoff: Duration, chance: f64) -> Duration {
        let tries = self.crashes.saturating_add(self.losses);
        let Some(doublings) = tries.checked_sub(2) else { return Duration::ZERO };
        let whole = backoff.saturating_mul(1 << doublings.min(20));
        whole.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_hours(1);

    fn policy() -> RetryPolicy {
        RetryPolicy::from(&PoolOptions::default())
    }

    fn verdicts<const N: usize>(policy: RetryPolicy, kinds: [LossKind; N]) -> [RetryVerdict; N] {
        let mut history = RetryHistory::default();
        kinds.map(|kind| history.on_loss(kind, policy, HOUR, 0.0))
    }

    #[test]
    fn the_first_retry_is_immediate_and_the_next_take_longer_and_longer() {
        let losses = verdicts(policy(), [LossKind::Other; 4]);
        let expected = [
            RetryVerdict::Now,
            RetryVerdict::After(SECOND),
            RetryVerdict::After(2 * SECOND),
            RetryVerdict::GiveUp,
        ];
        assert_eq!(losses, expected);
    }

    #[test]
    fn s39_a_request_that_crashed_two_workers_gets_no_third() {
        let crashes = verdicts(policy(), [LossKind::Crash; 2]);
        assert_eq!(crashes, [RetryVerdict::Now, RetryVerdict::Poisoned { crashes: 2 }]);
    }

    #[test]
    fn each_kind_of_loss_has_its_own_limit() {
        let patient = RetryPolicy { max_retries: 1, poison_limit: 3, backoff: Duration::ZERO };
        let kinds = [LossKind::Crash, LossKind::Other, LossKind::Crash, LossKind::Other];
        let expected = [RetryVerdict::Now, RetryVerdict::Now, RetryVerdict::Now, RetryVerdict::GiveUp];
        assert_eq!(verdicts(patient, kinds), expected);
    }

    #[test]
    fn no_retries_means_none_at_all() {
        let never = RetryPolicy { max_retries: 0, ..policy() };
        assert_eq!(verdicts(never, [LossKind::Crash]), [RetryVerdict::GiveUp]);
        assert_eq!(verdicts(never, [LossKind::Other]), [RetryVerdict::GiveUp]);
    }

    #[test]
    fn s43_nothing_is_tried_again_that_would_begin_after_its_deadline() {
        let mut history = RetryHistory::default();
        assert_eq!(history.on_loss(LossKind::Other, policy(), Duration::ZERO, 0.0), RetryVerdict::GiveUp);
        assert_eq!(history.on_loss(LossKind::Other, policy(), SECOND, 0.0), RetryVerdict::GiveUp);
    }

    #[test]
    fn chance_takes_away_up_to_half() {
        let after = |chance| {
            let mut history = RetryHistory { crashes: 0, losses: 1 };
            history.on_loss(LossKind::Other, policy(), HOUR, chance)
        };
        assert_eq!(after(0.0), RetryVerdict::After(SECOND));
        assert_eq!(after(1.0), RetryVerdict::After(SECOND / 2));
    }

    #[test]
    fn a_request_is_not_blamed_for_what_others_did() {
        assert_eq!(LossKind::from(&LossCause::ActorEnded), LossKind::Other);
        assert_eq!(LossKind::from(&LossCause::Stuck { grace: SECOND }), LossKind::Other);
        assert_eq!(LossKind::from(&LossCause::Disconnected), LossKind::Crash);
    }
}
