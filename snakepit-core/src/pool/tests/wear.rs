//! Workers that are replaced because they are worn.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::config::{PoolOptions, RecycleOptions};
use crate::id::Slot;
use crate::pool::tests::bench::{Bench, done, options};
use crate::process::{ReadUsage, TreeUsage};

const MINUTE: Duration = Duration::from_mins(1);

fn worn(change: impl FnOnce(&mut RecycleOptions)) -> PoolOptions {
    options(|o| {
        o.recycle.jitter = 0.0;
        // Scripted workers answer no ping.
        o.heartbeat.misses = u32::MAX;
        change(&mut o.recycle);
    })
}

#[tokio::test(start_paused = true)]
async fn s27_workers_that_have_served_their_requests_are_replaced_under_load_and_no_request_fails() {
    let mut bench = Bench::start(PoolOptions { size: 2, ..worn(|r| r.max_requests = Some(10)) }).await;
    bench.pool.await_full(MINUTE).await.unwrap();
    let mut calls: Vec<_> = (0..200).map(|_| bench.call("work")).collect();
    let (mut lives, mut served) = (Vec::new(), Vec::new());
    let mut recycled = 0;
    // How many requests go by while a replacement boots is the machine's affair: the load lasts until some have come.
    while recycled < 4 || calls.iter().any(|call| !call.is_finished()) {
        if recycled < 4 && calls.iter().all(tokio::task::JoinHandle::is_finished) {
            assert!(calls.len() < 20_000, "{recycled} were replaced in {} requests", calls.len());
            calls.extend((0..200).map(|_| bench.call("work")));
        }
        while let Ok(life) = bench.lives.try_recv() {
            lives.push(life);
            served.push(0);
        }
        for (life, served) in lives.iter_mut().zip(&mut served) {
            while life.has_more() {
                let id = life.next_request().await;
                life.answer(id, &done());
                *served += 1;
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        let stats = bench.stats().await;
        assert!(stats.available + stats.busy >= 2, "fewer than there are to be: {stats:?}");
        assert!(stats.total <= 3, "more than one is replaced at a time: {stats:?}");
        recycled = stats.recycled;
    }
    let asked = calls.len();
    for call in calls.drain(..) {
        assert!(call.await.unwrap().is_ok());
    }
    let stats = bench.settled(|stats| stats.total == 2 && stats.starting == 0).await;
    assert!(stats.recycled >= 4, "{stats:?}");
    assert_eq!((stats.failed, stats.restarts, served.iter().sum::<usize>()), (0, 0, asked));
}

#[tokio::test(start_paused = true)]
async fn s27_an_old_worker_is_replaced_and_its_age_outlives_the_pools_actor() {
    let mut bench = Bench::start(worn(|r| r.max_age = Some(MINUTE))).await;
    let _old = bench.life().await;
    tokio::time::sleep(MINUTE / 2).await;
    bench.kill_pool().await;
    tokio::time::sleep(Duration::from_secs(28)).await;
    assert_eq!(bench.pool.shared().lives(Slot(1)), 0);
    tokio::time::sleep(Duration::from_secs(4)).await;
    let new = bench.life().await;
    assert_eq!(new.life.worker.slot, Slot(1));
    bench.settled(|stats| stats.total == 1 && stats.recycled == 1).await;
}

#[tokio::test(start_paused = true)]
async fn s27_a_worker_that_has_served_and_is_idle_is_replaced_once() {
    let mut bench = Bench::start(worn(|r| r.idle = Some(MINUTE))).await;
    let mut life = bench.life().await;
    tokio::time::sleep(2 * MINUTE).await;
    assert!(bench.lives.is_empty(), "one that never served would be no different");
    let call = bench.call("work");
    let id = life.next_request().await;
    life.answer(id, &done());
    assert!(call.await.unwrap().is_ok());
    let _new = bench.life().await;
    bench.settled(|stats| stats.total == 1).await;
    tokio::time::sleep(10 * MINUTE).await;
    assert_eq!((bench.stats().await.recycled, bench.lives.is_empty()), (1, true));
}

#[tokio::test(start_paused = true)]
async fn s27_a_worker_whose_processes_hold_too_much_memory_is_replaced() {
    let rss = Arc::new(AtomicU64::new(1000));
    let reads: ReadUsage = {
        let rss = Arc::clone(&rss);
        Arc::new(move |_| {
            let usage = TreeUsage { rss_bytes: rss.load(Ordering::Relaxed), cpu_time: Duration::ZERO };
            Box::pin(async move { Some(usage) })
        })
    };
    let mut bench = Bench::start_reading(worn(|r| r.max_rss = Some(1000)), reads).await;
    let _old = bench.life().await;
    tokio::time::sleep(MINUTE).await;
    assert!(bench.lives.is_empty());
    rss.store(1001, Ordering::Relaxed);
    let _new = bench.life().await;
    rss.store(1, Ordering::Relaxed);
    bench.settled(|stats| stats.total == 1 && stats.recycled == 1).await;
}

#[tokio::test(start_paused = true)]
async fn s27_a_limit_below_what_every_worker_needs_does_not_replace_them_without_pause() {
    let usage = TreeUsage { rss_bytes: 2, cpu_time: Duration::ZERO };
    let reads: ReadUsage = Arc::new(move |_| Box::pin(async move { Some(usage) }));
    let bench = Bench::start_reading(worn(|r| r.max_rss = Some(1)), reads).await;
    tokio::time::sleep(10 * MINUTE).await;
    let stats = bench.stats().await;
    // At once, after 1 s, 2 s and so on to 256 s.
    assert!((8..=12).contains(&stats.recycled), "{stats:?}");
    assert_eq!((stats.available, stats.restarts), (1, 0));
}
