//! Large bodies, full pipes, and streams with credit.

use std::sync::mpsc;

use bytes::Bytes;
use serde_json::json;
use snakepit_core::adapter::{AdapterMessage, Outcome, StreamWindow};
use snakepit_core::{Payload, RequestId, WorkerErrorKind};

use super::host::{Host, Report, on_both_runtimes};
use super::peer::payload_frame;
use crate::port::frame::{Incoming, Kind, read_credit};

const LARGE: usize = 64 << 20;

fn large() -> Payload {
    Payload::bytes(vec![7; LARGE])
}

#[test]
fn small_requests_pass_between_the_parts_of_a_large_one() {
    on_both_runtimes(|| async {
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (asked, are_asked) = mpsc::channel();
        let mut host = Host::connected(move |mut peer| {
            peer.handshake();
            assert_eq!(peer.incoming(), Some(Incoming::Begun { kind: Kind::Execute, id: 1 }));
            begun.send(()).unwrap();
            are_asked.recv().unwrap();
            for id in 2..=4 {
                assert_eq!(peer.expect_request().0, id, "it did not wait for the large one");
                peer.answer(id, b"small");
            }
            let (id, request) = peer.expect_request();
            assert_eq!((id, request.payload.data.len()), (1, LARGE));
            assert!(request.payload.data.iter().all(|byte| *byte == 7));
            peer.answer(1, b"large");
        })
        .await;
        host.execute(1, large());
        has_begun.await.unwrap();
        (2..=4).for_each(|id| host.execute(id, Payload::bytes("")));
        asked.send(()).unwrap();
        for id in [2, 3, 4, 1] {
            assert_eq!(host.answered().await.0, id);
        }
    });
}

#[test]
fn small_answers_pass_between_the_parts_of_a_large_one() {
    on_both_runtimes(|| async {
        let mut host = Host::connected(|mut peer| {
            peer.handshake();
            for id in 1..=3 {
                assert_eq!(peer.expect_request().0, id);
            }
            let mut small = [2, 3].into_iter();
            peer.answer_cut(1, &large(), |peer| {
                if let Some(id) = small.next() {
                    peer.answer(id, b"small");
                }
            });
        })
        .await;
        (1..=3).for_each(|id| host.execute(id, Payload::bytes("")));
        assert_eq!(host.answered().await, (2, Bytes::from_static(b"small")));
        assert_eq!(host.answered().await.0, 3);
        let (1, data) = host.answered().await else { panic!("another answer") };
        assert_eq!(data.len(), LARGE);
        assert!(data.iter().all(|byte| *byte == 7));
    });
}

#[test]
fn a_large_request_is_withdrawn_before_it_begins_and_cancelled_behind_itself_after() {
    on_both_runtimes(|| async {
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (cancelled, are_cancelled) = mpsc::channel();
        let mut host = Host::connected(move |mut peer| {
            peer.handshake();
            assert_eq!(peer.incoming(), Some(Incoming::Begun { kind: Kind::Execute, id: 1 }));
            begun.send(()).unwrap();
            are_cancelled.recv().unwrap();
            assert_eq!(peer.expect_request().0, 1);
            assert_eq!(peer.expect(Kind::Cancel).id, 1);
            peer.send_json(Kind::Error, 1, &json!({"kind": "cancelled"}));
        })
        .await;
        host.execute(1, large());
        has_begun.await.unwrap();
        host.execute(2, Payload::bytes(vec![0; 1 << 20]));
        host.ask(AdapterMessage::Cancel { id: RequestId(2) });
        let (2, Outcome::Failed(error)) = host.finished().await else { panic!("no failure") };
        assert_eq!(error.kind, WorkerErrorKind::Cancelled);
        host.ask(AdapterMessage::Cancel { id: RequestId(1) });
        cancelled.send(()).unwrap();
        assert!(matches!(host.finished().await, (1, Outcome::Failed(_))));
    });
}

#[test]
fn both_pipes_full_do_not_stop_each_other() {
    const SIZE: usize = 1 << 20;
    on_both_runtimes(|| async {
        let mut host = Host::connected(|mut peer| {
            peer.handshake();
            assert_eq!(peer.expect_request().0, 1);
            // The host has far more to write than its pipe holds, and so do we, and we do not read.
            let line = json!({"message": "x".repeat(10_000)});
            for _ in 0..1000 {
                peer.send_json(Kind::Log, 1, &line);
            }
            for id in 2..=32 {
                let (asked, request) = peer.expect_request();
                assert_eq!((asked, request.payload.data.len()), (id, SIZE));
            }
            for id in 1..=32 {
                peer.answer_cut(id, &Payload::bytes(vec![7; SIZE]), |_| {});
            }
        })
        .await;
        (1..=32).for_each(|id| host.execute(id, Payload::bytes(vec![7; SIZE])));
        for _ in 0..1000 {
            assert!(matches!(host.report().await, Report::Log(_)));
        }
        for id in 1..=32 {
            let (answered, data) = host.answered().await;
            assert_eq!((answered, data.len()), (id, SIZE));
        }
        host.peer_is_done().await;
    });
}

