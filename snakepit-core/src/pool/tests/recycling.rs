//! Workers replaced while they serve: by hand, at their own wish, one after the other.

use std::time::Duration;

use tokio::time::Instant;

use crate::adapter::AdapterFailure;
use crate::adapter::scripted::{Boot, Scripted};
use crate::config::PoolOptions;
use crate::error::{LossCause, RecycleError};
use crate::id::Slot;
use crate::pool::tests::bench::{Bench, done, options, request};
use crate::pool::{RecycleReason, RollOutcome};
use crate::worker::WorkerPhase;

const MINUTE: Duration = Duration::from_mins(1);

fn recycle(bench: &Bench, slot: u16) -> tokio::task::JoinHandle<Result<crate::pool::Recycled, RecycleError>> {
    let pool = bench.pool.clone();
    tokio::spawn(async move { pool.recycle(Slot(slot)).await })
}

#[tokio::test(start_paused = true)]
async fn s27_a_worker_is_replaced_under_load_and_no_request_fails() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut old = bench.life().await;
    let running = bench.call("running");
    let id = old.next_request().await;
    let asked = recycle(&bench, 0);
    let mut new = bench.life().await;
    // The new one serves while the old one finishes; there is never less than one.
    let next = bench.call("next");
    let next_id = new.next_request().await;
    new.answer(next_id, &done());
    let response = next.await.unwrap().unwrap();
    assert_eq!(response.worker, new.life);
    let stats = bench.stats().await;
    assert_eq!((stats.size, stats.total, stats.available, stats.retiring), (1, 2, 1, 1));
    let phases: Vec<_> = bench.pool.workers().await.unwrap().iter().map(|worker| worker.phase).collect();
    assert_eq!(phases, [WorkerPhase::Retiring, WorkerPhase::Ready]);
    assert!(!asked.is_finished(), "the old one has not left");
    old.answer(id, &done());
    assert!(running.await.unwrap().is_ok());
    let recycled = asked.await.unwrap().unwrap();
    assert_eq!((&recycled.old, &recycled.new), (&old.life, &new.life));
    assert_eq!(recycled.reason, RecycleReason::Asked);
    let stats = bench.stats().await;
    assert_eq!((stats.total, stats.failed, stats.restarts, stats.recycled), (1, 0, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_asks_for_it_is_replaced() {
    let mut bench = Bench::start(options(|_| {})).await;
    let old = bench.life().await;
    bench.settled(|stats| stats.available == 1).await;
    old.reports.recycle("leaks".to_owned());
    let new = bench.life().await;
    assert_eq!(new.life.worker.slot, Slot(1));
    bench.settled(|stats| stats.total == 1 && stats.recycled == 1).await;
    // What is said by a worker that is gone concerns nobody.
    old.reports.recycle("again".to_owned());
    bench.settled(|stats| stats.total == 1).await;
    assert!(bench.lives.is_empty());
}

#[tokio::test(start_paused = true)]
async fn s30_a_worker_whose_replacement_fails_stays() {
    let (adapter, boots) = Scripted::changing(1, Boot::Ready);
    // Scripted workers answer no ping.
    let mut bench = Bench::start_adapter(options(|o| o.heartbeat.misses = u32::MAX), adapter).await;
    let mut old = bench.life().await;
    boots.set(Boot::Fails(AdapterFailure::Failed { what: "broken".to_owned() }));
    let failed = bench.pool.recycle(Slot(0)).await.unwrap_err();
    let RecycleError::Failed { loss, .. } = failed else { panic!("{failed}") };
    assert_eq!(loss.cause, LossCause::AdapterFailed { what: "broken".to_owned() });
    let stats = bench.settled(|stats| stats.total == 1).await;
    assert_eq!((stats.available, stats.quarantined, stats.recycled), (1, 0, 0));
    boots.set(Boot::Never);
    let slow = bench.pool.recycle(Slot(0)).await.unwrap_err();
    assert!(matches!(slow, RecycleError::TimedOut { .. }), "{slow}");
    bench.settled(|stats| stats.total == 1 && stats.available == 1).await;
    let call = bench.call("still there");
    let id = old.next_request().await;
    old.answer(id, &done());
    assert_eq!(call.await.unwrap().unwrap().worker, old.life);
    boots.set(Boot::Ready);
    assert!(bench.pool.recycle(Slot(0)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn s30_a_rolling_restart_replaces_every_worker_one_after_the_other() {
    let mut bench = Bench::start(options(|o| o.size = 3)).await;
    let _old: [_; 3] = bench.all_lives().await;
    let report = bench.pool.rolling_restart().await.unwrap();
    assert!(report.is_complete(), "{report:?}");
    let slots: Vec<_> = report.workers.iter().map(|worker| worker.slot.0).collect();
    assert_eq!(slots, [0, 1, 2]);
    let numbers: Vec<_> = report
        .workers
        .iter()
        .map(|worker| match &worker.outcome {
            RollOutcome::Replaced(recycled) => (recycled.new.worker.slot.0, recycled.new.incarnation.0),
            other => panic!("{other:?}"),
        })
        .collect();
    // One at a time: each takes the number that the one before has left.
    assert_eq!(numbers, [(3, 1), (0, 2), (1, 2)]);
    let stats = bench.stats().await;
    assert_eq!((stats.total, stats.available, stats.restarts), (3, 3, 0));
}

#[tokio::test(start_paused = true)]
async fn s30_a_rolling_restart_waits_for_a_long_request_no_longer_than_its_deadline() {
    let mut bench = Bench::start(options(|o| (o.size, o.heartbeat.misses) = (2, u32::MAX))).await;
    let [mut a, mut b] = bench.all_lives().await;
    let call = bench.send(request("long").timeout(MINUTE));
    bench.settled(|stats| stats.running == 1).await;
    let busy = if a.has_more() { &mut a } else { &mut b };
    let id = busy.next_request().await;
    let began = Instant::now();
    let report = bench.pool.rolling_restart().await.unwrap();
    assert!(report.is_complete(), "{report:?}");
    // Until then, and what a worker takes to leave.
    assert!(began.elapsed() < MINUTE + Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(call.await.unwrap().unwrap_err().code(), "deadline_exceeded");
    assert_eq!(busy.next_cancel().await, id);
    let stats = bench.stats().await;
    assert_eq!((stats.available, stats.total, stats.recycled), (2, 2, 2));
}

#[tokio::test(start_paused = true)]
async fn s27_workers_that_want_to_be_replaced_as_soon_as_they_are_there_are_not_replaced_without_pause() {
    let mut bench = Bench::start(options(|o| o.heartbeat.misses = u32::MAX)).await;
    let (began, hour) = (Instant::now(), Duration::from_hours(1));
    let mut replaced = 0;
    let mut life = bench.life().await;
    while began.elapsed() < hour {
        bench.settled(|stats| stats.total == 1 && stats.available == 1).await;
        life.reports.recycle("always".to_owned());
        // Said again, it is one wish.
        life.reports.recycle("always".to_owned());
        assert!(bench.run(request("work"), &mut life).await.is_ok());
        life = bench.life().await;
        replaced += 1;
    }
    // At once, after 1 s, 2 s and so on to 256 s, and then every 5 min, less a fifth.
    assert!((18..=26).contains(&replaced), "{replaced}");
    // One that has served well is believed.
    tokio::time::sleep(MINUTE).await;
    bench.settled(|stats| stats.total == 1 && stats.available == 1).await;
    let began = Instant::now();
    life.reports.recycle("at last".to_owned());
    let _life = bench.life().await;
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_follows_one_which_wanted_to_be_replaced_and_died_is_heard_for_itself() {
    let mut bench = Bench::start(options(|o| o.heartbeat.misses = u32::MAX)).await;
    let mut life = bench.life().await;
    for _ in 0..2 {
        bench.settled(|stats| stats.total == 1 && stats.available == 1).await;
        life.reports.recycle("tired".to_owned());
        life = bench.life().await;
    }
    bench.settled(|stats| stats.total == 1 && stats.available == 1).await;
    let began = Instant::now();
    life.reports.recycle("tired".to_owned());
    bench.settled(|_| true).await;
    let slot = life.life.worker.slot;
    life.end(AdapterFailure::Disconnected);
    let next = bench.life().await;
    bench.settled(|stats| stats.available == 1).await;
    assert_eq!(next.life.worker.slot, slot);
    next.reports.recycle("tired, too".to_owned());
    let last = bench.life().await;
    assert_ne!(last.life.worker.slot, slot);
    // What the one that died had wanted is over with it.
    assert!(began.elapsed() > Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn s30_a_rolling_restart_ends_at_the_first_worker_that_cannot_be_replaced() {
    let (adapter, boots) = Scripted::changing(1, Boot::Ready);
    let mut bench = Bench::start_adapter(options(|o| o.size = 3), adapter).await;
    let old: [_; 3] = bench.all_lives().await;
    boots.set(Boot::Fails(AdapterFailure::Failed { what: "broken".to_owned() }));
    let report = bench.pool.rolling_restart().await.unwrap();
    assert!(!report.is_complete());
    let outcomes: Vec<_> = report.workers.iter().map(|worker| &worker.outcome).collect();
    assert!(matches!(
        outcomes[..],
        [RollOutcome::Kept(RecycleError::Failed { .. }), RollOutcome::NotTried, RollOutcome::NotTried]
    ));
    bench.settled(|stats| stats.total == 3 && stats.available == 3).await;
    for (worker, old) in bench.pool.workers().await.unwrap().iter().zip(&old) {
        assert_eq!((worker.slot, worker.incarnation), (old.life.worker.slot, old.life.incarnation));
    }
}

#[tokio::test(start_paused = true)]
async fn a_replacement_that_is_under_way_outlives_the_pools_actor() {
    let (adapter, boots) = Scripted::changing(1, Boot::Ready);
    // Scripted workers answer no ping.
    let mut bench = Bench::start_adapter(options(|o| o.heartbeat.misses = u32::MAX), adapter).await;
    let old = bench.life().await;
    boots.set(Boot::Never);
    let asked = recycle(&bench, 0);
    bench.settled(|stats| stats.total == 2 && stats.starting == 1).await;
    bench.kill_pool().await;
    assert!(matches!(asked.await.unwrap(), Err(RecycleError::PoolRestarted { .. })));
    let stats = bench.settled(|stats| stats.available == 1).await;
    assert_eq!((stats.size, stats.total, stats.starting), (1, 2, 1));
    // It is not ready within twice the time that a worker has for its boot, and is withdrawn.
    tokio::time::sleep(MINUTE).await;
    bench.settled(|stats| stats.total == 1).await;
    assert_eq!(bench.pool.workers().await.unwrap()[0].incarnation, old.life.incarnation);

    boots.set(Boot::Ready);
    let asked = recycle(&bench, 0);
    let mut new = bench.life().await;
    bench.kill_pool().await;
    // Whether the pool could still say so, or not: the new one takes over.
    assert!(matches!(asked.await.unwrap(), Ok(_) | Err(RecycleError::PoolRestarted { .. })));
    bench.settled(|stats| stats.total == 1 && stats.available == 1).await;
    let call = bench.call("served");
    let id = new.next_request().await;
    new.answer(id, &done());
    assert!(call.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn only_what_is_there_to_stay_is_replaced_and_each_once() {
    let mut bench = Bench::start(options(|o| o.size = 2)).await;
    let [mut a, mut b] = bench.all_lives().await;
    let missing = bench.pool.recycle(Slot(7)).await.unwrap_err();
    assert!(matches!(missing, RecycleError::NotFound { .. }), "{missing}");
    let calls = [bench.call("a"), bench.call("b")];
    let ids = [a.next_request().await, b.next_request().await];
    let (first, again) = (recycle(&bench, 0), recycle(&bench, 0));
    let _new = bench.life().await;
    bench.settled(|stats| stats.retiring == 1).await;
    let leaving = bench.pool.recycle(Slot(0)).await.unwrap_err();
    assert!(matches!(leaving, RecycleError::InTransit { .. }), "{leaving}");
    // The second waits for its turn, and is called off.
    let called_off = recycle(&bench, 1);
    bench.settled(|_| true).await;
    called_off.abort();
    let _ = called_off.await;
    a.answer(ids[0], &done());
    assert_eq!(first.await.unwrap(), again.await.unwrap());
    b.answer(ids[1], &done());
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    let stats = bench.settled(|stats| stats.total == 2).await;
    assert_eq!((stats.recycled, bench.lives.is_empty()), (1, true));
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_shrinks_lets_go_first_of_whom_it_was_about_to_replace() {
    let (adapter, boots) = Scripted::changing(1, Boot::Ready);
    let mut bench = Bench::start_adapter(options(|o| o.size = 2), adapter).await;
    let _lives: [_; 2] = bench.all_lives().await;
    boots.set(Boot::Never);
    let asked = recycle(&bench, 0);
    bench.settled(|stats| stats.total == 3).await;
    bench.pool.resize(1).await.unwrap();
    assert!(matches!(asked.await.unwrap(), Err(RecycleError::InTransit { .. })));
    bench.settled(|stats| stats.total == 1 && stats.available == 1).await;
    assert_eq!(bench.pool.workers().await.unwrap()[0].slot, Slot(1));
    bench.pool.await_full(MINUTE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_leaves_before_its_turn_to_be_replaced_is_said_to_leave() {
    // That the pool had no number left for another was said of it.
    let (adapter, boots) = Scripted::changing(1, Boot::Ready);
    let quiet = |o: &mut PoolOptions| (o.size, o.heartbeat.misses) = (3, u32::MAX);
    let mut bench = Bench::start_adapter(options(quiet), adapter).await;
    let [mut a, mut b, mut c] = bench.all_lives().await;
    let calls = [bench.call("a"), bench.call("b"), bench.call("c")];
    let ids = [a.next_request().await, b.next_request().await, c.next_request().await];
    a.answer(ids[0], &done());
    boots.set(Boot::Never);
    let first = recycle(&bench, 0);
    bench.settled(|stats| stats.total == 4).await;
    let last = recycle(&bench, 2);
    bench.stats().await;
    let stays = recycle(&bench, 1);
    bench.stats().await;
    // The one that is just being replaced goes, and the last, which is at work.
    bench.pool.resize(1).await.unwrap();
    for leaves in [first, last] {
        let error = leaves.await.unwrap().unwrap_err();
        assert!(matches!(error, RecycleError::InTransit { .. }), "{error}");
    }
    b.answer(ids[1], &done());
    c.answer(ids[2], &done());
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    let slow = stays.await.unwrap().unwrap_err();
    assert!(matches!(slow, RecycleError::TimedOut { .. }), "{slow}");
    bench.settled(|stats| stats.total == 1 && stats.available == 1).await;
}
