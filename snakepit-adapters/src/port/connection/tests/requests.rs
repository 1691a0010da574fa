//! What is asked reaches the worker, and what it answers is reported.

use bytes::Bytes;
use serde_json::json;
use snakepit_core::adapter::{AdapterFailure, AdapterMessage, Outcome};
use snakepit_core::{Payload, Progress, Request, RequestId, SessionId, WorkerErrorKind};

use super::host::{Host, Report, on_both_runtimes};
use crate::port::frame::{Hello, Kind, read_json};

#[test]
fn the_two_sides_greet_each_other() {
    on_both_runtimes(|| async {
        let mut host = Host::with_peer(|mut peer| {
            let hello: Hello = read_json(Kind::Hello, &peer.expect(Kind::Hello).body).unwrap();
            assert_eq!((hello.protocol, hello.pool.as_str()), (vec![1], "default"));
            assert_eq!((hello.slot, hello.incarnation), (3, 2));
            peer.send_json(Kind::Log, 0, &json!({"level": "warn", "logger": "boot", "message": "slow disk"}));
            peer.send_json(Kind::Event, 0, &json!({"later": 0.5}));
            peer.send_json(Kind::Ready, 0, &json!({"protocol": 1, "capacity": 9000, "agent": "peer 1.0"}));
        })
        .await;
        let connected = host.connect().await.unwrap();
        assert_eq!(connected.agent, "peer 1.0");
        assert_eq!(connected.capacity, 4096, "more requests than that are never under way on one wire");
        match host.report().await {
            Report::Log(log) => {
                assert_eq!((log.level, log.logger.as_str()), (tracing::Level::WARN, "boot"));
                assert_eq!((log.message.as_str(), log.request), ("slow disk", None));
            }
            other @ (Report::Started(_) | Report::Recycle(_) | Report::Unread(_) | Report::Finished(..)) => {
                panic!("{other:?}")
            }
        }
        assert!(host.signs_of_life() > 0);
    });
}

#[test]
fn a_request_arrives_whole_and_its_answer_is_reported() {
    on_both_runtimes(|| async {
        let mut host = Host::connected(|mut peer| {
            peer.handshake();
            let (id, request) = peer.expect_request();
            assert_eq!((id, request.command.as_str(), request.session.as_deref()), (7, "do", Some("s")));
            assert!(request.time_left.is_some_and(|left| left.as_secs() >= 25));
            assert_eq!(request.metadata, [("k".to_owned(), "v".to_owned())]);
            assert_eq!(&request.payload.data[..], b"[1]");
            peer.send_json(Kind::Log, id, &json!({"message": "working"}));
            peer.answer(id, b"2");
        })
        .await;
        let request = Request::new("do", Payload::json(&[1]).unwrap());
        host.execute_request(7, request.session(SessionId::new("s").unwrap()).metadata("k", "v"));
        assert!(matches!(host.report().await, Report::Log(log) if log.request == Some(RequestId(7))));
        assert_eq!(host.answered().await, (7, Bytes::from_static(b"2")));
    });
}

#[test]
fn progress_reaches_whoever_asked_for_it_and_ends_with_the_request() {
    on_both_runtimes(|| async {
        let (seen, is_seen) = std::sync::mpsc::channel();
        let mut host = Host::connected(move |mut peer| {
            peer.handshake();
            let progress = |done: u32, total: Option<u32>| {
                json!({"progress": {"done": done, "total": total, "message": format!("step {done}")}})
            };
            let (id, _) = peer.expect_request();
            peer.expect_request();
            // Of a request that nobody follows, and of none.
            peer.send_json(Kind::Event, id + 1, &progress(7, None));
            peer.send_json(Kind::Event, 99, &progress(8, None));
            peer.send_json(Kind::Event, id, &progress(1, Some(2)));
            is_seen.recv().unwrap();
            peer.send_json(Kind::Event, id, &progress(2, None));
            peer.answer(id, b"1");
            // It crossed the answer.
            peer.send_json(Kind::Event, id, &progress(3, None));
            peer.answer(id + 1, b"2");
        })
        .await;
        let (sender, mut progress) = Progress::channel();
        host.execute_request(1, Request::new("train", Payload::bytes("")).progress(sender));
        host.execute(2, Payload::bytes(""));
        let first = progress.next().await.unwrap();
        assert_eq!(first, Progress { done: 1.0, total: Some(2.0), message: "step 1".into() });
        seen.send(()).unwrap();
        assert_eq!((host.answered().await.0, host.answered().await.0), (1, 2));
        assert_eq!(progress.next().await.map(|latest| latest.message), Some("step 2".into()));
        assert_eq!(progress.next().await, None);
    });
}

