//! How a connection ends: by the worker's death, by the actor's, and what is still delivered.

use std::sync::mpsc;

use serde_json::json;
use snakepit_core::adapter::{AdapterFailure, Outcome};
use snakepit_core::{Payload, WorkerErrorKind};

use super::host::{Host, Report, on_both_runtimes};
use crate::port::frame::Kind;

#[test]
fn a_worker_that_leaves_is_disconnected_after_its_last_answer() {
    on_both_runtimes(|| async {
        let mut host = Host::connected(|mut peer| {
            peer.handshake();
            let (id, _) = peer.expect_request();
            peer.expect_request();
            peer.answer(id, b"1");
        })
        .await;
        host.execute(1, Payload::bytes(""));
        host.execute(2, Payload::bytes(""));
        assert!(matches!(host.finished().await, (1, Outcome::Answered(_))));
        assert_eq!(host.failure().await, AdapterFailure::Disconnected);
        host.nothing_more();
    });
}

#[test]
fn a_worker_that_leaves_before_ready_is_disconnected() {
    on_both_runtimes(|| async {
        let mut host = Host::with_peer(drop).await;
        assert_eq!(host.connect().await.unwrap_err(), AdapterFailure::Disconnected);
    });
}

#[test]
fn a_worker_that_closes_only_its_input_is_disconnected_after_its_last_words() {
    on_both_runtimes(|| async {
        let (closed, is_closed) = mpsc::channel();
        let (over, is_over) = mpsc::channel::<()>();
        let mut host = Host::connected(move |mut peer| {
            peer.handshake();
            let (id, _) = peer.expect_request();
            peer.stop_reading();
            peer.send_json(Kind::Error, id, &json!({"kind": "error", "message": "last words"}));
            closed.send(()).unwrap();
            // The pipe to the host stays open, as a grandchild that has inherited it would keep it.
            let _ = is_over.recv();
        })
        .await;
        host.execute(1, Payload::bytes(""));
        let (_, is_closed) =
            tokio::task::spawn_blocking(move || (is_closed.recv(), is_closed)).await.unwrap();
        drop(is_closed);
        host.execute(2, Payload::bytes(""));
        let (1, Outcome::Failed(error)) = host.finished().await else { panic!("no failure") };
        assert_eq!((error.kind, error.message.as_str()), (WorkerErrorKind::Error, "last words"));
        assert_eq!(host.report().await, Report::Unread(2));
        assert_eq!(host.failure().await, AdapterFailure::Disconnected);
        assert!(!host.is_heard_out(), "somebody still holds the other pipe");
        drop(over);
    });
}

#[test]
fn a_worker_that_closes_only_its_output_is_disconnected() {
    on_both_runtimes(|| async {
        let mut host = Host::connected(|mut peer| {
            peer.handshake();
            peer.stop_writing();
            peer.expect_end();
        })
        .await;
        assert_eq!(host.failure().await, AdapterFailure::Disconnected);
        host.peer_is_done().await;
    });
}

#[test]
fn a_killed_actor_closes_both_pipes_at_once() {
    on_both_runtimes(|| async {
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let mut host = Host::connected(|mut peer| {
            peer.handshake();
            peer.incoming();
            begun.send(()).unwrap();
            peer.expect_end();
        })
        .await;
        host.execute(1, Payload::bytes(vec![0; 10 << 20]));
        has_begun.await.unwrap();
        host.kill();
        host.peer_is_done().await;
    });
}

#[test]
fn an_actor_that_waits_for_ready_ends_with_its_supervisor() {
    on_both_runtimes(|| async {
        let (said_hello, hello) = tokio::sync::oneshot::channel();
        let mut host = Host::with_peer(|mut peer| {
            peer.expect(Kind::Hello);
            said_hello.send(()).unwrap();
            peer.expect_end();
        })
        .await;
        let supervisor = host.supervisor.clone();
        let stop = async {
            hello.await.unwrap();
            supervisor.stop(None);
        };
        let (failure, ()) = tokio::join!(async { host.connect().await.map(|_| ()).unwrap_err() }, stop);
        let what = "the connection ended before the worker was ready".into();
        assert_eq!(failure, AdapterFailure::Failed { what });
        host.peer_is_done().await;
    });
}
