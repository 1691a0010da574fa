//! Workers that fall silent: idle, at work, and hung.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::config::PoolOptions;
use crate::error::{ExecuteError, LossCause};
use crate::pool::tests::bench::{Bench, done, options, request};
use crate::process::{ReadUsage, TreeUsage};

const EVERY: Duration = Duration::from_secs(2);
const MISSES: u32 = 3;

/// What a worker's processes have used, as a test sets it.
#[derive(Clone, Default)]
struct Used(Arc<AtomicU64>);

impl Used {
    /// Each look finds that more has been used, by this much.
    fn more_each_time(&self, ms: u64) -> ReadUsage {
        let used = Arc::clone(&self.0);
        Arc::new(move |_| {
            let cpu_time = Duration::from_millis(used.fetch_add(ms, Ordering::Relaxed));
            Box::pin(async move { Some(TreeUsage { rss_bytes: 1, cpu_time }) })
        })
    }

    fn looks(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

fn watched() -> PoolOptions {
    options(|o| {
        (o.heartbeat.interval, o.heartbeat.misses) = (EVERY, MISSES);
        o.timeout = Duration::from_hours(1);
    })
}

fn is_unresponsive(error: &ExecuteError) -> bool {
    let ExecuteError::WorkerLost { loss } = error else { return false };
    loss.cause == LossCause::Unresponsive { misses: MISSES }
}

#[tokio::test(start_paused = true)]
async fn s26_an_idle_worker_that_falls_silent_is_replaced_after_its_misses() {
    let mut bench = Bench::start(watched()).await;
    let _silent = bench.life().await;
    let began = Instant::now();
    let second = bench.life().await;
    assert_eq!(second.life.incarnation.0, 2);
    assert!(began.elapsed() >= EVERY * MISSES && began.elapsed() < EVERY * (MISSES + 1));
}

#[tokio::test(start_paused = true)]
async fn s26_one_slow_ping_is_not_fatal() {
    let mut bench = Bench::start(watched()).await;
    let life = bench.life().await;
    for _ in 0..20 {
        // One beat and a half goes by without an answer, each time.
        sleep(EVERY + EVERY / 2).await;
        life.reports.alive();
    }
    assert_eq!(bench.pool.workers().await.unwrap()[0].incarnation.0, 1);
    assert!(bench.lives.try_recv().is_err(), "there was another life");
}

#[tokio::test(start_paused = true)]
async fn s26_a_busy_worker_that_uses_no_processor_is_replaced_and_its_caller_told() {
    let mut bench = Bench::start_reading(watched(), Used::default().more_each_time(0)).await;
    let mut life = bench.life().await;
    let (began, call) = (Instant::now(), bench.call("hangs"));
    life.next_request().await;
    let error = call.await.unwrap().unwrap_err();
    assert!(is_unresponsive(&error), "{error}");
    assert!(began.elapsed() <= EVERY * (MISSES + 1), "{:?}", began.elapsed());
    assert_eq!(bench.life().await.life.incarnation.0, 2);
}

#[tokio::test(start_paused = true)]
async fn s18_a_busy_worker_that_computes_in_silence_lives() {
    let used = Used::default();
    let mut bench = Bench::start_reading(watched(), used.more_each_time(10)).await;
    let mut life = bench.life().await;
    let call = bench.call("computes");
    let id = life.next_request().await;
    sleep(EVERY * 100).await;
    assert!(used.looks() > 900, "it was not watched: {}", used.looks());
    life.answer(id, &done());
    assert_eq!(call.await.unwrap().unwrap().worker.incarnation.0, 1);
}

#[tokio::test(start_paused = true)]
async fn a_busy_worker_of_which_nobody_can_tell_is_left_to_its_deadline() {
    let mut bench = Bench::start_reading(watched(), Arc::new(|_| Box::pin(async { None }))).await;
    let mut life = bench.life().await;
    let call = bench.send(request("silent").timeout(EVERY * 50));
    let id = life.next_request().await;
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error.code(), "deadline_exceeded");
    life.next_cancel().await;
    life.answer(id, &done());
    assert_eq!(bench.pool.workers().await.unwrap()[0].incarnation.0, 1);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_asked_to_end_while_its_usage_is_read_ends() {
    let mut bench = Bench::start_reading(watched(), Arc::new(|_| Box::pin(std::future::pending()))).await;
    let mut life = bench.life().await;
    let call = bench.call("silent");
    life.next_request().await;
    sleep(EVERY * 10).await;
    bench.supervisor.stop(Some("shutdown".to_owned()));
    assert!(call.await.unwrap().is_err());
}
