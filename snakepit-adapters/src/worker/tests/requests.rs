//! Requests, their arguments and answers, sessions, and what goes on while a command computes.

use std::sync::mpsc;
use std::time::Duration;

use bytes::BytesMut;
use serde_json::json;
use snakepit_core::{Payload, Progress, Request};

use super::host::{Host, cut_frames, execute_frame, within_limit};
use crate::port::frame::{
    CommandInfo, Event, Frame, Kind, LogLevel, Ready, Recycle, RequestLayout, put_frame, put_layout,
    read_json, read_payload,
};
use crate::worker::{CommandError, Worker};

fn adding() -> Worker {
    Worker::new().command("add", |_ctx, (a, b): (i64, i64)| Ok(a + b))
}

#[test]
fn it_greets_its_host() {
    within_limit(|| {
        let worker = adding().stream("count", |_ctx, (): (), _out| Ok(())).threads(3).agent("mine");
        let (_, ready) = Host::ready_of(worker);
        assert_eq!((ready.protocol, ready.capacity, ready.agent.as_str()), (1, 3, "mine"));
        let commands = [("add", false), ("count", true)];
        assert_eq!(ready.commands, commands.map(|(name, stream)| CommandInfo { name: name.into(), stream }));
        let (_, ready) = Host::ready_of(adding().capacity(64));
        assert_eq!(ready.capacity, 64);
    });
}

#[test]
fn commands_answer_or_say_why_not() {
    within_limit(|| {
        let worker = adding()
            .command("fail", |_ctx, (): ()| -> Result<(), _> { Err(CommandError::new("no").retryable()) })
            .command("parse", |_ctx, (text,): (String,)| Ok(text.parse::<i64>()?))
            .command("panic", |_ctx, (): ()| -> Result<(), _> { panic!("oh {}", "no") });
        let mut host = Host::ready(worker);
        host.execute(1, "add", &json!([1, 2]));
        host.expect_result(1, &json!(3));
        host.execute(2, "none", &json!([]));
        host.expect_error(2, "unknown_command");
        host.execute(3, "add", &json!({"a": 1}));
        host.expect_error(3, "invalid_argument");
        host.execute(4, "fail", &json!(null));
        assert_eq!(host.expect_error(4, "error")["retryable"], true);
        host.execute(5, "parse", &json!(["x"]));
        let error = host.expect_error(5, "error");
        assert_eq!(error["type"], "core::num::error::ParseIntError");
        host.execute(6, "panic", &json!(null));
        let error = host.expect_error(6, "error");
        assert_eq!((&error["type"], &error["message"]), (&json!("panic"), &json!("oh no")));
        host.execute(7, "add", &json!([3, 4]));
        host.expect_result(7, &json!(7));
    });
}