#[test]
fn a_workers_error_is_reported_with_all_it_says() {
    on_both_runtimes(|| async {
        let mut host = Host::connected(|mut peer| {
            peer.handshake();
            let (id, _) = peer.expect_request();
            peer.send_json(
                Kind::Error,
                id,
                &json!({"kind": "model_missing", "type": "E", "message": "m", "cause": {"kind": "error"}}),
            );
            let (id, _) = peer.expect_request();
            peer.send_json(Kind::Error, id, &json!({"kind": "error"}));
        })
        .await;
        host.execute(1, Payload::bytes(""));
        let (1, Outcome::Failed(error)) = host.finished().await else { panic!("no failure") };
        assert_eq!(error.kind, WorkerErrorKind::Other("model_missing".into()));
        assert_eq!((error.type_name.as_str(), error.message.as_str()), ("E", "m"));
        assert!(error.cause.is_some());
        host.execute(2, Payload::bytes(""));
        assert!(matches!(host.finished().await, (2, Outcome::Failed(_))));
    });
}

#[test]
fn what_the_wire_cannot_say_is_answered_at_once_and_costs_nothing() {
    on_both_runtimes(|| async {
        let mut host = Host::connected(|mut peer| {
            peer.handshake();
            let (id, request) = peer.expect_request();
            assert_eq!((id, request.command.len()), (9, 65_535), "nothing of the refused ones was sent");
            peer.answer(id, b"ok");
        })
        .await;
        let long = "x".repeat(65_536);
        let empty = || Payload::bytes("");
        host.execute_request(1, Request::new(long.as_str(), empty()));
        host.execute_request(2, Request::new("a", empty()).traceparent(long.as_str()));
        host.execute_request(3, Request::new("a", empty()).metadata("k", long.as_str()));
        let typed = Payload { content_type: long.clone().into(), ..empty() };
        host.execute_request(4, Request::new("a", typed));
        host.execute(5, Payload::bytes(vec![0; super::host::PAYLOAD_LIMIT + (2 << 20)]));
        host.execute(0, empty());
        for (id, what) in [
            (1, "the command is 65536 long, the wire allows 65535"),
            (2, "the traceparent is 65536 long"),
            (3, "a metadata value is 65536 long"),
            (4, "the content type is 65536 long"),
            (5, "the request is 136314932 bytes, the wire allows 135266304"),
            (0, "request id 0"),
        ] {
            let (finished, Outcome::Failed(error)) = host.finished().await else { panic!("no failure") };
            assert_eq!((finished, error.kind), (id, WorkerErrorKind::InvalidArgument));
            assert!(error.message.starts_with(what), "{}", error.message);
        }
        host.execute_request(9, Request::new(&long[1..], empty()));
        assert_eq!(host.answered().await.0, 9);
    });
}

#[test]
fn cancel_end_session_ping_and_drain_reach_the_worker_in_order() {
    on_both_runtimes(|| async {
        let mut host = Host::connected(|mut peer| {
            peer.handshake();
            let (id, _) = peer.expect_request();
            assert_eq!(peer.expect(Kind::Cancel).id, id);
            assert_eq!(&peer.expect(Kind::EndSession).body[..], b"s");
            let ping = peer.expect(Kind::Ping);
            peer.expect(Kind::Drain);
            peer.send_json(Kind::Error, id, &json!({"kind": "cancelled"}));
            peer.send(Kind::Started, 77, b"");
            peer.send(Kind::Pong, ping.id, b"");
            peer.send_json(Kind::Recycle, 0, &json!({"reason": "leak"}));
        })
        .await;
        host.execute(1, Payload::bytes(""));
        host.ask(AdapterMessage::Cancel { id: RequestId(1) });
        host.ask(AdapterMessage::EndSession { session: SessionId::new("s").unwrap() });
        host.ask(AdapterMessage::Ping);
        host.ask(AdapterMessage::Drain);
        let (1, Outcome::Failed(error)) = host.finished().await else { panic!("no failure") };
        assert_eq!(error.kind, WorkerErrorKind::Cancelled);
        match host.report().await {
            Report::Log(log) => assert_eq!(log.message, "the worker asks to be replaced: leak"),
            other @ (Report::Started(_) | Report::Recycle(_) | Report::Unread(_) | Report::Finished(..)) => {
                panic!("{other:?}")
            }
        }
    });
}

