//! Which options cannot work, alone or together, said before anything starts.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::{PoolOptions, RestartOptions};

/// The longest duration that an option may have: "for ever", and still far from where the clock overflows.
const LONGEST: Duration = Duration::from_hours(100 * 366 * 24);

/// The most requests that a worker may be handed and have to answer, as `proto/README.md` has it.
const HANDED_LIMIT: u16 = 4096;

/// What a process can end with, as `wait(2)` tells it.
const EXIT_CODES: RangeInclusive<i32> = 0..=255;

/// An option, and the rule that its value breaks.
pub(crate) type BrokenRule = (&'static str, String);

impl PoolOptions {
    /// The first option that cannot work, by itself or beside another.
    pub(crate) fn check(&self) -> Result<(), BrokenRule> {
        self.check_counts()?;
        self.check_durations()?;
        self.check_together()
    }

    fn check_counts(&self) -> Result<(), BrokenRule> {
        let at_least_1 = [
            ("size", u64::from(self.size)),
            ("capacity", u64::from(self.capacity)),
            ("startup_concurrency", u64::from(self.startup_concurrency)),
            ("session_limit", self.session_limit as u64),
            ("payload_limit", self.payload_limit as u64),
            ("stream_window.chunks", u64::from(self.stream_window.chunks)),
            ("stream_window.bytes", u64::from(self.stream_window.bytes)),
            ("heartbeat.misses", u64::from(self.heartbeat.misses)),
            ("poison_limit", u64::from(self.poison_limit)),
            ("recycle.at_once", u64::from(self.recycle.at_once)),
            ("recycle.max_requests", self.recycle.max_requests.unwrap_or(1)),
            ("recycle.max_rss", self.recycle.max_rss.unwrap_or(1)),
        ];
        if let Some((option, _)) = at_least_1.into_iter().find(|(_, value)| *value == 0) {
            return Err((option, "must be at least 1".to_owned()));
        }
        if !(0.0..=1.0).contains(&self.recycle.jitter) {
            return Err(("recycle.jitter", "must be from 0 to 1".to_owned()));
        }
        if self.payload_limit > u32::MAX as usize {
            return Err(("payload_limit", format!("must not be over {} bytes", u32::MAX)));
        }
        if let Some(code) = self.restart.fatal_exit_codes.iter().find(|code| !EXIT_CODES.contains(code)) {
            let rule = format!("has {code}, and no process ends with that: an exit code is from 0 to 255");
            return Err(("restart.fatal_exit_codes", rule));
        }
        Ok(())
    }

    fn check_durations(&self) -> Result<(), BrokenRule> {
        let above_zero = [
            ("timeout", self.timeout),
            ("startup_timeout", self.startup_timeout),
            ("session_ttl", self.session_ttl),
            ("heartbeat.interval", self.heartbeat.interval),
            ("kill_grace", self.kill_grace),
            ("telemetry.interval", self.telemetry.interval),
            ("restart.period", self.restart.period),
            ("restart.backoff_base", self.restart.backoff_base),
            ("recycle.max_age", self.recycle.max_age.unwrap_or(Duration::from_secs(1))),
            ("recycle.idle", self.recycle.idle.unwrap_or(Duration::from_secs(1))),
        ];
        if let Some((option, _)) = above_zero.into_iter().find(|(_, value)| value.is_zero()) {
            return Err((option, "must be longer than zero".to_owned()));
        }
        let may_be_zero = [
            ("cancel_grace", self.cancel_grace),
            ("retry_backoff", self.retry_backoff),
            ("stop_grace", self.stop_grace),
            ("restart.backoff_max", self.restart.backoff_max),
            ("restart.stable_after", self.restart.stable_after.unwrap_or_default()),
        ];
        match above_zero.into_iter().chain(may_be_zero).find(|(_, value)| *value > LONGEST) {
            Some((option, _)) => Err((option, "must not be longer than 100 years".to_owned())),
            None => Ok(()),
        }
    }

    /// What contradicts each other. The grace times cannot: a worker's supervisor waits for their sum, whatever they are.
    fn check_together(&self) -> Result<(), BrokenRule> {
        let RestartOptions { backoff_base, backoff_max, .. } = self.restart;
        if backoff_max < backoff_base {
            let rule = format!("must not be shorter than restart.backoff_base ({backoff_base:?})");
            return Err(("restart.backoff_max", rule));
        }
        if self.stable_after() <= self.startup_timeout {
            let rule = format!(
                "must be longer than startup_timeout ({:?}), or a worker that never gets ready would look stable",
                self.startup_timeout
            );
            return Err(("restart.stable_after", rule));
        }
        if self.capacity.saturating_add(self.prefetch) > HANDED_LIMIT {
            return Err(("prefetch", format!("and capacity together must not be over {HANDED_LIMIT}")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_work() {
        assert_eq!(PoolOptions::default().check(), Ok(()));
    }

    #[test]
    fn an_option_that_cannot_work_is_named_with_its_rule() {
        type Change = fn(&mut PoolOptions);
        let table: [(&str, Change); 13] = [
            ("prefetch", |o| (o.capacity, o.prefetch) = (97, 4000)),
            ("poison_limit", |o| o.poison_limit = 0),
            ("retry_backoff", |o| o.retry_backoff = Duration::MAX),
            ("size", |o| o.size = 0),
            ("timeout", |o| o.timeout = Duration::ZERO),
            ("heartbeat.misses", |o| o.heartbeat.misses = 0),
            ("restart.backoff_max", |o| o.restart.backoff_max = Duration::from_millis(1)),
            ("restart.stable_after", |o| o.restart.stable_after = Some(o.startup_timeout)),
            ("restart.fatal_exit_codes", |o| o.restart.fatal_exit_codes = vec![78, 256]),
            ("restart.fatal_exit_codes", |o| o.restart.fatal_exit_codes = vec![-1]),
            ("payload_limit", |o| o.payload_limit = usize::MAX),
            ("cancel_grace", |o| o.cancel_grace = Duration::MAX),
            ("stop_grace", |o| o.stop_grace = Duration::MAX),
        ];
        for (name, change) in table {
            let mut options = PoolOptions::default();
            change(&mut options);
            assert_eq!(options.check().unwrap_err().0, name);
        }
    }

    #[test]
    fn a_worker_counts_as_stable_only_after_it_could_have_failed_to_boot() {
        let slow = PoolOptions { startup_timeout: Duration::from_mins(5), ..PoolOptions::default() };
        assert_eq!((slow.check(), slow.stable_after()), (Ok(()), Duration::from_mins(10)));
        assert_eq!(PoolOptions::default().stable_after(), Duration::from_mins(1));
        let mut hasty = slow;
        hasty.restart.stable_after = Some(Duration::from_mins(1));
        let (option, rule) = hasty.check().unwrap_err();
        assert_eq!(option, "restart.stable_after");
        assert!(rule.contains("startup_timeout (300s)"), "{rule}");
    }

    #[test]
    fn every_code_that_a_process_can_end_with_may_be_fatal() {
        let mut options = PoolOptions::default();
        options.restart.fatal_exit_codes = (0..=255).collect();
        assert_eq!(options.check(), Ok(()));
    }

    #[test]
    fn a_queue_limit_of_zero_is_respected() {
        let options = PoolOptions { queue_limit: 0, ..PoolOptions::default() };
        assert_eq!(options.check(), Ok(()));
    }

    #[test]
    fn an_unknown_option_is_an_error() {
        let error = serde_json::from_str::<PoolOptions>(r#"{"siz": 1}"#).unwrap_err().to_string();
        assert!(error.contains("siz"), "{error}");
        let error =
            serde_json::from_str::<PoolOptions>(r#"{"heartbeat": {"every": "1s"}}"#).unwrap_err().to_string();
        assert!(error.contains("every"), "{error}");
    }

    #[test]
    fn durations_are_written_for_people() {
        let options: PoolOptions = serde_json::from_str(r#"{"timeout": "250ms", "size": 2}"#).unwrap();
        assert_eq!((options.timeout, options.size), (Duration::from_millis(250), 2));
    }
}
