//! When a worker that ended is started again.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use snakepit_supervisor::{Backoff, RestartIntensity, RestartPolicy};

use crate::error::LossCause;
use crate::process::ProcessExit;

/// How long a worker must live, where nobody says, for its earlier failures to be forgotten.
const STABLE_AFTER: Duration = Duration::from_mins(1);

/// When a worker that ended is started again. A worker is permanent: every exit that was not asked for counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RestartOptions {
    /// How many restarts within `period` are too many. Default 3, as Elixir has it.
    pub intensity: u32,
    /// The window that `intensity` counts in. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub period: Duration,
    /// How many failures in a row are too many, however slow they come. Default 5: a window is blind to a worker that
    /// takes longer to boot than the window is wide.
    pub consecutive: u32,
    /// The wait before the second restart of a series; the first is immediate, later ones double it. Default 100 ms.
    #[serde(with = "humantime_serde")]
    pub backoff_base: Duration,
    /// The longest such wait. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub backoff_max: Duration,
    /// How long a worker must live for its earlier failures to be forgotten; its boot counts, so it must be longer than
    /// `startup_timeout`, or a worker that never gets ready would look stable. Default: 60 s, and twice `startup_timeout`
    /// where that is longer.
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub stable_after: Option<Duration>,
    /// Exit codes that mean "do not start me again", each from 0 to 255. Default 78, `EX_CONFIG` of `sysexits(3)`. A slot
    /// whose worker ends with one is given up for good, also over restarts of the pool's actor: `recycle`, `rolling_restart`
    /// and a larger size start another worker.
    pub fatal_exit_codes: Vec<i32>,
}

impl Default for RestartOptions {
    fn default() -> Self {
        Self {
            intensity: 3,
            period: Duration::from_secs(5),
            consecutive: 5,
            backoff_base: Duration::from_millis(100),
            backoff_max: Duration::from_secs(30),
            stable_after: None,
            fatal_exit_codes: vec![78],
        }
    }
}

impl RestartOptions {
    /// The wait before a slot is tried again that has given up `times` times in a row: the series of waits goes on where
    /// its Starter stopped.
    pub(crate) fn rest_after_giving_up(&self, times: u32) -> Duration {
        let doublings = self.intensity.saturating_add(times).saturating_sub(1).min(30);
        self.backoff_base.saturating_mul(1 << doublings).min(self.backoff_max)
    }

    /// Whether a worker that ended like this is not to be started again.
    pub(crate) fn is_fatal(&self, cause: &LossCause) -> bool {
        matches!(cause, LossCause::ProcessExited { exit: ProcessExit::Code(code) } if self.fatal_exit_codes.contains(code))
    }

    /// How long a worker must live for its earlier failures to be forgotten, where it may take `startup_timeout` to boot.
    pub(super) fn stable_after(&self, startup_timeout: Duration) -> Duration {
        let unasked = || STABLE_AFTER.max(startup_timeout.saturating_mul(2));
        self.stable_after.unwrap_or_else(unasked)
    }

    /// The same options as the supervisor takes them.
    pub(super) fn policy(&self, stable_after: Duration) -> RestartPolicy {
        RestartPolicy {
            intensity: RestartIntensity { limit: self.intensity, period: self.period },
            consecutive_limit: Some(self.consecutive),
            backoff: Some(Backoff { base: self.backoff_base, max: self.backoff_max, ..Backoff::default() }),
            stable_after,
        }
    }
}
