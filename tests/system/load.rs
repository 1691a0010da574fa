//! Callers that ask one thing after the other while something else is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use snakepit_adapters::PoolStats;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep};

use crate::system::subject::{HANG, Subject};

/// Every one of its calls is answered, and as it should be.
pub(crate) struct Load {
    over: Arc<AtomicBool>,
    callers: JoinSet<i64>,
}

impl Load {
    pub(crate) fn start(subject: &Subject, callers: usize) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ask = |_| {
            let (pit, over) = (subject.pit.clone(), Arc::clone(&over));
            async move {
                let mut asked = 0;
                while !over.load(Ordering::Relaxed) {
                    let sum: i64 = pit.call("add", &json!({"a": asked, "b": 1})).await.unwrap();
                    asked += 1;
                    assert_eq!(sum, asked);
                }
                asked
            }
        };
        Self { callers: (0..callers).map(ask).collect(), over }
    }

    /// Ends it. Every call that it made was answered by a worker.
    pub(crate) async fn end(self) {
        self.over.store(true, Ordering::Relaxed);
        let asked: i64 = self.callers.join_all().await.into_iter().sum();
        assert!(asked > 0, "there was no load");
    }
}

impl Subject {
    /// Looks at the pool again and again, until it is as wanted; each look must find what always holds.
    pub(crate) async fn watch(
        &self,
        always: impl Fn(&PoolStats) -> bool,
        until: impl Fn(&PoolStats) -> bool,
    ) -> PoolStats {
        let deadline = Instant::now() + HANG;
        loop {
            let stats = self.pit.stats("default").await.unwrap();
            assert!(always(&stats), "{stats:?}");
            if until(&stats) {
                return stats;
            }
            assert!(Instant::now() < deadline, "{stats:?}");
            sleep(Duration::from_millis(1)).await;
        }
    }
}

/// How many workers take requests.
pub(crate) fn ready(stats: &PoolStats) -> usize {
    stats.available + stats.busy
}
