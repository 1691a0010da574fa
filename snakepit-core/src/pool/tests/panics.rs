//! Panics in the pool's actor: of an adapter's own code, and of a caller's.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::adapter::scripted::{
    PANICS_ON_CANCEL, PANICS_ON_CREDIT, PANICS_ON_ITS_WAY, PANICS_WHEN_WRITTEN, ScriptedLife,
};
use crate::adapter::{AdapterMessage, Outcome, StreamWindow};
use crate::config::Affinity;
use crate::error::ExecuteError;
use crate::id::RequestId;
use crate::payload::Payload;
use crate::pool::Response;
use crate::pool::tests::bench::{Bench, done, in_session, options, request};

/// A worker with room for one more request, and the session whose requests it gets.
struct AtWork {
    life: ScriptedLife,
    session: &'static str,
    id: RequestId,
    call: JoinHandle<Result<Response, ExecuteError>>,
}

/// Two workers with a request each: the adapter of the first has an outlet, that of the second is told through its mailbox.
async fn two_at_work() -> (Bench, [AtWork; 2]) {
    let affinity = Affinity::StrictQueue;
    let mut bench = Bench::start(options(|o| (o.size, o.capacity, o.affinity) = (2, 2, affinity))).await;
    let lives: [_; 2] = bench.all_lives().await;
    let mut calls = ["s", "t"].map(|session| Some((session, bench.send(in_session(session, session)))));
    let mut workers = Vec::new();
    for mut life in lives {
        let (id, command) = life.next_command().await;
        let (session, call) = calls[usize::from(command == "t")].take().unwrap();
        workers.push(AtWork { life, session, id, call });
    }
    (bench, workers.try_into().ok().unwrap())
}

impl AtWork {
    async fn ends_well(self) -> ScriptedLife {
        self.life.answer(self.id, &done());
        assert!(self.call.await.unwrap().is_ok());
        self.life
    }
}

#[tokio::test(start_paused = true)]
async fn s10_an_adapter_that_panics_costs_its_own_requests_and_no_others() {
    let mut bench = Bench::start(options(|o| o.size = 2)).await;
    let [mut a, mut b] = bench.all_lives().await;
    let calls = [bench.call("a"), bench.call("b")];
    a.next_request().await;
    let other = b.next_request().await;
    a.panic();
    let [lost, kept] = calls;
    let error = lost.await.unwrap().unwrap_err();
    assert_eq!(error.code(), "worker_lost");
    assert!(error.to_string().contains("a scripted panic"), "{error}");
    b.answer(other, &done());
    assert!(kept.await.unwrap().is_ok());
    bench.life().await;
    bench.settled(|stats| stats.available == 2 && stats.running == 0).await;
}

#[tokio::test(start_paused = true)]
async fn s10_a_request_that_cannot_be_said_to_an_adapter_fails_alone() {
    // The panic took the pool's actor with it, and all that was under way heard `pool_restarted`.
    let (bench, [outlet, mailbox]) = two_at_work().await;
    let pool = bench.pool.shared().address.current().unwrap().get_id();
    let answered = bench.pool.execute(in_session(PANICS_ON_ITS_WAY, mailbox.session)).await.unwrap_err();
    let mut stream = bench.pool.execute_stream(in_session(PANICS_ON_ITS_WAY, mailbox.session)).unwrap();
    let streamed = stream.next().await.unwrap().unwrap_err();
    assert!(stream.next().await.is_none());
    for error in [answered, streamed] {
        let ExecuteError::AdapterFailed { worker, what } = &error else { panic!("{error}") };
        assert_eq!((worker, &**what), (&mailbox.life.life, "a scripted conversion"));
        assert!(!error.is_retryable());
    }
    let session = mailbox.session;
    let mut life = mailbox.ends_well().await;
    outlet.ends_well().await;
    assert!(bench.run(in_session("next", session), &mut life).await.is_ok());
    let stats = bench.settled(|stats| stats.available == 2 && stats.running == 0).await;
    assert_eq!((stats.requests, stats.succeeded, stats.restarts), (5, 3, 0));
    assert_eq!(stats.failed_by_code, [("adapter_failed", 2)].into());
    assert_eq!(bench.pool.shared().address.current().unwrap().get_id(), pool, "the pool restarted");
}

