//! Workers that are plain gRPC servers: a call for each request, and a place that is free when the worker says so.

use std::time::Duration;

use serde_json::{Value, json};
use snakepit_adapters::{ExecuteError, GrpcAdapter, OnStuck, PoolOptions, WorkerErrorKind};
use snakepit_tests::oracle::{self, Mark};
use tokio::task::JoinSet;

use crate::system::subject::{HANG, Subject, on_both_runtimes, stub};

async fn start(flag: &str, change: impl FnOnce(&mut PoolOptions)) -> Subject {
    let mark = Mark::new();
    // The options of the pool say how many it is asked for.
    let adapter = GrpcAdapter::new(stub()).arg(flag).env(Mark::VARIABLE, mark.value()).capacity(u16::MAX);
    let subject = Subject::start_adapter(adapter, mark, |options| {
        options.size = 1;
        // A plain server knows neither Drain nor SIGTERM as a farewell.
        options.stop_grace = Duration::from_secs(2);
        change(options);
    })
    .await;
    subject.pit.await_ready("default", HANG).await.unwrap();
    subject
}

async fn sum(subject: &Subject) -> i64 {
    subject.pit.call("add", &json!({"a": 1, "b": 2})).await.unwrap()
}

#[test]
fn a_plain_server_answers_calls_and_streams() {
    on_both_runtimes(|| async {
        let subject = start("--plain-grpc", |options| options.stream_window.chunks = 2).await;
        assert_eq!(sum(&subject).await, 3);
        let mut stream = subject.pit.execute_stream("count", &json!({"n": 100})).unwrap();
        for i in 0..100 {
            let chunk: Value = stream.next().await.unwrap().unwrap().decode().unwrap();
            assert_eq!(chunk, json!({"i": i}));
        }
        assert!(stream.next().await.is_none());
        subject.stop().await;
    });
}

#[test]
fn a_call_brings_its_trace_and_its_time() {
    on_both_runtimes(|| async {
        let subject = start("--plain-grpc-cancel", |_| {}).await;
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let pool = subject.pit.pool("default").unwrap();
        let request = pool.request("headers").traceparent(trace).timeout(Duration::from_mins(30));
        let said: Value = request.send().await.unwrap().payload.decode().unwrap();
        assert_eq!(said["traceparent"], trace);
        // Microseconds, the largest unit in which half an hour fits eight digits.
        let timeout = said["grpc-timeout"].as_str().unwrap();
        assert!(timeout.ends_with(['m', 'u']), "{timeout}");
        subject.stop().await;
    });
}

#[test]
fn a_status_is_an_error_with_or_without_details() {
    on_both_runtimes(|| async {
        let subject = start("--plain-grpc", |_| {}).await;
        let none = json!({});
        let ask = |command: &'static str| subject.pit.execute(command, &none);
        let ExecuteError::Worker { error } = ask("fail").await.unwrap_err() else {
            panic!("no worker's error")
        };
        assert_eq!((error.type_name.as_str(), error.message.as_str()), ("NotFound", "no such row"));
        let ExecuteError::Worker { error } = ask("fail_richly").await.unwrap_err() else {
            panic!("no worker's error")
        };
        assert_eq!(error.kind, WorkerErrorKind::Other("out_of_ink".into()));
        assert_eq!(
            (error.type_name.as_str(), error.details),
            ("PrinterError", Some(json!({"cartridge": 2})))
        );
        assert_eq!(ask("nothing").await.unwrap_err().code(), "unknown_command");
        assert_eq!(sum(&subject).await, 3, "an error never costs the worker");
        subject.stop().await;
    });
}

#[test]
fn a_place_is_free_when_the_handler_is_done_and_not_when_the_call_is_dropped() {
    on_both_runtimes(|| async {
        let subject = start("--plain-grpc", |_| {}).await;
        let pid = subject.pids().await[0];
        let (ms, pit) = (json!({"ms": 300}), &subject.pit);
        let dropped = pit.call::<Value, _>("sleep", &ms);
        tokio::select! {
            biased;
            answer = dropped => panic!("answered before it was dropped: {answer:?}"),
            () = subject.until_running(1) => {}
        }
        assert_eq!(sum(&subject).await, 3);
        let most: u64 = subject.pit.call("busy", &json!({})).await.unwrap();
        assert_eq!(most, 1, "the next request never ran beside the one that was dropped");
        assert_eq!(subject.pids().await, [pid], "and the worker is the same");
        subject.stop().await;
    });
}

