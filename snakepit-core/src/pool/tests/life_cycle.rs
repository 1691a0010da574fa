//! Slots, failures, and the pool's own restart.

use std::time::Duration;

use tokio::time::Instant;

use crate::adapter::AdapterFailure;
use crate::adapter::scripted::{Boot, Scripted};
use crate::config::PoolOptions;
use crate::error::{AwaitReadyError, ExecuteError, LossCause};
use crate::id::Slot;
use crate::pool::tests::bench::{Bench, done, in_session, options, request};
use crate::telemetry::{Event, EventSink};
use crate::worker::WorkerPhase;

fn broken() -> Boot {
    Boot::Fails(AdapterFailure::Failed { what: "no such thing".to_owned() })
}

#[tokio::test(start_paused = true)]
async fn a_pool_is_ready_when_its_first_worker_is() {
    let mut bench = Bench::start(options(|o| o.size = 3)).await;
    assert!(bench.pool.await_ready(Duration::from_secs(1)).await.is_ok());
    let _lives: [_; 3] = bench.all_lives().await;
    let workers = bench.pool.workers().await.unwrap();
    assert_eq!(workers.len(), 3);
    for (slot, worker) in workers.iter().enumerate() {
        assert_eq!((usize::from(worker.slot.0), worker.phase), (slot, WorkerPhase::Ready));
        assert_eq!((worker.incarnation.0, worker.restarts), (1, 0));
        assert_eq!((worker.os_pid, worker.agent.as_deref()), (None, Some("scripted")));
        assert_eq!((worker.served, worker.failed, worker.sessions), (Some(0), Some(0), Some(0)));
        // There is no process that could use any.
        assert_eq!((worker.rss_bytes, worker.cpu_time_ms), (None, None));
        assert_eq!(worker.last_loss, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_never_ready_is_replaced_after_the_startup_timeout() {
    let bench = Bench::start_with(options(|o| o.startup_timeout = Duration::from_secs(3)), Boot::Never).await;
    let ready = bench.pool.await_ready(Duration::from_secs(1)).await;
    assert!(matches!(ready, Err(AwaitReadyError::TimedOut { .. })), "{ready:?}");
    assert_eq!(bench.stats().await.restarts, 0);
    let stats = bench.settled(|stats| stats.restarts == 1).await;
    assert_eq!(stats.starting, 1);
}

#[tokio::test(start_paused = true)]
async fn s18_a_start_much_longer_than_a_heartbeat_is_waited_for_and_gets_no_request_before_its_end() {
    let change = |o: &mut PoolOptions| {
        o.startup_timeout = Duration::from_mins(1);
        (o.heartbeat.interval, o.heartbeat.misses) = (Duration::from_secs(1), 1);
    };
    let mut bench = Bench::start_with(options(change), Boot::After(Duration::from_secs(30))).await;
    let began = Instant::now();
    let call = bench.send(request("early").timeout(Duration::from_mins(1)));
    let mut life = bench.life().await;
    assert_eq!(began.elapsed().as_secs(), 30);
    assert_eq!((life.life.incarnation.0, bench.stats().await.restarts), (1, 0));
    let id = life.next_request().await;
    life.answer(id, &done());
    assert!(call.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn only_so_many_workers_boot_at_once_and_the_others_follow() {
    let bench = Bench::start_with(
        options(|o| {
            (o.size, o.startup_concurrency) = (3, 2);
            o.startup_timeout = Duration::from_secs(3);
        }),
        Boot::Never,
    )
    .await;
    let begun = || [0, 1, 2].map(|slot| bench.pool.shared().lives(Slot(slot)) > 0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(begun(), [true, true, false]);
    // One that fails makes room: what it tries next is between it and its Starter.
    bench.settled(|stats| stats.restarts > 0).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(begun(), [true, true, true]);
}

#[tokio::test(start_paused = true)]
async fn s25_a_pool_whose_workers_all_give_up_fails_with_the_reason_and_tells_everybody() {
    let bench = Bench::start_with(options(|o| o.size = 2), broken()).await;
    let began = Instant::now();
    let call = bench.call("waits");
    let ready = bench.pool.await_ready(Duration::from_secs(15)).await;
    let Err(AwaitReadyError::PoolFailed { reason, .. }) = ready else { panic!("{ready:?}") };
    assert_eq!(
        reason.last_loss().unwrap().cause,
        LossCause::AdapterFailed { what: "no such thing".to_owned() }
    );
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(call.await.unwrap().unwrap_err().code(), "pool_failed");
    let refused = bench.pool.execute(request("new")).await.unwrap_err();
    assert!(matches!(refused, ExecuteError::PoolFailed { .. }), "{refused}");
    let workers = bench.pool.workers().await.unwrap();
    assert!(
        workers.iter().all(|worker| worker.phase == WorkerPhase::Quarantined && worker.last_loss.is_some())
    );
    // Nobody is there who could have served.
    assert!(
        workers.iter().all(|worker| worker.served.is_none() && worker.uptime_ms.is_none()),
        "{workers:?}"
    );
    assert_eq!(bench.stats().await.quarantined, 2);
}

#[tokio::test(start_paused = true)]
async fn s25_a_worker_that_crashes_for_ever_is_quarantined_again_and_again_and_its_siblings_serve() {
    let events = EventSink::default();
    let mut heard = events.subscribe(None);
    let (adapter, boots) = Scripted::changing(1, Boot::Ready);
    // Scripted workers answer no ping.
    let quiet = |o: &mut PoolOptions| (o.size, o.heartbeat.misses) = (3, u32::MAX);
    let mut bench = Bench::start_adapter_telling(options(quiet), adapter, &events).await;
    let [crashes, mut b, mut c] = bench.all_lives().await;
    boots.set(broken());
    crashes.end(AdapterFailure::Disconnected);
    let mut rests = Vec::new();
    while rests.len() < 4 {
        let record = heard.next().await.unwrap().unwrap();
        if let Event::SlotQuarantined { slot, times, rest, last } = &record.event {
            rests.push(*rest);
            assert_eq!((slot.slot, *times as usize), (Slot(0), rests.len()));
            assert_eq!(last.cause, LossCause::AdapterFailed { what: "no such thing".to_owned() });
        }
        // Its siblings are never touched.
        let calls = [bench.call("b"), bench.call("c")];
        for life in [&mut b, &mut c] {
            let id = life.next_request().await;
            life.answer(id, &done());
        }
        for call in calls {
            assert!(call.await.unwrap().is_ok());
        }
    }
    assert!(rests.windows(2).all(|pair| pair[1] > pair[0]), "it never rests for longer: {rests:?}");
    boots.set(Boot::Ready);
    let healed = bench.life().await;
    assert_eq!(healed.life.worker.slot, Slot(0));
    let stats = bench.settled(|stats| stats.available == 3).await;
    assert_eq!((stats.quarantined, stats.failed), (0, 0));
    let lives = bench.pool.workers().await.unwrap().into_iter().map(|worker| worker.incarnation.0);
    assert_eq!(lives.skip(1).collect::<Vec<_>>(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_tells_what_it_has_done_and_how_its_predecessor_ended() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    for session in ["a", "b"] {
        bench.run(in_session("x", session), &mut life).await.unwrap();
    }
    tokio::time::advance(Duration::from_secs(3)).await;
    let before = bench.pool.workers().await.unwrap().remove(0);
    assert_eq!((before.served, before.failed, before.sessions), (Some(2), Some(0), Some(2)));
    assert!(before.uptime_ms >= Some(3000), "{before:?}");
    life.end(AdapterFailure::Failed { what: "tired".to_owned() });
    let mut second = bench.life().await;
    bench.run(in_session("x", "a"), &mut second).await.unwrap();
    let after = bench.pool.workers().await.unwrap().remove(0);
    let loss = after.last_loss.as_ref().expect("its predecessor was lost");
    assert_eq!(loss.cause, LossCause::AdapterFailed { what: "tired".to_owned() });
    assert_eq!((loss.life.incarnation.0, after.incarnation.0), (1, 2));
    assert_eq!((after.served, after.sessions, after.phase), (Some(1), Some(1), WorkerPhase::Ready));
    assert!(after.uptime_ms < Some(3000), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_loss_that_no_life_of_the_pool_heard_of_is_told_all_the_same() {
    let mut bench = Bench::start(options(|_| {})).await;
    let life = bench.life().await;
    bench.kill_pool().await;
    life.end(AdapterFailure::Failed { what: "unheard".to_owned() });
    let _second = bench.life().await;
    let worker = bench.pool.workers().await.unwrap().remove(0);
    let cause = worker.last_loss.map(|loss| loss.cause.clone());
    assert_eq!(cause, Some(LossCause::AdapterFailed { what: "unheard".to_owned() }));
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_gave_up_is_tried_again_and_heals() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut incarnation = 0;
    // Four losses within five seconds are one too many.
    for _ in 0..4 {
        let life = bench.life().await;
        assert!(life.life.incarnation.0 > incarnation);
        incarnation = life.life.incarnation.0;
        life.end(AdapterFailure::Disconnected);
    }
    bench.settled(|stats| stats.quarantined == 1).await;
    let mut healed = bench.life().await;
    assert!(healed.life.incarnation.0 > incarnation);
    bench.settled(|stats| stats.available == 1 && stats.quarantined == 0).await;
    let call = bench.call("work");
    let id = healed.next_request().await;
    healed.answer(id, &done());
    assert!(call.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn s28_a_pool_that_restarts_loses_no_worker_and_leaves_no_caller_unanswered() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let running = bench.send(in_session("running", "s"));
    let id = life.next_request().await;
    let waiting = bench.call("waiting");
    bench.settled(|stats| stats.waiting == 1).await;
    bench.pool.shared().address.current().unwrap().kill();
    for call in [running, waiting] {
        let error = call.await.unwrap().unwrap_err();
        assert!(matches!(error, ExecuteError::PoolRestarted { .. }), "{error}");
    }
    assert!(bench.pool.await_ready(Duration::from_secs(5)).await.is_ok());
    // The worker hears that nobody waits, and keeps its place until it is done: to a pool that never asked.
    assert_eq!(life.next_cancel().await, id);
    let call = bench.call("again");
    bench.settled(|stats| stats.waiting == 1 && stats.busy == 1).await;
    assert!(!life.has_more(), "a worker for one request was given two");
    life.answer(id, &done());
    let id = life.next_request().await;
    life.answer(id, &done());
    let response = call.await.unwrap().unwrap();
    assert_eq!((response.worker.incarnation.0, response.worker), (1, life.life.clone()));
    assert!(bench.lives.is_empty(), "a worker was started although the old one lives");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_outlived_its_pool_busy_is_still_watched_when_it_is_idle() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let call = bench.call("running");
    let id = life.next_request().await;
    bench.pool.shared().address.current().unwrap().kill();
    assert!(call.await.unwrap().is_err());
    assert!(bench.pool.await_ready(Duration::from_secs(5)).await.is_ok());
    life.answer(id, &done());
    // It falls silent, and three beats later it is another.
    let next = tokio::time::timeout(Duration::from_secs(20), bench.life()).await;
    assert_eq!(next.expect("nobody watches the worker").life.incarnation.0, 2);
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_is_stopped_answers_everybody() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let calls = [bench.call("running"), bench.call("waiting")];
    life.next_request().await;
    bench.settled(|stats| stats.waiting == 1).await;
    bench.pool.shared().stop_by(Instant::now());
    bench.supervisor.stop(Some("shutdown".to_owned()));
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        assert!(matches!(error, ExecuteError::ShuttingDown { .. }), "{error}");
    }
    let error = bench.pool.execute(request("late")).await.unwrap_err();
    assert_eq!(error.code(), "shutting_down");
}

#[tokio::test(start_paused = true)]
async fn a_drain_finishes_what_is_under_way_and_refuses_the_rest() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let calls = [bench.call("running"), bench.call("waiting")];
    let id = life.next_request().await;
    bench.settled(|stats| stats.waiting == 1).await;
    let drain = {
        let pool = bench.pool.clone();
        tokio::spawn(async move { pool.close(Instant::now() + Duration::from_secs(10)).await })
    };
    let refused = loop {
        match bench.pool.execute(request("late").timeout(Duration::from_millis(1))).await {
            Err(ExecuteError::DeadlineExceeded { .. }) => {}
            other => break other,
        }
    };
    assert!(matches!(refused, Err(ExecuteError::ShuttingDown { .. })), "{refused:?}");
    life.answer(id, &done());
    let id = life.next_request().await;
    life.answer(id, &done());
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    let report = drain.await.unwrap();
    assert_eq!((report.finished, report.abandoned), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_takes_too_long_tells_the_rest_that_the_pool_shuts_down() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let call = bench.call("for ever");
    life.next_request().await;
    let began = Instant::now();
    let short = bench.pool.close(began + Duration::from_secs(1));
    // A second drain may only bring the end forward.
    let long = bench.pool.close(began + Duration::from_hours(1));
    let (report, _) = tokio::join!(short, long);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!((report.finished, report.abandoned), (0, 1));
    assert_eq!(call.await.unwrap().unwrap_err().code(), "shutting_down");
}
