//! Workers that fall silent: stopped by a signal, in the middle of a frame, or at work and deaf.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use snakepit_adapters::Payload;
use snakepit_adapters::{ExecuteError, LossCause, PoolOptions, Request};
use snakepit_tests::oracle;

use crate::system::subject::{HANG, Kind, Subject, begun, everywhere, on_both_runtimes};

/// A second in all: a machine under load does not keep a healthy worker silent for so long, and no test waits long.
fn watched(options: &mut PoolOptions) {
    options.heartbeat.interval = Duration::from_millis(200);
    options.heartbeat.misses = 5;
}

#[test]
fn s26_a_stopped_worker_is_killed_and_replaced_at_work_and_idle() {
    everywhere(|kind| async move {
        let subject = Subject::start_with(kind, |options| {
            watched(options);
            options.size = 1;
        })
        .await;
        let pool = subject.pit.pool("default").unwrap().clone();
        // Begun: what it has not read goes to the next one.
        let call = begun(pool.request("nap").args(&json!({"ms": 600_000})).unwrap().timeout(HANG * 2)).await;
        let busy = subject.busy_pid().await;
        oracle::signal(busy, Signal::SIGSTOP);
        match call.await.unwrap() {
            Err(ExecuteError::WorkerLost { loss }) => {
                assert_eq!(loss.cause, LossCause::Unresponsive { misses: 5 });
            }
            other => panic!("{other:?}"),
        }
        subject.all_ready(1).await;
        assert!(!oracle::runs(busy));

        let idle = subject.pids().await[0];
        oracle::signal(idle, Signal::SIGSTOP);
        oracle::eventually("the stopped worker has gone", || !oracle::runs(idle)).await;
        // Its pool hears of the end a moment later.
        subject.replaced(idle).await;
        let sum: i64 = subject.pit.call("add", &json!({"a": 1, "b": 2})).await.unwrap();
        assert_eq!(sum, 3);
        subject.stop().await;
    });
}

/// A byte now and then was as good a sign of life as any: the place stayed taken for ever, whatever the caller's deadline was.
#[test]
fn s26_a_worker_that_gets_no_further_with_a_frame_is_killed_and_replaced_at_work() {
    on_both_runtimes(|| async {
        for flag in ["--half-frame", "--drip"] {
            let subject = Subject::start_stub(&[flag, "--on-demand"], |options| {
                watched(options);
                options.size = 1;
            })
            .await;
            let pool = subject.pit.default_pool().unwrap();
            let request = Request::new("misbehave", Payload::json(&json!({})).unwrap()).timeout(HANG);
            match pool.execute(request).await {
                Err(ExecuteError::WorkerLost { loss }) => {
                    assert_eq!(loss.cause, LossCause::Unresponsive { misses: 5 }, "{flag}");
                }
                other => panic!("{flag}: {other:?}"),
            }
            let echoed: Value = subject.pit.call("echo", &json!([1])).await.unwrap();
            assert_eq!(echoed, json!([1]));
            subject.stop().await;
        }
    });
}

#[test]
fn s26_a_worker_that_gets_no_further_with_a_frame_is_killed_and_replaced_idle() {
    on_both_runtimes(|| async {
        let subject = Subject::start_stub(&["--half-pong", "--on-demand"], |options| {
            watched(options);
            options.size = 1;
        })
        .await;
        subject.all_ready(1).await;
        let idle = subject.pids().await[0];
        let answer: Value = subject.pit.call("misbehave", &json!([1])).await.unwrap();
        assert_eq!(answer, json!([1]));
        subject.replaced(idle).await;
        let worker = subject.pit.workers("default").await.unwrap().remove(0);
        assert_eq!(worker.last_loss.unwrap().cause, LossCause::Unresponsive { misses: 5 });
        subject.stop().await;
    });
}

#[test]
fn s18_a_worker_that_computes_and_answers_no_ping_lives() {
    on_both_runtimes(|| async {
        let subject = Subject::start_with(Kind::Python, |options| {
            options.heartbeat.interval = Duration::from_millis(200);
            options.heartbeat.misses = 3;
            options.size = 1;
        })
        .await;
        // It holds the interpreter for as long as it computes, so that no thread of it hears a ping.
        let (mut steps, silence) = (20_000_000_u64, Duration::from_secs(2));
        loop {
            let request = Request::new("hold", Payload::json(&json!({"n": steps})).unwrap()).timeout(HANG);
            let response = subject.pit.default_pool().unwrap().execute(request).await.unwrap();
            assert_eq!(response.worker.incarnation.0, 1);
            if response.ran >= silence {
                break;
            }
            steps *= 2;
        }
        assert_eq!(subject.pit.stats("default").await.unwrap().restarts, 0);
        subject.stop().await;
    });
}
