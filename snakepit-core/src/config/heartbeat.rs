//! How a worker's life is watched.

use std::time::Duration;

use serde::{Deserialize, Serialize};

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

impl Default for Heartbeat {
    fn default() -> Self {
        Self { interval: Duration::from_secs(2), misses: 3 }
    }
}