#[test]
fn a_worker_that_asks_to_be_replaced_again_and_again_is_heard_once() {
    on_both_runtimes(|| async {
        let mut host = Host::connected(|mut peer| {
            peer.handshake();
            let (id, _) = peer.expect_request();
            for reason in ["leak", "leak", "hole"] {
                peer.send_json(Kind::Recycle, 0, &json!({"reason": reason}));
            }
            peer.answer(id, b"1");
        })
        .await;
        host.execute(1, Payload::bytes(""));
        let Report::Log(log) = host.report().await else { panic!("no line") };
        assert_eq!(log.message, "the worker asks to be replaced: leak");
        assert_eq!(host.report().await, Report::Recycle("leak".to_owned()));
        assert_eq!(host.answered().await.0, 1);
    });
}

#[test]
fn a_worker_that_tells_is_heard_when_it_begins() {
    on_both_runtimes(|| async {
        let mut host = Host::connected(|mut peer| {
            let hello: serde_json::Value = serde_json::from_slice(&peer.expect(Kind::Hello).body).unwrap();
            assert_eq!(hello["features"], json!(["started"]));
            let ready = json!({"protocol": 1, "capacity": 1, "agent": "peer", "features": ["started"]});
            peer.send_json(Kind::Ready, 0, &ready);
            let (first, _) = peer.expect_request();
            let (second, _) = peer.expect_request();
            for _ in 0..3 {
                peer.send(Kind::Started, first, b"");
            }
            peer.answer(first, b"1");
            peer.send(Kind::Started, first, b"");
            peer.send(Kind::Started, second, b"");
        })
        .await;
        assert!(host.tells_started());
        host.execute(1, Payload::bytes(""));
        host.execute(2, Payload::bytes(""));
        assert_eq!(host.report().await, Report::Started(1));
        assert_eq!(host.answered().await.0, 1, "it is heard once");
        assert_eq!(host.report().await, Report::Started(2), "the first was answered, and begins no more");
        assert_eq!(host.failure().await, AdapterFailure::Disconnected);
        assert!(host.is_heard_out());
    });
}

#[test]
fn a_cancel_that_crosses_the_answer_is_not_sent() {
    on_both_runtimes(|| async {
        let mut host = Host::connected(|mut peer| {
            peer.handshake();
            let (id, _) = peer.expect_request();
            peer.answer(id, b"1");
            peer.expect(Kind::Ping);
        })
        .await;
        host.execute(1, Payload::bytes(""));
        host.answered().await;
        host.ask(AdapterMessage::Cancel { id: RequestId(1) });
        host.ask(AdapterMessage::Ping);
        host.peer_is_done().await;
        host.nothing_more();
    });
}

#[test]
fn ten_thousand_requests_are_each_answered_once() {
    const ALL: u64 = 10_000;
    on_both_runtimes(|| async {
        let mut host = Host::connected(|mut peer| {
            peer.handshake();
            for _ in 0..ALL {
                let (id, request) = peer.expect_request();
                let body = [&[0, 0, 0, 0, 0, 0, 0, 8][..], &request.payload.data].concat();
                peer.send(Kind::Result, id, &body);
            }
        })
        .await;
        let number =
            |id: u64| Payload { data: id.to_be_bytes().to_vec().into(), ..Payload::json(&()).unwrap() };
        (1..=64).for_each(|id| host.execute(id, number(id)));
        for answered in 1..=ALL {
            let (id, data) = host.answered().await;
            assert_eq!((id, &data[..]), (answered, &id.to_be_bytes()[..]));
            if id + 64 <= ALL {
                host.execute(id + 64, number(id + 64));
            }
        }
        host.peer_is_done().await;
        host.nothing_more();
    });
}
