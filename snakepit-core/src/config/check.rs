//! Which options cannot work, alone or together, said before anything starts.

use std::time::Duration;

use crate::config::PoolOptions;

/// The longest duration that an option may have: "for ever", and still far from where the clock overflows.
const LONGEST: Duration = Duration::from_hours(100 * 366 * 24);

/// The most requests that a worker may be handed and have to answer, as `proto/README.md` has it.
const HANDED_LIMIT: u16 = 4096;

impl PoolOptions {
    /// The option that cannot work, and the rule it breaks.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
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
        ];
        if let Some((option, _)) = at_least_1.into_iter().find(|(_, value)| *value == 0) {
            return Err((option, "must be at least 1".to_owned()));
        }
        let above_zero = [
            ("timeout", self.timeout),
            ("startup_timeout", self.startup_timeout),
            ("session_ttl", self.session_ttl),
            ("heartbeat.interval", self.heartbeat.interval),
            ("kill_grace", self.kill_grace),
            ("restart.period", self.restart.period),
            ("restart.backoff_base", self.restart.backoff_base),
        ];
        if let Some((option, _)) = above_zero.into_iter().find(|(_, value)| value.is_zero()) {
            return Err((option, "must be longer than zero".to_owned()));
        }
        let durations = [
            ("timeout", self.timeout),
            ("startup_timeout", self.startup_timeout),
            ("session_ttl", self.session_ttl),
            ("cancel_grace", self.cancel_grace),
            ("retry_backoff", self.retry_backoff),
            ("heartbeat.interval", self.heartbeat.interval),
            ("stop_grace", self.stop_grace),
            ("kill_grace", self.kill_grace),
            ("restart.period", self.restart.period),
            ("restart.backoff_base", self.restart.backoff_base),
            ("restart.backoff_max", self.restart.backoff_max),
            ("restart.stable_after", self.restart.stable_after),
        ];
        if let Some((option, _)) = durations.into_iter().find(|(_, value)| *value > LONGEST) {
            return Err((option, "must not be longer than 100 years".to_owned()));
        }
        if self.restart.backoff_max < self.restart.backoff_base {
            return Err(("restart.backoff_max", "must not be shorter than restart.backoff_base".to_owned()));
        }
        let handed = self.capacity.saturating_add(self.prefetch);
        if handed > HANDED_LIMIT {
            return Err(("prefetch", format!("and capacity together must not be over {HANDED_LIMIT}")));
        }
        if self.payload_limit > u32::MAX as usize {
            return Err(("payload_limit", format!("must not be over {} bytes", u32::MAX)));
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
        let table: [(&str, Change); 10] = [
            ("prefetch", |o| (o.capacity, o.prefetch) = (97, 4000)),
            ("poison_limit", |o| o.poison_limit = 0),
            ("retry_backoff", |o| o.retry_backoff = Duration::MAX),
            ("size", |o| o.size = 0),
            ("timeout", |o| o.timeout = Duration::ZERO),
            ("heartbeat.misses", |o| o.heartbeat.misses = 0),
            ("restart.backoff_max", |o| o.restart.backoff_max = Duration::from_millis(1)),
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