#[test]
fn a_stream_runs_on_the_credit_that_its_reader_gives() {
    const CHUNKS: u32 = 500;
    on_both_runtimes(|| async {
        let mut host = Host::connected(|mut peer| {
            peer.handshake();
            let id = peer.expect_stream();
            let (mut chunks, mut bytes) = (2_i64, 30_i64);
            for _ in 0..CHUNKS {
                while chunks == 0 || bytes <= 0 {
                    let credit = read_credit(peer.expect(Kind::Credit).body).unwrap();
                    chunks += i64::from(credit.chunks);
                    bytes += i64::from(credit.bytes);
                }
                peer.chunk(id, b"chunk");
                chunks -= 1;
                // The wire counts whole bodies: 8 bytes of head and 5 of data.
                bytes -= 13;
            }
            peer.send(Kind::End, id, b"");
            peer.linger();
        })
        .await;
        let mut chunks = host.stream(1, StreamWindow { chunks: 2, bytes: 30 });
        for _ in 0..CHUNKS {
            let chunk = chunks.recv().await.unwrap();
            assert_eq!(&chunk.data[..], b"chunk");
            let bytes = u32::try_from(chunk.size()).unwrap();
            host.ask(AdapterMessage::Credit { id: RequestId(1), chunks: 1, bytes });
        }
        assert_eq!(host.finished().await, (1, Outcome::StreamEnded));
        assert_eq!(chunks.recv().await, None, "the sender was dropped before the end was reported");
    });
}

/// The window was used up by what chunks hold beside their payload, and their reader had no reason to give credit.
#[test]
fn what_chunks_hold_beside_their_payload_is_given_back_without_their_reader() {
    on_both_runtimes(|| async {
        let mut host = Host::connected(|mut peer| {
            peer.handshake();
            let id = peer.expect_stream();
            // 8 bytes of head and 1 of data: the third overdraws the window.
            for _ in 0..3 {
                peer.chunk(id, b"x");
            }
            let credit = read_credit(peer.expect(Kind::Credit).body).unwrap();
            assert_eq!(credit, StreamWindow { chunks: 0, bytes: 24 });
            peer.chunk(id, b"x");
            peer.send(Kind::End, id, b"");
            peer.linger();
        })
        .await;
        let mut chunks = host.stream(1, StreamWindow { chunks: 10, bytes: 20 });
        assert_eq!(host.finished().await, (1, Outcome::StreamEnded));
        let mut taken = 0;
        while chunks.recv().await.is_some() {
            taken += 1;
        }
        assert_eq!(taken, 4);
    });
}

#[test]
fn a_slow_stream_does_not_hold_up_other_requests() {
    on_both_runtimes(|| async {
        let mut host = Host::connected(|mut peer| {
            peer.handshake();
            let stream = peer.expect_stream();
            (0..2).for_each(|_| peer.chunk(stream, b"unread"));
            let (id, _) = peer.expect_request();
            peer.answer(id, b"quick");
        })
        .await;
        let _unread = host.stream(1, StreamWindow { chunks: 2, bytes: 1000 });
        host.execute(2, Payload::bytes(""));
        assert_eq!(host.answered().await.0, 2);
    });
}

#[test]
fn a_stream_whose_reader_is_gone_is_cancelled_without_blame() {
    on_both_runtimes(|| async {
        let (cancelled, is_cancelled) = mpsc::channel();
        let mut host = Host::connected(move |mut peer| {
            peer.handshake();
            let id = peer.expect_stream();
            is_cancelled.recv().unwrap();
            // These crossed the cancel on their way.
            let chunks = [payload_frame(Kind::Chunk, id, b"1"), payload_frame(Kind::Chunk, id, b"2")];
            peer.write(&chunks.concat());
            assert_eq!(peer.expect(Kind::Cancel).id, id);
            peer.send_json(Kind::Error, id, &json!({"kind": "cancelled"}));
        })
        .await;
        drop(host.stream(1, StreamWindow { chunks: 2, bytes: 1000 }));
        host.ask(AdapterMessage::Cancel { id: RequestId(1) });
        cancelled.send(()).unwrap();
        let (1, Outcome::Failed(error)) = host.finished().await else { panic!("no failure") };
        assert_eq!(error.kind, WorkerErrorKind::Cancelled);
    });
}
