//! Where a request goes that has just come, or whose session's worker has just been found out.

use crate::config::Affinity;

/// The verdict on a request that is to be placed.
#[must_use = "a request that is placed nowhere waits until its deadline"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlacementVerdict {
    /// To its session's worker.
    Own,
    /// To whoever has been free longest.
    Any,
    /// Into the line, for whoever is free first.
    WaitForAny,
    /// Into the line, for its session's worker alone.
    WaitForOwn,
    /// Back to its caller: its session's worker is busy.
    Busy,
}

/// What the verdict depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlacementFacts {
    pub(super) affinity: Affinity,
    /// Whether its session's worker has room; `None` where it has no session's worker.
    pub(super) own_has_room: Option<bool>,
    /// Whether any worker has room.
    pub(super) any_has_room: bool,
}

impl PlacementFacts {
    /// Judges a request.
    pub(super) fn judge(self) -> PlacementVerdict {
        let anywhere = if self.any_has_room { PlacementVerdict::Any } else { PlacementVerdict::WaitForAny };
        match (self.own_has_room, self.affinity) {
            (None, _) | (_, Affinity::Off) => anywhere,
            (Some(true), _) => PlacementVerdict::Own,
            (Some(false), Affinity::Hint) => anywhere,
            (Some(false), Affinity::StrictQueue) => PlacementVerdict::WaitForOwn,
            (Some(false), Affinity::StrictFailFast) => PlacementVerdict::Busy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_has_its_place() {
        use Affinity::{Hint, Off, StrictFailFast, StrictQueue};
        use PlacementVerdict::{Any, Busy, Own, WaitForAny, WaitForOwn};
        let table = [
            // own has room, any has room; off, hint, strict_queue, strict_fail_fast
            (None, true, [Any, Any, Any, Any]),
            (None, false, [WaitForAny, WaitForAny, WaitForAny, WaitForAny]),
            (Some(true), true, [Any, Own, Own, Own]),
            (Some(false), true, [Any, Any, WaitForOwn, Busy]),
            (Some(false), false, [WaitForAny, WaitForAny, WaitForOwn, Busy]),
        ];
        for (own_has_room, any_has_room, expected) in table {
            for (affinity, expected) in [Off, Hint, StrictQueue, StrictFailFast].into_iter().zip(expected) {
                let facts = PlacementFacts { affinity, own_has_room, any_has_room };
                assert_eq!(facts.judge(), expected, "{facts:?}");
            }
        }
    }
}
