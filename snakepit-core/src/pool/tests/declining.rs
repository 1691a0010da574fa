//! Requests that a worker does not take, because it is about to leave by itself.

use std::time::Duration;

use crate::adapter::scripted::{Boot, Scripted, ScriptedLife};
use crate::adapter::{AdapterFailure, AdapterMessage, Outcome, SendChunkError, StreamWindow};
use crate::config::Affinity;
use crate::error::{WorkerError, WorkerErrorKind};
use crate::id::RequestId;
use crate::pool::tests::bench::{Bench, chunk, done, in_session, options, request};
use crate::pool::{HealthReason, HealthStatus};
use crate::worker::WorkerPhase;

pub(super) fn decline(life: &ScriptedLife, id: RequestId) {
    let error = WorkerError {
        kind: WorkerErrorKind::Draining,
        type_name: String::new(),
        message: "the worker takes no more work".to_owned(),
        traceback: None,
        retryable: true,
        details: None,
        cause: None,
    };
    life.reports.finished(id, Outcome::Failed(error));
}

/// Of two workers the one that has a request, and the other.
fn busy_and_idle(lives: [ScriptedLife; 2]) -> [ScriptedLife; 2] {
    let [mut a, b] = lives;
    if a.has_more() { [a, b] } else { [b, a] }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_a_worker_declines_goes_elsewhere_and_the_worker_gets_no_other() {
    let mut bench = Bench::start(options(|o| o.size = 2)).await;
    let lives = bench.all_lives().await;
    let call = bench.call("work");
    bench.settled(|stats| stats.running == 1).await;
    let [mut parting, mut stays] = busy_and_idle(lives);
    let id = parting.next_request().await;
    decline(&parting, id);
    assert_eq!(stays.next_command().await, (id, "work".to_owned()));
    stays.answer(id, &done());
    assert_eq!(call.await.unwrap().unwrap().worker, stays.life);
    // Another takes its place, whether it leaves by itself or not.
    let mut third = bench.life().await;
    assert_ne!(third.life.worker.slot, stays.life.worker.slot);
    let more: [_; 3] = std::array::from_fn(|_| bench.call("more"));
    let all_answered = async {
        for call in more {
            while !call.is_finished() {
                for life in [&mut stays, &mut third] {
                    if life.has_more() {
                        let id = life.next_request().await;
                        life.answer(id, &done());
                    }
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert!(call.await.unwrap().is_ok());
        }
    };
    tokio::time::timeout(Duration::from_secs(10), all_answered)
        .await
        .expect("requests wait beside free workers");
    let all = bench.settled(|stats| stats.total == 2 && stats.available == 2).await;
    assert_eq!((all.failed, all.retried, all.succeeded), (0, 0, 4));
    assert!(parting.has_left());
}

#[tokio::test(start_paused = true)]
async fn a_request_goes_elsewhere_also_where_its_worker_had_said_that_it_would_begin() {
    let mut bench = Bench::start(options(|o| (o.size, o.prefetch) = (2, 1))).await;
    let lives = bench.all_lives().await;
    let call = bench.call("work");
    bench.settled(|stats| stats.running == 1).await;
    let [mut parting, mut stays] = busy_and_idle(lives);
    let id = parting.next_request().await;
    parting.reports.started(id);
    decline(&parting, id);
    assert_eq!(stays.next_request().await, id);
    stays.answer(id, &done());
    assert_eq!(call.await.unwrap().unwrap().worker, stays.life);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_several_workers_decline_is_not_taken_for_poison() {
    let mut bench = Bench::start(options(|_| {})).await;
    let call = bench.send(request("work").idempotent());
    let mut declined = 0;
    let mut life = bench.life().await;
    while declined < 4 {
        let id = life.next_request().await;
        decline(&life, id);
        declined += 1;
        life = bench.life().await;
    }
    let id = life.next_request().await;
    life.answer(id, &done());
    assert!(call.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_declined_request_waits_for_another_worker_until_its_deadline() {
    let mut bench = Bench::start(options(|o| o.startup_timeout = Duration::from_secs(20))).await;
    let mut life = bench.life().await;
    let call = bench.send(request("work").timeout(Duration::from_secs(3)));
    // One after the other declines it, and each is replaced after a longer rest.
    let declines = async {
        loop {
            let id = life.next_request().await;
            decline(&life, id);
            life = bench.life().await;
        }
    };
    let answer = tokio::select! { answer = call => answer, () = declines => panic!("it goes on") };
    assert_eq!(answer.unwrap().unwrap_err().code(), "deadline_exceeded");
}

#[tokio::test(start_paused = true)]
async fn a_strict_session_is_lost_with_a_worker_that_takes_no_more_and_a_hinted_one_starts_anew() {
    for (affinity, code) in [(Affinity::StrictQueue, Some("session_lost")), (Affinity::Hint, None)] {
        let mut bench = Bench::start(options(|o| (o.size, o.affinity) = (2, affinity))).await;
        let lives = bench.all_lives().await;
        let begins = bench.send(in_session("begin", "s"));
        bench.settled(|stats| stats.running == 1).await;
        let [mut own, mut other] = busy_and_idle(lives);
        let id = own.next_request().await;
        own.answer(id, &done());
        begins.await.unwrap().unwrap();
        let declined = bench.send(in_session("work", "s"));
        let id = own.next_request().await;
        decline(&own, id);
        if let Some(code) = code {
            assert_eq!(declined.await.unwrap().unwrap_err().code(), code);
            assert!(bench.run(in_session("again", "s"), &mut other).await.is_ok());
        } else {
            let id = other.next_request().await;
            other.answer(id, &done());
            assert!(declined.await.unwrap().unwrap().session_reset);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_declined_before_its_first_chunk_goes_elsewhere() {
    let window = StreamWindow { chunks: 2, bytes: 1000 };
    let mut bench = Bench::start(options(|o| (o.size, o.stream_window) = (2, window))).await;
    let lives = bench.all_lives().await;
    let mut stream = bench.pool.execute_stream(request("count")).unwrap();
    bench.settled(|stats| stats.running == 1).await;
    let [mut parting, mut stays] = busy_and_idle(lives);
    let (id, unused) = parting.next_stream().await;
    decline(&parting, id);
    let (again, chunks) = stays.next_stream().await;
    assert_eq!((again, chunks.window()), (id, window));
    assert_eq!(unused.send(chunk(9)), Err(SendChunkError::ReaderGone), "it had declined the stream");
    for n in 0..4 {
        chunks.send(chunk(n)).unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap(), chunk(n));
        assert!(
            matches!(stays.next().await, AdapterMessage::Credit { chunks: 1, .. }),
            "it sends, and gets credit"
        );
    }
    stays.reports.finished(id, Outcome::StreamEnded);
    assert!(stream.next().await.is_none());
    assert_eq!(stream.response().unwrap().worker, stays.life);
    assert!(!parting.has_more());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_declined_when_some_has_come_says_that_trying_again_may_help() {
    let mut bench = Bench::start(options(|o| o.size = 2)).await;
    let lives = bench.all_lives().await;
    let mut stream = bench.pool.execute_stream(request("count")).unwrap();
    bench.settled(|stats| stats.running == 1).await;
    let [mut parting, mut stays] = busy_and_idle(lives);
    let (id, chunks) = parting.next_stream().await;
    chunks.send(chunk(0)).unwrap();
    decline(&parting, id);
    assert_eq!(stream.next().await.unwrap().unwrap(), chunk(0));
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), ("worker_error", true));
    assert!(stream.next().await.is_none() && !stays.has_more());
}

#[tokio::test(start_paused = true)]
async fn a_declined_request_whose_caller_left_is_over() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let call = bench.call("work");
    let id = life.next_request().await;
    call.abort();
    assert_eq!(life.next_cancel().await, id);
    decline(&life, id);
    let mut next = bench.life().await;
    bench.settled(|stats| stats.available == 1 && stats.running == 0).await;
    assert!(!next.has_more());
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_declined_and_could_not_be_replaced_is_as_soon_as_another_boots() {
    // Nobody tried again: as long as it stayed, its slot served nobody.
    let (adapter, boots) = Scripted::changing(1, Boot::Ready);
    let mut bench = Bench::start_adapter(options(|_| {}), adapter).await;
    let mut life = bench.life().await;
    boots.set(Boot::Fails(AdapterFailure::Disconnected));
    let call = bench.send(request("work").timeout(Duration::from_hours(1)));
    let id = life.next_request().await;
    decline(&life, id);
    for _ in 0..2 {
        bench.settled(|stats| stats.total == 2).await;
        bench.settled(|stats| (stats.total, stats.retiring) == (1, 1)).await;
    }
    boots.set(Boot::Ready);
    let mut next = bench.life().await;
    assert_eq!(next.next_request().await, id);
    next.answer(id, &done());
    assert!(call.await.unwrap().is_ok());
    bench.settled(|stats| (stats.total, stats.available) == (1, 1)).await;
    assert!(life.has_left());
}

#[tokio::test(start_paused = true)]
async fn s28_what_a_worker_declines_it_declines_to_every_life_of_the_pool() {
    // The next life gave it requests again. A session that had been lost with it was said to begin anew, and did where it was.
    let (adapter, boots) = Scripted::changing(1, Boot::Ready);
    let mut bench = Bench::start_adapter(options(|o| o.heartbeat.misses = u32::MAX), adapter).await;
    let mut life = bench.life().await;
    boots.set(Boot::Never);
    let declined = bench.send(in_session("work", "s").timeout(Duration::from_hours(1)));
    let id = life.next_request().await;
    decline(&life, id);
    bench.settled(|stats| (stats.waiting, stats.total) == (1, 2)).await;
    for _ in 0..2 {
        bench.kill_pool().await;
        bench.settled(|stats| (stats.total, stats.retiring, stats.available) == (2, 1, 0)).await;
    }
    assert_eq!(declined.await.unwrap().unwrap_err().code(), "pool_restarted");
    let call = bench.send(in_session("work", "s").timeout(Duration::from_hours(1)));
    bench.settled(|stats| stats.waiting == 1).await;
    assert!(!life.has_more(), "it was given another request");
    boots.set(Boot::Ready);
    let mut next = bench.life().await;
    let id = next.next_request().await;
    next.answer(id, &done());
    assert_eq!(call.await.unwrap().unwrap().worker, next.life);
    bench.settled(|stats| (stats.total, stats.available) == (1, 1)).await;
    assert!(life.has_left());
}

#[tokio::test(start_paused = true)]
async fn a_pool_whose_only_worker_takes_no_more_and_is_not_replaced_yet_is_not_ready() {
    let mut bench = Bench::start(options(|_| {})).await;
    let call = bench.call("work");
    // The first is replaced at once, and the one that follows it goes on for a while.
    for _ in 0..2 {
        let mut life = bench.life().await;
        let id = life.next_request().await;
        decline(&life, id);
    }
    let stats = bench.settled(|stats| stats.waiting == 1 && stats.total == 1).await;
    assert_eq!((stats.available, stats.busy, stats.retiring), (0, 0, 1));
    let workers = bench.pool.workers().await.unwrap();
    assert_eq!((workers[0].phase, workers[0].since_unix_ms), (WorkerPhase::Retiring, None));
    let health = bench.pool.health().await;
    let nobody = HealthReason::Short { ready: 0, size: 1, quarantined: 0 };
    assert_eq!((health.status, health.reason), (HealthStatus::NotReady, Some(nobody)));
    // Whoever waits for a worker waits for the next.
    assert!(bench.lives.is_empty());
    bench.pool.await_ready(Duration::from_mins(1)).await.unwrap();
    let mut next = bench.lives.try_recv().expect("it is ready");
    assert_eq!(bench.pool.health().await.status, HealthStatus::Ready);
    let id = next.next_request().await;
    next.answer(id, &done());
    assert!(call.await.unwrap().is_ok());
}
