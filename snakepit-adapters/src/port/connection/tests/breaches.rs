//! A worker that breaks the rules: one case for each, and what was right before it is still delivered.

use serde_json::json;
use snakepit_core::Payload;
use snakepit_core::adapter::{AdapterFailure, Outcome, StreamWindow};

use super::host::{Host, on_both_runtimes};
use super::peer::{begun, frame, payload_frame};
use crate::port::frame::Kind;

/// What the peer sends while request 1 (an Execute) and 2 (a stream with credit for 2 chunks) are under way, after it
/// has answered request 3, and what it is told for it.
fn cases() -> Vec<(Vec<u8>, &'static str)> {
    let chunk = || payload_frame(Kind::Chunk, 2, b"c");
    let ready = json!({"protocol": 1, "capacity": 1}).to_string();
    vec![
        (
            b"Traceback (most recent call last)".to_vec(),
            "length_too_long: a frame states a length of 1416782179",
        ),
        (vec![0, 0, 0, 11], "length_too_short: a frame states a length of 11"),
        (vec![0xff; 4], "length_too_long: a frame states a length of 4294967295 bytes"),
        (frame(Kind::Execute, 1, b""), "unknown_kind: a frame has the unknown kind 0x02"),
        (frame(Kind::Result, 1, b"short"), "body_lengths: a payload body states 8 bytes and has 5"),
        (frame(Kind::Result, 0, b""), "request_id: Result carries request id 0"),
        (payload_frame(Kind::Result, 9, b""), "out_of_order: Result for request 9, which was never asked"),
        (begun(Kind::Result, 9, b""), "out_of_order: Result for request 9, which was never asked"),
        (
            payload_frame(Kind::Result, 3, b""),
            "out_of_order: Result for request 3, which is already answered",
        ),
        (
            frame(Kind::Error, 3, b"{\"kind\":\"error\"}"),
            "out_of_order: Error for request 3, which is already",
        ),
        (frame(Kind::End, 1, b""), "out_of_order: End for request 1, which was asked by Execute"),
        (payload_frame(Kind::Chunk, 1, b""), "out_of_order: Chunk for request 1, which was asked by Execute"),
        (
            payload_frame(Kind::Result, 2, b""),
            "out_of_order: Result for request 2, which was asked by ExecuteStream",
        ),
        (
            [chunk(), chunk(), chunk()].concat(),
            "out_of_order: Chunk for request 2 beyond credit: 0 chunks and",
        ),
        (frame(Kind::End, 2, b"x"), "body_lengths: End states 0 bytes and has 1"),
        (frame(Kind::Error, 1, b"boom"), "json: Error cannot be read: it is not a JSON object"),
        (frame(Kind::Error, 1, b"{}"), "json: Error cannot be read: missing field `kind`"),
        (frame(Kind::Ready, 0, ready.as_bytes()), "out_of_order: Ready came a second time"),
        (frame(Kind::Part, 1, b""), "part_without_start: Part for request 1"),
        (
            [begun(Kind::Chunk, 2, b""), frame(Kind::End, 2, b"")].concat(),
            "body_under_way: End for request 2",
        ),
        (frame(Kind::Pong, 0, b"x"), "body_lengths: Pong states 0 bytes and has 1"),
        (frame(Kind::Log, 0, b"\xff"), "json: Log cannot be read"),
        (frame(Kind::Event, 1, br#"{"progress": 0.5}"#), "json: Event cannot be read"),
    ]
}

#[test]
fn every_breach_ends_the_connection_with_its_name_and_loses_nothing_before_it() {
    on_both_runtimes(|| async {
        for (bytes, begins) in cases() {
            let mut host = Host::connected(|mut peer| {
                peer.handshake();
                for _ in 0..2 {
                    peer.expect_request();
                }
                peer.expect_stream();
                // In one write, so that they arrive together.
                peer.write(&[payload_frame(Kind::Result, 3, b"3"), bytes].concat());
                peer.expect_end();
            })
            .await;
            host.execute(1, Payload::bytes(""));
            host.execute(3, Payload::bytes(""));
            let _chunks = host.stream(2, StreamWindow { chunks: 2, bytes: 1000 });
            assert_eq!(host.answered().await.0, 3);
            match host.failure().await {
                AdapterFailure::Protocol { what } => {
                    assert!(what.starts_with(begins), "{what}\nexpected: {begins}");
                }
                other => panic!("{other:?}\nexpected: {begins}"),
            }
            host.nothing_more();
            host.peer_is_done().await;
        }
    });
}

#[test]
fn a_breach_before_ready_is_the_answer_to_connect() {
    let ready = |json: serde_json::Value| frame(Kind::Ready, 0, json.to_string().as_bytes());
    let cases = [
        (b"hello, world\n".to_vec(), "length_too_long"),
        (payload_frame(Kind::Result, 1, b""), "out_of_order: Result came before Ready"),
        (frame(Kind::Pong, 0, b""), "out_of_order: Pong came before Ready"),
        (
            ready(json!({"protocol": 2, "capacity": 1})),
            "json: the worker chose protocol version 2, offered was 1",
        ),
        (ready(json!({"protocol": 1, "capacity": 0})), "json: the worker is ready with a capacity of 0"),
        (ready(json!({"protocol": 1})), "json: Ready cannot be read: missing field `capacity`"),
    ];
    on_both_runtimes(|| async {
        for (bytes, begins) in cases.clone() {
            let mut host = Host::with_peer(move |mut peer| {
                peer.expect(Kind::Hello);
                peer.write(&bytes);
                peer.expect_end();
            })
            .await;
            let failure = host.connect().await.unwrap_err();
            assert_eq!(host.failure().await, failure, "the actor ends with the same failure");
            match failure {
                AdapterFailure::Protocol { what } => {
                    assert!(what.starts_with(begins), "{what}\nexpected: {begins}");
                }
                other => panic!("{other:?}\nexpected: {begins}"),
            }
            host.peer_is_done().await;
        }
    });
}

#[test]
fn the_end_of_the_wire_inside_a_frame_is_told_as_such() {
    on_both_runtimes(|| async {
        let mut host = Host::connected(|mut peer| {
            peer.handshake();
            let (id, _) = peer.expect_request();
            let mut whole = payload_frame(Kind::Result, id, b"1");
            whole.extend(&payload_frame(Kind::Result, id + 1, b"2")[..20]);
            peer.write(&whole);
        })
        .await;
        host.execute(1, Payload::bytes(""));
        assert!(matches!(host.finished().await, (1, Outcome::Answered(_))));
        let what = "torn_frame: the wire ended inside a frame: only its first 20 bytes came";
        assert_eq!(host.failure().await, AdapterFailure::Torn { what: what.into() });
        assert!(host.is_heard_out(), "whatever came whole has been reported");
    });
}
