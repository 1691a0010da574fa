//! Whether a request is let in.

/// The verdict on a request that has just come.
#[must_use = "a request that is neither let in nor refused is never answered"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AdmissionVerdict {
    /// It may wait or run.
    Admit,
    /// The pool is being shut down.
    ShuttingDown,
    /// Every worker has given up.
    Failed,
    /// It is drained, until somebody wants it to go on.
    Draining,
    /// As many requests wait as may.
    Saturated,
}

/// What the verdict depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct AdmissionFacts {
    pub(super) closing: bool,
    pub(super) failed: bool,
    pub(super) draining: bool,
    /// Requests that no worker has yet.
    pub(super) waiting: usize,
    /// Places that are held for requests which have not come yet.
    pub(super) reserved: usize,
    pub(super) queue_limit: usize,
    /// Requests that the workers could take now.
    pub(super) room: usize,
}

impl AdmissionFacts {
    /// Judges a request. Requests whose session's worker is being looked up count as waiting, so those that the workers
    /// have room for do not fill the line.
    pub(super) fn judge(self) -> AdmissionVerdict {
        match self.judge_in_place() {
            AdmissionVerdict::Admit if self.waiting.saturating_add(self.reserved) >= self.places() => {
                AdmissionVerdict::Saturated
            }
            verdict => verdict,
        }
    }

    /// Judges a request for which a place is held.
    pub(super) fn judge_in_place(self) -> AdmissionVerdict {
        if self.closing {
            AdmissionVerdict::ShuttingDown
        } else if self.failed {
            AdmissionVerdict::Failed
        } else if self.draining {
            AdmissionVerdict::Draining
        } else {
            AdmissionVerdict::Admit
        }
    }

    /// How many places may be held at once: those that no waiting request has, and half of all at most, so that permits
    /// which lie idle never shut out whoever comes without one.
    pub(super) fn reservable(self) -> usize {
        match self.judge_in_place() {
            AdmissionVerdict::Admit => {
                self.places().saturating_sub(self.waiting).min(self.places().div_ceil(2))
            }
            AdmissionVerdict::ShuttingDown
            | AdmissionVerdict::Failed
            | AdmissionVerdict::Draining
            | AdmissionVerdict::Saturated => 0,
        }
    }

    fn places(self) -> usize {
        self.queue_limit.saturating_add(self.room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: AdmissionFacts = AdmissionFacts {
        closing: false,
        failed: false,
        draining: false,
        waiting: 0,
        reserved: 0,
        queue_limit: 2,
        room: 0,
    };

    #[test]
    fn the_first_reason_that_holds_decides() {
        let open = OPEN;
        let table = [
            ("an empty line", open, AdmissionVerdict::Admit),
            ("one place left", AdmissionFacts { waiting: 1, ..open }, AdmissionVerdict::Admit),
            ("a full line", AdmissionFacts { waiting: 2, ..open }, AdmissionVerdict::Saturated),
            (
                "a full line and a free worker",
                AdmissionFacts { waiting: 2, room: 1, ..open },
                AdmissionVerdict::Admit,
            ),
            (
                "one waits, one is to come",
                AdmissionFacts { waiting: 1, reserved: 1, ..open },
                AdmissionVerdict::Saturated,
            ),
            (
                "the free worker is kept for another",
                AdmissionFacts { queue_limit: 0, room: 1, reserved: 1, ..open },
                AdmissionVerdict::Saturated,
            ),
            ("no line at all", AdmissionFacts { queue_limit: 0, ..open }, AdmissionVerdict::Saturated),
            (
                "no line, free worker",
                AdmissionFacts { queue_limit: 0, room: 1, ..open },
                AdmissionVerdict::Admit,
            ),
            (
                "failed and full",
                AdmissionFacts { failed: true, waiting: 2, ..open },
                AdmissionVerdict::Failed,
            ),
            (
                "drained and full",
                AdmissionFacts { draining: true, waiting: 2, ..open },
                AdmissionVerdict::Draining,
            ),
            (
                "drained and failed",
                AdmissionFacts { draining: true, failed: true, ..open },
                AdmissionVerdict::Failed,
            ),
            (
                "closing and failed",
                AdmissionFacts { closing: true, failed: true, ..open },
                AdmissionVerdict::ShuttingDown,
            ),
        ];
        for (case, facts, verdict) in table {
            assert_eq!(facts.judge(), verdict, "{case}");
        }
    }

    #[test]
    fn a_place_that_is_held_is_no_place_in_a_pool_that_takes_nothing() {
        let full = AdmissionFacts { waiting: 2, reserved: 1, ..OPEN };
        assert_eq!(full.judge_in_place(), AdmissionVerdict::Admit);
        let drained = AdmissionFacts { draining: true, ..full };
        assert_eq!(drained.judge_in_place(), AdmissionVerdict::Draining);
        let failed = AdmissionFacts { failed: true, ..full };
        assert_eq!(failed.judge_in_place(), AdmissionVerdict::Failed);
        let closing = AdmissionFacts { closing: true, ..failed };
        assert_eq!(closing.judge_in_place(), AdmissionVerdict::ShuttingDown);
    }

    #[test]
    fn half_of_the_places_may_be_held_and_none_that_is_taken() {
        let line = AdmissionFacts { queue_limit: 10, ..OPEN };
        let table = [
            ("an empty line", line, 5),
            ("a line with few places", AdmissionFacts { waiting: 7, ..line }, 3),
            ("a full line", AdmissionFacts { waiting: 10, ..line }, 0),
            ("a line that a lost worker has made too long", AdmissionFacts { waiting: 11, ..line }, 0),
            ("a single place", AdmissionFacts { queue_limit: 0, room: 1, ..line }, 1),
            ("no place", AdmissionFacts { queue_limit: 0, ..line }, 0),
            ("held ones count already", AdmissionFacts { reserved: 5, ..line }, 5),
            ("failed", AdmissionFacts { failed: true, ..line }, 0),
            ("drained", AdmissionFacts { draining: true, ..line }, 0),
            ("closing", AdmissionFacts { closing: true, ..line }, 0),
        ];
        for (case, facts, expected) in table {
            assert_eq!(facts.reservable(), expected, "{case}");
        }
    }
}
