//! Sessions and the state that real workers keep for them.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use snakepit_adapters::{Affinity, ExecuteError, SessionId};
use snakepit_tests::oracle;

use crate::system::subject::{Subject, everywhere};

#[test]
fn s12_a_session_stays_with_the_worker_that_keeps_its_state() {
    everywhere(|kind| async move {
        let subject = Subject::start(kind).await;
        subject.all_ready(2).await;
        let mut workers = Vec::new();
        for (n, key) in ["a", "b", "c"].into_iter().enumerate() {
            let args = json!({"key": key, "value": n});
            let response = subject.pit.execute_in_session("user 1", "remember", &args).await.unwrap();
            assert!(!response.session_reset);
            workers.push(response.worker);
        }
        let response = subject.pit.execute_in_session("user 1", "recall", &json!({})).await.unwrap();
        let kept: Value = response.payload.decode().unwrap();
        assert_eq!(kept, json!({"a": 0, "b": 1, "c": 2}));
        assert!(workers.iter().all(|worker| *worker == response.worker));
        let stranger = subject.pit.execute_in_session("user 2", "recall", &json!({})).await.unwrap();
        assert_eq!(stranger.payload.decode::<Value>().unwrap(), json!({}));
        subject.stop().await;
    });
}

#[test]
fn a_session_whose_worker_died_starts_anew_and_says_so() {
    everywhere(|kind| async move {
        let subject = Subject::start_with(kind, |options| options.size = 1).await;
        let args = json!({"key": "a", "value": 1});
        let before = subject.pit.execute_in_session("s", "remember", &args).await.unwrap();
        oracle::signal(subject.pids().await[0], Signal::SIGKILL);
        let after = loop {
            // The first may still have been given to the worker that is just dying.
            if let Ok(response) = subject.pit.execute_in_session("s", "recall", &json!({})).await {
                break response;
            }
        };
        if after.worker != before.worker {
            assert!(after.session_reset);
            assert_eq!(after.payload.decode::<Value>().unwrap(), json!({}));
        }
        subject.stop().await;
    });
}

#[test]
fn s13_a_strict_session_whose_worker_died_is_told_once_and_starts_afresh() {
    everywhere(|kind| async move {
        for affinity in [Affinity::StrictQueue, Affinity::StrictFailFast] {
            let subject = Subject::start_with(kind, |options| options.affinity = affinity).await;
            subject.all_ready(2).await;
            let pool = subject.pit.pool("default").unwrap();
            let recall = || pool.request("recall").args(&json!({})).unwrap().session("s").send();
            let args = json!({"key": "a", "value": 1});
            let before = subject.pit.execute_in_session("s", "remember", &args).await.unwrap();
            let kept = recall().await.unwrap();
            assert_eq!(
                (kept.worker.clone(), kept.payload.decode::<Value>().unwrap()),
                (before.worker, json!({"a": 1}))
            );
            let workers = pool.workers().await.unwrap();
            let own = workers.iter().find(|worker| worker.slot == kept.worker.worker.slot).unwrap();
            oracle::signal(own.os_pid.unwrap(), Signal::SIGKILL);
            let lost = loop {
                match recall().await {
                    // It may still have been given to the worker that is just dying.
                    Err(ExecuteError::WorkerLost { .. }) => {}
                    other => break other.unwrap_err(),
                }
            };
            let ExecuteError::SessionLost { worker, .. } = lost else { panic!("{lost}") };
            assert_eq!(worker, kept.worker);
            let afresh = recall().await.unwrap();
            assert_eq!((afresh.session_reset, afresh.payload.decode::<Value>().unwrap()), (false, json!({})));
            subject.stop().await;
        }
    });
}

#[test]
fn an_ended_session_is_forgotten_by_its_worker() {
    everywhere(|kind| async move {
        let subject = Subject::start_with(kind, |options| options.size = 1).await;
        let args = json!({"key": "a", "value": 1});
        subject.pit.execute_in_session("s", "remember", &args).await.unwrap();
        let pool = subject.pit.pool("default").unwrap();
        pool.end_session(&SessionId::new("s").unwrap()).await.unwrap();
        let response = subject.pit.execute_in_session("s", "recall", &json!({})).await.unwrap();
        assert_eq!(response.payload.decode::<Value>().unwrap(), json!({}));
        subject.stop().await;
    });
}
