//! Deadlines, and workers that do not keep them.

use std::time::Duration;

use tokio::time::Instant;

use crate::adapter::AdapterMessage;
use crate::config::OnStuck;
use crate::error::ExecuteError;
use crate::pool::tests::bench::{Bench, done, options, request};

#[tokio::test(start_paused = true)]
async fn s01_a_waiting_request_that_times_out_is_answered_once_and_never_runs() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let first = bench.call("first");
    let first_id = life.next_request().await;
    let began = Instant::now();
    let late = bench.pool.execute(request("late").timeout(Duration::from_millis(100))).await;
    let Err(ExecuteError::DeadlineExceeded { running: false, timeout }) = late else { panic!("{late:?}") };
    assert_eq!(timeout, Duration::from_millis(100));
    assert!(began.elapsed() < Duration::from_millis(110), "{:?}", began.elapsed());
    life.answer(first_id, &done());
    assert!(first.await.unwrap().is_ok());
    let stats = bench.settled(|stats| stats.available == 1).await;
    assert_eq!((stats.timed_out_waiting, stats.waiting), (1, 0));
    assert!(!life.has_more());
}

#[tokio::test(start_paused = true)]
async fn s36_a_running_request_that_times_out_keeps_its_place_until_the_worker_is_done() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let call = bench.send(request("slow").timeout(Duration::from_millis(100)));
    let id = life.next_request().await;
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, ExecuteError::DeadlineExceeded { running: true, .. }), "{error}");
    assert_eq!(life.next_cancel().await, id);
    let next = bench.call("next");
    bench.settled(|stats| stats.waiting == 1 && stats.busy == 1).await;
    assert!(!life.has_more());
    life.answer(id, &done());
    let id = life.next_request().await;
    life.answer(id, &done());
    assert!(next.await.unwrap().is_ok());
    assert_eq!(bench.stats().await.timed_out_running, 1);
}

