//! What a pool says of its health.

use std::time::Duration;

use crate::adapter::AdapterFailure;
use crate::adapter::scripted::Boot;
use crate::error::PoolFailure;
use crate::pool::tests::bench::{Bench, options};
use crate::pool::{HealthReason, HealthStatus};

#[tokio::test(start_paused = true)]
async fn a_pool_is_as_ready_as_its_workers() {
    let mut bench = Bench::start(options(|o| (o.size, o.queue_limit) = (2, 0))).await;
    let [mut a, b] = bench.all_lives().await;
    let well = bench.pool.health().await;
    assert_eq!((well.status, well.reason), (HealthStatus::Ready, None));
    let (one, two) = (bench.call("one"), bench.call("two"));
    a.next_request().await;
    bench.settled(|stats| stats.running == 2).await;
    let full = bench.pool.health().await;
    assert_eq!(full.status, HealthStatus::Degraded);
    assert_eq!(full.reason, Some(HealthReason::Saturated { waiting: 0, limit: 0 }));
    b.end(AdapterFailure::Disconnected);
    bench.settled(|stats| stats.starting == 1).await;
    assert_eq!(bench.pool.health().await.status, HealthStatus::Degraded);
    drop((one, two));
}

#[tokio::test(start_paused = true)]
async fn a_pool_without_a_ready_worker_is_not_ready() {
    let bench = Bench::start_with(options(|o| o.size = 2), Boot::Never).await;
    let empty = bench.pool.health().await;
    assert_eq!(empty.status, HealthStatus::NotReady, "{empty:?}");
    assert_eq!(empty.reason, Some(HealthReason::Short { ready: 0, size: 2, quarantined: 0 }));
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_failed_or_stops_is_not_ready_and_says_why() {
    let broken = Boot::Fails(AdapterFailure::Failed { what: "no such thing".to_owned() });
    let bench = Bench::start_with(options(|_| {}), broken).await;
    bench.settled(|stats| stats.quarantined == 1).await;
    let failed = bench.pool.health().await;
    assert_eq!(failed.status, HealthStatus::Failed);
    assert!(failed.reason.unwrap().to_string().contains("no such thing"));
    bench.pool.shared().stop_by(tokio::time::Instant::now());
    let stopping = bench.pool.health().await;
    assert_eq!(
        (stopping.status, stopping.reason),
        (HealthStatus::NotReady, Some(HealthReason::ShuttingDown))
    );
    bench.supervisor.stop(Some("shutdown".to_owned()));
    bench.supervisor.wait(Some(Duration::from_secs(9))).await.unwrap();
    assert_eq!(bench.pool.health().await.reason, Some(HealthReason::ShuttingDown));
}

#[tokio::test(start_paused = true)]
async fn a_pool_whose_own_actors_fail_too_often_is_down_and_says_so() {
    let bench = Bench::start(options(|_| {})).await;
    bench.spend_budget().await;
    let down = bench.pool.health().await;
    assert_eq!(down.status, HealthStatus::Failed, "{down:?}");
    let reason = down.reason.unwrap();
    assert!(matches!(reason, HealthReason::Failed { failure: PoolFailure::Actors { .. } }), "{reason:?}");
    assert!(reason.to_string().contains("3 restarts"), "{reason}");
}