#[test]
fn no_pong_overtakes_its_ready() {
    within_limit(|| {
        for number in 1..50 {
            let mut host = Host::silent(adding());
            let mut out = BytesMut::new();
            put_frame(&mut out, Kind::Hello, 0, br#"{"protocol": [1]}"#);
            put_frame(&mut out, Kind::Ping, number, b"");
            host.write(&out);
            host.expect(Kind::Ready, 0);
            host.expect(Kind::Pong, number);
        }
    });
}

#[test]
fn it_says_when_a_request_begins_where_its_host_wants_to_hear() {
    within_limit(|| {
        let (go, goes) = mpsc::channel::<()>();
        let goes = std::sync::Mutex::new(goes);
        let worker = adding().command("wait", move |_ctx, (): ()| Ok(goes.lock().unwrap().recv().is_ok()));
        let mut host = Host::offering(worker, &["later", "started"]);
        let ready: Ready = read_json(Kind::Ready, &host.expect(Kind::Ready, 0).body).unwrap();
        assert_eq!(ready.features, ["started"]);
        host.execute(1, "wait", &json!(null));
        host.execute(2, "none", &json!([]));
        host.execute(3, "add", &json!([1, 2]));
        // While it runs, and not with its answer.
        host.expect(Kind::Started, 1);
        host.send(Kind::Cancel, 3, b"");
        // One that is answered in the queue has not begun.
        host.expect_error(3, "cancelled");
        go.send(()).unwrap();
        host.expect_result(1, &json!(true));
        host.expect(Kind::Started, 2);
        host.expect_error(2, "unknown_command");
    });
}

#[test]
fn requests_that_take_no_time_begin_in_one_breath_and_no_more_than_sixteen() {
    within_limit(|| {
        let mut host = Host::offering(adding(), &["started"]);
        host.expect(Kind::Ready, 0);
        // One write, so that they are there together. A command that there is not is refused, however slow the machine is.
        let all: Vec<u8> =
            (1..=20).flat_map(|id| execute_frame(id, &Request::new("none", Payload::bytes("")))).collect();
        host.write(&all);
        for group in [1..=16, 17..=20] {
            for id in group.clone() {
                host.expect(Kind::Started, id);
            }
            for id in group {
                host.expect_error(id, "unknown_command");
            }
        }
    });
}

#[test]
fn a_command_tells_its_progress_and_asks_once_to_be_replaced() {
    within_limit(|| {
        let worker = Worker::new().command("train", |ctx, (): ()| {
            ctx.progress(1.0, Some(4.0), "loading");
            ctx.progress(f64::NAN, None, "JSON cannot say this");
            ctx.progress(2.0, Some(f64::INFINITY), "x".repeat(1 << 20));
            ctx.recycle("leaks");
            ctx.recycle("leaks more");
            Ok(())
        });
        let mut host = Host::ready(worker);
        host.execute(5, "train", &json!(null));
        let event = |frame: Frame| read_json::<Event>(Kind::Event, &frame.body).unwrap().progress.unwrap();
        let first = event(host.expect(Kind::Event, 5));
        assert_eq!(first, Progress { done: 1.0, total: Some(4.0), message: "loading".into() });
        let second = event(host.expect(Kind::Event, 5));
        assert_eq!((second.done, second.total, second.message.len()), (2.0, None, 128 << 10));
        let recycle: Recycle = read_json(Kind::Recycle, &host.expect(Kind::Recycle, 0).body).unwrap();
        assert_eq!(recycle.reason, "leaks");
        host.expect_result(5, &json!(null));
    });
}

#[test]
fn ten_thousand_requests_at_a_time_of_64_are_each_answered_once() {
    within_limit(|| {
        for threads in [1, 3] {
            let mut host = Host::ready(adding().threads(threads));
            let mut answered = std::collections::HashSet::new();
            (1..=64).for_each(|id| host.execute(id, "add", &json!([id, 1])));
            for _ in 0..10_000 {
                let frame = host.next().unwrap();
                assert_eq!(frame.kind, Kind::Result);
                assert_eq!(read_payload(frame.body).unwrap().decode::<u64>().unwrap(), frame.id + 1);
                assert!(answered.insert(frame.id));
                let next = answered.len() as u64 + 64;
                if next <= 10_000 {
                    host.execute(next, "add", &json!([next, 1]));
                }
            }
        }
    });
}

#[test]
fn bytes_attachments_and_metadata_come_through() {
    within_limit(|| {
        let worker = Worker::new().raw_command("echo", |ctx, payload| {
            assert_eq!(ctx.attachments(), payload.attachments);
            assert_eq!(ctx.metadata(), [("k".to_owned(), "v".to_owned())]);
            assert_eq!((ctx.command(), ctx.traceparent(), ctx.session()), ("echo", Some("00-1-2-3"), None));
            Ok(payload)
        });
        let mut host = Host::ready(worker);
        // Larger than a frame may be, both ways.
        let payload = Payload {
            attachments: vec!["one".into(), vec![2; 700_000].into()],
            ..Payload::bytes(vec![1; 3 << 20])
        };
        let request = Request::new("echo", payload.clone()).metadata("k", "v").traceparent("00-1-2-3");
        for frame in cut_frames(9, &request) {
            host.write(&frame);
        }
        let frame = host.expect(Kind::Result, 9);
        assert_eq!(read_payload(frame.body).unwrap(), payload);
    });
}

#[test]
fn an_answer_over_the_limit_is_an_error() {
    within_limit(|| {
        let worker = Worker::new().raw_command("large", |_ctx, _| Ok(Payload::bytes(vec![0; 17 << 20])));
        let mut host = Host::ready(worker);
        host.execute(1, "large", &json!(null));
        host.expect_error(1, "payload_too_large");
    });
}

#[test]
fn a_session_keeps_its_state_until_it_ends() {
    within_limit(|| {
        let worker = Worker::new().command("count", |ctx, (): ()| {
            ctx.session_state(|count: &mut u32| {
                *count += 1;
                *count
            })
        });
        let mut host = Host::ready(worker);
        host.execute_in("a", 1, "count");
        host.expect_result(1, &json!(1));
        host.execute_in("a", 2, "count");
        host.expect_result(2, &json!(2));
        host.execute_in("b", 3, "count");
        host.expect_result(3, &json!(1));
        host.send(Kind::EndSession, 0, b"a");
        host.execute_in("a", 4, "count");
        host.expect_result(4, &json!(1));
        host.execute(5, "count", &json!(null));
        host.expect_error(5, "invalid_argument");
    });
}

#[test]
fn pings_and_cancels_are_heard_while_a_command_computes() {
    within_limit(|| {
        for threads in [1, 2] {
            let worker = adding().threads(threads).command("spin", |ctx, (): ()| {
                while !ctx.cancelled() {
                    std::hint::spin_loop();
                }
                Err::<(), _>(CommandError::cancelled())
            });
            let mut host = Host::ready(worker);
            host.execute(1, "spin", &json!(null));
            host.send(Kind::Ping, 77, b"");
            host.expect(Kind::Pong, 77);
            host.send(Kind::Cancel, 1, b"");
            host.expect_error(1, "cancelled");
            host.execute(2, "add", &json!([1, 2]));
            host.expect_result(2, &json!(3));
        }
    });
}

#[test]
fn an_answer_does_not_wait_for_the_next_command() {
    within_limit(|| {
        let (release, released) = mpsc::channel::<()>();
        let released = std::sync::Mutex::new(released);
        let worker = adding().capacity(2).command("block", move |_ctx, (): ()| {
            released.lock().unwrap().recv().map_err(CommandError::from)
        });
        let mut host = Host::ready(worker);
        // Both in one write: the worker has the second when it answers the first.
        let add = execute_frame(1, &Request::new("add", Payload::json(&(1, 2)).unwrap()));
        let block = execute_frame(2, &Request::new("block", Payload::json(&()).unwrap()));
        host.write(&[add, block].concat());
        host.expect_result(1, &json!(3));
        release.send(()).unwrap();
        host.expect_result(2, &json!(null));
    });
}

#[test]
fn a_sleep_ends_when_the_request_is_cancelled() {
    within_limit(|| {
        let worker = Worker::new().command("sleep", |ctx, (): ()| {
            ctx.log(LogLevel::Info, "begins");
            Ok(ctx.cancelled_within(Duration::from_mins(10)))
        });
        let mut host = Host::ready(worker);
        host.execute(1, "sleep", &json!(null));
        host.expect(Kind::Log, 1);
        host.send(Kind::Cancel, 1, b"");
        host.expect_result(1, &json!(true));
    });
}

#[test]
fn what_has_not_begun_is_taken_back() {
    within_limit(|| {
        let (release, released) = mpsc::channel::<()>();
        let released = std::sync::Mutex::new(released);
        let worker = adding().command("block", move |_ctx, (): ()| {
            released.lock().unwrap().recv().map_err(CommandError::from)
        });
        let mut host = Host::ready(worker);
        host.execute(1, "block", &json!(null));
        host.execute(2, "add", &json!([1, 2]));
        host.send(Kind::Cancel, 2, b"");
        host.expect_error(2, "cancelled");
        host.send(Kind::Cancel, 99, b"");
        release.send(()).unwrap();
        host.expect_result(1, &json!(null));
    });
}

#[test]
fn a_cancel_between_the_parts_takes_effect_when_the_request_is_complete() {
    within_limit(|| {
        let mut host = Host::ready(adding());
        let frames = cut_frames(1, &Request::new("add", Payload::bytes(vec![0; 600_000])));
        host.write(&frames[0]);
        host.send(Kind::Cancel, 1, b"");
        host.send(Kind::Ping, 2, b"");
        host.expect(Kind::Pong, 2);
        frames[1..].iter().for_each(|frame| host.write(frame));
        host.expect_error(1, "cancelled");
    });
}

#[test]
fn a_request_that_is_too_late_never_runs() {
    within_limit(|| {
        let mut host = Host::ready(Worker::new().command("run", |ctx, (): ()| Ok(ctx.remaining().is_some())));
        let request = Request::new("run", Payload::json(&()).unwrap());
        for (id, left) in [(1, Duration::ZERO), (2, Duration::from_mins(10))] {
            let mut out = bytes::BytesMut::new();
            put_layout(&mut out, Kind::Execute, id, &RequestLayout::new(&request, Some(left), None).unwrap());
            host.write(&out);
        }
        host.expect_error(1, "deadline_exceeded");
        host.expect_result(2, &json!(true));
    });
}

#[test]
fn log_lines_reach_the_host_and_the_longest_are_cut() {
    within_limit(|| {
        let worker = Worker::new().command("talk", |ctx, (): ()| {
            ctx.log(LogLevel::Warn, "ä".repeat(1 << 20));
            Ok(())
        });
        let mut host = Host::ready(worker);
        host.execute(1, "talk", &json!(null));
        let log: serde_json::Value = serde_json::from_slice(&host.expect(Kind::Log, 1).body).unwrap();
        assert_eq!((&log["level"], &log["logger"]), (&json!("warn"), &json!("talk")));
        assert_eq!(log["message"].as_str().unwrap().len(), 128 << 10);
        host.expect_result(1, &json!(null));
    });
}

#[test]
fn several_threads_run_several_commands_at_once() {
    within_limit(|| {
        let barrier = std::sync::Barrier::new(4);
        let worker = Worker::new().threads(4).command("meet", move |_ctx, (): ()| {
            barrier.wait();
            Ok(())
        });
        let mut host = Host::ready(worker);
        for round in 0..50 {
            (1..=4).for_each(|id| host.execute(round * 4 + id, "meet", &json!(null)));
            (1..=4).for_each(|_| assert_eq!(host.next().unwrap().kind, Kind::Result));
        }
    });
}

#[test]
fn a_small_answer_passes_between_the_parts_of_a_large_one() {
    within_limit(|| {
        let worker = Worker::new()
            .threads(2)
            .raw_command("give", |_ctx, _| Ok(Payload::bytes(vec![7; 15 << 20])))
            .command("add", |_ctx, (a, b): (i64, i64)| Ok(a + b));
        let mut host = Host::ready(worker);
        host.execute(1, "give", &json!(null));
        host.expect_begun(Kind::Result, 1);
        host.execute(2, "add", &json!([1, 2]));
        host.expect_result(2, &json!(3));
        assert_eq!(host.expect(Kind::Result, 1).body.len(), 8 + 24 + (15 << 20));
    });
}
