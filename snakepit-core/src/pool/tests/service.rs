//! The pool under real tower middleware.

use std::time::Duration;

use tokio::time::Instant;
use tower::load_shed::error::Overloaded;
use tower::timeout::error::Elapsed;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};

use crate::adapter::AdapterFailure;
use crate::adapter::scripted::Boot;
use crate::error::ExecuteError;
use crate::pool::PoolService;
use crate::pool::tests::bench::{Bench, done, options, request, value};

/// Whether a service is ready now, without anybody waiting for it.
async fn is_ready(service: &mut PoolService) -> bool {
    let ready = std::future::poll_fn(|cx| std::task::Poll::Ready(service.poll_ready(cx))).await;
    ready.map(|ready| ready.expect("the pool goes on")).is_ready()
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_ready_is_not_refused() {
    let mut bench = Bench::start(options(|o| o.queue_limit = 0)).await;
    let mut life = bench.life().await;
    bench.settled(|stats| stats.available == 1).await;
    let mut service = bench.pool.service();
    assert!(is_ready(&mut service).await && is_ready(&mut service).await);
    assert_eq!(bench.stats().await.reserved, 1, "asked twice, it has one place");
    assert_eq!(bench.pool.execute(request("late")).await.unwrap_err().code(), "saturated");
    let call = tokio::spawn(service.call(request("a")));
    let id = life.next_request().await;
    assert!(!is_ready(&mut service).await, "the place is used, and there is no other");
    life.answer(id, &done());
    assert_eq!(value(&call.await.unwrap().unwrap()), done());
    assert!(service.ready().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn every_clone_has_a_place_of_its_own_and_gives_it_back() {
    let mut bench = Bench::start(options(|o| (o.size, o.queue_limit) = (1, 2))).await;
    let mut life = bench.life().await;
    bench.call("occupies");
    let id = life.next_request().await;
    let mut first = bench.pool.service();
    assert!(is_ready(&mut first).await);
    let mut second = first.clone();
    assert_eq!(bench.stats().await.reserved, 1);
    assert!(!is_ready(&mut second).await, "half of two places is one");
    drop(first);
    assert!(second.ready().await.is_ok());
    drop(second);
    assert_eq!(bench.settled(|stats| stats.reserved == 0).await.saturated, 0);
    life.answer(id, &done());
}

#[tokio::test(start_paused = true)]
async fn a_call_without_readiness_comes_as_any_other_request() {
    let mut bench = Bench::start(options(|o| o.queue_limit = 0)).await;
    let mut life = bench.life().await;
    bench.settled(|stats| stats.available == 1).await;
    let mut service = bench.pool.service();
    let call = tokio::spawn(service.call(request("a")));
    let id = life.next_request().await;
    assert_eq!(service.call(request("b")).await.unwrap_err().code(), "saturated");
    life.answer(id, &done());
    assert!(call.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn load_shed_refuses_what_a_saturated_pool_would_let_wait() {
    let mut bench = Bench::start(options(|o| o.queue_limit = 0)).await;
    let mut life = bench.life().await;
    bench.settled(|stats| stats.available == 1).await;
    let service = ServiceBuilder::new().load_shed().service(bench.pool.service());
    let call = tokio::spawn(service.clone().oneshot(request("first")));
    let id = life.next_request().await;
    let refusal = service.clone().oneshot(request("second")).await.unwrap_err();
    assert!(refusal.is::<Overloaded>(), "{refusal}");
    life.answer(id, &done());
    assert!(call.await.unwrap().is_ok());
    let call = tokio::spawn(service.oneshot(request("third")));
    let id = life.next_request().await;
    life.answer(id, &done());
    assert!(call.await.unwrap().is_ok());
    bench.settled(|stats| stats.reserved == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_timeout_above_the_pool_cancels_the_request() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let service = ServiceBuilder::new().timeout(Duration::from_secs(1)).service(bench.pool.service());
    let call = tokio::spawn(service.oneshot(request("long")));
    let id = life.next_request().await;
    let error: BoxError = call.await.unwrap().unwrap_err();
    assert!(error.is::<Elapsed>(), "{error}");
    assert_eq!(life.next_cancel().await, id);
    life.answer(id, &done());
    let stats = bench.settled(|stats| stats.available == 1).await;
    assert_eq!((stats.cancelled, stats.reserved), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_buffer_hands_on_requests_as_fast_as_there_are_places() {
    let mut bench = Bench::start(options(|o| o.queue_limit = 0)).await;
    let mut life = bench.life().await;
    bench.settled(|stats| stats.available == 1).await;
    let service = ServiceBuilder::new().buffer(8).concurrency_limit(4).service(bench.pool.service());
    let calls: Vec<_> = (0..8).map(|_| tokio::spawn(service.clone().oneshot(request("a")))).collect();
    for _ in 0..8 {
        let id = life.next_request().await;
        life.answer(id, &done());
    }
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    let stats = bench.stats().await;
    assert_eq!((stats.succeeded, stats.saturated), (8, 0), "nobody was refused");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_waits_outlives_the_pools_restart() {
    let mut bench = Bench::start(options(|o| o.queue_limit = 0)).await;
    let mut life = bench.life().await;
    let call = bench.call("occupies");
    let id = life.next_request().await;
    let mut held = bench.pool.service();
    let waits = tokio::spawn(bench.pool.service().oneshot(request("waits")));
    bench.stats().await;
    bench.kill_pool().await;
    assert!(call.await.unwrap().is_err());
    assert_eq!(life.next_cancel().await, id);
    life.answer(id, &done());
    let id = life.next_request().await;
    life.answer(id, &done());
    assert!(waits.await.unwrap().is_ok());
    // And one that was ready before still is.
    held.ready().await.unwrap();
    bench.kill_pool().await;
    bench.settled(|stats| stats.available == 1).await;
    let call = tokio::spawn(held.call(request("held")));
    let id = life.next_request().await;
    life.answer(id, &done());
    assert!(call.await.unwrap().is_ok());
    assert_eq!(bench.stats().await.reserved, 0);
}

#[tokio::test(start_paused = true)]
async fn only_a_shutdown_breaks_a_service() {
    let failure = AdapterFailure::Failed { what: "no such thing".to_owned() };
    let bench = Bench::start_with(options(|o| o.queue_limit = 0), Boot::Fails(failure)).await;
    let mut service = bench.pool.service();
    service.ready().await.expect("a pool that has failed is tried again");
    assert_eq!(service.call(request("a")).await.unwrap_err().code(), "pool_failed");
    let mut healthy = bench.pool.service();
    healthy.ready().await.expect("as above");
    bench.pool.shared().stop_by(Instant::now());
    for service in [&mut service, &mut healthy] {
        let error = service.ready().await.map(|_| ()).expect_err("the pool shuts down");
        assert!(matches!(error, ExecuteError::ShuttingDown { .. }), "{error}");
    }
    assert_eq!(bench.stats().await.reserved, 0);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_waits_hears_of_a_shutdown() {
    let mut bench = Bench::start(options(|o| o.queue_limit = 0)).await;
    let mut life = bench.life().await;
    let _call = bench.call("occupies");
    life.next_request().await;
    let waits = tokio::spawn(bench.pool.service().oneshot(request("waits")));
    bench.stats().await;
    bench.pool.shared().stop_by(Instant::now());
    bench.pool.close(Instant::now()).await;
    assert_eq!(waits.await.unwrap().unwrap_err().code(), "shutting_down");
}

#[test]
fn a_service_may_be_shared_between_threads_and_held_by_a_router() {
    fn fits<S: Clone + Send + Sync + 'static>() {}
    fits::<PoolService>();
}

#[tokio::test(start_paused = true)]
async fn s30_a_service_of_a_drained_pool_lives_on_and_tells_its_calls() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let mut service = bench.pool.service();
    assert!(service.ready().await.is_ok());
    assert!(bench.pool.drain(Duration::from_mins(1)).await.is_ok());
    for _ in 0..2 {
        // The first call has a place from before, the second could not get one.
        let refused = service.ready().await.unwrap().call(request("late")).await.unwrap_err();
        assert_eq!(refused.code(), "pool_draining");
    }
    bench.pool.resume().await.unwrap();
    let call = tokio::spawn(service.ready().await.unwrap().call(request("again")));
    let id = life.next_request().await;
    life.answer(id, &done());
    assert!(call.await.unwrap().is_ok());
}
