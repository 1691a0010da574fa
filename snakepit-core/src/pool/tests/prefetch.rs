//! Requests that are handed to a worker ahead of their turn, and what becomes of them when it is lost.

use std::time::Duration;

use crate::adapter::{AdapterFailure, Outcome};
use crate::config::{Affinity, PoolOptions};
use crate::error::ExecuteError;
use crate::id::RequestId;
use crate::pool::tests::bench::{Bench, done, in_session, options, request};

fn ahead(size: u16, prefetch: u16) -> PoolOptions {
    options(|o| (o.size, o.prefetch) = (size, prefetch))
}

#[tokio::test(start_paused = true)]
async fn a_worker_is_handed_as_many_requests_ahead_as_it_may_and_the_rest_waits() {
    let mut bench = Bench::start(ahead(1, 2)).await;
    let mut life = bench.life().await;
    let calls: Vec<_> = (0..4).map(|_| bench.call("work")).collect();
    let mut ids: Vec<RequestId> = Vec::new();
    for _ in 0..3 {
        ids.push(life.next_request().await);
    }
    let stats = bench.settled(|stats| stats.waiting == 1).await;
    assert_eq!((stats.running, stats.busy), (3, 1));
    life.reports.started(ids[0]);
    life.answer(ids[0], &done());
    ids.push(life.next_request().await);
    for id in &ids[1..] {
        life.reports.started(*id);
        life.answer(*id, &done());
    }
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_free_worker_comes_before_one_that_could_be_handed_more() {
    let mut bench = Bench::start(ahead(2, 4)).await;
    let [mut a, mut b] = bench.all_lives().await;
    let calls = [bench.call("one"), bench.call("two")];
    for life in [&mut a, &mut b] {
        let id = life.next_request().await;
        life.reports.started(id);
        life.answer(id, &done());
    }
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn s22_what_a_lost_worker_had_not_begun_goes_on_elsewhere() {
    let mut bench = Bench::start(ahead(2, 2)).await;
    let [mut a, mut b] = bench.all_lives().await;
    let calls: Vec<_> = (0..6).map(|_| bench.call("work")).collect();
    let (mut with_a, mut with_b) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        with_a.push(a.next_request().await);
        with_b.push(b.next_request().await);
    }
    a.reports.started(with_a[0]);
    a.reports.heard_out();
    a.end(AdapterFailure::Disconnected);
    let mut successor = bench.life().await;
    assert_eq!([successor.next_request().await, successor.next_request().await], with_a[1..]);
    for (life, id) in with_a[1..].iter().map(|id| (&successor, id)).chain(with_b.iter().map(|id| (&b, id))) {
        life.answer(*id, &done());
    }
    let mut lost = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(response) => assert_eq!(response.worker.incarnation.0 == 2, response.worker == successor.life),
            Err(error) => {
                assert_eq!(error.code(), "worker_lost");
                lost += 1;
            }
        }
    }
    let stats = bench.stats().await;
    assert_eq!((lost, stats.succeeded, stats.retried), (1, 5, 0));
}

#[tokio::test(start_paused = true)]
async fn what_a_worker_may_have_begun_unheard_goes_nowhere_else() {
    let mut bench = Bench::start(ahead(2, 2)).await;
    let [mut a, _b] = bench.all_lives().await;
    let call = bench.call("work");
    a.next_request().await;
    // Its wire was torn: that it had begun may have been the next word.
    a.end(AdapterFailure::Disconnected);
    assert_eq!(call.await.unwrap().unwrap_err().code(), "worker_lost");
}

#[tokio::test(start_paused = true)]
async fn s38_a_request_that_times_out_before_it_began_was_not_running() {
    let mut bench = Bench::start(ahead(1, 1)).await;
    let mut life = bench.life().await;
    let first = bench.call("first");
    let first_id = life.next_request().await;
    life.reports.started(first_id);
    let second = bench.send(request("second").timeout(Duration::from_millis(100)));
    let second_id = life.next_request().await;
    let error = second.await.unwrap().unwrap_err();
    assert!(matches!(error, ExecuteError::DeadlineExceeded { running: false, .. }), "{error}");
    assert_eq!(life.next_cancel().await, second_id);
    life.answer(second_id, &done());
    life.answer(first_id, &done());
    assert!(first.await.unwrap().is_ok());
    let stats = bench.settled(|stats| stats.available == 1).await;
    assert_eq!((stats.timed_out_waiting, stats.timed_out_running), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn waiting_in_a_worker_is_waiting() {
    let mut bench = Bench::start(ahead(1, 1)).await;
    let mut life = bench.life().await;
    let calls = [bench.call("first"), bench.call("second")];
    for _ in 0..2 {
        let id = life.next_request().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        life.reports.started(id);
        tokio::time::sleep(Duration::from_secs(2)).await;
        life.answer(id, &done());
    }
    for (call, waited) in calls.into_iter().zip([1, 4]) {
        let response = call.await.unwrap().unwrap();
        assert_eq!((response.waited.as_secs(), response.ran.as_secs()), (waited, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_waits_for_its_turn_and_nobody_overtakes_it_for_ever() {
    let mut bench = Bench::start(ahead(1, 2)).await;
    let mut life = bench.life().await;
    let calls = [bench.call("one"), bench.call("two")];
    let ids = [life.next_request().await, life.next_request().await];
    let mut stream = bench.pool.execute_stream(request("count")).unwrap();
    bench.settled(|stats| stats.waiting == 1).await;
    let late = bench.call("late");
    bench.settled(|stats| stats.waiting == 2).await;
    assert!(!life.has_more(), "one that came later was handed ahead of the stream");
    for id in ids {
        life.answer(id, &done());
    }
    let (id, chunks) = life.next_stream().await;
    drop(chunks);
    life.reports.finished(id, Outcome::StreamEnded);
    let id = life.next_request().await;
    life.answer(id, &done());
    assert!(stream.next().await.is_none());
    for call in calls.into_iter().chain([late]) {
        assert!(call.await.unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_waits_for_its_turn_also_on_a_worker_that_is_to_leave() {
    // It was handed over as soon as the worker that leaves had finished anything.
    let strict = PoolOptions { affinity: Affinity::StrictQueue, ..ahead(2, 1) };
    let mut bench = Bench::start(strict).await;
    let [mut a, mut b] = bench.all_lives().await;
    let busy = bench.call("busy");
    let busy_id = a.next_request().await;
    let calls = [bench.send(in_session("one", "s")), bench.send(in_session("two", "s"))];
    let ids = [b.next_request().await, b.next_request().await];
    let mut stream = bench.pool.execute_stream(in_session("count", "s")).unwrap();
    bench.settled(|stats| stats.waiting == 1).await;
    bench.pool.resize(1).await.unwrap();
    b.answer(ids[0], &done());
    let stats = bench.settled(|stats| stats.running == 2).await;
    assert_eq!((stats.waiting, stats.retiring, b.has_more()), (1, 1, false));
    b.answer(ids[1], &done());
    let (id, chunks) = b.next_stream().await;
    drop(chunks);
    b.reports.finished(id, Outcome::StreamEnded);
    assert!(stream.next().await.is_none());
    a.answer(busy_id, &done());
    for call in calls.into_iter().chain([busy]) {
        assert!(call.await.unwrap().is_ok());
    }
    bench.settled(|stats| stats.total == 1).await;
}
