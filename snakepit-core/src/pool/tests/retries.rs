//! Idempotent requests whose workers are lost.

use std::time::Duration;

use tokio::time::Instant;

use crate::adapter::AdapterFailure;
use crate::config::Affinity;
use crate::error::ExecuteError;
use crate::pool::tests::bench::{Bench, chunk, done, in_session, options, request};

#[tokio::test(start_paused = true)]
async fn s22_an_idempotent_request_goes_on_at_once_on_another_worker() {
    let mut bench = Bench::start(options(|o| o.size = 2)).await;
    let [mut a, mut b] = bench.all_lives().await;
    let calls = [bench.send(request("safe").idempotent()), bench.call("unsafe")];
    let safe = a.next_request().await;
    let other = b.next_request().await;
    b.answer(other, &done());
    bench.settled(|stats| stats.available == 1).await;
    let began = Instant::now();
    a.end(AdapterFailure::Disconnected);
    assert_eq!(b.next_request().await, safe);
    assert!(began.elapsed() < Duration::from_millis(1), "{:?}", began.elapsed());
    b.answer(safe, &done());
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().worker, b.life);
    }
    let stats = bench.stats().await;
    assert_eq!((stats.retried, stats.succeeded, stats.workers_lost), (1, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_not_idempotent_is_not_tried_again() {
    let mut bench = Bench::start(options(|o| o.size = 2)).await;
    let [mut a, mut b] = bench.all_lives().await;
    let call = bench.call("unsafe");
    a.next_request().await;
    a.end(AdapterFailure::Disconnected);
    assert_eq!(call.await.unwrap().unwrap_err().code(), "worker_lost");
    assert!(!b.has_more());
    assert_eq!(bench.stats().await.retried, 0);
}

#[tokio::test(start_paused = true)]
async fn s39_a_request_that_crashes_two_workers_is_poisoned() {
    let mut bench = Bench::start(options(|o| o.size = 3)).await;
    let [mut a, mut b, mut c] = bench.all_lives().await;
    let call = bench.send(request("poison").idempotent());
    let id = a.next_request().await;
    a.end(AdapterFailure::Disconnected);
    assert_eq!(b.next_request().await, id);
    let second = b.life.clone();
    b.end(AdapterFailure::Disconnected);
    let error = call.await.unwrap().unwrap_err();
    let ExecuteError::Poisoned { crashes, loss } = &error else { panic!("{error}") };
    assert_eq!((*crashes, &loss.life), (2, &second));
    assert!(!error.is_retryable());
    bench.settled(|stats| stats.available == 3).await;
    assert!(!c.has_more(), "a third worker was given it");
}

#[tokio::test(start_paused = true)]
async fn s43_later_retries_rest_and_a_cancelled_one_never_runs_again() {
    let mut bench = Bench::start(options(|o| o.poison_limit = 10)).await;
    let mut life = bench.life().await;
    let call = bench.send(request("unlucky").idempotent());
    let id = life.next_request().await;
    life.end(AdapterFailure::Disconnected);
    let mut life = bench.life().await;
    assert_eq!(life.next_request().await, id);
    life.end(AdapterFailure::Disconnected);
    let mut life = bench.life().await;
    let stats = bench.settled(|stats| stats.available == 1).await;
    assert_eq!((stats.waiting, stats.retried), (1, 2), "it rests");
    let rested = Instant::now();
    assert_eq!(life.next_request().await, id);
    assert!(rested.elapsed() > Duration::from_millis(400), "{:?}", rested.elapsed());
    life.end(AdapterFailure::Disconnected);
    bench.settled(|stats| stats.waiting == 1 && stats.retried == 3).await;
    call.abort();
    bench.settled(|stats| stats.waiting == 0 && stats.cancelled == 1).await;
    let mut life = bench.life().await;
    assert!(bench.run(request("next"), &mut life).await.is_ok());
    assert!(!life.has_more());
}

#[tokio::test(start_paused = true)]
async fn s43_a_retry_that_could_only_begin_after_the_deadline_is_not_waited_for() {
    let mut bench = Bench::start(options(|o| o.poison_limit = 10)).await;
    let mut life = bench.life().await;
    let began = Instant::now();
    let call = bench.send(request("late").idempotent().timeout(Duration::from_millis(400)));
    life.next_request().await;
    life.end(AdapterFailure::Disconnected);
    let mut life = bench.life().await;
    life.next_request().await;
    life.end(AdapterFailure::Disconnected);
    assert_eq!(call.await.unwrap().unwrap_err().code(), "worker_lost");
    assert!(began.elapsed() < Duration::from_millis(400), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_caller_was_answered_is_not_tried_again() {
    let mut bench = Bench::start(options(|o| o.size = 2)).await;
    let [mut a, mut b] = bench.all_lives().await;
    let call = bench.send(request("late").idempotent().timeout(Duration::from_millis(100)));
    let id = a.next_request().await;
    assert_eq!(call.await.unwrap().unwrap_err().code(), "deadline_exceeded");
    assert_eq!(a.next_cancel().await, id);
    a.end(AdapterFailure::Disconnected);
    bench.settled(|stats| stats.restarts == 1 && stats.running == 0).await;
    assert!(!b.has_more());
}

#[tokio::test(start_paused = true)]
async fn a_request_of_a_session_that_is_tried_again_says_that_the_session_started_anew() {
    let mut bench = Bench::start(options(|o| o.size = 2)).await;
    let [mut a, mut b] = bench.all_lives().await;
    assert!(bench.run(in_session("one", "s"), &mut a).await.is_ok());
    let call = bench.send(in_session("two", "s").idempotent());
    let id = a.next_request().await;
    a.end(AdapterFailure::Disconnected);
    assert_eq!(b.next_request().await, id);
    b.answer(id, &done());
    assert!(call.await.unwrap().unwrap().session_reset);
    assert!(!bench.run(in_session("three", "s"), &mut b).await.unwrap().session_reset);
}

#[tokio::test(start_paused = true)]
async fn a_strict_request_is_not_tried_where_its_state_is_not() {
    let mut bench = Bench::start(options(|o| o.size = 2)).await;
    let [mut a, mut b] = bench.all_lives().await;
    let strict = || in_session("one", "s").affinity(Affinity::StrictQueue).idempotent();
    assert!(bench.run(strict(), &mut a).await.is_ok());
    let call = bench.send(strict());
    a.next_request().await;
    a.end(AdapterFailure::Disconnected);
    assert_eq!(call.await.unwrap().unwrap_err().code(), "worker_lost");
    assert!(!b.has_more());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_may_run_twice_is_tried_again_until_some_has_come() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut stream = bench.pool.execute_stream(request("count").idempotent()).unwrap();
    let mut life = bench.life().await;
    life.next_stream().await;
    life.end(AdapterFailure::Disconnected);
    let mut successor = bench.life().await;
    let (_, chunks) = successor.next_stream().await;
    chunks.send(chunk(0)).unwrap();
    successor.end(AdapterFailure::Disconnected);
    assert_eq!(stream.next().await.unwrap().unwrap(), chunk(0));
    assert_eq!(stream.next().await.unwrap().unwrap_err().code(), "worker_lost");
    assert_eq!(bench.stats().await.retried, 1);
}
