//! What a pool is told: its adapter and its options, each with its default and the reason for it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use snakepit_supervisor::{Backoff, RestartIntensity, RestartPolicy};

use crate::adapter::{Adapter, StreamWindow};
use crate::error::ConfigError;
use crate::id::PoolName;

/// The longest duration that an option may have: "for ever", and still far from where the clock overflows.
const LONGEST: Duration = Duration::from_hours(100 * 366 * 24);

/// The most requests that a worker may be handed and have to answer, as `proto/README.md` has it.
const HANDED_LIMIT: u16 = 4096;

/// A pool to start: its name, its adapter, its options.
#[derive(Clone)]
pub struct PoolConfig {
    name: String,
    adapter: Arc<dyn Adapter>,
    options: PoolOptions,
}

impl PoolConfig {
    /// A pool with default options. The name is checked when the pit starts.
    pub fn new(name: impl Into<String>, adapter: impl Adapter) -> Self {
        Self { name: name.into(), adapter: Arc::new(adapter), options: PoolOptions::default() }
    }

    /// How many workers.
    pub fn size(mut self, size: u16) -> Self {
        self.options.size = size;
        self
    }

    /// Sets all options at once.
    pub fn options(mut self, options: PoolOptions) -> Self {
        self.options = options;
        self
    }

    /// Changes some options.
    ///
    /// ```
    /// # use snakepit_core::PoolConfig;
    /// # fn configure(config: PoolConfig) -> PoolConfig {
    /// config.with(|options| options.queue_limit = 10)
    /// # }
    /// ```
    pub fn with(mut self, change: impl FnOnce(&mut PoolOptions)) -> Self {
        change(&mut self.options);
        self
    }

    /// Checks name and options; says what is wrong with the first that cannot work.
    pub(crate) fn check(self) -> Result<CheckedPoolConfig, ConfigError> {
        let name = PoolName::new(&self.name)?;
        self.options.check().map_err(|(option, rule)| ConfigError::Option {
            pool: name.clone(),
            option,
            rule,
        })?;
        Ok(CheckedPoolConfig { name, adapter: self.adapter, options: self.options })
    }
}

impl fmt::Debug for PoolConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolConfig")
            .field("name", &self.name)
            .field("adapter", &self.adapter.name())
            .field("options", &self.options)
            .finish()
    }
}

/// A configuration that has been checked.
#[derive(Clone)]
pub(crate) struct CheckedPoolConfig {
    pub(crate) name: PoolName,
    pub(crate) adapter: Arc<dyn Adapter>,
    pub(crate) options: PoolOptions,
}

/// The options of a pool. Durations are written `"250ms"` in configuration files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolOptions {
    /// How many workers. Default 4.
    pub size: u16,
    /// How many requests one worker may run at once, as far as the worker itself is willing.
    ///
    /// Default 1: most workers run one thing at a time, and a request beside another would only wait unseen.
    pub capacity: u16,
    /// How many more requests than its capacity a worker may be handed, so that it need not wait for the next; only where
    /// it says when it begins with one, since those that it has not begun with go elsewhere when it is lost.
    ///
    /// Default 0: a request that waits in the pool goes to whichever worker is free first, one that waits in a worker
    /// waits for that worker, also behind a long one. Worth 8 to 32 where requests are many, short and alike.
    pub prefetch: u16,
    /// How long a caller waits, queueing and running together, where the request does not say. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// How many requests may wait; one more is refused as saturated. Default 1000.
    pub queue_limit: usize,
    /// How long a worker may take from its start until it is ready. Default 30 s: interpreters load slowly.
    #[serde(with = "humantime_serde")]
    pub startup_timeout: Duration,
    /// How many workers boot at once; the next begins when one of them is ready, or has failed for the first time.
    ///
    /// Default: the number of processors. More only take them from each other, and from whatever else the machine does.
    pub startup_concurrency: u16,
    /// What a session means for where its requests run, where a request does not say. Default `hint`: most workers keep in
    /// a session what they could load again, and a busy worker is then no reason to wait.
    pub affinity: Affinity,
    /// How long a session may be idle before it is forgotten. Default 1 h.
    #[serde(with = "humantime_serde")]
    pub session_ttl: Duration,
    /// How many sessions are remembered; beyond it the least recently used goes. Default 1,000,000.
    pub session_limit: usize,
    /// How often an idempotent request is tried again whose worker was lost without its fault; 0: never, whatever the
    /// reason. Default 3.
    pub max_retries: u32,
    /// The wait before the second retry; the first is immediate, later ones double it, and chance takes away up to half.
    /// Default 1 s: a worker that is lost again so soon is likely to have a reason that takes a while to pass.
    #[serde(with = "humantime_serde")]
    pub retry_backoff: Duration,
    /// How many workers a request may crash before it is answered as poisoned. Default 2: one crash is an accident, and
    /// a third worker would only be lost as well.
    pub poison_limit: u32,
    /// How long a worker may take to give up a cancelled request before `on_stuck` applies. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub cancel_grace: Duration,
    /// What happens to a worker that does not give up a cancelled request. Default `wait`, because replacing a worker
    /// on every cancel loads its state anew each time.
    pub on_stuck: OnStuck,
    /// How a worker's life is watched while it has nothing to do.
    pub heartbeat: Heartbeat,
    /// The most bytes that a request or an answer may hold. Default 64 MiB.
    pub payload_limit: usize,
    /// How much of a stream may be under way before its reader takes some.
    pub stream_window: StreamWindow,
    /// How long a worker may take to leave after TERM before its group is killed.
    ///
    /// Default 5 s, as OTP gives a worker (`supervisor.erl`, child spec `shutdown`).
    #[serde(with = "humantime_serde")]
    pub stop_grace: Duration,
    /// How long a killed process may take to go before it is reported as stuck. Default 2 s.
    #[serde(with = "humantime_serde")]
    pub kill_grace: Duration,
    /// When a worker that ended is started again, and when its slot is given up for a while.
    pub restart: RestartOptions,
}

