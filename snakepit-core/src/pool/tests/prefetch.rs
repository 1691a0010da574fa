//! Requests that are handed to a worker ahead of their turn, and what becomes of them when it is lost.

use std::time::Duration;

use crate::adapter::{AdapterFailure, Outcome};
use crate::config::PoolOptions;
use crate::error::ExecuteError;
use crate::id::RequestId;
use crate::pool::tests::bench::{Bench, chunk, done, options, request};

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
async fn a_stream_is_handed_ahead_as_any_request_and_goes_elsewhere_as_any() {
    // It had to wait until the worker was free, and held up whoever came behind it.
    let mut bench = Bench::start(ahead(1, 2)).await;
    let mut life = bench.life().await;
    let busy = bench.call("busy");
    let busy_id = life.next_request().await;
    life.reports.started(busy_id);
    let mut stream = bench.pool.execute_stream(request("count")).unwrap();
    let (id, unused) = life.next_stream().await;
    let behind = bench.call("behind");
    let behind_id = life.next_request().await;
    life.reports.heard_out();
    life.end(AdapterFailure::Disconnected);
    assert_eq!(busy.await.unwrap().unwrap_err().code(), "worker_lost");
    let mut successor = bench.life().await;
    let (again, chunks) = successor.next_stream().await;
    assert_eq!((again, successor.next_request().await), (id, behind_id));
    assert!(unused.send(chunk(9)).is_err());
    chunks.send(chunk(0)).unwrap();
    successor.reports.finished(id, Outcome::StreamEnded);
    successor.answer(behind_id, &done());
    assert_eq!(stream.next().await.unwrap().unwrap(), chunk(0));
    assert!(stream.next().await.is_none() && behind.await.unwrap().is_ok());
}
