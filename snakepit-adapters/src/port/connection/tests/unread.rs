//! What a worker that dies has not read, told from what it may have begun with.

use std::sync::mpsc;

use snakepit_core::Payload;
use snakepit_core::adapter::{AdapterFailure, StreamWindow};

use super::host::{Host, Report, on_both_runtimes};
use super::peer::Peer;
use crate::port::frame::CUT_AT;

/// The payload of a small request; its frame is a little longer.
const SMALL: usize = 1000;

/// Asks 1 and 2 of a worker that lives as the script says once it has both.
async fn asked_two(script: impl FnOnce(Peer) + Send + 'static) -> Host {
    let host = Host::connected(|mut peer| {
        peer.handshake();
        peer.await_bytes(2 * SMALL);
        script(peer);
    })
    .await;
    host.execute(1, Payload::bytes(vec![0; SMALL]));
    host.execute(2, Payload::bytes(vec![0; SMALL]));
    host
}

/// Exactly these are reported as unread, then the worker is gone.
async fn leaves_unread(host: &mut Host, ids: &[u64]) {
    assert_eq!(host.failure().await, AdapterFailure::Disconnected);
    for id in ids {
        assert_eq!(host.report().await, Report::Unread(*id));
    }
    host.nothing_more();
}

#[test]
fn s21_a_worker_that_dies_before_it_reads_has_read_nothing() {
    on_both_runtimes(|| async {
        let mut host = asked_two(drop).await;
        leaves_unread(&mut host, &[1, 2]).await;
    });
}

#[test]
fn the_order_in_which_a_dead_worker_closes_its_pipes_does_not_matter() {
    on_both_runtimes(|| async {
        let mut host = asked_two(|mut peer| {
            peer.stop_writing();
            std::thread::yield_now();
            peer.stop_reading();
        })
        .await;
        leaves_unread(&mut host, &[1, 2]).await;
    });
}

#[test]
fn a_frame_that_was_read_in_part_counts_as_read() {
    on_both_runtimes(|| async {
        for read in [1, SMALL] {
            let mut host = asked_two(move |mut peer| peer.read_bytes(read)).await;
            leaves_unread(&mut host, &[2]).await;
        }
    });
}

#[test]
fn a_worker_that_has_read_everything_may_have_begun_with_it() {
    on_both_runtimes(|| async {
        let mut host = asked_two(|mut peer| {
            peer.expect_request();
            peer.expect_request();
        })
        .await;
        leaves_unread(&mut host, &[]).await;
    });
}

#[test]
fn what_somebody_else_could_still_read_is_not_called_unread() {
    on_both_runtimes(|| async {
        let (heir, inherited) = mpsc::channel();
        let mut host = asked_two(move |peer| heir.send(peer.another_reader()).unwrap()).await;
        leaves_unread(&mut host, &[]).await;
        drop(inherited.recv().unwrap());
    });
}

#[test]
fn of_large_bodies_the_first_byte_counts() {
    on_both_runtimes(|| async {
        for (read, unread) in [(0, &[1, 2][..]), (1, &[2])] {
            let mut host = Host::connected(move |mut peer| {
                peer.handshake();
                peer.await_bytes(SMALL);
                peer.read_bytes(read);
            })
            .await;
            host.execute(1, Payload::bytes(vec![0; 3 * CUT_AT]));
            host.execute(2, Payload::bytes(vec![0; 3 * CUT_AT]));
            leaves_unread(&mut host, unread).await;
        }
    });
}

#[test]
fn a_stream_that_was_not_read_is_named_too() {
    on_both_runtimes(|| async {
        let mut host = Host::connected(|mut peer| {
            peer.handshake();
            peer.await_bytes(1);
        })
        .await;
        let _chunks = host.stream(7, StreamWindow { chunks: 1, bytes: 1 });
        leaves_unread(&mut host, &[7]).await;
    });
}
