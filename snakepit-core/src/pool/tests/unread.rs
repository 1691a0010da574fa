//! Requests that a worker was given and died without reading, as its adapter can tell.

use std::time::Duration;

use crate::adapter::scripted::ScriptedLife;
use crate::adapter::{AdapterFailure, Outcome};
use crate::config::Affinity;
use crate::error::ExecuteError;
use crate::id::RequestId;
use crate::pool::tests::bench::{Bench, chunk, done, in_session, options, request};

fn dies_without_reading(life: ScriptedLife, id: RequestId) {
    life.reports.unread(id);
    life.end(AdapterFailure::Disconnected);
}

#[tokio::test(start_paused = true)]
async fn s21_what_a_lost_worker_never_read_goes_elsewhere_and_counts_for_nothing() {
    let never = options(|o| (o.max_retries, o.poison_limit) = (0, 1));
    let mut bench = Bench::start(never).await;
    let call = bench.call("work");
    for _ in 0..2 {
        let mut life = bench.life().await;
        let id = life.next_request().await;
        dies_without_reading(life, id);
    }
    let mut last = bench.life().await;
    let id = last.next_request().await;
    last.answer(id, &done());
    assert_eq!(call.await.unwrap().unwrap().worker, last.life);
    let stats = bench.stats().await;
    assert_eq!((stats.succeeded, stats.failed, stats.retried), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn one_that_was_read_is_told_of_the_loss_and_the_unread_one_beside_it_is_not() {
    let mut bench = Bench::start(options(|o| (o.size, o.prefetch) = (1, 1))).await;
    let mut life = bench.life().await;
    let calls = [bench.call("read"), bench.call("unread")];
    let [read, unread] = [life.next_command().await, life.next_command().await];
    life.reports.started(read.0);
    dies_without_reading(life, unread.0);
    let mut next = bench.life().await;
    assert_eq!(next.next_command().await, unread);
    next.answer(unread.0, &done());
    let mut codes = Vec::new();
    for call in calls {
        codes.push(call.await.unwrap().map_or_else(|error| error.code(), |_| "ok"));
    }
    codes.sort_unstable();
    assert_eq!(codes, ["ok", "worker_lost"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_not_read_goes_elsewhere_too() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let mut stream = bench.pool.execute_stream(request("count")).unwrap();
    let (id, _unused) = life.next_stream().await;
    dies_without_reading(life, id);
    let mut next = bench.life().await;
    let (again, chunks) = next.next_stream().await;
    chunks.send(chunk(0)).unwrap();
    next.reports.finished(again, Outcome::StreamEnded);
    assert_eq!((again, stream.next().await.unwrap().unwrap()), (id, chunk(0)));
    assert!(stream.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn s38_an_unread_request_was_not_running_when_its_time_is_up() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let call = bench.send(request("work").timeout(Duration::from_millis(100)));
    let id = life.next_request().await;
    life.reports.unread(id);
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, ExecuteError::DeadlineExceeded { running: false, .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_unread_request_whose_caller_left_is_over() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let call = bench.call("work");
    let id = life.next_request().await;
    call.abort();
    assert_eq!(life.next_cancel().await, id);
    dies_without_reading(life, id);
    let mut next = bench.life().await;
    bench.settled(|stats| stats.available == 1 && stats.running == 0).await;
    assert!(!next.has_more());
}

#[tokio::test(start_paused = true)]
async fn a_strict_session_is_lost_with_its_worker_also_where_the_request_was_unread() {
    let mut bench = Bench::start(options(|o| o.affinity = Affinity::StrictQueue)).await;
    let mut life = bench.life().await;
    assert!(bench.run(in_session("begin", "s"), &mut life).await.is_ok());
    let call = bench.send(in_session("work", "s"));
    let id = life.next_request().await;
    dies_without_reading(life, id);
    assert_eq!(call.await.unwrap().unwrap_err().code(), "worker_lost");
}

#[tokio::test(start_paused = true)]
async fn what_a_former_life_says_leaves_the_request_with_its_new_worker() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let call = bench.send(request("work").idempotent());
    let id = life.next_request().await;
    let late = life.reports.clone();
    life.end(AdapterFailure::Disconnected);
    let mut next = bench.life().await;
    assert_eq!(next.next_request().await, id);
    late.unread(id);
    next.answer(id, &done());
    assert_eq!(call.await.unwrap().unwrap().worker, next.life);
}