#[tokio::test(start_paused = true)]
async fn s10_who_waits_behind_a_request_that_cannot_be_said_is_served_in_its_place() {
    let (bench, [_, mut mailbox]) = two_at_work().await;
    let send = |command| bench.send(in_session(command, mailbox.session));
    let fills = send("fills");
    let filling = mailbox.life.next_request().await;
    let unsayable = [send(PANICS_ON_ITS_WAY), send(PANICS_ON_ITS_WAY)];
    let next = send("next");
    bench.settled(|stats| stats.waiting == 3).await;
    let mut life = mailbox.ends_well().await;
    let (id, command) = life.next_command().await;
    assert_eq!(command, "next");
    for call in unsayable {
        assert_eq!(call.await.unwrap().unwrap_err().code(), "adapter_failed");
    }
    for (id, call) in [(filling, fills), (id, next)] {
        life.answer(id, &done());
        assert!(call.await.unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn s10_an_outlet_that_panics_costs_its_worker_and_no_others() {
    for command in [PANICS_ON_ITS_WAY, PANICS_WHEN_WRITTEN] {
        let (mut bench, [outlet, mailbox]) = two_at_work().await;
        let error = bench.pool.execute(in_session(command, outlet.session)).await.unwrap_err();
        assert_eq!(error.code(), "worker_lost");
        assert!(error.to_string().contains("its adapter failed: a scripted"), "{error}");
        assert_eq!(outlet.call.await.unwrap().unwrap_err().code(), "worker_lost");
        mailbox.ends_well().await;
        assert_eq!(bench.life().await.life.worker, outlet.life.life.worker);
        let stats = bench.settled(|stats| stats.available == 2 && stats.running == 0).await;
        assert_eq!((stats.failed, stats.succeeded, stats.restarts), (2, 1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn s10_a_request_that_an_outlet_panics_at_is_not_sent_to_one_worker_after_the_other() {
    for (idempotent, code, restarts) in [(false, "worker_lost", 1), (true, "poisoned", 2)] {
        let mut bench = Bench::start(options(|o| o.prefetch = 1)).await;
        let life = bench.life().await;
        // It is known of every request whether this worker began with it.
        life.reports.heard_out();
        let asked = request(PANICS_ON_ITS_WAY);
        let asked = if idempotent { asked.idempotent() } else { asked };
        assert_eq!(bench.pool.execute(asked).await.unwrap_err().code(), code);
        let stats = bench.settled(|stats| stats.available == 1 && stats.running == 0).await;
        assert_eq!(stats.restarts, restarts);
    }
}

#[tokio::test(start_paused = true)]
async fn s10_an_adapter_that_cannot_even_be_told_to_cancel_does_not_end_the_program() {
    // The end of the pool, which was panicking already, panicked once more: that aborts.
    let mut bench = Bench::start(options(|o| o.capacity = 3)).await;
    let mut life = bench.life().await;
    bench.settled(|stats| stats.available == 1).await;
    let running = bench.call("runs");
    life.next_request().await;
    PANICS_ON_CANCEL.set(true);
    bench.panic_pool(&mut life).await;
    assert_eq!(running.await.unwrap().unwrap_err().code(), "pool_restarted");
    // The outlet panicked, and its worker is replaced; so is that of a caller who leaves.
    let mut next = bench.life().await;
    let cancelled = bench.call("is cancelled");
    next.next_request().await;
    cancelled.abort();
    let mut last = bench.life().await;
    assert!(bench.run(request("next"), &mut last).await.is_ok());
}

/// A stream that has room for one chunk more, at a worker of each kind of adapter.
#[tokio::test(start_paused = true)]
async fn s10_a_stream_whose_credit_cannot_be_said_ends_at_once() {
    // The worker waited for credit and the reader for a chunk, until the deadline.
    let window = StreamWindow { chunks: 1, bytes: 100 };
    let mut bench = Bench::start(options(|o| (o.size, o.stream_window) = (2, window))).await;
    let [mut outlet, mut mailbox]: [_; 2] = bench.all_lives().await;
    let asked = Instant::now();
    let mut streams = [bench.pool.execute_stream(request("a")), bench.pool.execute_stream(request("b"))]
        .map(Result::unwrap);
    let mut ids = Vec::new();
    for life in [&mut outlet, &mut mailbox] {
        let AdapterMessage::ExecuteStream { id, chunks, .. } = life.next().await else { panic!("no stream") };
        chunks.send(Payload::bytes("first")).unwrap();
        ids.push((id, chunks));
    }
    PANICS_ON_CREDIT.set(true);
    let mut ends = Vec::new();
    for stream in &mut streams {
        assert_eq!(stream.next().await.unwrap().unwrap(), Payload::bytes("first"));
        ends.push(stream.next().await.unwrap().unwrap_err());
        assert!(stream.next().await.is_none());
    }
    assert_eq!(asked.elapsed(), Duration::ZERO);
    ends.sort_by_key(ExecuteError::code);
    let [failed, lost] = &ends[..] else { panic!("{ends:?}") };
    let ExecuteError::AdapterFailed { worker, what } = failed else { panic!("{failed}") };
    assert_eq!((worker, &**what), (&mailbox.life, "a scripted conversion"));
    assert!(lost.to_string().contains("its adapter failed: a scripted conversion"), "{lost}");
    // The one whose adapter goes on is told to stop, and then free; the other is replaced.
    assert_eq!(mailbox.next_cancel().await, ids[1].0);
    mailbox.reports.finished(ids[1].0, Outcome::StreamEnded);
    assert_eq!(bench.life().await.life.worker, outlet.life.worker);
    let stats = bench.settled(|stats| stats.available == 2 && stats.running == 0).await;
    assert_eq!((stats.failed, stats.restarts), (2, 1));
}
