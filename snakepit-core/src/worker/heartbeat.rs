//! The watch over an idle worker.

/// What is remembered from one beat to the next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heartbeat {
    signs: u64,
    misses: u32,
}

/// The verdict on a beat.
#[must_use = "a worker that hangs keeps its slot for ever"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeartbeatVerdict {
    /// It gave a sign of life, or may be silent for a while longer.
    Alive,
    /// It has been silent for too long.
    Unresponsive { misses: u32 },
}

impl Heartbeat {
    /// Starts counting from what has come so far.
    pub(super) fn begin(&mut self, signs: u64) {
        *self = Self { signs, misses: 0 };
    }

    /// Judges the time since the last beat: `signs` is what has come from the worker so far. A worker that runs a
    /// request may be silent: it computes, and its caller's deadline watches it.
    pub(super) fn on_beat(&mut self, signs: u64, running: u32, limit: u32) -> HeartbeatVerdict {
        let silent = signs == self.signs && running == 0;
        self.signs = signs;
        self.misses = if silent { self.misses + 1 } else { 0 };
        if self.misses >= limit {
            HeartbeatVerdict::Unresponsive { misses: self.misses }
        } else {
            HeartbeatVerdict::Alive
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_misses_in_a_row_count() {
        let mut heartbeat = Heartbeat::default();
        heartbeat.begin(5);
        let mut beat = |signs, running| heartbeat.on_beat(signs, running, 3);
        assert_eq!(beat(5, 0), HeartbeatVerdict::Alive);
        assert_eq!(beat(5, 0), HeartbeatVerdict::Alive);
        assert_eq!(beat(6, 0), HeartbeatVerdict::Alive);
        assert_eq!(beat(6, 0), HeartbeatVerdict::Alive);
        assert_eq!(beat(6, 0), HeartbeatVerdict::Alive);
        assert_eq!(beat(6, 0), HeartbeatVerdict::Unresponsive { misses: 3 });
    }

    #[test]
    fn a_worker_that_computes_may_be_silent() {
        let mut heartbeat = Heartbeat::default();
        for _ in 0..100 {
            assert_eq!(heartbeat.on_beat(0, 1, 1), HeartbeatVerdict::Alive);
        }
    }
}
