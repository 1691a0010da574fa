//! What a pool tells of its work without being asked.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a pool tells of its work without being asked: its statistics as an event every so often, each call as a trace
/// event at level `DEBUG`, and its gauges. Other events and metrics are told in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// Whether it does. Default `true`: without a subscriber and a recorder it costs next to nothing.
    pub enabled: bool,
    /// How often the statistics are told. Default 60 s.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { enabled: true, interval: Duration::from_mins(1) }
    }
}
