//! A pool that takes no requests for a while.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::adapter::scripted::{Boot, ScriptedLife};
use crate::adapter::{AdapterFailure, Outcome};
use crate::error::{DrainError, ResumeError};
use crate::id::{RequestId, SessionId, Slot};
use crate::payload::Payload;
use crate::pool::tests::bench::{Bench, done, in_session, options, request};
use crate::pool::{Drained, HealthReason, HealthStatus};
use crate::telemetry::EventSink;

const MINUTE: Duration = Duration::from_mins(1);

impl Bench {
    /// Somebody drains the pool, which has begun with it.
    pub(super) async fn drain(&self) -> JoinHandle<Result<Drained, DrainError>> {
        let pool = self.pool.clone();
        let drain = tokio::spawn(async move { pool.drain(MINUTE).await });
        while !matches!(self.pool.health().await.reason, Some(HealthReason::Draining { .. })) {
            tokio::task::yield_now().await;
        }
        drain
    }

    /// A pool whose one worker has a request.
    async fn working()
    -> (Self, ScriptedLife, JoinHandle<Result<crate::pool::Response, crate::error::ExecuteError>>, RequestId)
    {
        let mut bench = Self::start(options(|o| o.queue_limit = 0)).await;
        let mut life = bench.life().await;
        bench.settled(|stats| stats.available == 1).await;
        let call = bench.call("running");
        let id = life.next_request().await;
        (bench, life, call, id)
    }
}

#[tokio::test(start_paused = true)]
async fn s30_a_drain_finishes_what_is_under_way_refuses_the_rest_and_is_taken_back() {
    let events = EventSink::default();
    let mut told = events.subscribe(None);
    let mut bench = Bench::start_telling(options(|o| o.queue_limit = 1), Boot::Ready, &events).await;
    let mut life = bench.life().await;
    bench.settled(|stats| stats.available == 1).await;
    let running = bench.call("running");
    let id = life.next_request().await;
    let waiting = bench.call("waiting");
    bench.settled(|stats| stats.waiting == 1).await;
    let pool = bench.pool.clone();
    // Admission has no place left; that the pool is drained is said first.
    let drain = tokio::spawn(async move { pool.drain(MINUTE).await });
    tokio::task::yield_now().await;
    let refused = bench.pool.execute(request("late")).await.unwrap_err();
    assert_eq!((refused.code(), refused.is_retryable()), ("pool_draining", true));
    life.answer(id, &done());
    let id = life.next_request().await;
    assert!(!drain.is_finished(), "a request runs that had been let in");
    life.answer(id, &done());
    for call in [running, waiting] {
        assert!(call.await.unwrap().is_ok());
    }
    assert_eq!(drain.await.unwrap(), Ok(Drained { finished: 2 }));
    assert_eq!(bench.pool.drain(Duration::ZERO).await, Ok(Drained { finished: 2 }), "it is drained already");
    assert_eq!(bench.call("still").await.unwrap().unwrap_err().code(), "pool_draining");
    assert_eq!((bench.pool.resume().await, bench.pool.resume().await), (Ok(()), Ok(())));
    assert!(bench.run(request("again"), &mut life).await.is_ok());
    let mut names = Vec::new();
    while names.last() != Some(&"snakepit.pool.resumed") {
        names.push(told.next().await.unwrap().unwrap().event.name());
    }
    names.retain(|name| name.starts_with("snakepit.pool.d"));
    assert_eq!(names, ["snakepit.pool.draining", "snakepit.pool.drained"]);
}

