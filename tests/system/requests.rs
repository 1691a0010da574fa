//! Requests and their answers, the good and the bad.

use std::collections::HashMap;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use snakepit_adapters::{ExecuteError, MSGPACK, Payload, Progress, Request};
use snakepit_tests::lacking::skipped;
use snakepit_tests::oracle;
use tokio::task::JoinSet;

use crate::system::subject::{Kind, Subject, begun, everywhere, on_both_runtimes};

#[test]
fn a_first_request_is_answered() {
    everywhere(|kind| async move {
        let subject = Subject::start(kind).await;
        let sum: i64 = subject.pit.call("add", &json!({"a": 1, "b": 2})).await.unwrap();
        assert_eq!(sum, 3);
        let value = json!({"text": "ä\u{1f40d}", "list": [1, 2.5, null, true], "nested": {"a": {}}});
        let echoed: Value = subject.pit.call("echo", &json!({"value": value})).await.unwrap();
        assert_eq!(echoed, value);
        subject.stop().await;
    });
}

#[test]
fn arguments_in_message_pack_are_answered_in_it() {
    everywhere(|kind| async move {
        let subject = Subject::start(kind).await;
        let pool = subject.pit.pool("default").unwrap();
        let ask = async |command: &str, args: Value| {
            pool.request(command).payload(Payload::msgpack(&args).unwrap()).send().await
        };
        match ask("add", json!({"a": 1, "b": 2})).await {
            Ok(answer) => {
                assert_eq!(answer.payload.content_type, MSGPACK);
                assert_eq!(answer.payload.decode::<i64>().unwrap(), 3);
                let refused = ask("add", json!({"a": 1})).await.unwrap_err();
                assert_eq!(refused.code(), "invalid_argument");
                let packed = Payload::msgpack(&json!({"n": 2})).unwrap();
                let mut items = pool.request("count").payload(packed).stream().unwrap();
                let item: Value = items.next().await.unwrap().unwrap().decode().unwrap();
                assert_eq!(item, json!({"i": 0}));
            }
            // Which is an answer, too: a worker need not be able to read it.
            Err(error) if kind == Kind::Python && error.to_string().contains("install msgpack") => {
                skipped("MessagePack in Python", "msgpack is not installed");
            }
            Err(error) => panic!("{error}"),
        }
        subject.stop().await;
    });
}

#[test]
fn ten_thousand_requests_are_answered_each_with_its_own_answer() {
    everywhere(|kind| async move {
        let subject = Subject::start(kind).await;
        let mut callers = JoinSet::new();
        for caller in 0..50 {
            let pit = subject.pit.clone();
            callers.spawn(async move {
                for n in (caller * 200)..(caller * 200 + 200) {
                    let sum: i64 = pit.call("add", &json!({"a": n, "b": 1})).await.unwrap();
                    assert_eq!(sum, n + 1);
                }
            });
        }
        callers.join_all().await;
        let stats = subject.pit.stats("default").await.unwrap();
        assert_eq!((stats.requests, stats.succeeded, stats.restarts), (10_000, 10_000, 0));
        subject.stop().await;
    });
}

#[test]
fn s09_work_is_spread_over_the_workers() {
    everywhere(|kind| async move {
        let subject = Subject::start(kind).await;
        subject.all_ready(2).await;
        let mut served: HashMap<i64, u32> = HashMap::new();
        for _ in 0..20 {
            *served.entry(subject.pit.call("pid", &json!({})).await.unwrap()).or_default() += 1;
        }
        assert_eq!(served.into_values().collect::<Vec<_>>(), [10, 10]);
        subject.stop().await;
    });
}

#[test]
fn what_goes_wrong_in_a_worker_is_a_typed_error_and_costs_nothing_else() {
    everywhere(|kind| async move {
        let subject = Subject::start(kind).await;
        let fail = subject.pit.execute("fail", &json!({"message": "no luck"})).await.unwrap_err();
        let ExecuteError::Worker { error } = &fail else { panic!("{fail}") };
        assert_eq!(error.message, "no luck");
        if matches!(kind, Kind::Python | Kind::GrpcPython) {
            assert_eq!(error.type_name, "ValueError");
            assert!(error.traceback.as_ref().unwrap().contains("test_worker.py"), "{error:?}");
        }
        let unknown = subject.pit.execute("ad", &json!({})).await.unwrap_err();
        assert_eq!(unknown.code(), "unknown_command");
        let missing = subject.pit.execute("add", &json!({"a": 1})).await.unwrap_err();
        assert_eq!(missing.code(), "invalid_argument");
        assert!(missing.to_string().contains('b'), "{missing}");
        let streaming = subject.pit.execute("count", &json!({"n": 1})).await.unwrap_err();
        assert_eq!(streaming.code(), "streaming_not_supported");
        let shape = subject.pit.call::<bool, _>("add", &json!({"a": 1, "b": 2})).await.unwrap_err();
        assert_eq!(shape.code(), "invalid_answer");
        assert_eq!(subject.pit.stats("default").await.unwrap().restarts, 0);
        subject.stop().await;
    });
}

