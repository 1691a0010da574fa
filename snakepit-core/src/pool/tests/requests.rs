//! Admission, waiting, running, answering.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::adapter::scripted::{Boot, Scripted, ScriptedLife};
use crate::adapter::{AdapterFailure, AdapterMessage, Outcome};
use crate::config::Affinity;
use crate::error::{ExecuteError, LossCause, WorkerError, WorkerErrorKind};
use crate::id::{SessionId, WorkerLife};
use crate::payload::Payload;
use crate::pool::tests::bench::{Bench, done, options, request, value};
use crate::request::Request;
use crate::telemetry::{Event, EventSink};

#[tokio::test(start_paused = true)]
async fn a_request_is_answered_by_the_worker_that_ran_it() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let call = bench.call("add");
    let id = life.next_request().await;
    life.answer(id, &json!(3));
    let response = call.await.unwrap().unwrap();
    assert_eq!(value(&response), json!(3));
    assert_eq!(response.worker, life.life);
    assert!(!response.session_reset);
    let stats = bench.stats().await;
    assert_eq!((stats.requests, stats.succeeded, stats.available, stats.running), (1, 1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn s17_a_request_that_comes_before_the_worker_waits_for_it() {
    let mut bench = Bench::start(options(|_| {})).await;
    let call = bench.call("early");
    let mut life = bench.life().await;
    let id = life.next_request().await;
    life.answer(id, &done());
    assert!(call.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn s07_four_requests_overlap_on_a_worker_of_capacity_four_and_the_fifth_waits() {
    let mut bench = Bench::start(options(|o| o.capacity = 4)).await;
    let mut life = bench.life().await;
    let calls: Vec<_> = (0..5).map(|_| bench.call("work")).collect();
    let mut running = Vec::new();
    for _ in 0..4 {
        running.push(life.next_request().await);
    }
    let stats = bench.settled(|stats| stats.waiting == 1).await;
    assert_eq!((stats.running, stats.busy), (4, 1));
    assert!(!life.has_more());
    life.answer(running[2], &done());
    running.push(life.next_request().await);
    running.remove(2);
    for id in running {
        life.answer(id, &done());
    }
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn s04_a_full_line_refuses_at_once_and_says_what_is_full() {
    let events = EventSink::default();
    let mut heard = events.subscribe(None);
    let mut bench = Bench::start_telling(options(|o| o.queue_limit = 2), Boot::Ready, &events).await;
    let mut life = bench.life().await;
    let calls: Vec<_> = (0..3).map(|_| bench.call("work")).collect();
    bench.settled(|stats| stats.waiting == 2).await;
    let asked = Instant::now();
    let refusal = bench.pool.execute(request("work")).await.unwrap_err();
    assert_eq!(asked.elapsed(), Duration::ZERO);
    let ExecuteError::Saturated { queued, limit, .. } = refusal else { panic!("{refusal}") };
    assert_eq!((queued, limit), (2, 2));
    assert_eq!(refusal.code(), "saturated");
    assert!(refusal.retry_after().is_some());
    for call in calls {
        let id = life.next_request().await;
        life.answer(id, &done());
        assert!(call.await.unwrap().is_ok());
    }
    assert_eq!(bench.stats().await.saturated, 1);
    loop {
        let record = heard.next().await.unwrap().unwrap();
        if let Event::PoolSaturated { pool, waiting, limit, .. } = &record.event {
            assert_eq!((pool.as_str(), *waiting, *limit), ("bench", 2, 2));
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s03_twelve_hundred_cancelled_requests_leave_room_for_new_ones() {
    let mut bench = Bench::start(options(|o| o.queue_limit = 1200)).await;
    let mut life = bench.life().await;
    let first = bench.call("first");
    let first_id = life.next_request().await;
    let waiting: Vec<_> = (0..1200).map(|_| bench.call("waits")).collect();
    bench.settled(|stats| stats.waiting == 1200).await;
    for call in waiting {
        call.abort();
    }
    let stats = bench.settled(|stats| stats.waiting == 0).await;
    assert_eq!(stats.cancelled, 1200);
    let last = bench.call("last");
    bench.settled(|stats| stats.waiting == 1).await;
    life.answer(first_id, &done());
    let last_id = life.next_request().await;
    life.answer(last_id, &done());
    assert!(first.await.unwrap().is_ok() && last.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn s06_a_dropped_call_that_runs_is_cancelled_and_its_place_comes_back_when_the_worker_is_done() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let call = bench.call("long");
    let id = life.next_request().await;
    call.abort();
    assert_eq!(life.next_cancel().await, id);
    let next = bench.call("next");
    let stats = bench.settled(|stats| stats.waiting == 1).await;
    assert_eq!((stats.busy, stats.cancelled), (1, 1));
    life.answer(id, &done());
    let id = life.next_request().await;
    life.answer(id, &done());
    assert!(next.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn s06_a_call_that_is_dropped_while_it_waits_never_runs() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let first = bench.call("first");
    let first_id = life.next_request().await;
    let (dropped, last) = (bench.call("dropped"), bench.call("last"));
    bench.settled(|stats| stats.waiting == 2).await;
    dropped.abort();
    bench.settled(|stats| stats.waiting == 1 && stats.cancelled == 1).await;
    life.answer(first_id, &done());
    let (last_id, command) = life.next_command().await;
    assert_eq!(command, "last");
    life.answer(last_id, &done());
    assert!(first.await.unwrap().is_ok() && last.await.unwrap().is_ok());
    let stats = bench.stats().await;
    assert_eq!((stats.available, stats.restarts, life.has_more()), (1, 0, false));
}

#[tokio::test(start_paused = true)]
async fn s06_an_answer_to_nobody_gives_its_place_back_once() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let left = bench.call("left");
    let id = life.next_request().await;
    // The answer and the word that nobody waits for it cross. Then it is given once more.
    left.abort();
    life.answer(id, &done());
    bench.settled(|stats| stats.available == 1).await;
    life.answer(id, &done());
    let calls = [bench.call("a"), bench.call("b")];
    let stats = bench.settled(|stats| stats.waiting == 1).await;
    assert_eq!((stats.running, stats.busy), (1, 1));
    let id = life.next_request().await;
    assert!(!life.has_more(), "a worker for one request was given two");
    life.answer(id, &done());
    let id = life.next_request().await;
    life.answer(id, &done());
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn s09_twenty_calls_on_eight_workers_take_little_more_than_they_must_and_are_shared_fairly() {
    let half_a_second = Duration::from_millis(500);
    let mut bench = Bench::start(options(|o| o.size = 8)).await;
    let lives: [ScriptedLife; 8] = bench.all_lives().await;
    let work = |mut life: ScriptedLife| async move {
        loop {
            let id = life.next_request().await;
            tokio::time::sleep(half_a_second).await;
            life.answer(id, &done());
        }
    };
    let mut workers: JoinSet<()> = lives.into_iter().map(work).collect();
    let began = Instant::now();
    let mut shares: HashMap<WorkerLife, u32> = HashMap::new();
    let calls: Vec<_> = (0..20).map(|_| bench.call("work")).collect();
    for call in calls {
        *shares.entry(call.await.unwrap().unwrap().worker).or_default() += 1;
    }
    // Two rounds of eight and one of four: a second and a half, and no less.
    let took = began.elapsed();
    assert!(took >= 3 * half_a_second && took < 3 * half_a_second * 3 / 2, "{took:?}");
    assert!(shares.len() == 8 && shares.values().all(|share| (2..=3).contains(share)), "{shares:?}");
    workers.abort_all();
}

#[tokio::test(start_paused = true)]
async fn s21_after_the_death_of_an_idle_worker_every_call_succeeds_at_once() {
    let (adapter, boots) = Scripted::changing(1, Boot::Ready);
    let mut bench = Bench::start_adapter(options(|o| o.size = 2), adapter).await;
    let [idle, mut other] = bench.all_lives().await;
    boots.set(Boot::Never);
    let answering = tokio::spawn(async move {
        for _ in 0..100 {
            let id = other.next_request().await;
            other.answer(id, &done());
        }
        other
    });
    let began = Instant::now();
    // Nobody has heard of it yet: the first call may well be meant for the one that is gone.
    idle.end(AdapterFailure::Disconnected);
    for n in 0..100 {
        let call = bench.pool.execute(request("work")).await;
        assert!(call.is_ok(), "call {n}: {call:?}");
    }
    assert_eq!(began.elapsed(), Duration::ZERO, "somebody waited");
    answering.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_place_is_free_before_the_caller_hears() {
    let mut bench = Bench::start(options(|o| o.queue_limit = 0)).await;
    let mut life = bench.life().await;
    bench.settled(|stats| stats.available == 1).await;
    let worker = tokio::spawn(async move {
        for _ in 0..1000 {
            let id = life.next_request().await;
            life.answer(id, &done());
        }
        life
    });
    for n in 0..1000 {
        assert!(bench.pool.execute(request("work")).await.is_ok(), "call {n} found its place still taken");
    }
    worker.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_kinds_of_worker_errors_become_typed_errors() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let table = [
        (WorkerErrorKind::Error, "worker_error"),
        (WorkerErrorKind::UnknownCommand, "unknown_command"),
        (WorkerErrorKind::InvalidArgument, "invalid_argument"),
        (WorkerErrorKind::Cancelled, "cancelled"),
        (WorkerErrorKind::StreamingNotSupported, "streaming_not_supported"),
        (WorkerErrorKind::PayloadTooLarge, "payload_too_large"),
        (WorkerErrorKind::DeadlineExceeded, "deadline_exceeded"),
        (WorkerErrorKind::Other("odd".to_owned()), "worker_error"),
    ];
    for (kind, code) in table {
        let call = bench.call("fail");
        let id = life.next_request().await;
        let error = WorkerError {
            kind,
            type_name: "T".to_owned(),
            message: "m".to_owned(),
            traceback: None,
            retryable: false,
            details: None,
            cause: None,
        };
        life.reports.finished(id, Outcome::Failed(error));
        assert_eq!(call.await.unwrap().unwrap_err().code(), code);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_over_the_limit_is_refused_before_it_is_sent() {
    let bench = Bench::start(options(|o| o.payload_limit = 10)).await;
    let error = bench.pool.call::<String, _>("echo", "more than ten bytes").await.unwrap_err();
    let ExecuteError::PayloadTooLarge { size, limit, .. } = error else { panic!("{error}") };
    assert_eq!((size, limit), (21, 10));
    assert_eq!(bench.stats().await.requests, 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_is_put_together_and_reaches_the_worker_as_it_was_meant() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let builder = bench.pool.request("predict").args(&json!({"x": 1})).unwrap();
    let builder = builder.session("s").timeout(Duration::from_secs(5)).affinity(Affinity::Off);
    let call = tokio::spawn(builder.metadata("k", "v").traceparent("00-trace").call::<String>());
    let AdapterMessage::Execute { id, request, deadline } = life.next().await else { panic!("no request") };
    assert_eq!(deadline.remaining(Instant::now()), Duration::from_secs(5));
    assert_eq!((&*request.command, request.session), ("predict", Some(SessionId::new("s").unwrap())));
    assert_eq!(request.payload, Payload::json(&json!({"x": 1})).unwrap());
    assert_eq!(
        (request.metadata, request.traceparent),
        (vec![("k".into(), "v".into())], Some("00-trace".into()))
    );
    life.answer(id, &done());
    assert_eq!(call.await.unwrap().unwrap(), "done");
    // Its affinity was off: the session has no worker.
    let session = SessionId::new("s").unwrap();
    assert!(bench.pool.end_session(&session).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_makes_no_sense_is_refused_before_it_is_sent() {
    let bench = Bench::start(options(|_| {})).await;
    let refused = [
        bench.pool.request("c").session("").send().await,
        bench.pool.request("").send().await,
        bench.pool.request("c").affinity(Affinity::Hint).send().await,
    ];
    for error in refused.map(Result::unwrap_err) {
        assert_eq!(error.code(), "invalid_argument");
    }
    assert_eq!(bench.stats().await.requests, 0);
}

#[tokio::test(start_paused = true)]
async fn s22_a_lost_worker_fails_exactly_its_own_requests() {
    let mut bench = Bench::start(options(|o| o.size = 2)).await;
    let [mut lost, mut other] = bench.all_lives().await;
    let calls = [bench.call("a"), bench.call("b"), bench.call("c")];
    lost.next_request().await;
    let other_id = other.next_request().await;
    bench.settled(|stats| stats.waiting == 1).await;
    let lost_life = lost.life.clone();
    lost.end(AdapterFailure::Failed { what: "broken".to_owned() });
    let mut successor = bench.life().await;
    assert_eq!(successor.life.worker, lost_life.worker);
    assert!(successor.life.incarnation > lost_life.incarnation);
    let id = successor.next_request().await;
    successor.answer(id, &done());
    other.answer(other_id, &done());
    let mut losses = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(response) => assert_eq!(value(&response), done()),
            Err(ExecuteError::WorkerLost { loss }) => {
                losses += 1;
                assert_eq!(loss.life, lost_life);
                assert_eq!(loss.cause, LossCause::AdapterFailed { what: "broken".to_owned() });
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(losses, 1);
}

#[tokio::test(start_paused = true)]
async fn a_breach_of_the_protocol_is_told_as_such() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let call = bench.call("a");
    life.next_request().await;
    life.end(AdapterFailure::Protocol { what: "rubbish".to_owned() });
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error.code(), "protocol_error");
    assert!(error.to_string().contains("rubbish"), "{error}");
}

/// Bytes that somebody may still hold.
struct Held(Arc<[u8]>);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_request_brings_is_held_for_as_long_as_another_worker_may_have_to_run_it() {
    // It was held until the worker was done, also when nobody waited for it any more.
    let mut bench = Bench::start(options(|o| o.capacity = 2)).await;
    let mut life = bench.life().await;
    let held: Arc<[u8]> = Arc::from(*b"large");
    let holders = || Arc::strong_count(&held) - 1;
    let asked = || Request::new("work", Payload::bytes(Bytes::from_owner(Held(Arc::clone(&held)))));
    let call = bench.send(asked());
    let id = life.next_request().await;
    assert_eq!(holders(), 1, "the worker may decline it");
    call.abort();
    assert_eq!(life.next_cancel().await, id);
    assert_eq!(holders(), 0, "its caller has left");
    let strict = asked().session(SessionId::new("s").unwrap()).affinity(Affinity::StrictQueue);
    let _strict = bench.send(strict);
    life.next_request().await;
    bench.settled(|stats| stats.running == 2).await;
    assert_eq!(holders(), 0, "it may run nowhere else");
}
