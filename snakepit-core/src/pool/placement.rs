//! Where a request goes that has just come, or whose session's worker has just been found out.

use crate::config::Affinity;

/// What room a worker, or all of them together, has for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Room {
    /// None.
    Full,
    /// Room to be handed the request ahead of its turn.
    Ahead,
    /// Room to run it now.
    Free,
}

/// The verdict on a request that is to be placed.
#[must_use = "a request that is placed nowhere waits until its deadline"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlacementVerdict {
    /// To its session's worker.
    Own,
    /// To whoever has been free longest, or else can be handed it ahead of its turn.
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
    /// What room its session's worker has; `None` where it has no session's worker.
    pub(super) own: Option<Room>,
    /// The best room that any worker has.
    pub(super) any: Room,
}

impl PlacementFacts {
    /// Judges a request.
    pub(super) fn judge(self) -> PlacementVerdict {
        use Affinity::{Hint, Off, StrictFailFast, StrictQueue};
        let anywhere =
            if self.any == Room::Full { PlacementVerdict::WaitForAny } else { PlacementVerdict::Any };
        match (self.own, self.affinity) {
            (None, _) | (_, Off) => anywhere,
            (Some(Room::Free), _) => PlacementVerdict::Own,
            // Ahead of its turn on its own worker, unless another could run it now.
            (Some(Room::Ahead), Hint) if self.any < Room::Free => PlacementVerdict::Own,
            (Some(Room::Ahead | Room::Full), Hint) => anywhere,
            (Some(Room::Ahead), StrictQueue) => PlacementVerdict::Own,
            (Some(Room::Full), StrictQueue) => PlacementVerdict::WaitForOwn,
            (Some(Room::Ahead | Room::Full), StrictFailFast) => PlacementVerdict::Busy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Affinity::{Hint, Off, StrictFailFast, StrictQueue};
    use PlacementVerdict::{Any, Busy, Own, WaitForAny, WaitForOwn};

    fn verdicts(own: Option<Room>, any: Room) -> [PlacementVerdict; 4] {
        [Off, Hint, StrictQueue, StrictFailFast].map(|affinity| PlacementFacts { affinity, own, any }.judge())
    }

    #[test]
    fn every_mode_has_its_place() {
        let table = [
            // own, any; off, hint, strict_queue, strict_fail_fast
            (None, Room::Free, [Any, Any, Any, Any]),
            (None, Room::Ahead, [Any, Any, Any, Any]),
            (None, Room::Full, [WaitForAny, WaitForAny, WaitForAny, WaitForAny]),
            (Some(Room::Free), Room::Free, [Any, Own, Own, Own]),
            (Some(Room::Ahead), Room::Free, [Any, Any, Own, Busy]),
            (Some(Room::Ahead), Room::Ahead, [Any, Own, Own, Busy]),
            (Some(Room::Full), Room::Free, [Any, Any, WaitForOwn, Busy]),
            (Some(Room::Full), Room::Ahead, [Any, Any, WaitForOwn, Busy]),
            (Some(Room::Full), Room::Full, [WaitForAny, WaitForAny, WaitForOwn, Busy]),
        ];
        for (own, any, expected) in table {
            assert_eq!(verdicts(own, any), expected, "own {own:?}, any {any:?}");
        }
    }
}
