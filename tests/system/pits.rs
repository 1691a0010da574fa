//! Several pools in a pit, and several pits in a program.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use serde_json::json;
use snakepit_adapters::{ExecuteError, PoolConfig, SessionId, Snakepit};
use snakepit_tests::oracle::Mark;
use tempfile::TempDir;

use crate::system::subject::{HANG, Kind, Subject, adapter, everywhere, on_both_runtimes};

/// A pit with one worker in each of these pools.
async fn pit(pools: &[&str]) -> (Snakepit, Mark, TempDir) {
    let (mark, directory) = (Mark::new(), tempfile::tempdir().unwrap());
    let mut builder = Snakepit::builder().data_dir(directory.path());
    for pool in pools {
        builder = builder.pool(PoolConfig::new(*pool, adapter(Kind::Rust, &mark)).size(1));
    }
    (builder.start().await.unwrap(), mark, directory)
}

/// Which pool serves where none is named.
async fn serving(pit: &Snakepit) -> Result<String, ExecuteError> {
    let response = pit.execute("add", &json!({"a": 1, "b": 2})).await?;
    Ok(response.worker.worker.pool.to_string())
}

fn names<T: Debug>(what: &str, answer: Result<T, ExecuteError>, named: &str) {
    match answer.unwrap_err() {
        ExecuteError::PoolNotFound { pool } => assert_eq!(pool, named, "{what}"),
        other => panic!("{what}: {other}"),
    }
}

#[test]
fn s08_where_no_pool_is_named_the_only_one_serves_or_else_the_default() {
    on_both_runtimes(|| async {
        for (pools, serves) in [(&["only"][..], "only"), (&["a", "default", "z"], "default")] {
            let (pit, mark, _directory) = pit(pools).await;
            assert_eq!(serving(&pit).await.unwrap(), serves);
            pit.shutdown(Duration::from_secs(20)).await;
            mark.assert_nothing_left().await;
        }
    });
}

#[test]
fn s08_a_pool_that_is_not_there_is_named_in_every_answer() {
    on_both_runtimes(|| async {
        let (pit, mark, _directory) = pit(&["a", "b"]).await;
        let args = json!({});
        names("execute", pit.execute("add", &args).await, "default");
        names("call", pit.call::<i64, _>("add", &args).await, "default");
        names("session", pit.execute_in_session("s", "add", &args).await, "default");
        names("stream", pit.execute_stream("count", &args), "default");
        names("pool", pit.pool("c"), "c");
        names("stats", pit.stats("c").await, "c");
        names("workers", pit.workers("c").await, "c");
        let error = pit.await_ready("c", HANG).await.unwrap_err();
        assert_eq!(
            (error.code(), error.to_string()),
            ("pool_not_found", "there is no pool \"c\"".to_owned())
        );
        assert_eq!(pit.pools().count(), 2);
        assert!(pit.pool("b").unwrap().await_ready(HANG).await.is_ok());
        pit.shutdown(Duration::from_secs(20)).await;
        mark.assert_nothing_left().await;
    });
}

async fn refuses<T: Debug>(what: &str, answer: impl Future<Output = Result<T, ExecuteError>>) {
    let answer = tokio::time::timeout(HANG, answer).await.unwrap_or_else(|_| panic!("{what} hangs"));
    assert_eq!(answer.unwrap_err().code(), "shutting_down", "{what}");
}

/// Asks everything that can be asked.
async fn everything_is_refused(pit: &Snakepit) {
    let (pool, args) = (pit.default_pool().unwrap(), json!({}));
    refuses("execute", pit.execute("add", &args)).await;
    refuses("call", pit.call::<i64, _>("add", &args)).await;
    refuses("session", pit.execute_in_session("s", "add", &args)).await;
    refuses("reserve", pool.reserve()).await;
    refuses("stream", async { pit.execute_stream("count", &args)?.next().await.unwrap() }).await;
    assert!(pool.try_reserve().is_none());
    assert_eq!(pit.await_ready("default", HANG).await.unwrap_err().code(), "shutting_down");
}

#[test]
fn s42_whatever_is_asked_during_a_shutdown_is_refused_as_such_and_also_afterwards() {
    everywhere(|kind| async move {
        let subject = Subject::start(kind).await;
        let pit = subject.pit.clone();
        let last = tokio::spawn(async move { pit.execute("sleep", &json!({"ms": 500})).await });
        subject.until_running(1).await;
        let pit = subject.pit.clone();
        let shutdown = tokio::spawn(async move { pit.shutdown(Duration::from_secs(20)).await });
        // The pool still answers, and says so, while the last request runs.
        let refused = loop {
            match subject.pit.execute("add", &json!({"a": 1, "b": 2})).await {
                Ok(_) => tokio::task::yield_now().await,
                Err(refused) => break refused,
            }
        };
        assert_eq!(refused.code(), "shutting_down");
        everything_is_refused(&subject.pit).await;
        assert!(last.await.unwrap().is_ok());
        assert_eq!(shutdown.await.unwrap().processes_left, [0_i32; 0]);
        everything_is_refused(&subject.pit).await;
        let pool = subject.pit.default_pool().unwrap();
        for (what, answer) in [("stats", pool.stats().await.err()), ("workers", pool.workers().await.err())] {
            assert_eq!(answer.unwrap().code(), "shutting_down", "{what}");
        }
        let ended = pool.end_session(&SessionId::new("s").unwrap()).await;
        assert_eq!(ended.unwrap_err().code(), "shutting_down");
        assert!(subject.pit.tree().await.is_none());
        assert_eq!(subject.pit.shutdown(HANG).await.processes_left, [0_i32; 0], "a second time");
        subject.mark.assert_nothing_left().await;
    });
}

#[test]
fn s42_two_pits_live_in_one_process_and_end_apart() {
    everywhere(|kind| async move {
        let (first, second) = (Subject::start(kind).await, Subject::start(kind).await);
        let args = json!({"a": 1, "b": 2});
        assert_eq!(first.pit.call::<i64, _>("add", &args).await.unwrap(), 3);
        let pit = second.pit.clone();
        let under_way = tokio::spawn(async move { pit.execute("sleep", &json!({"ms": 200})).await });
        second.until_running(1).await;
        first.stop().await;
        assert!(under_way.await.unwrap().is_ok());
        assert_eq!(second.pit.call::<i64, _>("add", &args).await.unwrap(), 3);
        let workers = second.pit.workers("default").await.unwrap();
        assert!(workers.iter().all(|worker| worker.restarts == 0), "{workers:?}");
        second.stop().await;
    });
}
