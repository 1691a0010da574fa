//! How a worker's life is watched.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a worker's life is watched. Whatever a worker says is a sign of life, the answer to a request too, once all of it has come.
///
/// A worker that runs a request and is silent misses a beat only where its process, and all that this has started, used no
/// processor time since the beat before: one that computes may be unable to answer, such as an extension that holds
/// Python's interpreter. Then, and where the system (other than Linux) does not tell, the caller's deadline watches it,
/// with `cancel_grace` and `on_stuck`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Heartbeat {
    /// How often a worker is asked for a sign of life. Default 2 s.
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