/// What a session means for where its requests run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Affinity {
    /// Sessions are handed to the workers and otherwise ignored.
    Off,
    /// A request goes to its session's worker if that is free, to any other if not. Where the worker is lost, another
    /// takes the session on, and the answer says `session_reset`.
    Hint,
    /// A request goes to its session's worker and to no other, and waits for it without holding up anybody else. Where the
    /// worker is lost, the session ends in `SessionLost`, once; then it starts afresh.
    StrictQueue,
    /// As `strict_queue`, but where the worker is busy the answer is `WorkerBusy`, at once.
    StrictFailFast,
}

impl Affinity {
    /// Whether a request must not run anywhere but on its session's worker.
    pub(crate) fn is_strict(self) -> bool {
        match self {
            Self::Off | Self::Hint => false,
            Self::StrictQueue | Self::StrictFailFast => true,
        }
    }

    /// The word that configuration files have for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Hint => "hint",
            Self::StrictQueue => "strict_queue",
            Self::StrictFailFast => "strict_fail_fast",
        }
    }
}

/// What happens to a worker that does not give up a cancelled request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnStuck {
    /// Its place stays taken until it does.
    Wait,
    /// It is killed and replaced.
    Kill,
}

/// How a worker's life is watched. A worker that runs a request is left alone: its caller's deadline watches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Heartbeat {
    /// How often an idle worker is asked for a sign of life. Default 2 s.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// After how many misses in a row it is killed and replaced. Default 3.
    pub misses: u32,
}

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
    /// How long a worker must live for its earlier failures to be forgotten. Default 60 s.
    #[serde(with = "humantime_serde")]
    pub stable_after: Duration,
    /// Exit codes that mean "do not start me again". Default 78, `EX_CONFIG` of `sysexits(3)`.
    pub fatal_exit_codes: Vec<i32>,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            size: 4,
            capacity: 1,
            prefetch: 0,
            timeout: Duration::from_secs(30),
            queue_limit: 1000,
            startup_timeout: Duration::from_secs(30),
            startup_concurrency: processors(),
            affinity: Affinity::Hint,
            session_ttl: Duration::from_hours(1),
            session_limit: 1_000_000,
            max_retries: 3,
            retry_backoff: Duration::from_secs(1),
            poison_limit: 2,
            cancel_grace: Duration::from_secs(5),
            on_stuck: OnStuck::Wait,
            heartbeat: Heartbeat::default(),
            payload_limit: 64 << 20,
            stream_window: StreamWindow::default(),
            stop_grace: Duration::from_secs(5),
            kill_grace: Duration::from_secs(2),
            restart: RestartOptions::default(),
        }
    }
}

/// How many processors this program may use; 4 where the system does not say.
fn processors() -> u16 {
    std::thread::available_parallelism().map_or(4, |count| u16::try_from(count.get()).unwrap_or(u16::MAX))
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self { interval: Duration::from_secs(2), misses: 3 }
    }
}

impl Default for RestartOptions {
    fn default() -> Self {
        Self {
            intensity: 3,
            period: Duration::from_secs(5),
            consecutive: 5,
            backoff_base: Duration::from_millis(100),
            backoff_max: Duration::from_secs(30),
            stable_after: Duration::from_mins(1),
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

    /// The same options as the supervisor takes them.
    pub(crate) fn policy(&self) -> RestartPolicy {
        RestartPolicy {
            intensity: RestartIntensity { limit: self.intensity, period: self.period },
            consecutive_limit: Some(self.consecutive),
            backoff: Some(Backoff { base: self.backoff_base, max: self.backoff_max, ..Backoff::default() }),
            stable_after: self.stable_after,
        }
    }
}

impl PoolOptions {
    /// The option that cannot work, and the rule it breaks.
    fn check(&self) -> Result<(), (&'static str, String)> {
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