#[test]
fn a_timeout_answers_in_time_and_the_worker_serves_on() {
    everywhere(|kind| async move {
        let subject = Subject::start(kind).await;
        let pool = subject.pit.pool("default").unwrap();
        let slow = Request::new("sleep", Payload::json(&json!({"ms": 60_000})).unwrap());
        let error = pool.execute(slow.timeout(Duration::from_millis(50))).await.unwrap_err();
        assert!(matches!(error, ExecuteError::DeadlineExceeded { running: true, .. }), "{error}");
        // Told to stop, the worker stops; were it not told, these would wait for a minute.
        for _ in 0..4 {
            let sum: i64 = subject.pit.call("add", &json!({"a": 1, "b": 2})).await.unwrap();
            assert_eq!(sum, 3);
        }
        assert_eq!(pool.stats().await.unwrap().restarts, 0);
        subject.stop().await;
    });
}

#[test]
fn a_dropped_call_is_cancelled_in_the_worker() {
    everywhere(|kind| async move {
        let subject = Subject::start_with(kind, |options| options.size = 1).await;
        let pool = subject.pit.pool("default").unwrap();
        let slow = pool.execute(Request::new("sleep", Payload::json(&json!({"ms": 60_000})).unwrap()));
        tokio::select! {
            _ = slow => panic!("it takes a minute"),
            () = subject.until_running(1) => {}
        }
        let sum: i64 = subject.pit.call("add", &json!({"a": 1, "b": 2})).await.unwrap();
        assert_eq!(sum, 3);
        let stats = pool.stats().await.unwrap();
        assert_eq!((stats.cancelled, stats.restarts), (1, 0));
        subject.stop().await;
    });
}

#[test]
fn s22_an_idempotent_request_outlives_its_worker() {
    everywhere(|kind| async move {
        let subject = Subject::start(kind).await;
        subject.all_ready(2).await;
        let pool = subject.pit.pool("default").unwrap();
        let nap = pool.request("nap").args(&json!({"ms": 300})).unwrap().idempotent();
        let nap = begun(nap).await;
        oracle::signal(subject.busy_pid().await, Signal::SIGKILL);
        assert_eq!(nap.await.unwrap().unwrap(), 300);
        let stats = pool.stats().await.unwrap();
        assert_eq!((stats.retried, stats.succeeded, stats.failed), (1, 1, 0));
        subject.stop().await;
    });
}

#[test]
fn s22_what_a_killed_worker_had_not_begun_goes_on_elsewhere() {
    everywhere(|kind| async move {
        let subject = Subject::start_with(kind, |options| options.prefetch = 4).await;
        subject.all_ready(2).await;
        let pool = subject.pit.pool("default").unwrap();
        let mut calls = JoinSet::new();
        for _ in 0..2 {
            let nap = subject.nap_begun(2_000).await;
            calls.spawn(async { nap.await.unwrap() });
        }
        for n in 0..8 {
            let sum = pool.request("add").args(&json!({"a": n, "b": 0})).unwrap();
            calls.spawn(sum.call::<i64>());
        }
        // Each worker naps, and holds half of the others.
        subject.until_running(10).await;
        oracle::signal(subject.busy_pid().await, Signal::SIGKILL);
        let mut answers: Vec<_> = Vec::new();
        for answer in calls.join_all().await {
            match answer {
                Ok(answer) => answers.push(answer),
                Err(error) => assert_eq!(error.code(), "worker_lost"),
            }
        }
        answers.sort_unstable();
        assert_eq!(answers, [0, 1, 2, 3, 4, 5, 6, 7, 2_000], "only the nap of the killed worker is lost");
        subject.stop().await;
    });
}

#[test]
fn progress_reaches_its_caller_and_ends_with_the_request() {
    everywhere(|kind| async move {
        let subject = Subject::start(kind).await;
        let pool = subject.pit.pool("default").unwrap();
        let (sender, mut progress) = Progress::channel();
        let steps = pool.request("steps").args(&json!({"n": 500})).unwrap().progress(sender);
        let steps = tokio::spawn(steps.call::<u64>());
        let mut last = 0.0;
        while let Some(step) = progress.next().await {
            assert!(step.done > last, "{step:?} after {last}");
            assert_eq!((step.total, step.message), (Some(500.0), format!("step {}", step.done)));
            last = step.done;
        }
        // What was overtaken may have been missed, but never the last word.
        assert!((last - 500.0).abs() < f64::EPSILON, "{last}");
        assert_eq!(steps.await.unwrap().unwrap(), 500);
        subject.stop().await;
    });
}

#[test]
fn a_large_payload_goes_there_and_back() {
    everywhere(|kind| async move {
        let subject = Subject::start(kind).await;
        let value = "x".repeat(5 << 20);
        let echoed: String = subject.pit.call("echo", &json!({"value": value})).await.unwrap();
        assert!(echoed == value);
        subject.stop().await;
    });
}

#[test]
fn s07_a_worker_with_room_for_four_runs_four_at_once() {
    on_both_runtimes(|| async {
        let subject = Subject::start_stub(&["--threads", "4"], |options| {
            options.size = 1;
            options.capacity = 4;
        })
        .await;
        subject.all_ready(1).await;
        let mut calls = JoinSet::new();
        for _ in 0..5 {
            let pit = subject.pit.clone();
            calls.spawn(async move { pit.execute("sleep", &json!({"ms": 300})).await });
        }
        subject.until_running(4).await;
        let stats = subject.pit.stats("default").await.unwrap();
        assert_eq!((stats.running, stats.waiting, stats.busy), (4, 1, 1));
        assert!(calls.join_all().await.iter().all(Result::is_ok));
        subject.stop().await;
    });
}