#[tokio::test(start_paused = true)]
async fn s30_a_drain_that_takes_too_long_says_what_is_left_and_cuts_nothing_short() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let calls = [bench.call("running"), bench.call("waiting")];
    let id = life.next_request().await;
    bench.settled(|stats| stats.waiting == 1).await;
    let (began, second) = (Instant::now(), Duration::from_secs(1));
    let left = bench.pool.drain(second).await.unwrap_err();
    assert_eq!(began.elapsed(), second);
    let pool = bench.pool.name().clone();
    assert_eq!(left, DrainError::TimedOut { pool, timeout: second, waiting: 1, running: 1 });
    assert_eq!(bench.pool.execute(request("late")).await.unwrap_err().code(), "pool_draining");
    life.answer(id, &done());
    let id = life.next_request().await;
    life.answer(id, &done());
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    assert_eq!(bench.pool.drain(second).await, Ok(Drained { finished: 2 }));
}

#[tokio::test(start_paused = true)]
async fn s30_a_request_whose_caller_left_is_waited_for_until_its_worker_is_free() {
    let (bench, mut life, call, id) = Bench::working().await;
    let drain = bench.drain().await;
    call.abort();
    assert_eq!(life.next_cancel().await, id);
    bench.settled(|stats| stats.cancelled == 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!drain.is_finished(), "the worker still has it");
    life.answer(id, &done());
    assert_eq!(drain.await.unwrap(), Ok(Drained { finished: 0 }), "nobody was there to be answered");
}

#[tokio::test(start_paused = true)]
async fn s30_a_request_whose_worker_is_lost_goes_on_elsewhere_also_in_a_drain() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let call = bench.send(request("again").idempotent());
    life.next_request().await;
    let drain = bench.drain().await;
    life.end(AdapterFailure::Disconnected);
    let mut life = bench.life().await;
    let id = life.next_request().await;
    assert!(!drain.is_finished());
    life.answer(id, &done());
    assert!(call.await.unwrap().is_ok());
    assert_eq!(drain.await.unwrap(), Ok(Drained { finished: 1 }));
}

