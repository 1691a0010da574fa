//! Workers that die: idle, busy, while starting.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;
use snakepit_adapters::{
    AwaitReadyError, ExecuteError, LossCause, Payload, PoolOptions, ProcessExit, Request, RestartOutlook,
    Slot, WorkerPhase,
};
use snakepit_tests::oracle;

use crate::system::subject::{HANG, Subject, everywhere, on_both_runtimes};

#[test]
fn s21_an_idle_worker_that_is_killed_is_replaced_and_nobody_notices() {
    everywhere(|kind| async move {
        let subject = Subject::start(kind).await;
        subject.all_ready(2).await;
        let before = subject.pids().await;
        oracle::signal(before[0], Signal::SIGKILL);
        // What the dying worker is still handed it never reads, and a pipe can tell: that goes on elsewhere, whatever it is.
        let tells = kind.is_on_pipes() && cfg!(target_os = "linux");
        for n in 0..100 {
            let add =
                subject.pit.default_pool().unwrap().request("add").args(&json!({"a": n, "b": 1})).unwrap();
            let add = if tells { add } else { add.idempotent() };
            assert_eq!(add.call::<i64>().await.unwrap(), n + 1);
        }
        oracle::eventually("the killed worker has gone", || !oracle::runs(before[0])).await;
        let deadline = tokio::time::Instant::now() + HANG;
        loop {
            let workers = subject.pit.workers("default").await.unwrap();
            let successor = &workers[0];
            if successor.incarnation.0 == 2 && successor.agent.is_some() {
                assert_ne!(successor.os_pid, Some(before[0]));
                assert_eq!(successor.restarts, 1);
                break;
            }
            assert!(tokio::time::Instant::now() < deadline, "{workers:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        for n in 0..100 {
            let sum: i64 = subject.pit.call("add", &json!({"a": n, "b": 1})).await.unwrap();
            assert_eq!(sum, n + 1);
        }
        subject.stop().await;
    });
}

#[test]
fn s22_a_busy_worker_that_is_killed_fails_its_own_request_and_no_other() {
    everywhere(|kind| async move {
        let subject = Subject::start(kind).await;
        subject.all_ready(2).await;
        // What they have not read goes elsewhere.
        let calls = [subject.nap_begun(700).await, subject.nap_begun(700).await];
        let victim = subject.pids().await[1];
        oracle::signal(victim, Signal::SIGKILL);
        let mut lost = 0;
        for call in calls {
            match call.await.unwrap() {
                Ok(_) => {}
                Err(ExecuteError::WorkerLost { loss }) => {
                    lost += 1;
                    assert_eq!(loss.life.worker.slot.0, 1);
                    assert_eq!(loss.cause, LossCause::ProcessExited { exit: ProcessExit::Signal(9) });
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(lost, 1);
        subject.all_ready(2).await;
        subject.stop().await;
    });
}

#[test]
fn s22_the_loss_of_a_busy_worker_says_its_signal_and_its_last_words() {
    on_both_runtimes(|| async {
        let subject = Subject::start_stub(&["--stderr", "out of luck"], |options| options.size = 1).await;
        let call = subject.nap_begun(60_000).await;
        oracle::signal(subject.busy_pid().await, Signal::SIGKILL);
        let lost = call.await.unwrap().unwrap_err();
        let ExecuteError::WorkerLost { loss } = &lost else { panic!("{lost}") };
        assert_eq!(loss.cause, LossCause::ProcessExited { exit: ProcessExit::Signal(9) });
        assert_eq!(loss.stderr_tail, ["out of luck"]);
        subject.stop().await;
    });
}

#[test]
fn s35_a_stream_whose_worker_is_killed_ends_in_an_error() {
    everywhere(|kind| async move {
        let subject = Subject::start_with(kind, |options| options.size = 1).await;
        let mut stream = subject.pit.execute_stream("count", &json!({"n": 1_000_000_000})).unwrap();
        assert!(stream.next().await.unwrap().is_ok());
        oracle::signal(subject.pids().await[0], Signal::SIGKILL);
        let error = loop {
            match stream.next().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => break error,
                None => panic!("the stream ended as if it were whole"),
            }
        };
        assert_eq!(error.code(), "worker_lost");
        assert!(stream.next().await.is_none());
        subject.stop().await;
    });
}

#[test]
fn s16_a_program_that_exits_at_once_fails_the_pool_with_its_last_words() {
    on_both_runtimes(|| async {
        // Before it is ready, an exit that looks well is a failed start like any other, and so is that of a shell whose
        // program was asked to leave.
        for code in [3, 0, 143] {
            let flags = ["--stderr", "no licence found", "--exit-at-once", &code.to_string()];
            let subject = Subject::start_stub(&flags, |_| {}).await;
            let ready = subject.pit.await_ready("default", HANG).await;
            let Err(AwaitReadyError::PoolFailed { reason, .. }) = ready else { panic!("{ready:?}") };
            assert_eq!(
                reason.last_loss().unwrap().cause,
                LossCause::ProcessExited { exit: ProcessExit::Code(code) }
            );
            assert_eq!(reason.last_loss().unwrap().stderr_tail, ["no licence found"]);
            assert!(subject.pit.stats("default").await.unwrap().restarts > 0, "it is tried again");
            let refused = subject.pit.execute("add", &json!({})).await.unwrap_err();
            assert_eq!(refused.code(), "pool_failed");
            assert!(refused.to_string().contains("no licence found"), "{refused}");
            subject.stop().await;
        }
    });
}

#[test]
fn s31_an_exit_code_that_means_never_again_is_not_tried_again() {
    on_both_runtimes(|| async {
        let flags = ["--stderr", "no licence found", "--exit-at-once", "78"];
        let quick = |options: &mut PoolOptions| {
            (options.size, options.restart.backoff_base) = (2, Duration::from_millis(1));
        };
        let subject = Subject::start_stub(&flags, quick).await;
        let pool = subject.pit.pool("default").unwrap();
        let ready = pool.await_ready(HANG).await;
        let Err(AwaitReadyError::PoolFailed { reason, .. }) = ready else { panic!("{ready:?}") };
        assert_eq!(
            reason.last_loss().unwrap().cause,
            LossCause::ProcessExited { exit: ProcessExit::Code(78) }
        );
        assert_eq!(reason.last_loss().unwrap().stderr_tail, ["no licence found"]);
        for worker in pool.workers().await.unwrap() {
            assert_eq!((worker.phase, worker.restarts), (WorkerPhase::GivenUp, 0));
            assert_eq!(pool.explain(worker.slot).await.unwrap().next, RestartOutlook::Nothing);
        }
        // Asked for another, it tries once, and hears the same.
        let refused = pool.recycle(Slot(0)).await.unwrap_err();
        assert!(refused.to_string().contains("no licence found"), "{refused}");
        let stats = pool.stats().await.unwrap();
        assert_eq!((stats.restarts, stats.quarantined), (3, 2));
        subject.stop().await;
    });
}

#[test]
fn s15_a_missing_program_is_named_and_the_other_pools_serve() {
    on_both_runtimes(|| async {
        use snakepit_adapters::{PoolConfig, PortAdapter, Snakepit};
        let (directory, mark) = (tempfile::tempdir().unwrap(), oracle::Mark::new());
        let good = crate::system::subject::adapter(crate::system::subject::Kind::Rust, &mark);
        let pit = Snakepit::builder()
            .data_dir(directory.path())
            .pool(PoolConfig::new("bad", PortAdapter::new("/no/such/program")))
            .pool(PoolConfig::new("good", good).size(1))
            .start()
            .await
            .unwrap();
        let ready = pit.await_ready("bad", HANG).await.unwrap_err().to_string();
        assert!(ready.contains("/no/such/program was not found"), "{ready}");
        pit.await_ready("good", HANG).await.unwrap();
        let sum: i64 = pit.pool("good").unwrap().call("add", &json!({"a": 1, "b": 2})).await.unwrap();
        assert_eq!(sum, 3);
        let unknown = pit.execute("add", &json!({})).await.unwrap_err();
        assert_eq!(unknown.code(), "pool_not_found");
        assert_eq!(pit.shutdown(HANG).await.processes_left, [0_i32; 0]);
        mark.assert_nothing_left().await;
    });
}

#[test]
fn a_worker_that_ignores_a_cancel_keeps_its_place_or_is_replaced_as_the_policy_says() {
    on_both_runtimes(|| async {
        let subject = Subject::start_stub(&["--ignore-cancel"], |options| {
            options.size = 1;
            options.cancel_grace = Duration::from_millis(100);
            options.on_stuck = snakepit_adapters::OnStuck::Kill;
        })
        .await;
        subject.pit.await_ready("default", HANG).await.unwrap();
        let request = Request::new("sleep", Payload::json(&json!({"ms": 60_000})).unwrap());
        let pool = subject.pit.pool("default").unwrap();
        let error = pool.execute(request.timeout(Duration::from_millis(50))).await.unwrap_err();
        assert_eq!(error.code(), "deadline_exceeded");
        let sum: i64 = pool.call("add", &json!({"a": 1, "b": 2})).await.unwrap();
        assert_eq!(sum, 3);
        assert_eq!(pool.stats().await.unwrap().restarts, 1);
        subject.stop().await;
    });
}