#[tokio::test(start_paused = true)]
async fn s02_the_timer_of_a_request_that_was_answered_does_nothing() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let call = bench.send(request("quick").timeout(Duration::from_millis(100)));
    let id = life.next_request().await;
    life.answer(id, &done());
    assert!(call.await.unwrap().is_ok());
    tokio::time::sleep(Duration::from_mins(1)).await;
    let stats = bench.stats().await;
    assert_eq!((stats.succeeded, stats.timed_out_running, stats.running), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_request_without_time_is_refused() {
    let bench = Bench::start(options(|_| {})).await;
    let error = bench.pool.execute(request("late").timeout(Duration::ZERO)).await.unwrap_err();
    assert_eq!(error.code(), "deadline_exceeded");
}

#[tokio::test(start_paused = true)]
async fn a_stuck_worker_is_kept_where_the_policy_is_to_wait() {
    let mut bench = Bench::start(options(|o| o.on_stuck = OnStuck::Wait)).await;
    let mut life = bench.life().await;
    let call = bench.call("stuck");
    let id = life.next_request().await;
    call.abort();
    assert_eq!(life.next_cancel().await, id);
    tokio::time::sleep(Duration::from_mins(10)).await;
    let stats = bench.stats().await;
    assert_eq!((stats.busy, stats.restarts), (1, 0));
    life.answer(id, &done());
    bench.settled(|stats| stats.available == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_stuck_worker_is_replaced_where_the_policy_is_to_kill() {
    let mut bench = Bench::start(options(|o| o.on_stuck = OnStuck::Kill)).await;
    let mut life = bench.life().await;
    let call = bench.call("stuck");
    life.next_request().await;
    let cancelled = Instant::now();
    call.abort();
    let successor = bench.life().await;
    assert!(successor.life.incarnation > life.life.incarnation);
    assert!(cancelled.elapsed() >= Duration::from_secs(5), "{:?}", cancelled.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_that_gives_no_sign_of_life_is_replaced() {
    let mut bench = Bench::start(options(|_| {})).await;
    let silent = bench.life().await;
    let born = Instant::now();
    let successor = bench.life().await;
    assert!(successor.life.incarnation > silent.life.incarnation);
    // Three misses of two seconds.
    assert!(born.elapsed() >= Duration::from_secs(6), "{:?}", born.elapsed());
    assert_eq!(bench.stats().await.restarts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_busy_worker_may_be_silent() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let call = bench.send(request("computes").timeout(Duration::from_mins(10)));
    let id = life.next_request().await;
    tokio::time::sleep(Duration::from_mins(5)).await;
    life.answer(id, &done());
    assert!(call.await.unwrap().is_ok());
    assert_eq!(bench.stats().await.restarts, 0);
}

#[tokio::test(start_paused = true)]
async fn s37_a_thousand_cancelled_calls_leave_no_place_taken_and_cost_no_worker() {
    let mut bench = Bench::start(options(|o| {
        o.size = 2;
        o.heartbeat.misses = u32::MAX;
    }))
    .await;
    let [mut a, mut b] = bench.all_lives().await;
    for _ in 0..500 {
        let calls = [bench.call("a"), bench.call("b")];
        let ids = [a.next_request().await, b.next_request().await];
        calls.iter().for_each(tokio::task::JoinHandle::abort);
        for (life, id) in [&mut a, &mut b].into_iter().zip(ids) {
            assert_eq!(life.next_cancel().await, id);
            life.answer(id, &done());
        }
    }
    let stats = bench.settled(|stats| stats.available == 2).await;
    assert_eq!((stats.cancelled, stats.running, stats.restarts), (1000, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn s38_a_worker_is_told_the_time_that_waiting_has_left() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let first = bench.call("first");
    let first_id = life.next_request().await;
    let second = bench.send(request("second").timeout(Duration::from_secs(10)));
    bench.settled(|stats| stats.waiting == 1).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    life.answer(first_id, &done());
    let AdapterMessage::Execute { id, deadline, .. } = life.next().await else { panic!("no request") };
    let left = deadline.remaining(Instant::now());
    assert!((5..=6).contains(&left.as_secs()), "{left:?}");
    life.answer(id, &done());
    assert!(first.await.unwrap().is_ok() && second.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn s02_a_timer_that_was_set_for_a_request_leaves_its_successor_alone() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let first = bench.call("first");
    let first_id = life.next_request().await;
    let waited = bench.send(request("waited").timeout(Duration::from_millis(100)));
    bench.settled(|stats| stats.waiting == 1).await;
    life.answer(first_id, &done());
    let waited_id = life.next_request().await;
    life.answer(waited_id, &done());
    let after = bench.call("after");
    let after_id = life.next_request().await;
    // The timer of the one that waited rings while another runs in its place.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!life.has_more(), "the wrong one was told to stop");
    life.answer(after_id, &done());
    for call in [first, waited, after] {
        assert!(call.await.unwrap().is_ok());
    }
    let stats = bench.stats().await;
    assert_eq!((stats.succeeded, stats.timed_out_waiting, stats.timed_out_running), (3, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn s38_the_innermost_of_several_deadlines_ends_a_call() {
    let second = Duration::from_secs(1);
    let mut bench = Bench::start(options(|o| o.timeout = 3 * second)).await;
    let mut life = bench.life().await;
    // The request's own, how long its caller waits, and which of these or the pool's comes first.
    for (own, caller, first) in [(None, 9, 3), (Some(1), 9, 1), (Some(2), 1, 1), (Some(4), 9, 4)] {
        let asked = request("slow");
        let asked = own.map_or(asked.clone(), |own| asked.timeout(own * second));
        let (began, pool) = (Instant::now(), bench.pool.clone());
        let call =
            tokio::spawn(tokio::time::timeout(caller * second, async move { pool.execute(asked).await }));
        let AdapterMessage::Execute { id, deadline, .. } = life.next().await else { panic!("no request") };
        let (left, promised) = (deadline.remaining(Instant::now()), own.unwrap_or(3) * second);
        assert!(left <= promised && left + second / 100 > promised, "the worker is told {left:?}");
        assert_eq!(life.next_cancel().await, id);
        let error = call.await.unwrap().map(Result::unwrap_err);
        assert_eq!(began.elapsed().as_secs(), first);
        match error {
            Ok(ExecuteError::DeadlineExceeded { timeout, .. }) => assert_eq!(timeout.as_secs(), first),
            Ok(other) => panic!("{other}"),
            Err(_elapsed) => assert_eq!(u64::from(caller), first),
        }
        life.answer(id, &done());
        bench.settled(|stats| stats.available == 1).await;
    }
}
