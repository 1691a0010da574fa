//! When a worker that works is replaced by another.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::size;

/// When a worker that works is replaced by another: never, where nothing is said. The replacement boots first, and takes
/// over when it is ready; requests go on meanwhile, also beyond the limits here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecycleOptions {
    /// How many requests a worker answers. Default: any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_requests: Option<u64>,
    /// How long a worker serves. Default: for ever.
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
    /// How long a worker that has served may have nothing to do, before another takes its place that has less in memory.
    /// Default: for ever.
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub idle: Option<Duration>,
    /// How much memory a worker's processes may have resident, all together; looked at with every heartbeat (Linux).
    /// Default: any amount.
    #[serde(with = "size::option", skip_serializing_if = "Option::is_none")]
    pub max_rss: Option<u64>,
    /// The share that chance may take off each limit but `max_rss`, from 0 to 1, so that workers which began together are
    /// not all replaced together. Default 0.2.
    pub jitter: f64,
    /// How many workers are replaced at once, also by `recycle` and `rolling_restart`, from the start of the new one to
    /// the end of the old one. Default 1: each is one worker more in memory, and boots beside those that serve.
    pub at_once: u16,
}

impl Default for RecycleOptions {
    fn default() -> Self {
        Self { max_requests: None, max_age: None, idle: None, max_rss: None, jitter: 0.2, at_once: 1 }
    }
}
