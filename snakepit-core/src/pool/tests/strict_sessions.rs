//! Sessions that may run on their worker and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use crate::adapter::AdapterFailure;
use crate::config::{Affinity, PoolOptions};
use crate::error::{ExecuteError, LossCause, WorkerLoss};
use crate::id::SessionId;
use crate::pool::message::{PoolMessage, WorkerReport};
use crate::pool::tests::bench::{Bench, done, in_session, options, request};

fn strict(affinity: Affinity, size: u16) -> PoolOptions {
    options(|o| {
        o.affinity = affinity;
        o.size = size;
        // A thousand calls take longer than a scripted worker, which answers no ping, may be silent.
        o.heartbeat.misses = u32::MAX;
    })
}

const STRICT: [Affinity; 2] = [Affinity::StrictQueue, Affinity::StrictFailFast];

#[tokio::test(start_paused = true)]
async fn s13_a_lost_session_is_told_once_and_then_starts_afresh() {
    for affinity in STRICT {
        let mut bench = Bench::start(strict(affinity, 2)).await;
        let [mut a, mut b] = bench.all_lives().await;
        assert!(bench.run(in_session("one", "s"), &mut a).await.is_ok());
        let gone = a.life.clone();
        a.end(AdapterFailure::Disconnected);
        bench.settled(|stats| stats.restarts == 1).await;
        let error = bench.pool.execute(in_session("two", "s")).await.unwrap_err();
        let ExecuteError::SessionLost { session, worker } = error else { panic!("{error}") };
        assert_eq!((session.as_str(), worker), ("s", gone));
        // The other worker has been free for longer than the successor.
        let response = bench.run(in_session("three", "s"), &mut b).await.unwrap();
        assert!(!response.session_reset, "it was told already");
        assert_eq!(bench.run(in_session("four", "s"), &mut b).await.unwrap().worker, b.life);
    }
}

#[tokio::test(start_paused = true)]
async fn s13_whoever_waits_for_a_worker_that_is_lost_hears_that_the_session_is() {
    let mut bench = Bench::start(strict(Affinity::StrictQueue, 2)).await;
    let [mut a, mut b] = bench.all_lives().await;
    let running = bench.send(in_session("running", "s"));
    a.next_request().await;
    let waiting = [bench.send(in_session("one", "s")), bench.send(in_session("two", "s"))];
    bench.settled(|stats| stats.waiting == 2).await;
    assert!(!b.has_more(), "the other worker is free, and must not take them");
    a.end(AdapterFailure::Disconnected);
    assert_eq!(running.await.unwrap().unwrap_err().code(), "worker_lost");
    for call in waiting {
        assert_eq!(call.await.unwrap().unwrap_err().code(), "session_lost");
    }
    assert!(bench.run(in_session("afresh", "s"), &mut b).await.is_ok());
    bench.settled(|stats| stats.waiting == 0 && stats.running == 0).await;
}

