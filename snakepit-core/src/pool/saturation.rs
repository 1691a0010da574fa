//! When a pool says that it is saturated, and when that it no longer is. Pure; time is given.

use std::time::Duration;

use tokio::time::Instant;

/// How long no request must have been refused for the pool to be relieved. A line that is full is a place short at one
/// moment and has one at the next; nobody wants to hear of each.
const CALM: Duration = Duration::from_secs(1);

/// Whether the pool refuses requests, since it last said so.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Saturation(Option<Episode>);

#[derive(Clone, Copy, Debug)]
struct Episode {
    refused: u64,
    last: Instant,
}

impl Saturation {
    /// Requests were refused. Returns whether they are the first in a while.
    #[must_use = "a pool that is saturated says so"]
    pub(super) fn refused(&mut self, count: u64, now: Instant) -> bool {
        let refused = self.0.map_or(0, |episode| episode.refused);
        self.0 = Some(Episode { refused: refused.saturating_add(count), last: now });
        refused == 0
    }

    /// A request was admitted. Where the pool had been saturated and no longer is: how many requests it had refused.
    #[must_use = "a pool that is relieved says so"]
    pub(super) fn admitted(&mut self, now: Instant) -> Option<u64> {
        let Episode { refused, last } = self.0?;
        if now.saturating_duration_since(last) < CALM {
            return None;
        }
        self.0 = None;
        Some(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_on_the_brink_says_so_once() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut saturation = Saturation::default();
        assert_eq!(saturation.admitted(at(0)), None);
        assert!(saturation.refused(1, at(0)));
        assert_eq!(saturation.admitted(at(999)), None);
        assert!(!saturation.refused(2, at(999)));
        assert_eq!(saturation.admitted(at(1500)), None);
        assert_eq!(saturation.admitted(at(1999)), Some(3));
        assert_eq!(saturation.admitted(at(5000)), None);
        assert!(saturation.refused(1, at(5000)));
    }
}
