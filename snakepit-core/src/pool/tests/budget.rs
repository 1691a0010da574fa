//! A pool whose own actors fail until their supervisor has spent its budget.

use std::time::Duration;

use tokio::time::Instant;

use crate::adapter::scripted::Boot;
use crate::config::Affinity;
use crate::error::{AwaitReadyError, PoolFailure};
use crate::id::SessionId;
use crate::pool::tests::bench::{Bench, in_session, options, request};
use crate::pool::{Drained, HealthReason, HealthStatus};
use crate::telemetry::EventSink;

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test(start_paused = true)]
async fn s28_a_pool_whose_actor_panics_again_and_again_fails_with_the_reason_and_heals() {
    let events = EventSink::default();
    let mut told = events.subscribe(None);
    let mut bench = Bench::start_telling(options(|o| o.capacity = 100), Boot::Ready, &events).await;
    let mut life = bench.life().await;
    for _ in 0..4 {
        bench.pool.await_ready(HOUR).await.unwrap();
        let cut_off = bench.call("cut off");
        life.next_request().await;
        bench.panic_pool(&mut life).await;
        assert_eq!(cut_off.await.unwrap().unwrap_err().code(), "pool_restarted", "it may have run");
        life.next_cancel().await;
    }
    let began = Instant::now();
    let ready = bench.pool.await_ready(HOUR).await;
    let Err(AwaitReadyError::PoolFailed { reason, .. }) = ready else { panic!("{ready:?}") };
    assert!(matches!(&reason, PoolFailure::Actors { why } if why.contains("a scripted waker")), "{reason}");
    assert!(bench.pool.reserve().await.is_err_and(|error| error.code() == "pool_failed"));
    assert!(bench.pool.stats().await.is_err_and(|error| error.code() == "pool_failed"));
    let resized = bench.pool.resize(2).await;
    assert!(resized.is_err_and(|error| error.code() == "pool_failed" && error.is_retryable()));
    let session = SessionId::new("s").unwrap();
    let ended = bench.pool.end_session(&session).await;
    assert!(ended.is_err_and(|error| error.code() == "pool_failed" && error.is_retryable()));
    let slot = life.life.worker.slot;
    let recycled = bench.pool.recycle(slot).await.map(drop);
    for asked in [recycled, bench.pool.rolling_restart().await.map(drop)] {
        assert!(asked.is_err_and(|error| error.code() == "pool_failed" && error.is_retryable()));
    }
    let refused = bench.pool.execute(request("refused")).await.unwrap_err();
    assert_eq!((refused.code(), refused.is_retryable()), ("pool_failed", true));
    let health = bench.pool.health().await;
    assert_eq!(
        (health.status, health.reason),
        (HealthStatus::Failed, Some(HealthReason::Failed { failure: reason }))
    );
    assert_eq!(began.elapsed(), Duration::ZERO, "nobody is kept waiting");
    bench.tried_again().await;
    let mut again = bench.life().await;
    assert_eq!((life.life.incarnation.0, again.life.incarnation.0), (1, 2));
    assert!(bench.run(request("work"), &mut again).await.is_ok());
    assert_eq!(bench.pool.health().await.status, HealthStatus::Ready);
    let mut names = Vec::new();
    while names.last() != Some(&"snakepit.pool.recovered") {
        names.push(told.next().await.unwrap().unwrap().event.name());
    }
    names.retain(|name| name.starts_with("snakepit.pool.g") || name.starts_with("snakepit.pool.t"));
    assert_eq!(names, ["snakepit.pool.gave_up", "snakepit.pool.tried_again"]);
}

#[tokio::test(start_paused = true)]
async fn s28_a_pool_that_fails_again_rests_longer_and_after_a_good_time_begins_anew() {
    let bench = Bench::start(options(|_| {})).await;
    let rests_about = async |seconds: u64| {
        bench.spend_budget().await;
        let began = Instant::now();
        bench.tried_again().await;
        let (whole, took) = (Duration::from_secs(seconds), began.elapsed());
        // Chance takes away up to a fifth; before it the workers are stopped.
        assert!(
            took >= whole.mul_f64(0.8) && took < whole + Duration::from_millis(800),
            "{seconds} s: {took:?}"
        );
    };
    for seconds in [1, 2, 4] {
        rests_about(seconds).await;
    }
    tokio::time::sleep(HOUR).await;
    rests_about(1).await;
}

#[tokio::test(start_paused = true)]
async fn s28_whoever_waits_for_a_pool_that_gives_up_hears_it_at_once() {
    let bench =
        Bench::start_with(options(|o| (o.queue_limit, o.startup_timeout) = (0, HOUR)), Boot::Never).await;
    let (ready, reserved) = (bench.pool.clone(), bench.pool.clone());
    let ready = tokio::spawn(async move { ready.await_full(HOUR).await });
    let reserved = tokio::spawn(async move { reserved.reserve().await.map(drop) });
    let began = Instant::now();
    bench.spend_budget().await;
    assert_eq!(ready.await.unwrap().unwrap_err().code(), "pool_failed");
    assert_eq!(reserved.await.unwrap().unwrap_err().code(), "pool_failed");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn s28_what_outlives_the_pools_actors_outlives_also_this() {
    let mut bench = Bench::start(options(|o| o.affinity = Affinity::StrictQueue)).await;
    let mut life = bench.life().await;
    assert!(bench.run(in_session("work", "s"), &mut life).await.is_ok());
    bench.pool.resize(2).await.unwrap();
    bench.settled(|stats| stats.available == 2).await;
    let other = bench.life().await;
    bench.exits(&other, 78).await;
    bench.settled(|stats| stats.quarantined == 1).await;
    let requests = bench.stats().await.requests;
    bench.spend_budget().await;
    // Nothing is left that could be under way.
    assert_eq!(bench.pool.drain(HOUR).await, Ok(Drained { finished: 0 }));
    bench.tried_again().await;
    let mut again = bench.life().await;
    assert_eq!(again.life.worker.slot, life.life.worker.slot);
    assert_eq!(bench.pool.execute(request("late")).await.unwrap_err().code(), "pool_draining");
    bench.pool.resume().await.unwrap();
    let lost = bench.pool.execute(in_session("work", "s")).await.unwrap_err();
    assert_eq!(lost.code(), "session_lost");
    assert!(bench.run(in_session("work", "s"), &mut again).await.is_ok());
    let stats = bench.stats().await;
    assert_eq!((stats.size, stats.quarantined, stats.requests), (2, 1, requests + 3));
    assert!(bench.lives.is_empty(), "the slot that was given up for good was tried again");
}

#[tokio::test(start_paused = true)]
async fn s42_a_pool_that_rests_can_be_stopped() {
    let bench = Bench::start(options(|_| {})).await;
    bench.spend_budget().await;
    bench.pool.shared().stop_by(Instant::now());
    bench.supervisor.stop(Some("shutdown".to_owned()));
    bench.supervisor.wait(Some(Duration::from_secs(1))).await.unwrap();
    assert_eq!(bench.pool.execute(request("late")).await.unwrap_err().code(), "shutting_down");
    tokio::time::sleep(HOUR).await;
    assert!(bench.pool.shared().down().is_some(), "nobody started it again");
}
