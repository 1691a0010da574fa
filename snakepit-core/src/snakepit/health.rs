//! Whether a pit can do its work, judged by its pools.

use serde::Serialize;
use tokio::task::JoinSet;

use crate::pool::{HealthReason, HealthStatus, PoolHealth};
use crate::snakepit::handle::Pit;

/// The health of a pit and of each of its pools; serialised, an answer to a readiness probe.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// How well the pit can do its work.
    ///
    /// A pool that is not ready yet makes the pit not ready: it soon will be. One that has failed makes it degraded, as
    /// long as another takes requests: it may never be ready, and the others are there all the same. So does one that is
    /// drained: somebody wants it so.
    pub status: HealthStatus,
    /// Its pools, by name.
    pub pools: Vec<PoolHealth>,
}

impl Health {
    pub(super) async fn of(pit: &Pit) -> Self {
        let mut asked = JoinSet::new();
        for (pool, _) in pit.pools.values() {
            let pool = pool.clone();
            asked.spawn(async move { pool.health().await });
        }
        let mut pools = asked.join_all().await;
        pools.sort_by(|a, b| a.pool.cmp(&b.pool));
        Self { status: judge(&pools), pools }
    }

    /// Whether requests are worth sending: what a readiness probe asks.
    pub fn is_ready(&self) -> bool {
        self.status.is_ready()
    }
}

fn judge(pools: &[PoolHealth]) -> HealthStatus {
    let is_drained = |pool: &PoolHealth| matches!(pool.reason, Some(HealthReason::Draining { .. }));
    if pools.iter().any(|pool| pool.status == HealthStatus::NotReady && !is_drained(pool)) {
        HealthStatus::NotReady
    } else if !pools.iter().any(|pool| pool.status.is_ready()) {
        // The least of it: a pool that is drained only waits to be resumed.
        pools.iter().map(|pool| pool.status).min().unwrap_or(HealthStatus::Failed)
    } else if pools.iter().all(|pool| pool.status == HealthStatus::Ready) {
        HealthStatus::Ready
    } else {
        HealthStatus::Degraded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PoolName;
    use HealthStatus::{Degraded, Failed, NotReady, Ready};

    #[test]
    fn one_broken_pool_does_not_take_the_others_away() {
        let drained = |pool: &'static str| PoolHealth {
            pool: PoolName::new(pool).unwrap(),
            status: NotReady,
            reason: Some(HealthReason::Draining { waiting: 0, running: 0 }),
        };
        let table: [(&[HealthStatus], HealthStatus); 7] = [
            (&[Ready, Ready], Ready),
            (&[Ready, Degraded], Degraded),
            (&[Ready, Failed], Degraded),
            (&[Failed, Failed], Failed),
            (&[Ready, NotReady], NotReady),
            (&[Failed, NotReady], NotReady),
            (&[NotReady], NotReady),
        ];
        for (pools, expected) in table {
            let pools: Vec<_> = pools
                .iter()
                .map(|status| PoolHealth { status: *status, reason: None, ..drained("p") })
                .collect();
            assert_eq!(judge(&pools), expected, "{pools:?}");
        }
        let table = [(Ready, Degraded), (Degraded, Degraded), (Failed, NotReady), (NotReady, NotReady)];
        for (status, expected) in table {
            let other = PoolHealth { status, reason: None, ..drained("q") };
            assert_eq!(judge(&[drained("p"), other]), expected, "beside a drained pool: {status:?}");
        }
        assert_eq!(judge(&[drained("p")]), NotReady);
    }
}