#[test]
fn a_worker_that_serves_cancel_stops_when_it_is_told() {
    on_both_runtimes(|| async {
        let subject = start("--plain-grpc-cancel", |_| {}).await;
        let pid = subject.pids().await[0];
        let timed =
            subject.pit.pool("default").unwrap().request("sleep").args(&json!({"ms": 600_000})).unwrap();
        let late = timed.timeout(Duration::from_millis(100)).send().await.unwrap_err();
        assert_eq!(late.code(), "deadline_exceeded");
        assert_eq!(sum(&subject).await, 3);
        assert_eq!(subject.pids().await, [pid]);
        subject.stop().await;
    });
}

#[test]
fn a_cancel_does_not_wait_for_the_requests_that_fill_a_connection() {
    // A server takes so many calls of a connection at once; the Cancels waited for the end of those that they were about.
    on_both_runtimes(|| async {
        let subject = start("--plain-grpc-cancel", |options| options.capacity = 150).await;
        let pid = subject.pids().await[0];
        let mut calls = JoinSet::new();
        for _ in 0..150 {
            let pit = subject.pit.clone();
            calls.spawn(async move { pit.call::<Value, _>("sleep", &json!({"ms": 600_000})).await });
        }
        subject.until_running(150).await;
        calls.shutdown().await;
        assert_eq!(sum(&subject).await, 3, "their places are free again");
        assert_eq!(subject.pids().await, [pid]);
        subject.stop().await;
    });
}

#[test]
fn a_request_that_is_given_up_on_its_way_never_runs_beside_the_next() {
    // The Cancel overtook a large request; the worker did not know it, said so, and ran it when it came.
    on_both_runtimes(|| async {
        let subject = start("--plain-grpc-cancel", |_| {}).await;
        let pid = subject.pids().await[0];
        let (large, pit) = (json!({"ms": 600_000, "large": "x".repeat(3 << 20)}), &subject.pit);
        for _ in 0..5 {
            let dropped = pit.call::<Value, _>("sleep", &large);
            tokio::select! {
                biased;
                answer = dropped => panic!("answered before it was dropped: {answer:?}"),
                () = subject.until_running(1) => {}
            }
            assert_eq!(sum(&subject).await, 3);
        }
        let most: u64 = pit.call("busy", &json!({})).await.unwrap();
        assert_eq!(most, 1);
        assert_eq!(subject.pids().await, [pid]);
        subject.stop().await;
    });
}

#[test]
fn a_worker_that_gives_no_word_is_replaced_where_the_pool_says_so() {
    on_both_runtimes(|| async {
        let subject = start("--plain-grpc", |options| {
            options.cancel_grace = Duration::from_millis(50);
            options.on_stuck = OnStuck::Kill;
        })
        .await;
        let pid = subject.pids().await[0];
        let timed =
            subject.pit.pool("default").unwrap().request("sleep").args(&json!({"ms": 600_000})).unwrap();
        let late = timed.timeout(Duration::from_millis(100)).send().await.unwrap_err();
        assert_eq!(late.code(), "deadline_exceeded");
        assert_eq!(sum(&subject).await, 3);
        oracle::eventually("the worker that was stuck has gone", || !oracle::runs(pid)).await;
        subject.stop().await;
    });
}

#[test]
fn rubbish_on_the_stream_is_a_breach_and_costs_only_that_worker() {
    on_both_runtimes(|| async {
        let mark = Mark::new();
        let adapter = GrpcAdapter::new(stub()).arg("--grpc-rubbish").env(Mark::VARIABLE, mark.value());
        let subject = Subject::start_adapter(adapter, mark, |options| options.size = 1).await;
        let error = subject.pit.await_ready("default", HANG).await.unwrap_err().to_string();
        assert!(error.contains("broke the protocol") && error.contains("a frame states a length"), "{error}");
        subject.stop().await;
    });
}
