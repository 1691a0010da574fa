//! Places reserved before there is a request: kept, given back, waited for, and never lost.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::adapter::AdapterFailure;
use crate::adapter::scripted::{Boot, ScriptedLife};
use crate::error::ExecuteError;
use crate::pool::Permit;
use crate::pool::tests::bench::{Bench, done, options, request};

impl Bench {
    /// A caller that waits for a place.
    fn reserve(&self) -> JoinHandle<Result<Permit, ExecuteError>> {
        let pool = self.pool.clone();
        tokio::spawn(async move { pool.reserve().await })
    }

    /// A pool whose one worker is busy, and whose line has so many places.
    async fn busy(queue_limit: usize) -> (Self, ScriptedLife, Occupation) {
        let mut bench = Self::start(options(|o| o.queue_limit = queue_limit)).await;
        let mut life = bench.life().await;
        bench.settled(|stats| stats.available == 1).await;
        let call = bench.call("occupies");
        let id = life.next_request().await;
        (bench, life, Occupation { call, id })
    }
}

/// The request that keeps the worker busy.
struct Occupation {
    call: JoinHandle<Result<crate::pool::Response, ExecuteError>>,
    id: crate::id::RequestId,
}

#[tokio::test(start_paused = true)]
async fn a_request_with_a_permit_is_let_in_where_others_are_refused() {
    let (bench, mut life, occupation) = Bench::busy(2).await;
    let permit = bench.pool.reserve().await.unwrap();
    let waits = bench.call("waits");
    bench.settled(|stats| (stats.waiting, stats.reserved) == (1, 1)).await;
    let refusal = bench.pool.execute(request("refused")).await.unwrap_err();
    let ExecuteError::Saturated { queued, limit, .. } = refusal else { panic!("{refusal}") };
    assert_eq!((queued, limit), (2, 2), "the place that is held counts as taken");
    let reserved = tokio::spawn(permit.execute(request("reserved")));
    bench.settled(|stats| (stats.waiting, stats.reserved) == (2, 0)).await;
    life.answer(occupation.id, &done());
    for _ in 0..2 {
        let id = life.next_request().await;
        life.answer(id, &done());
    }
    for call in [occupation.call, waits, reserved] {
        assert!(call.await.unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_is_dropped_lets_the_next_caller_in() {
    let (bench, _life, _occupation) = Bench::busy(1).await;
    let permit = bench.pool.reserve().await.unwrap();
    assert!(bench.pool.try_reserve().is_none());
    let next = bench.reserve();
    assert_eq!(bench.stats().await.reserved, 1);
    assert!(!next.is_finished());
    drop(permit);
    let next = next.await.unwrap().unwrap();
    assert_eq!(bench.stats().await.reserved, 1);
    drop(next);
    assert_eq!(bench.settled(|stats| stats.reserved == 0).await.waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_sent_gives_its_place_back() {
    let (bench, _life, _occupation) = Bench::busy(1).await;
    let permit = bench.pool.reserve().await.unwrap();
    let error = permit.execute(request("")).await.unwrap_err();
    assert_eq!(error.code(), "invalid_argument");
    let permit = bench.pool.reserve().await.unwrap();
    drop(permit.execute(request("never polled")));
    assert!(bench.pool.reserve().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_saturated_pool_lets_callers_wait_and_serves_them_in_their_order() {
    let (bench, mut life, occupation) = Bench::busy(1).await;
    let waits = bench.call("waits");
    bench.settled(|stats| stats.waiting == 1).await;
    let first = bench.reserve();
    bench.stats().await;
    let second = bench.reserve();
    bench.stats().await;
    assert!(!first.is_finished() && !second.is_finished());
    life.answer(occupation.id, &done());
    let id = life.next_request().await;
    let first = first.await.unwrap().unwrap();
    assert!(!second.is_finished(), "one place was free");
    // Nor does anybody get past the one who waits.
    assert!(bench.pool.try_reserve().is_none());
    let first = tokio::spawn(first.execute(request("first")));
    bench.settled(|stats| stats.waiting == 1).await;
    life.answer(id, &done());
    let id = life.next_request().await;
    life.answer(id, &done());
    assert!(second.await.unwrap().is_ok());
    for call in [occupation.call, waits, first] {
        assert!(call.await.unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_pool_without_a_line_reserves_the_free_worker() {
    let mut bench = Bench::start(options(|o| o.queue_limit = 0)).await;
    let mut life = bench.life().await;
    bench.settled(|stats| stats.available == 1).await;
    let permit = bench.pool.try_reserve().expect("the worker is free");
    assert_eq!(bench.pool.execute(request("late")).await.unwrap_err().code(), "saturated");
    let waits = bench.reserve();
    let call = tokio::spawn(permit.execute(request("reserved")));
    let id = life.next_request().await;
    assert_eq!(bench.stats().await.reserved, 0, "the worker is taken, and nobody may wait for it");
    life.answer(id, &done());
    assert!(call.await.unwrap().is_ok());
    assert!(waits.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn permits_that_lie_idle_leave_half_of_the_line_to_others() {
    let (bench, _life, _occupation) = Bench::busy(4).await;
    let held: Vec<_> = (0..4).map_while(|_| bench.pool.try_reserve()).collect();
    assert_eq!(held.len(), 2);
    let _waiting = [bench.call("a"), bench.call("b")];
    let stats = bench.settled(|stats| stats.waiting == 2).await;
    assert_eq!((stats.reserved, stats.saturated), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_worker_is_not_kept_idle_for_a_permit() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    bench.settled(|stats| stats.available == 1).await;
    let _permit = bench.pool.reserve().await.unwrap();
    assert!(bench.run(request("another's"), &mut life).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_permit_whose_worker_is_lost_is_honoured_all_the_same() {
    let mut bench = Bench::start(options(|o| o.queue_limit = 0)).await;
    let life = bench.life().await;
    bench.settled(|stats| stats.available == 1).await;
    let permit = bench.pool.reserve().await.unwrap();
    life.end(AdapterFailure::Disconnected);
    bench.settled(|stats| stats.restarts == 1).await;
    let call = tokio::spawn(permit.execute(request("waits for the successor")));
    let mut successor = bench.life().await;
    let id = successor.next_request().await;
    successor.answer(id, &done());
    assert!(call.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_permit_outlives_the_pools_restart_and_stays_counted() {
    let (bench, mut life, occupation) = Bench::busy(1).await;
    let permit = bench.pool.reserve().await.unwrap();
    let waits = bench.reserve();
    bench.stats().await;
    bench.kill_pool().await;
    assert_eq!(occupation.call.await.unwrap().unwrap_err().code(), "pool_restarted");
    assert_eq!(bench.settled(|stats| stats.busy == 1).await.reserved, 1);
    assert_eq!(bench.pool.execute(request("late")).await.unwrap_err().code(), "saturated");
    assert!(!waits.is_finished(), "whoever waited asks the next life");
    assert_eq!(life.next_cancel().await, occupation.id);
    let call = tokio::spawn(permit.execute(request("reserved")));
    bench.settled(|stats| (stats.waiting, stats.reserved) == (1, 0)).await;
    life.answer(occupation.id, &done());
    let id = life.next_request().await;
    life.answer(id, &done());
    assert!(call.await.unwrap().is_ok() && waits.await.unwrap().is_ok());
    bench.settled(|stats| stats.reserved == 0).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_place_hears_that_the_pool_shuts_down() {
    let (bench, mut life, _occupation) = Bench::busy(0).await;
    let waits = bench.reserve();
    bench.stats().await;
    bench.pool.shared().stop_by(Instant::now() + Duration::from_secs(1));
    let drain = {
        let pool = bench.pool.clone();
        tokio::spawn(async move { pool.close(Instant::now() + Duration::from_secs(1)).await })
    };
    assert_eq!(waits.await.unwrap().unwrap_err().code(), "shutting_down");
    assert_eq!(bench.pool.reserve().await.unwrap_err().code(), "shutting_down");
    assert!(bench.pool.try_reserve().is_none());
    assert_eq!(drain.await.unwrap().abandoned, 1);
    life.next_cancel().await;
}

#[tokio::test(start_paused = true)]
async fn a_permit_does_not_open_a_pool_that_shuts_down() {
    let (bench, _life, occupation) = Bench::busy(1).await;
    let permit = bench.pool.reserve().await.unwrap();
    bench.pool.close(Instant::now()).await;
    assert_eq!(occupation.call.await.unwrap().unwrap_err().code(), "shutting_down");
    assert_eq!(permit.execute(request("late")).await.unwrap_err().code(), "shutting_down");
    assert_eq!(bench.stats().await.reserved, 0);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_place_hears_that_the_pool_has_failed() {
    let failure = AdapterFailure::Failed { what: "no such thing".to_owned() };
    let bench = Bench::start_with(options(|o| o.queue_limit = 0), Boot::Fails(failure)).await;
    assert_eq!(bench.pool.reserve().await.unwrap_err().code(), "pool_failed");
    assert_eq!(bench.pool.reserve().await.unwrap_err().code(), "pool_failed");
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_is_gone_for_good_lets_nobody_wait() {
    let bench = Bench::start(options(|_| {})).await;
    bench.settled(|stats| stats.available == 1).await;
    bench.supervisor.stop(Some("shutdown".to_owned()));
    bench.supervisor.wait(None).await.unwrap();
    assert!(bench.pool.try_reserve().is_none());
    assert_eq!(bench.pool.reserve().await.unwrap_err().code(), "pool_restarted");
}

#[tokio::test(start_paused = true)]
async fn callers_that_give_up_leave_no_place_behind() {
    let (bench, life, occupation) = Bench::busy(3).await;
    let permits: Vec<_> = (0..2).map(|_| bench.pool.try_reserve().unwrap()).collect();
    for _ in 0..100 {
        let waits = bench.reserve();
        bench.stats().await;
        waits.abort();
    }
    drop(permits);
    life.answer(occupation.id, &done());
    assert!(occupation.call.await.unwrap().is_ok());
    let stats = bench.settled(|stats| stats.reserved == 0 && stats.available == 1).await;
    assert_eq!((stats.waiting, stats.running), (0, 0));
    assert!(bench.pool.try_reserve().is_some());
}
