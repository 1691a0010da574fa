//! What is handed over beside the actor: order, a full pipe, many at once, and the actor's end in the middle.

use std::sync::mpsc;

use snakepit_core::adapter::{AdapterEnded, AdapterFailure, AdapterMessage, AdapterRef};
use snakepit_core::{Payload, Request, RequestId};

use super::host::{Host, deadline, on_both_runtimes};
use crate::port::frame::Kind;

/// More than a pipe holds, in requests that are each written whole.
const MANY: u64 = 200;
const SIZE: usize = 4 << 10;

fn execute(id: u64) -> AdapterMessage {
    let request = Request::new("echo", Payload::bytes(vec![7; SIZE]));
    AdapterMessage::Execute { id: RequestId(id), request, deadline: deadline() }
}

fn hand_over(adapter: &AdapterRef, ids: impl IntoIterator<Item = u64>) {
    ids.into_iter().for_each(|id| adapter.hand_over(execute(id)).unwrap());
}

#[test]
fn what_is_handed_over_leaves_in_order_with_one_flush() {
    on_both_runtimes(|| async {
        let mut host = Host::connected(|mut peer| {
            peer.handshake();
            assert_eq!((peer.expect_request().0, peer.expect_request().0), (1, 2));
            assert_eq!(peer.expect(Kind::Cancel).id, 2);
            assert_eq!(peer.expect_request().0, 3);
            (1..=3).for_each(|id| peer.answer(id, b"done"));
        })
        .await;
        let adapter = host.adapter();
        hand_over(&adapter, 1..=2);
        adapter.hand_over(AdapterMessage::Cancel { id: RequestId(2) }).unwrap();
        hand_over(&adapter, [3]);
        adapter.flush();
        for id in 1..=3 {
            assert_eq!(host.answered().await.0, id);
        }
    });
}

#[test]
fn a_full_pipe_is_never_waited_for_and_the_actor_writes_the_rest_in_order() {
    on_both_runtimes(|| async {
        let (handed_over, are_handed_over) = mpsc::channel::<()>();
        let mut host = Host::connected(move |mut peer| {
            peer.handshake();
            are_handed_over.recv().unwrap();
            for id in 1..=MANY {
                assert_eq!(peer.expect_request().0, id);
            }
            assert_eq!(peer.expect(Kind::Cancel).id, MANY);
            assert_eq!(peer.expect_request().0, MANY + 1);
            (1..=MANY + 1).for_each(|id| peer.answer(id, b"done"));
        })
        .await;
        let adapter = host.adapter();
        for id in 1..=MANY {
            hand_over(&adapter, [id]);
            adapter.flush();
        }
        adapter.cast(AdapterMessage::Cancel { id: RequestId(MANY) }).unwrap();
        hand_over(&adapter, [MANY + 1]);
        adapter.flush();
        handed_over.send(()).unwrap();
        for id in 1..=MANY + 1 {
            assert_eq!(host.answered().await.0, id);
        }
        host.peer_is_done().await;
    });
}

#[test]
fn many_at_once_keep_every_frame_whole() {
    const TASKS: u64 = 8;
    on_both_runtimes(|| async {
        let mut host = Host::connected(|mut peer| {
            peer.handshake();
            let mut latest = std::collections::BTreeMap::new();
            for _ in 0..TASKS * MANY {
                let (id, request) = peer.expect_request();
                assert_eq!(request.payload.data, vec![7; SIZE]);
                let before = latest.insert(id / 1000, id);
                assert!(before < Some(id), "{id} overtook another of its task");
                peer.answer(id, b"done");
            }
        })
        .await;
        for task in 0..TASKS {
            let adapter = host.adapter();
            tokio::spawn(async move {
                for id in 1..=MANY {
                    hand_over(&adapter, [task * 1000 + id]);
                    match id % 3 {
                        0 => adapter.flush_soon(),
                        _ => adapter.flush(),
                    }
                    tokio::task::yield_now().await;
                }
            });
        }
        let mut answered = std::collections::BTreeSet::new();
        for _ in 0..TASKS * MANY {
            assert!(answered.insert(host.answered().await.0));
        }
        host.peer_is_done().await;
        host.nothing_more();
    });
}

#[test]
fn an_actor_that_ends_with_a_full_pipe_closes_it_and_takes_nothing_more() {
    on_both_runtimes(|| async {
        let (killed, is_killed) = mpsc::channel::<()>();
        let mut host = Host::connected(move |mut peer| {
            peer.handshake();
            is_killed.recv().unwrap();
            let mut complete = 0;
            while peer.incoming().is_some() {
                complete += 1;
            }
            assert!((1..MANY).contains(&complete), "{complete} came whole");
        })
        .await;
        let adapter = host.adapter();
        hand_over(&adapter, 1..=MANY);
        adapter.flush();
        host.kill();
        assert_eq!(host.end().await, None);
        killed.send(()).unwrap();
        host.peer_is_done().await;
        let Err(AdapterEnded { message: Some(back) }) = adapter.hand_over(execute(MANY + 1)) else {
            panic!("it was taken by nobody");
        };
        assert!(matches!(*back, AdapterMessage::Execute { id: RequestId(id), .. } if id == MANY + 1));
        adapter.flush();
        assert!(adapter.cast(AdapterMessage::Ping).is_err());
        host.nothing_more();
    });
}

#[test]
fn a_number_that_is_used_twice_ends_the_actor() {
    on_both_runtimes(|| async {
        let mut host = Host::connected(|mut peer| {
            peer.handshake();
            peer.linger();
        })
        .await;
        hand_over(&host.adapter(), [5, 5]);
        let what = "request 5 was asked twice".into();
        assert_eq!(host.failure().await, AdapterFailure::Failed { what });
    });
}
