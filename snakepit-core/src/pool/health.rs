//! Whether a pool can do its work, and if not, why. The verdict is pure.

use std::fmt;

use ractor::RpcReplyPort;
use serde::Serialize;

use crate::error::PoolFailure;
use crate::id::PoolName;
use crate::pool::actor::PoolState;
use crate::pool::admission::AdmissionVerdict;

/// How well a pool, or a whole pit, can do its work. The later, the worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// It does all that it is there for.
    Ready,
    /// It takes requests, and is not what it should be.
    Degraded,
    /// It takes no requests just now, or nobody would run them.
    NotReady,
    /// It takes no requests, and only help from outside is likely to change that.
    Failed,
}

impl HealthStatus {
    /// Whether requests are worth sending: what a readiness probe asks.
    pub fn is_ready(self) -> bool {
        self <= Self::Degraded
    }
}

/// The health of one pool.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PoolHealth {
    /// Which pool.
    pub pool: PoolName,
    /// How well it can do its work.
    pub status: HealthStatus,
    /// Why no better; `None` where it is ready.
    pub reason: Option<HealthReason>,
}

/// Why a pool is not, or not quite, ready.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
#[non_exhaustive]
pub enum HealthReason {
    /// Fewer workers are ready than the pool is to have.
    Short {
        /// How many are ready.
        ready: usize,
        /// How many there are to be.
        size: usize,
        /// How many of the others gave up: they rest, or are not tried again.
        quarantined: usize,
    },
    /// It would refuse a request, because as many wait as may.
    Saturated {
        /// How many wait.
        waiting: usize,
        /// The pool's `queue_limit`.
        limit: usize,
    },
    /// Every worker has given up, or its own actors failed too often.
    Failed {
        /// Which of them, and what failed last.
        failure: PoolFailure,
    },
    /// It was told to take no requests: it is drained, until somebody resumes it.
    Draining {
        /// How many requests wait, that it still has.
        waiting: usize,
        /// How many a worker has, those whose caller no longer waits included.
        running: usize,
    },
    /// The pit shuts down.
    ShuttingDown,
    /// The pool's own actor is being started again.
    Restarting,
}

impl fmt::Display for HealthReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { ready, size, quarantined: 0 } => write!(f, "{ready} of {size} workers are ready"),
            Self::Short { ready, size, quarantined } => {
                write!(f, "{ready} of {size} workers are ready, {quarantined} gave up")
            }
            Self::Saturated { waiting, limit } => write!(f, "{waiting} requests wait, limit {limit}"),
            Self::Failed { failure } => failure.fmt(f),
            Self::Draining { waiting: 0, running: 0 } => f.write_str("it is drained"),
            Self::Draining { waiting, running } => {
                write!(f, "it is being drained: {waiting} requests wait, {running} run")
            }
            Self::ShuttingDown => f.write_str("it is shutting down"),
            Self::Restarting => f.write_str("its own actor is being started again"),
        }
    }
}

/// What the health of a pool is judged by.
#[derive(Clone, Debug)]
struct HealthFacts {
    shutting_down: bool,
    failure: Option<PoolFailure>,
    draining: bool,
    ready: usize,
    size: usize,
    quarantined: usize,
    saturated: bool,
    waiting: usize,
    limit: usize,
    running: usize,
}

impl HealthFacts {
    fn judge(self) -> (HealthStatus, Option<HealthReason>) {
        let Self { ready, size, quarantined, waiting, limit, running, .. } = self;
        if self.shutting_down {
            (HealthStatus::NotReady, Some(HealthReason::ShuttingDown))
        } else if let Some(failure) = self.failure {
            (HealthStatus::Failed, Some(HealthReason::Failed { failure }))
        } else if self.draining {
            (HealthStatus::NotReady, Some(HealthReason::Draining { waiting, running }))
        } else if ready == 0 {
            (HealthStatus::NotReady, Some(HealthReason::Short { ready, size, quarantined }))
        } else if self.saturated {
            (HealthStatus::Degraded, Some(HealthReason::Saturated { waiting, limit }))
        } else if ready < size {
            (HealthStatus::Degraded, Some(HealthReason::Short { ready, size, quarantined }))
        } else {
            (HealthStatus::Ready, None)
        }
    }
}

