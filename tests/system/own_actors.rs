//! The death of the library's own actors, which no worker notices.

use std::time::Duration;

use nix::sys::signal::Signal;
use ractor::ActorCell;
use serde_json::json;
use snakepit_adapters::registry::{ProcessState, list};
use snakepit_tests::actors::Service;
use snakepit_tests::oracle;

use crate::system::subject::{HANG, Kind, Subject, everywhere, on_both_runtimes};

/// Kills an actor as a panic would, and waits until another has come in its place.
async fn restarts(what: &str, find: impl Fn() -> Option<ActorCell>) {
    let killed = find().expect("it is there");
    killed.kill();
    oracle::eventually(what, || find().is_some_and(|present| present.get_id() != killed.get_id())).await;
}

#[test]
fn s28_a_pool_whose_actor_dies_goes_on_with_the_same_processes() {
    everywhere(|kind| async move {
        let service = Service::start().await.unwrap();
        let subject = Subject::start_linked(&service, kind, |_| {}).await;
        subject.all_ready(2).await;
        let before = subject.pids().await;
        // Thrice within five seconds is all that a pool may do.
        for _ in 0..3 {
            let pit = subject.pit.clone();
            let running = tokio::spawn(async move { pit.execute("sleep", &json!({"ms": 60_000})).await });
            subject.until_running(1).await;
            restarts("the pool is back", || Some(service.pools().pop()?.pool)).await;
            assert_eq!(running.await.unwrap().unwrap_err().code(), "pool_restarted");
            subject.pit.await_ready("default", HANG).await.unwrap();
            let sum: i64 = subject.pit.call("add", &json!({"a": 1, "b": 2})).await.unwrap();
            assert_eq!(sum, 3);
        }
        subject.all_ready(2).await;
        assert_eq!(subject.pids().await, before);
        // What ran for nobody any more has been told to stop.
        subject.watch(|_| true, |stats| stats.available == 2).await;
        assert_eq!(subject.pit.stats("default").await.unwrap().restarts, 0);
        subject.stop().await;
    });
}

#[test]
fn s29_a_session_affinity_that_dies_costs_no_worker_and_no_session() {
    everywhere(|kind| async move {
        let service = Service::start().await.unwrap();
        let subject = Subject::start_linked(&service, kind, |_| {}).await;
        subject.all_ready(2).await;
        let before = subject.pids().await;
        let args = json!({"key": "a", "value": 1});
        let first = subject.pit.execute_in_session("s", "remember", &args).await.unwrap();
        restarts("the session affinity is back", || Some(service.pools().pop()?.session_affinity)).await;
        subject.all_ready(2).await;
        let kept = subject.pit.execute_in_session("s", "recall", &json!({})).await.unwrap();
        assert_eq!((kept.worker.clone(), kept.session_reset), (first.worker, false));
        assert_eq!(kept.payload.decode::<serde_json::Value>().unwrap(), json!({"a": 1}));
        assert_eq!(subject.pids().await, before);
        subject.stop().await;
    });
}

#[test]
fn s29_a_registry_whose_actor_dies_costs_no_worker_and_keeps_its_records() {
    on_both_runtimes(|| async {
        let service = Service::start().await.unwrap();
        let subject = Subject::start_linked(&service, Kind::Rust, |_| {}).await;
        subject.all_ready(2).await;
        let before = subject.pids().await;
        restarts("the registry is back", || service.registry()).await;
        let sum: i64 = subject.pit.call("add", &json!({"a": 1, "b": 2})).await.unwrap();
        assert_eq!((sum, subject.pids().await), (3, before.clone()));
        // What begins and ends from now on is recorded as before.
        oracle::signal(before[0], Signal::SIGKILL);
        let deadline = tokio::time::Instant::now() + HANG;
        loop {
            let present = subject.pids().await;
            let view = list(subject.directory()).await.unwrap();
            let mut recorded: Vec<_> = view
                .rows
                .iter()
                .filter(|row| row.state == ProcessState::Alive)
                .filter_map(|row| row.pid)
                .collect();
            recorded.sort_unstable();
            let mut expected = present.clone();
            expected.sort_unstable();
            if present.len() == 2 && !present.contains(&before[0]) && recorded == expected {
                assert_eq!(view.rows.len(), 2, "{view:?}");
                break;
            }
            assert!(tokio::time::Instant::now() < deadline, "{present:?} {view:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        subject.stop().await;
    });
}
