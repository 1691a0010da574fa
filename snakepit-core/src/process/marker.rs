//! The mark that every worker process carries in its environment, and its children inherit.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{Incarnation, PoolName, Slot, WorkerId, WorkerLife};

/// The environment variable that holds a [`Marker`].
pub(crate) const VARIABLE: &str = "SNAKEPIT_MARK";

/// One run of a host: made at its start, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct RunId(uuid::Uuid);

impl RunId {
    pub(crate) fn new() -> Self {
        Self(uuid::Uuid::now_v7())
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_simple().fmt(f)
    }
}

/// Says of a process which life of which worker of which run it belongs to: `run.pool.slot.incarnation`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Marker {
    pub(crate) run: RunId,
    pub(crate) life: WorkerLife,
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WorkerLife { worker: WorkerId { pool, slot }, incarnation } = &self.life;
        write!(f, "{}.{pool}.{slot}.{incarnation}", self.run)
    }
}

/// The text is no marker of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoMarker;

impl FromStr for Marker {
    type Err = NoMarker;

    fn from_str(text: &str) -> Result<Self, NoMarker> {
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or(NoMarker);
        let run = RunId(uuid::Uuid::try_parse(next()?).map_err(|_| NoMarker)?);
        let pool = PoolName::new(next()?).map_err(|_| NoMarker)?;
        let slot = Slot(next()?.parse().map_err(|_| NoMarker)?);
        let incarnation = Incarnation(next()?.parse().map_err(|_| NoMarker)?);
        if parts.next().is_some() {
            return Err(NoMarker);
        }
        Ok(Self { run, life: WorkerLife { worker: WorkerId { pool, slot }, incarnation } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_read_as_it_was_written() {
        let worker = WorkerId { pool: PoolName::new("gpu-1").unwrap(), slot: Slot(7) };
        let marker = Marker { run: RunId::new(), life: WorkerLife { worker, incarnation: Incarnation(12) } };
        assert_eq!(marker.to_string().parse(), Ok(marker));
    }

    #[test]
    fn anything_else_is_no_marker() {
        for text in ["", "x", "0.default.1.1", "0190a7b2c3d47e5f8a9b0c1d2e3f4a5b.default.1", "..."] {
            assert_eq!(text.parse::<Marker>(), Err(NoMarker), "{text}");
        }
    }
}