#[tokio::test(start_paused = true)]
async fn s05_requests_that_wait_for_a_busy_worker_hold_up_nobody_else() {
    let mut bench = Bench::start(strict(Affinity::StrictQueue, 2)).await;
    let [mut a, mut b] = bench.all_lives().await;
    let first = bench.send(in_session("first", "s"));
    let first_id = a.next_request().await;
    let pinned: Vec<_> = (0..990).map(|_| bench.send(in_session("pinned", "s"))).collect();
    bench.settled(|stats| stats.waiting == 990).await;
    let busy = bench.call("busy");
    let busy_id = b.next_request().await;
    let others: Vec<_> = (0..5).map(|_| bench.call("other")).collect();
    bench.settled(|stats| stats.waiting == 995).await;
    b.answer(busy_id, &done());
    for _ in 0..5 {
        let id = b.next_request().await;
        b.answer(id, &done());
    }
    for call in others.into_iter().chain([busy]) {
        assert!(call.await.unwrap().is_ok());
    }
    a.answer(first_id, &done());
    for _ in 0..990 {
        let id = a.next_request().await;
        a.answer(id, &done());
    }
    assert!(first.await.unwrap().is_ok());
    for call in pinned {
        assert_eq!(call.await.unwrap().unwrap().worker, a.life);
    }
    assert!(!b.has_more());
    let stats = bench.stats().await;
    assert_eq!((stats.affinity_hits, stats.affinity_misses, stats.waiting), (990, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn s13_a_busy_worker_is_told_at_once_where_the_caller_does_not_want_to_wait() {
    let mut bench = Bench::start(strict(Affinity::StrictFailFast, 2)).await;
    let [mut a, mut b] = bench.all_lives().await;
    let first = bench.send(in_session("first", "s"));
    let id = a.next_request().await;
    let error = bench.pool.execute(in_session("second", "s")).await.unwrap_err();
    let ExecuteError::WorkerBusy { session, worker } = &error else { panic!("{error}") };
    assert_eq!((session.as_str(), worker), ("s", &a.life));
    assert!(error.is_retryable());
    assert!(!b.has_more());
    // One request may say otherwise: it goes to the worker that is free.
    let elsewhere = in_session("third", "s").affinity(Affinity::Hint);
    assert_eq!(bench.run(elsewhere, &mut b).await.unwrap().worker, b.life);
    a.answer(id, &done());
    assert!(first.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_strict_calls_one_after_the_other_never_find_their_worker_busy() {
    for affinity in STRICT {
        let mut bench = Bench::start(strict(affinity, 2)).await;
        let [mut a, b] = bench.all_lives().await;
        for call in 0..1000 {
            let response = bench.run(in_session("work", "s"), &mut a).await;
            assert!(response.is_ok(), "call {call}: {response:?}");
        }
        assert_eq!(bench.stats().await.affinity_hits, 999);
        drop(b);
    }
}

#[tokio::test(start_paused = true)]
async fn s28_a_strict_request_waits_for_a_worker_that_the_new_pool_has_not_heard_of() {
    let mut bench = Bench::start(strict(Affinity::StrictQueue, 1)).await;
    let mut life = bench.life().await;
    assert!(bench.run(in_session("one", "s"), &mut life).await.is_ok());
    bench.kill_pool().await;
    let response = bench.run(in_session("two", "s"), &mut life).await.unwrap();
    assert_eq!((response.worker, response.session_reset), (life.life.clone(), false));
}

#[tokio::test(start_paused = true)]
async fn a_strict_request_whose_worker_died_unheard_is_told_when_the_next_life_is_heard_of() {
    let mut bench = Bench::start(strict(Affinity::StrictQueue, 1)).await;
    let mut life = bench.life().await;
    assert!(bench.run(in_session("one", "s"), &mut life).await.is_ok());
    // The loss is reported to a pool that is about to be no more.
    bench.pool.shared().address.current().unwrap().kill();
    life.end(AdapterFailure::Disconnected);
    bench.life().await;
    bench.pool.await_ready(Duration::from_secs(5)).await.unwrap();
    let error = bench.pool.execute(in_session("two", "s")).await.unwrap_err();
    assert_eq!(error.code(), "session_lost");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_when_its_session_is_ended_begins_it_anew() {
    // It went to the former worker, and left state there that nobody would ever have ended.
    let mut bench = Bench::start(strict(Affinity::StrictQueue, 2)).await;
    let [mut a, mut b] = bench.all_lives().await;
    let first = bench.send(in_session("first", "s"));
    let first_id = a.next_request().await;
    let waiting = bench.send(in_session("waiting", "s"));
    bench.settled(|stats| stats.waiting == 1).await;
    bench.pool.end_session(&SessionId::new("s").unwrap()).await.unwrap();
    let id = b.next_request().await;
    b.answer(id, &done());
    assert_eq!(waiting.await.unwrap().unwrap().worker, b.life);
    a.answer(first_id, &done());
    assert!(first.await.unwrap().is_ok());
    assert_eq!(bench.run(in_session("next", "s"), &mut b).await.unwrap().worker, b.life);
}

#[tokio::test(start_paused = true)]
async fn s01_a_pinned_request_that_times_out_leaves_the_line_and_never_runs() {
    let mut bench = Bench::start(strict(Affinity::StrictQueue, 1)).await;
    let mut life = bench.life().await;
    let first = bench.send(in_session("first", "s"));
    let id = life.next_request().await;
    let late = bench.pool.execute(in_session("late", "s").timeout(Duration::from_millis(50))).await;
    assert_eq!(late.unwrap_err().code(), "deadline_exceeded");
    assert_eq!(bench.stats().await.waiting, 0);
    life.answer(id, &done());
    assert!(first.await.unwrap().is_ok());
    assert!(bench.run(request("next"), &mut life).await.is_ok());
    assert!(!life.has_more());
}

#[tokio::test(start_paused = true)]
async fn s13_a_loss_whose_news_finds_its_caller_gone_is_told_to_the_next() {
    // It counted as told, and the session began anew without a word.
    let mut bench = Bench::start(strict(Affinity::StrictQueue, 1)).await;
    let mut life = bench.life().await;
    let runs = bench.send(in_session("runs", "s"));
    life.next_request().await;
    let waits = bench.pool.execute_stream(in_session("waits", "s")).unwrap();
    bench.settled(|stats| stats.waiting == 1).await;
    // Its caller leaves while the news lies in the pool's mailbox.
    let cause = LossCause::Disconnected;
    let loss = Arc::new(WorkerLoss { life: life.life.clone(), cause, stderr_tail: Vec::new() });
    bench.pool.shared().address.cast(PoolMessage::Worker(WorkerReport::Lost { loss }));
    drop(waits);
    assert_eq!(runs.await.unwrap().unwrap_err().code(), "worker_lost");
    life.end(AdapterFailure::Disconnected);
    let mut successor = bench.life().await;
    bench.settled(|stats| stats.available == 1).await;
    let told = bench.pool.execute(in_session("next", "s")).await.unwrap_err();
    assert_eq!(told.code(), "session_lost");
    assert!(bench.run(in_session("afresh", "s"), &mut successor).await.is_ok());
}
