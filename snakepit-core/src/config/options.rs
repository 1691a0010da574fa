//! The options of a pool, each with its default and the reason for it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use snakepit_supervisor::RestartPolicy;

use crate::adapter::StreamWindow;
use crate::config::{Affinity, Heartbeat, RecycleOptions, RestartOptions, Telemetry, size};

/// The options of a pool. In configuration files a duration is written `"250ms"`, and a size `"512MiB"` or as a number of
/// bytes.
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
    /// What a session means for where its requests run, where a request does not say: `off`, `hint`, `strict_queue` or
    /// `strict_fail_fast`. Default `hint`: most workers keep in a session what they could load again, and a busy worker is
    /// then no reason to wait.
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
    /// What happens to a worker that does not give up a cancelled request: `wait` or `kill`. Default `wait`, because replacing a worker
    /// on every cancel loads its state anew each time.
    pub on_stuck: OnStuck,
    /// How a worker's life is watched.
    pub heartbeat: Heartbeat,
    /// The most bytes that a request or an answer may hold. Default 64 MiB.
    #[serde(with = "size")]
    pub payload_limit: usize,
    /// How many lines a second a worker's stdout, its stderr and its log may each hand on to the program's log; the others
    /// are read, counted, and left out.
    ///
    /// Default 1000: more than anybody reads, and little enough that a worker gone wild costs the program nothing. 0 hands
    /// none on. The last lines of stderr, which tell of a loss, are kept in any case.
    pub output_limit: u32,
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
    /// What the pool tells of its work without being asked.
    pub telemetry: Telemetry,
    /// When a worker that works is replaced by another.
    pub recycle: RecycleOptions,
    /// When a worker that ended is started again, and when its slot is given up for a while.
    pub restart: RestartOptions,
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

impl PoolOptions {
    /// How long a worker must live for its earlier failures to be forgotten.
    pub(crate) fn stable_after(&self) -> Duration {
        self.restart.stable_after(self.startup_timeout)
    }

    /// When a worker is started again, as the supervisor takes it.
    pub(crate) fn restart_policy(&self) -> RestartPolicy {
        self.restart.policy(self.stable_after())
    }
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
            output_limit: 1000,
            stream_window: StreamWindow::default(),
            stop_grace: Duration::from_secs(5),
            kill_grace: Duration::from_secs(2),
            telemetry: Telemetry::default(),
            recycle: RecycleOptions::default(),
            restart: RestartOptions::default(),
        }
    }
}

/// How many processors this program may use; 4 where the system does not say.
fn processors() -> u16 {
    std::thread::available_parallelism().map_or(4, |count| u16::try_from(count.get()).unwrap_or(u16::MAX))
}
