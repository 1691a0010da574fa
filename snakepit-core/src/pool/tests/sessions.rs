//! Sessions and the workers that hold their state.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::adapter::{AdapterFailure, AdapterMessage};
use crate::error::EndSessionError;
use crate::id::SessionId;
use crate::pool::tests::bench::{Bench, done, in_session, options};

#[tokio::test(start_paused = true)]
async fn s12_a_hundred_first_calls_of_one_session_bind_once() {
    let mut bench = Bench::start(options(|o| {
        o.size = 2;
        o.capacity = 200;
    }))
    .await;
    let [mut a, mut b] = bench.all_lives().await;
    let calls: Vec<_> = (0..100).map(|_| bench.send(in_session("work", "s"))).collect();
    bench.settled(|stats| stats.running == 100).await;
    let (busy, idle) = if a.has_more() { (&mut a, &mut b) } else { (&mut b, &mut a) };
    assert!(!idle.has_more(), "the session ended up on two workers");
    for _ in 0..100 {
        let id = busy.next_request().await;
        busy.answer(id, &done());
    }
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().worker, busy.life);
    }
    let stats = bench.stats().await;
    assert_eq!((stats.affinity_hits, stats.affinity_misses, stats.affinity_resets), (99, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_session_goes_elsewhere_while_its_worker_is_taken_and_comes_back() {
    let mut bench = Bench::start(options(|o| o.size = 2)).await;
    let [mut a, mut b] = bench.all_lives().await;
    let first = bench.send(in_session("one", "s"));
    let first_id = a.next_request().await;
    let second = bench.send(in_session("two", "s"));
    let second_id = b.next_request().await;
    a.answer(first_id, &done());
    b.answer(second_id, &done());
    assert!(first.await.unwrap().is_ok() && second.await.unwrap().is_ok());
    let third = bench.send(in_session("three", "s"));
    let third_id = a.next_request().await;
    a.answer(third_id, &done());
    assert!(third.await.unwrap().is_ok());
    let stats = bench.stats().await;
    assert_eq!((stats.affinity_hits, stats.affinity_misses), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_had_to_wait_counts_as_a_miss_only_where_it_ran_elsewhere() {
    // It was counted when it joined the line, although its own worker might still take it.
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let first = bench.send(in_session("one", "s"));
    let first_id = life.next_request().await;
    let second = bench.send(in_session("two", "s"));
    bench.settled(|stats| stats.waiting == 1).await;
    life.answer(first_id, &done());
    let second_id = life.next_request().await;
    life.answer(second_id, &done());
    assert!(first.await.unwrap().is_ok() && second.await.unwrap().is_ok());
    let stats = bench.stats().await;
    assert_eq!((stats.affinity_hits, stats.affinity_misses), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn s13_a_session_whose_worker_is_lost_says_that_it_starts_anew_once() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let call = bench.send(in_session("one", "s"));
    let id = life.next_request().await;
    life.answer(id, &done());
    assert!(!call.await.unwrap().unwrap().session_reset);
    life.end(AdapterFailure::Disconnected);
    let mut successor = bench.life().await;
    for expected in [true, false] {
        let call = bench.send(in_session("two", "s"));
        let id = successor.next_request().await;
        successor.answer(id, &done());
        assert_eq!(call.await.unwrap().unwrap().session_reset, expected);
    }
    assert_eq!(bench.stats().await.affinity_resets, 1);
}

#[tokio::test(start_paused = true)]
async fn a_binder_that_is_cancelled_does_not_hold_the_others() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let blocker = bench.send(in_session("blocker", "other"));
    let blocker_id = life.next_request().await;
    let binder = bench.send(in_session("binder", "s"));
    bench.settled(|stats| stats.waiting == 1).await;
    let held = bench.send(in_session("held", "s"));
    bench.settled(|stats| stats.waiting == 2).await;
    binder.abort();
    bench.settled(|stats| stats.waiting == 1).await;
    life.answer(blocker_id, &done());
    let id = life.next_request().await;
    life.answer(id, &done());
    assert!(blocker.await.unwrap().is_ok() && held.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_ended_session_is_told_to_its_worker_and_not_known_afterwards() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let call = bench.send(in_session("one", "s"));
    let id = life.next_request().await;
    life.answer(id, &done());
    assert!(call.await.unwrap().is_ok());
    let session = SessionId::new("s").unwrap();
    assert_eq!(bench.pool.end_session(&session).await, Ok(()));
    let AdapterMessage::EndSession { session: ended } = life.next().await else { panic!("no end") };
    assert_eq!(ended, session);
    let again = bench.pool.end_session(&session).await;
    assert_eq!(again, Err(EndSessionError::SessionNotFound { session }));
}

#[tokio::test(start_paused = true)]
async fn s14_an_expired_session_is_told_to_its_worker_when_it_is_asked_for() {
    let mut bench = Bench::start(options(|o| {
        o.session_ttl = Duration::from_secs(1);
        o.heartbeat.misses = u32::MAX;
    }))
    .await;
    let mut life = bench.life().await;
    for round in 0..2 {
        let call = bench.send(in_session("one", "s"));
        if round == 1 {
            assert!(matches!(life.next().await, AdapterMessage::EndSession { .. }));
        }
        let id = life.next_request().await;
        life.answer(id, &done());
        assert!(!call.await.unwrap().unwrap().session_reset);
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn s14_a_sweep_tells_the_worker_of_every_session_that_expired_and_of_no_other() {
    let mut bench = Bench::start(options(|o| {
        o.session_ttl = Duration::from_mins(4);
        o.heartbeat.misses = u32::MAX;
    }))
    .await;
    let mut life = bench.life().await;
    // More than a sweep ends at once.
    let names: BTreeSet<String> = (0..600).map(|n| format!("session {n}")).collect();
    for name in &names {
        assert!(bench.run(in_session("one", name), &mut life).await.is_ok());
    }
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert!(bench.run(in_session("one", "young"), &mut life).await.is_ok());
    let mut ended = BTreeSet::new();
    while ended.len() < names.len() {
        if let AdapterMessage::EndSession { session } = life.next().await {
            assert!(ended.insert(session.to_string()), "{session} ended twice");
        }
    }
    assert_eq!(ended, names);
    assert_eq!(bench.pool.end_session(&SessionId::new("young").unwrap()).await, Ok(()));
}
