//! Scenes that make a pool tell every event that it has to tell.

use std::time::Duration;

use tokio::time::Instant;

use crate::adapter::scripted::{Boot, ScriptedLife};
use crate::adapter::{AdapterFailure, AdapterMessage, WorkerLog};
use crate::config::{Affinity, PoolOptions};
use crate::id::Slot;
use crate::pool::tests::bench::{Bench, done, in_session, options, request};
use crate::pool::tests::watchdog;
use crate::process::HostRun;
use crate::process_registry::ProcessRegistryRef;
use crate::telemetry::EventSink;
use crate::worker;

/// What requests are called with here. It must be in no event.
pub(crate) const SECRET: &str = "hush-hush";

/// Plays all of them. Needs paused time.
pub(crate) async fn play(events: &EventSink) {
    peace(events).await;
    crowds(events).await;
    losses(events).await;
    restlessness(events).await;
    sessions(events).await;
    restarts(events).await;
    watchdog::stall(events).await;
}

async fn bench(events: &EventSink, change: impl FnOnce(&mut PoolOptions)) -> Bench {
    Bench::start_telling(options(change), Boot::Ready, events).await
}

async fn answer_next(life: &mut ScriptedLife) {
    let id = life.next_request().await;
    life.answer(id, &done());
}

/// Statistics, without anything else.
async fn peace(events: &EventSink) {
    let _bench = bench(events, |o| o.telemetry.interval = Duration::from_secs(10)).await;
    tokio::time::sleep(Duration::from_secs(11)).await;
}

/// Too many requests, a worker that does not let go, another size, the end.
async fn crowds(events: &EventSink) {
    let few = |o: &mut PoolOptions| {
        (o.queue_limit, o.cancel_grace, o.output_limit) = (0, Duration::from_secs(1), 1);
    };
    let mut bench = bench(events, few).await;
    let mut life = bench.life().await;
    let say = |life: &ScriptedLife| {
        let level = tracing::Level::INFO;
        let (logger, message) = (String::new(), "loud".to_owned());
        life.reports.log(WorkerLog { level, logger, message, request: None });
    };
    (0..2).for_each(|_| say(&life));
    bench.settled(|stats| stats.available == 1).await;
    let taken = bench.call("taken");
    let id = life.next_request().await;
    assert_eq!(bench.pool.execute(request("refused")).await.unwrap_err().code(), "saturated");
    taken.abort();
    assert_eq!(life.next_cancel().await, id);
    // The grace passes, and with it the time in which the pool still counts as saturated.
    tokio::time::sleep(Duration::from_secs(3)).await;
    say(&life);
    life.answer(id, &done());
    bench.settled(|stats| stats.available == 1).await;
    let admitted = bench.call("admitted");
    answer_next(&mut life).await;
    assert!(admitted.await.unwrap().is_ok());
    let (shared, registry) = (bench.pool.shared(), ProcessRegistryRef::new(HostRun::of_a_test()));
    worker::scenes::play(shared.clone(), registry, life.life.clone());
    let recycled = bench.pool.recycle(life.life.worker.slot).await.unwrap();
    bench.pool.resize(2).await.unwrap();
    bench.settled(|stats| stats.available == 2).await;
    // The slot that the smaller pool can do without is just being replaced.
    let last = bench.pool.workers().await.unwrap().iter().map(|worker| worker.slot).max().unwrap();
    assert!(recycled.new.worker.slot <= last);
    let (withdrawn, resized) = tokio::join!(bench.pool.recycle(last), bench.pool.resize(1));
    assert!(withdrawn.is_err() && resized.is_ok(), "{withdrawn:?}");
    assert!(bench.pool.drain(Duration::from_secs(1)).await.is_ok() && bench.pool.resume().await.is_ok());
    bench.pool.shared().stop_by(Instant::now());
    bench.pool.close(Instant::now()).await;
    bench.supervisor.stop(Some("shutdown".to_owned()));
    bench.supervisor.wait(Some(Duration::from_mins(1))).await.unwrap();
}

/// A request that crashes its workers, until the only slot gives up, heals, and is given up for good; and one that is late.
async fn losses(events: &EventSink) {
    let mut bench = bench(events, |_| {}).await;
    let call = bench.send(request("poison").idempotent());
    for _ in 0..2 {
        let mut life = bench.life().await;
        life.next_request().await;
        life.end(AdapterFailure::Disconnected);
    }
    assert_eq!(call.await.unwrap().unwrap_err().code(), "poisoned");
    for _ in 0..2 {
        bench.life().await.end(AdapterFailure::Disconnected);
    }
    bench.settled(|stats| stats.quarantined == 1).await;
    let healed = bench.life().await;
    bench.settled(|stats| stats.available == 1).await;
    bench.exits(&healed, 78).await;
    bench.settled(|stats| stats.quarantined == 1).await;
    assert!(bench.pool.recycle(Slot(0)).await.is_ok());
    let _another = bench.life().await;
    let late = request("late").timeout(Duration::from_millis(10));
    assert_eq!(bench.pool.execute(late).await.unwrap_err().code(), "deadline_exceeded");
}

/// A worker that asks to be replaced, and the next one, too.
async fn restlessness(events: &EventSink) {
    let mut bench = bench(events, |_| {}).await;
    for _ in 0..2 {
        let life = bench.life().await;
        bench.settled(|stats| stats.total == 1 && stats.available == 1).await;
        life.reports.recycle("tired".to_owned());
        // It is heard before this is answered.
        bench.stats().await;
    }
}

/// Sessions that are lost, start anew, expire, and make room.
async fn sessions(events: &EventSink) {
    let mut bench = bench(events, |o| (o.session_limit, o.session_ttl) = (1, Duration::from_secs(1))).await;
    let mut life = bench.life().await;
    for session in ["one", "two"] {
        assert!(bench.run(in_session("work", session), &mut life).await.is_ok());
    }
    life.end(AdapterFailure::Disconnected);
    let mut life = bench.life().await;
    let reset = bench.run(in_session("work", "two"), &mut life).await.unwrap();
    assert!(reset.session_reset);
    life.end(AdapterFailure::Disconnected);
    let mut life = bench.life().await;
    bench.settled(|stats| stats.available == 1).await;
    let strict = in_session("work", "two").affinity(Affinity::StrictQueue);
    assert_eq!(bench.pool.execute(strict).await.unwrap_err().code(), "session_lost");
    assert!(bench.run(in_session("work", "two"), &mut life).await.is_ok());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let late = bench.send(in_session("work", "two"));
    assert!(matches!(life.next().await, AdapterMessage::EndSession { .. }));
    answer_next(&mut life).await;
    assert!(late.await.unwrap().is_ok());
}

/// The pool's own actors, started again until it is enough.
async fn restarts(events: &EventSink) {
    let bench = bench(events, |_| {}).await;
    bench.kill_session_affinity().await;
    // The budget is whole again.
    tokio::time::sleep(Duration::from_secs(6)).await;
    bench.spend_budget().await;
    bench.tried_again().await;
}
