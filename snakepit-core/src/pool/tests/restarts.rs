//! What outlives the actors of the pool and of the session affinity.

use std::time::Duration;

use crate::adapter::{AdapterFailure, AdapterMessage};
use crate::error::ExecuteError;
use crate::id::SessionId;
use crate::pool::tests::bench::{Bench, done, in_session, options};
use crate::pool::{Life, SessionReport};
use crate::session_affinity::EndedSession;

#[tokio::test(start_paused = true)]
async fn s29_a_restarted_session_affinity_harms_no_worker_and_forgets_no_session() {
    let mut bench = Bench::start(options(|o| o.size = 2)).await;
    let [mut a, b] = bench.all_lives().await;
    assert!(bench.run(in_session("one", "s"), &mut a).await.is_ok());
    bench.kill_session_affinity().await;
    bench.settled(|stats| stats.available == 2).await;
    // Both workers are free, and the other has been free for longer.
    for _ in 0..3 {
        let response = bench.run(in_session("two", "s"), &mut a).await.unwrap();
        assert!(!response.session_reset, "nothing was lost");
    }
    assert!(bench.lives.is_empty(), "a worker was replaced");
    drop(b);
}

#[tokio::test(start_paused = true)]
async fn s29_a_loss_that_nobody_was_told_outlives_the_session_affinity() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    assert!(bench.run(in_session("one", "s"), &mut life).await.is_ok());
    life.end(AdapterFailure::Disconnected);
    let mut successor = bench.life().await;
    // The one that was about to be told is gone with the pool.
    let call = bench.send(in_session("two", "s"));
    let id = successor.next_request().await;
    bench.kill_session_affinity().await;
    assert!(matches!(call.await.unwrap(), Err(ExecuteError::PoolRestarted { .. })));
    assert_eq!(successor.next_cancel().await, id);
    successor.answer(id, &done());
    bench.settled(|stats| stats.available == 1).await;
    for expected in [true, false] {
        let response = bench.run(in_session("three", "s"), &mut successor).await.unwrap();
        assert_eq!(response.session_reset, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn s28_a_session_that_was_just_being_bound_is_not_held_up_by_the_pools_restart() {
    // The next life of the pool waited for the binder of the former, which was gone.
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let blocker = bench.call("blocker");
    let blocker_id = life.next_request().await;
    let binder = bench.send(in_session("binder", "s"));
    bench.settled(|stats| stats.waiting == 1).await;
    bench.kill_pool().await;
    for call in [blocker, binder] {
        assert!(matches!(call.await.unwrap(), Err(ExecuteError::PoolRestarted { .. })));
    }
    assert_eq!(life.next_cancel().await, blocker_id);
    life.answer(blocker_id, &done());
    bench.settled(|stats| stats.available == 1).await;
    let next = tokio::time::timeout(Duration::from_secs(1), bench.run(in_session("next", "s"), &mut life));
    assert!(next.await.expect("it waits for a request that is gone").is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_session_is_not_reset_because_the_pool_has_not_heard_of_its_worker_yet() {
    // A worker that the new life of the pool did not know yet was taken for lost.
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    assert!(bench.run(in_session("one", "s"), &mut life).await.is_ok());
    bench.kill_pool().await;
    let response = bench.run(in_session("two", "s"), &mut life).await.unwrap();
    assert!(!response.session_reset);
}

#[tokio::test(start_paused = true)]
async fn s28_a_worker_hears_of_a_session_that_ended_while_the_pool_was_not_there() {
    // It kept the session's state for as long as it lived.
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    for session in ["one", "two"] {
        assert!(bench.run(in_session("work", session), &mut life).await.is_ok());
    }
    let shared = bench.pool.shared();
    let end = |session| {
        let session = SessionId::new(session).unwrap();
        let ended = EndedSession { session, life: Life::from(&life.life) };
        shared.reporter().session(SessionReport::Ended(ended));
    };
    let mut lives = shared.address.subscribe();
    // The first is on its way to the pool when that dies, the second finds it dead.
    end("one");
    shared.address.current().unwrap().kill();
    end("two");
    lives.changed().await.unwrap();
    bench.settled(|stats| stats.available == 1).await;
    let mut told = Vec::new();
    for _ in 0..2 {
        let AdapterMessage::EndSession { session } = life.next().await else { panic!("no end") };
        told.push(session.to_string());
    }
    told.sort_unstable();
    assert_eq!(told, ["one", "two"]);
    bench.kill_pool().await;
    bench.settled(|stats| stats.available == 1).await;
    assert!(!life.has_more(), "it is told once");
}
