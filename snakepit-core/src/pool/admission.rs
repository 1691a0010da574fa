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
    /// As many requests wait as may.
    Saturated,
}

/// What the verdict depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct AdmissionFacts {
    pub(super) draining: bool,
    pub(super) failed: bool,
    /// Requests that no worker has yet.
    pub(super) waiting: usize,
    pub(super) queue_limit: usize,
    /// Requests that the workers could take now.
    pub(super) room: usize,
}

impl AdmissionFacts {
    /// Judges a request. Requests whose session's worker is being looked up count as waiting, so those that the workers
    /// have room for do not fill the line.
    pub(super) fn judge(self) -> AdmissionVerdict {
        if self.draining {
            AdmissionVerdict::ShuttingDown
        } else if self.failed {
            AdmissionVerdict::Failed
        } else if self.waiting >= self.queue_limit.saturating_add(self.room) {
            AdmissionVerdict::Saturated
        } else {
            AdmissionVerdict::Admit
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_that_holds_decides() {
        let open = AdmissionFacts { draining: false, failed: false, waiting: 0, queue_limit: 2, room: 0 };
        let table = [
            ("an empty line", open, AdmissionVerdict::Admit),
            ("one place left", AdmissionFacts { waiting: 1, ..open }, AdmissionVerdict::Admit),
            ("a full line", AdmissionFacts { waiting: 2, ..open }, AdmissionVerdict::Saturated),
            (
                "a full line and a free worker",
                AdmissionFacts { waiting: 2, room: 1, ..open },
                AdmissionVerdict::Admit,
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
                "draining and failed",
                AdmissionFacts { draining: true, failed: true, ..open },
                AdmissionVerdict::ShuttingDown,
            ),
        ];
        for (case, facts, verdict) in table {
            assert_eq!(facts.judge(), verdict, "{case}");
        }
    }
}
