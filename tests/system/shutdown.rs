//! The end of a pit, asked for, hurried, or by neglect.

use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde_json::json;
use snakepit_adapters::{PoolConfig, Snakepit};
use snakepit_tests::oracle::{self, Mark};

use crate::system::subject::{HANG, Kind, Subject, adapter, everywhere, on_both_runtimes};

#[test]
fn a_graceful_stop_lets_requests_finish_and_kills_nobody() {
    everywhere(|kind| async move {
        let subject = Subject::start(kind).await;
        subject.all_ready(2).await;
        let pit = subject.pit.clone();
        let call = tokio::spawn(async move { pit.execute("sleep", &json!({"ms": 200})).await });
        subject.until_running(1).await;
        let report = subject.stop().await;
        assert!(call.await.unwrap().is_ok());
        let pool = &report.pools[0];
        assert_eq!((pool.requests_finished, pool.requests_abandoned), (1, 0));
        assert_eq!((pool.workers_left, pool.workers_killed, pool.workers_stuck), (2, 0, 0));
    });
}

#[test]
fn a_request_that_outlasts_the_shutdown_is_told_so() {
    everywhere(|kind| async move {
        let subject = Subject::start(kind).await;
        let pit = subject.pit.clone();
        let call = tokio::spawn(async move { pit.execute("sleep", &json!({"ms": 60_000})).await });
        subject.until_running(1).await;
        let report = subject.pit.shutdown(Duration::ZERO).await;
        assert_eq!(call.await.unwrap().unwrap_err().code(), "shutting_down");
        assert_eq!(report.pools[0].requests_abandoned, 1);
        assert_eq!(report.processes_left, [0_i32; 0]);
        let late = subject.pit.execute("add", &json!({})).await.unwrap_err();
        assert_eq!(late.code(), "shutting_down");
        subject.mark.assert_nothing_left().await;
    });
}

#[test]
fn workers_that_ignore_term_are_killed_after_their_grace() {
    on_both_runtimes(|| async {
        let subject = Subject::start_stub(&["--ignore-term"], |options| {
            options.stop_grace = Duration::from_millis(200);
        })
        .await;
        subject.all_ready(2).await;
        let report = subject.stop().await;
        assert_eq!((report.pools[0].workers_left, report.pools[0].workers_killed), (0, 2));
    });
}

#[test]
fn a_second_shutdown_brings_the_first_forward() {
    on_both_runtimes(|| async {
        let subject = Subject::start_stub(&["--ignore-term"], |options| {
            options.stop_grace = Duration::from_hours(1);
        })
        .await;
        subject.all_ready(2).await;
        let pit = subject.pit.clone();
        let patient = tokio::spawn(async move { pit.shutdown(Duration::from_hours(2)).await });
        let hurried = subject.pit.shutdown(Duration::ZERO).await;
        assert_eq!(hurried.processes_left, [0_i32; 0]);
        assert_eq!(patient.await.unwrap().processes_left, [0_i32; 0]);
        subject.mark.assert_nothing_left().await;
    });
}

#[test]
fn s19_a_pit_is_stopped_while_its_workers_still_start() {
    on_both_runtimes(|| async {
        let subject = Subject::start_stub(&["--slow-ready", "3600000"], |_| {}).await;
        let mark = subject.mark.clone();
        oracle::eventually("both workers are starting", move || mark.processes().len() == 2).await;
        subject.stop().await;
        // Once more without waiting: some boots have no process yet.
        Subject::start_stub(&["--slow-ready", "3600000"], |options| options.size = 8).await.stop().await;
    });
}

#[test]
fn children_of_a_worker_go_with_it() {
    on_both_runtimes(|| async {
        let subject = Subject::start_stub(&["--forks-child"], |_| {}).await;
        subject.all_ready(2).await;
        let mark = subject.mark.clone();
        oracle::eventually("each worker has a child", move || mark.processes().len() >= 4).await;
        subject.stop().await;
    });
}

#[test]
fn dropping_the_last_handle_leaves_nothing() {
    everywhere(|kind| async move {
        let Subject { pit, mark, .. } = Subject::start(kind).await;
        assert!(!mark.processes().is_empty());
        drop(pit);
        mark.assert_nothing_left().await;
    });
}

#[test]
fn dropping_the_runtime_leaves_nothing() {
    for kind in [Kind::Rust, Kind::Python] {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let subject = runtime.block_on(Subject::start(kind));
        assert!(!subject.mark.processes().is_empty());
        runtime.shutdown_background();
        let mark = subject.mark.clone();
        on_both_runtimes(|| mark.assert_nothing_left());
    }
}

/// An actor of an embedding service.
struct Service;

impl Actor for Service {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _myself: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

#[test]
fn a_pit_under_an_actor_of_the_service_ends_with_it() {
    on_both_runtimes(|| async {
        let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
        let (service, joined) = Actor::spawn(None, Service, ()).await.unwrap();
        let pit = Snakepit::builder()
            .data_dir(directory.path())
            .pool(PoolConfig::new("default", adapter(Kind::Rust, &mark)).size(2))
            .start_linked(service.get_cell())
            .await
            .unwrap();
        pit.await_ready("default", HANG).await.unwrap();
        service.stop(None);
        joined.await.unwrap();
        mark.assert_nothing_left().await;
        assert!(pit.execute("add", &json!({})).await.is_err());
    });
}

#[test]
fn a_stop_in_the_middle_of_a_boot_waits_for_no_grace() {
    on_both_runtimes(|| async {
        // A worker that looked for its process in the wrong place would wait for all of this.
        let kill_grace = Duration::from_mins(10);
        for delay_ms in 0..20 {
            let subject = Subject::start_stub(&[], |options| options.kill_grace = kill_grace).await;
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            let report = subject.pit.shutdown(kill_grace * 2).await;
            assert_eq!(report.processes_left, [0_i32; 0], "{report:?}");
            subject.mark.assert_nothing_left().await;
        }
    });
}