impl PoolState {
    pub(super) fn get_health(&self, reply: RpcReplyPort<PoolHealth>) {
        let (shared, counts) = (&self.args.shared, self.roster.counts());
        let facts = HealthFacts {
            shutting_down: self.closing.is_some() || shared.is_stopping(),
            failure: self.roster.failure().map(|last| PoolFailure::Workers { last: last.clone() }),
            draining: shared.intake.is_closed(),
            ready: counts.available + counts.busy,
            size: usize::from(shared.plan().size()),
            quarantined: counts.quarantined,
            saturated: self.admission().judge() == AdmissionVerdict::Saturated,
            waiting: self.waiting(),
            limit: shared.options.queue_limit,
            running: self.roster.running(),
        };
        let (status, reason) = facts.judge();
        // Whoever asked may have stopped waiting.
        let _ = reply.send(PoolHealth { pool: shared.name.clone(), status, reason });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{LossCause, WorkerLoss};
    use crate::id::{Incarnation, Slot, WorkerId, WorkerLife};
    use std::sync::Arc;

    fn failure() -> PoolFailure {
        let worker = WorkerId { pool: PoolName::new("p").unwrap(), slot: Slot(0) };
        let life = WorkerLife { worker, incarnation: Incarnation(3) };
        PoolFailure::Workers {
            last: Arc::new(WorkerLoss { life, cause: LossCause::Disconnected, stderr_tail: Vec::new() }),
        }
    }

    #[test]
    fn health_tells_the_truth_and_the_worst_first() {
        let well = HealthFacts {
            shutting_down: false,
            failure: None,
            draining: false,
            ready: 4,
            size: 4,
            quarantined: 0,
            saturated: false,
            waiting: 7,
            limit: 7,
            running: 2,
        };
        let short = |ready, quarantined| HealthReason::Short { ready, size: 4, quarantined };
        let full = HealthReason::Saturated { waiting: 7, limit: 7 };
        let failed = HealthReason::Failed { failure: failure() };
        let table = [
            (well.clone(), HealthStatus::Ready, None),
            // One more than it is to have: another is about to leave.
            (HealthFacts { ready: 5, ..well.clone() }, HealthStatus::Ready, None),
            (HealthFacts { ready: 3, ..well.clone() }, HealthStatus::Degraded, Some(short(3, 0))),
            (HealthFacts { ready: 1, saturated: true, ..well.clone() }, HealthStatus::Degraded, Some(full)),
            (
                HealthFacts { ready: 0, quarantined: 3, saturated: true, ..well.clone() },
                HealthStatus::NotReady,
                Some(short(0, 3)),
            ),
            (
                HealthFacts { ready: 0, draining: true, saturated: true, ..well.clone() },
                HealthStatus::NotReady,
                Some(HealthReason::Draining { waiting: 7, running: 2 }),
            ),
            (
                HealthFacts { ready: 0, draining: true, failure: Some(failure()), ..well.clone() },
                HealthStatus::Failed,
                Some(failed),
            ),
            (
                HealthFacts { shutting_down: true, failure: Some(failure()), ..well },
                HealthStatus::NotReady,
                Some(HealthReason::ShuttingDown),
            ),
        ];
        for (facts, status, reason) in table {
            assert_eq!(facts.clone().judge(), (status, reason), "{facts:?}");
            assert_eq!(status.is_ready(), matches!(status, HealthStatus::Ready | HealthStatus::Degraded));
        }
    }

    #[test]
    fn health_is_readable_by_programs_and_people() {
        let reason = HealthReason::Short { ready: 1, size: 4, quarantined: 2 };
        assert_eq!(reason.to_string(), "1 of 4 workers are ready, 2 gave up");
        let pool = PoolName::new("p").unwrap();
        let health = PoolHealth { pool, status: HealthStatus::Degraded, reason: Some(reason) };
        let expected = serde_json::json!({
            "pool": "p", "status": "degraded",
            "reason": {"is": "short", "ready": 1, "size": 4, "quarantined": 2},
        });
        assert_eq!(serde_json::to_value(&health).unwrap(), expected);
    }
}