#[tokio::test(start_paused = true)]
async fn s30_a_stream_that_was_let_in_is_read_to_its_end() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let mut stream = bench.pool.execute_stream(request("count")).unwrap();
    let (id, chunks) = life.next_stream().await;
    let drain = bench.drain().await;
    let mut late = bench.pool.execute_stream(request("late")).unwrap();
    assert_eq!(late.next().await.unwrap().unwrap_err().code(), "pool_draining");
    chunks.send(Payload::bytes("last")).unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), Payload::bytes("last"));
    drop(chunks);
    assert!(!drain.is_finished());
    life.reports.finished(id, Outcome::StreamEnded);
    assert!(stream.next().await.is_none());
    assert!(drain.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn s30_a_pool_that_is_resumed_is_not_drained() {
    let (bench, life, call, id) = Bench::working().await;
    let drain = bench.drain().await;
    assert_eq!(bench.pool.resume().await, Ok(()));
    let resumed = DrainError::Resumed { pool: bench.pool.name().clone() };
    assert_eq!(drain.await.unwrap(), Err(resumed));
    life.answer(id, &done());
    assert!(call.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn s30_sessions_are_kept_over_a_drain_and_can_be_ended_meanwhile() {
    let mut bench = Bench::start(options(|o| o.size = 2)).await;
    let mut lives: [_; 2] = bench.all_lives().await;
    for session in ["kept", "ended"] {
        let call = bench.send(in_session("begin", session));
        bench.settled(|stats| stats.running == 1).await;
        let life = lives.iter_mut().find_map(|life| life.has_more().then_some(life)).unwrap();
        let id = life.next_request().await;
        life.answer(id, &done());
        call.await.unwrap().unwrap();
    }
    assert!(bench.pool.drain(MINUTE).await.is_ok());
    let late = bench.send(in_session("late", "kept")).await.unwrap();
    assert_eq!(late.unwrap_err().code(), "pool_draining");
    assert_eq!(bench.pool.end_session(&SessionId::new("ended").unwrap()).await, Ok(()));
    bench.pool.resume().await.unwrap();
    let again = bench.send(in_session("again", "kept"));
    bench.settled(|stats| stats.running == 1).await;
    assert_eq!(bench.stats().await.affinity_hits, 1);
    assert!(!again.is_finished());
}

#[tokio::test(start_paused = true)]
async fn s30_a_permit_outlives_a_drain_and_whoever_waits_for_one_is_told() {
    let (bench, mut life, call, id) = Bench::working().await;
    life.answer(id, &done());
    assert!(call.await.unwrap().is_ok());
    let permit = bench.pool.reserve().await.unwrap();
    let pool = bench.pool.clone();
    let waits = tokio::spawn(async move { pool.reserve().await.map(drop) });
    tokio::task::yield_now().await;
    assert!(bench.pool.drain(MINUTE).await.is_ok(), "a place is no request");
    assert_eq!(waits.await.unwrap().unwrap_err().code(), "pool_draining");
    assert!(bench.pool.try_reserve().is_none());
    assert_eq!(bench.pool.reserve().await.unwrap_err().code(), "pool_draining");
    bench.pool.resume().await.unwrap();
    assert_eq!(bench.stats().await.reserved, 1);
    let used = tokio::spawn(permit.execute(request("reserved")));
    let id = life.next_request().await;
    life.answer(id, &done());
    assert!(used.await.unwrap().is_ok());
    let permit = bench.pool.reserve().await.unwrap();
    assert!(bench.pool.drain(MINUTE).await.is_ok());
    assert_eq!(permit.execute(request("late")).await.unwrap_err().code(), "pool_draining");
    assert_eq!(bench.stats().await.reserved, 0);
}

#[tokio::test(start_paused = true)]
async fn s30_a_drained_pool_stays_drained_over_a_restart_of_its_actor() {
    let (bench, mut life, call, id) = Bench::working().await;
    let drain = bench.drain().await;
    bench.kill_pool().await;
    assert_eq!(call.await.unwrap().unwrap_err().code(), "pool_restarted");
    assert_eq!(life.next_cancel().await, id);
    assert_eq!(bench.pool.execute(request("late")).await.unwrap_err().code(), "pool_draining");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!drain.is_finished(), "the worker still has what the pool does not know");
    let left = bench.pool.drain(Duration::ZERO).await.unwrap_err();
    assert!(matches!(left, DrainError::TimedOut { waiting: 0, running: 1, .. }), "{left}");
    life.answer(id, &done());
    assert!(drain.await.unwrap().is_ok());
    bench.kill_pool().await;
    assert_eq!(bench.pool.execute(request("late")).await.unwrap_err().code(), "pool_draining");
    bench.pool.resume().await.unwrap();
    assert!(bench.run(request("again"), &mut life).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn s30_a_drain_asked_of_a_pool_that_is_just_restarting_holds_for_its_next_life() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    bench.settled(|stats| stats.available == 1).await;
    // The next life is not up before this task lets it.
    let end_the_pool = || bench.pool.shared().address.current().unwrap().kill();
    end_the_pool();
    assert_eq!(bench.pool.drain(MINUTE).await, Ok(Drained { finished: 0 }));
    assert_eq!(bench.pool.execute(request("late")).await.unwrap_err().code(), "pool_draining");
    end_the_pool();
    bench.pool.resume().await.unwrap();
    bench.pool.await_ready(MINUTE).await.unwrap();
    assert!(bench.run(request("again"), &mut life).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn s30_a_drained_pool_is_resized_and_its_workers_are_replaced() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut old = bench.life().await;
    assert!(bench.pool.drain(MINUTE).await.is_ok());
    let rolled = bench.pool.rolling_restart().await.unwrap();
    assert!(rolled.is_complete() && old.has_left(), "{rolled:?}");
    let new = bench.life().await;
    bench.pool.resize(2).await.unwrap();
    let _grown = bench.life().await;
    assert!(bench.pool.await_full(MINUTE).await.is_ok());
    assert!(bench.pool.recycle(new.life.worker.slot).await.is_ok());
    let mut recycled = bench.life().await;
    bench.pool.resize(1).await.unwrap();
    let stats = bench.settled(|stats| stats.total == 1).await;
    assert_eq!((stats.available, stats.recycled), (1, 2));
    bench.pool.resume().await.unwrap();
    let call = bench.call("again");
    bench.settled(|stats| stats.running == 1).await;
    assert!(!call.is_finished() && (recycled.has_left() || recycled.has_more()));
}

#[tokio::test(start_paused = true)]
async fn s30_a_drained_pool_says_so_where_its_health_is_asked_and_tells_of_its_workers_as_ever() {
    let (bench, life, _call, id) = Bench::working().await;
    let drain = bench.drain().await;
    let health = bench.pool.health().await;
    assert_eq!(health.status, HealthStatus::NotReady);
    assert_eq!(health.reason, Some(HealthReason::Draining { waiting: 0, running: 1 }));
    life.answer(id, &done());
    drain.await.unwrap().unwrap();
    let health = bench.pool.health().await;
    assert_eq!(health.reason.unwrap().to_string(), "it is drained");
    assert!(bench.pool.await_ready(MINUTE).await.is_ok());
    assert!(bench.pool.explain(Slot(0)).await.is_some());
    assert_eq!(bench.pool.workers().await.unwrap().len(), 1);
    bench.pool.resume().await.unwrap();
    assert_eq!(bench.pool.health().await.status, HealthStatus::Ready);
}

#[tokio::test(start_paused = true)]
async fn s30_a_drained_pool_that_fails_says_that_it_failed() {
    let mut bench = Bench::start(options(|_| {})).await;
    for _ in 0..4 {
        let life = bench.life().await;
        assert!(bench.pool.drain(MINUTE).await.is_ok());
        life.end(AdapterFailure::Disconnected);
    }
    bench.settled(|stats| stats.quarantined == 1).await;
    assert_eq!(bench.pool.health().await.status, HealthStatus::Failed);
    assert_eq!(bench.pool.execute(request("late")).await.unwrap_err().code(), "pool_failed");
    let _healed = bench.life().await;
    bench.settled(|stats| stats.available == 1).await;
    assert_eq!(bench.pool.execute(request("late")).await.unwrap_err().code(), "pool_draining");
}

#[tokio::test(start_paused = true)]
async fn s30_a_shutdown_ends_a_drain_and_is_as_ever_for_a_pool_that_was_drained() {
    let (bench, life, call, id) = Bench::working().await;
    let drain = bench.drain().await;
    bench.pool.shared().stop_by(Instant::now() + MINUTE);
    let pool = bench.pool.clone();
    let close = tokio::spawn(async move { pool.close(Instant::now() + MINUTE).await });
    let stopping = || bench.pool.name().clone();
    assert_eq!(drain.await.unwrap(), Err(DrainError::ShuttingDown { pool: stopping() }));
    assert_eq!(bench.pool.drain(MINUTE).await, Err(DrainError::ShuttingDown { pool: stopping() }));
    assert_eq!(bench.pool.resume().await, Err(ResumeError::ShuttingDown { pool: stopping() }));
    life.answer(id, &done());
    assert!(call.await.unwrap().is_ok());
    let report = close.await.unwrap();
    assert_eq!((report.finished, report.abandoned), (1, 0));
    assert_eq!(bench.pool.execute(request("late")).await.unwrap_err().code(), "shutting_down");
    bench.supervisor.stop(Some("shutdown".to_owned()));
    bench.supervisor.wait(Some(MINUTE)).await.unwrap();
    assert_eq!(bench.pool.drain(MINUTE).await, Err(DrainError::ShuttingDown { pool: stopping() }));
    assert_eq!(bench.pool.resume().await, Err(ResumeError::ShuttingDown { pool: stopping() }));
}
