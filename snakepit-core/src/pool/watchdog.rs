//! The watch over the pool itself: nobody waits for long while a worker is free. Pure; time is given.

use std::time::Duration;

use tokio::time::Instant;

/// How long requests may wait beside free workers. Serving a line takes one message, so a second is far beyond any doubt.
pub(super) const STALL_LIMIT: Duration = Duration::from_secs(1);

/// Since when requests have waited beside free workers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watchdog {
    since: Option<Instant>,
}

/// The verdict on what the pool looks like.
#[must_use = "a stall that nobody heals lasts until the next deadline"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WatchVerdict {
    /// All is as it should be; nobody need look again.
    Calm,
    /// It has just begun to look wrong: look again after [`STALL_LIMIT`].
    Suspicious,
    /// It looks wrong, and somebody looks again in time.
    Watched,
    /// It has looked wrong for too long.
    Stalled,
}

impl Watchdog {
    /// Judges a look at the pool: whether requests wait that any worker may take, and whether one could take them now.
    pub(super) fn look(&mut self, waiting: bool, room: bool, now: Instant) -> WatchVerdict {
        match self.since {
            _ if !(waiting && room) => {
                self.since = None;
                WatchVerdict::Calm
            }
            None => {
                self.since = Some(now);
                WatchVerdict::Suspicious
            }
            Some(since) if now.saturating_duration_since(since) < STALL_LIMIT => WatchVerdict::Watched,
            Some(_) => {
                self.since = None;
                WatchVerdict::Stalled
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_waiting_beside_a_free_worker_for_a_second_is_a_stall() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut watchdog = Watchdog::default();
        for (waiting, room) in [(false, false), (true, false), (false, true)] {
            assert_eq!(watchdog.look(waiting, room, at(0)), WatchVerdict::Calm);
        }
        assert_eq!(watchdog.look(true, true, at(0)), WatchVerdict::Suspicious);
        assert_eq!(watchdog.look(true, true, at(999)), WatchVerdict::Watched);
        assert_eq!(watchdog.look(true, false, at(999)), WatchVerdict::Calm);
        assert_eq!(watchdog.look(true, true, at(1500)), WatchVerdict::Suspicious, "it begins anew");
        assert_eq!(watchdog.look(true, true, at(2499)), WatchVerdict::Watched);
        assert_eq!(watchdog.look(true, true, at(2500)), WatchVerdict::Stalled);
        assert_eq!(watchdog.look(true, true, at(2500)), WatchVerdict::Suspicious);
    }
}
