//! More workers and fewer, under load.

use std::time::Duration;

use crate::adapter::AdapterFailure;
use crate::adapter::scripted::Boot;
use crate::config::Affinity;
use crate::error::{AwaitReadyError, ExecuteError, ResizeError};
use crate::id::Slot;
use crate::pool::tests::bench::{Bench, done, in_session, options};
use crate::worker::WorkerPhase;

const MINUTE: Duration = Duration::from_mins(1);

async fn slots(bench: &Bench) -> Vec<u16> {
    bench.pool.workers().await.unwrap().iter().map(|worker| worker.slot.0).collect()
}

#[tokio::test(start_paused = true)]
async fn s30_a_pool_grows_and_its_new_workers_take_what_waits() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut first = bench.life().await;
    let calls = [bench.call("a"), bench.call("b"), bench.call("c")];
    let busy = first.next_request().await;
    bench.settled(|stats| stats.waiting == 2).await;
    let resized = bench.pool.resize(3).await.unwrap();
    assert_eq!((resized.from, resized.to), (1, 3));
    for _ in 0..2 {
        let mut life = bench.life().await;
        let id = life.next_request().await;
        life.answer(id, &done());
    }
    first.answer(busy, &done());
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    bench.pool.await_full(MINUTE).await.unwrap();
    let stats = bench.stats().await;
    assert_eq!((stats.size, stats.total, stats.available), (3, 3, 3));
    assert_eq!(slots(&bench).await, [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn s30_a_pool_that_shrinks_lets_busy_workers_finish_and_gives_them_nothing_more() {
    let mut bench = Bench::start(options(|o| o.size = 3)).await;
    let [mut a, mut b, mut c] = bench.all_lives().await;
    let calls = [bench.call("a"), bench.call("b"), bench.call("c")];
    let ids = [a.next_request().await, b.next_request().await, c.next_request().await];
    bench.pool.resize(1).await.unwrap();
    let late = bench.call("late");
    let stats = bench.settled(|stats| stats.waiting == 1).await;
    assert_eq!((stats.size, stats.total, stats.retiring, stats.busy), (1, 3, 2, 1));
    let phases: Vec<_> = bench.pool.workers().await.unwrap().iter().map(|worker| worker.phase).collect();
    assert_eq!(phases, [WorkerPhase::Ready, WorkerPhase::Retiring, WorkerPhase::Retiring]);
    b.answer(ids[1], &done());
    c.answer(ids[2], &done());
    let stats = bench.settled(|stats| stats.total == 1).await;
    assert_eq!((stats.retiring, stats.waiting, stats.restarts), (0, 1, 0));
    assert!(!b.has_more() && !c.has_more(), "a worker that is to leave was given more");
    a.answer(ids[0], &done());
    let id = a.next_request().await;
    a.answer(id, &done());
    for call in calls.into_iter().chain([late]) {
        assert!(call.await.unwrap().is_ok());
    }
    assert_eq!(slots(&bench).await, [0]);
    assert!(bench.lives.is_empty(), "a slot that had gone was started again");
}

#[tokio::test(start_paused = true)]
async fn a_number_that_is_used_again_goes_on_counting_its_lives() {
    let mut bench = Bench::start(options(|o| o.size = 2)).await;
    let _lives: [_; 2] = bench.all_lives().await;
    bench.pool.resize(1).await.unwrap();
    bench.settled(|stats| stats.total == 1).await;
    bench.pool.resize(2).await.unwrap();
    let again = bench.life().await;
    assert_eq!((again.life.worker.slot, again.life.incarnation.0), (Slot(1), 2));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_to_leave_is_not_held_up_by_what_nobody_waits_for() {
    let mut bench = Bench::start(options(|o| o.size = 2)).await;
    let [mut a, mut b] = bench.all_lives().await;
    let (kept, left) = (bench.call("kept"), bench.call("left"));
    let id = a.next_request().await;
    let abandoned = b.next_request().await;
    bench.pool.resize(1).await.unwrap();
    left.abort();
    assert_eq!(b.next_cancel().await, abandoned);
    // It never says that it has stopped, and goes all the same.
    bench.settled(|stats| stats.total == 1 && stats.running == 1).await;
    a.answer(id, &done());
    assert!(kept.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_boots_or_dies_while_it_is_to_leave_goes_for_good() {
    let bench = Bench::start_with(options(|o| (o.size, o.startup_concurrency) = (3, 1)), Boot::Never).await;
    bench.pool.resize(1).await.unwrap();
    bench.settled(|stats| stats.total == 1 && stats.starting == 1).await;

    let mut bench = Bench::start(options(|o| o.size = 2)).await;
    let [mut a, mut b] = bench.all_lives().await;
    let calls = [bench.call("a"), bench.call("b")];
    let (id, _) = (a.next_request().await, b.next_request().await);
    bench.pool.resize(1).await.unwrap();
    b.end(AdapterFailure::Disconnected);
    bench.settled(|stats| stats.total == 1).await;
    a.answer(id, &done());
    let [first, second] = calls;
    assert!(first.await.unwrap().is_ok());
    assert_eq!(second.await.unwrap().unwrap_err().code(), "worker_lost");
}

#[tokio::test(start_paused = true)]
async fn s30_a_strict_session_of_a_worker_that_leaves_is_lost_once_after_what_waited_for_it() {
    let mut bench = Bench::start(options(|o| (o.size, o.affinity) = (2, Affinity::StrictQueue))).await;
    let [mut a, mut b] = bench.all_lives().await;
    // The first is kept busy, so that the session binds to the second.
    let busy = bench.call("busy");
    let busy_id = a.next_request().await;
    let running = bench.send(in_session("one", "s"));
    let id = b.next_request().await;
    let waits = bench.send(in_session("two", "s"));
    bench.settled(|stats| stats.waiting == 1).await;
    bench.pool.resize(1).await.unwrap();
    let late = bench.send(in_session("three", "s"));
    let lost = late.await.unwrap().unwrap_err();
    assert!(matches!(lost, ExecuteError::SessionLost { .. }), "{lost}");
    b.answer(id, &done());
    let id = b.next_request().await;
    b.answer(id, &done());
    assert!(running.await.unwrap().is_ok() && waits.await.unwrap().is_ok());
    bench.settled(|stats| stats.total == 1).await;
    a.answer(busy_id, &done());
    assert!(busy.await.unwrap().is_ok());
    let afresh = bench.run(in_session("four", "s"), &mut a).await.unwrap();
    assert!(!afresh.session_reset);
}

#[tokio::test(start_paused = true)]
async fn s30_a_hinted_session_of_a_worker_that_left_goes_on_elsewhere_and_says_so() {
    let mut bench = Bench::start(options(|o| o.size = 2)).await;
    let [mut a, mut b] = bench.all_lives().await;
    let busy = bench.call("busy");
    let busy_id = a.next_request().await;
    assert!(bench.run(in_session("one", "s"), &mut b).await.is_ok());
    a.answer(busy_id, &done());
    assert!(busy.await.unwrap().is_ok());
    bench.pool.resize(1).await.unwrap();
    bench.settled(|stats| stats.total == 1).await;
    let moved = bench.run(in_session("two", "s"), &mut a).await.unwrap();
    assert!(moved.session_reset);
    assert!(!bench.run(in_session("three", "s"), &mut a).await.unwrap().session_reset);
}

#[tokio::test(start_paused = true)]
async fn the_size_and_what_is_to_leave_outlive_the_pools_actor() {
    let mut bench = Bench::start(options(|o| o.size = 3)).await;
    let [mut a, mut b, _c] = bench.all_lives().await;
    let calls = [bench.call("a"), bench.call("b")];
    let (_, _) = (a.next_request().await, b.next_request().await);
    bench.pool.resize(1).await.unwrap();
    bench.settled(|stats| stats.total == 2 && stats.retiring == 1).await;
    bench.kill_pool().await;
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap_err().code(), "pool_restarted");
    }
    // Nobody waits any more for what the second had.
    let stats = bench.settled(|stats| stats.total == 1).await;
    assert_eq!((stats.size, slots(&bench).await), (1, vec![0]));
    bench.pool.resize(2).await.unwrap();
    bench.kill_pool().await;
    bench.pool.await_full(MINUTE).await.unwrap();
    assert_eq!((bench.stats().await.total, slots(&bench).await.len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_size_of_nothing_is_refused_and_a_pool_that_ends_takes_on_none() {
    let bench = Bench::start(options(|_| {})).await;
    let refused = bench.pool.resize(0).await.unwrap_err();
    assert!(matches!(refused, ResizeError::NoWorkers { .. }), "{refused}");
    bench.pool.close(tokio::time::Instant::now()).await;
    let refused = bench.pool.resize(2).await.unwrap_err();
    assert!(matches!(refused, ResizeError::ShuttingDown { .. }), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_pool_is_full_when_all_are_ready_and_says_why_it_never_will_be() {
    let broken = Boot::Fails(AdapterFailure::Failed { what: "no such thing".to_owned() });
    let bench = Bench::start_with(options(|o| o.size = 2), broken).await;
    let full = bench.pool.await_full(MINUTE).await;
    assert!(matches!(full, Err(AwaitReadyError::PoolFailed { .. })), "{full:?}");

    let mut bench = Bench::start(options(|o| (o.size, o.startup_concurrency) = (2, 1))).await;
    let full = bench.pool.clone();
    let full = tokio::spawn(async move { full.await_full(MINUTE).await });
    let _lives = [bench.life().await, bench.life().await];
    full.await.unwrap().unwrap();
    assert_eq!(bench.stats().await.available, 2);
}
