//! A pit of two pools, asked by name.

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::adapter::scripted::{Boot, Scripted, ScriptedLife};
use crate::config::PoolConfig;
use crate::id::{PoolName, Slot};

const HANG: Duration = Duration::from_mins(1);

/// Two pools of one worker each, by their names, and the workers' ends.
async fn pit(names: [&str; 2]) -> (Snakepit, [ScriptedLife; 2], TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let (first, mut first_lives) = Scripted::new(1, Boot::Ready);
    let (second, mut second_lives) = Scripted::new(1, Boot::Ready);
    let builder = Snakepit::builder().data_dir(directory.path());
    let builder = builder.pool(PoolConfig::new(names[0], first).size(1));
    let pit = builder.pool(PoolConfig::new(names[1], second).size(1)).start().await.unwrap();
    for name in names {
        pit.await_full(name, HANG).await.unwrap();
    }
    (pit, [first_lives.recv().await.unwrap(), second_lives.recv().await.unwrap()], directory)
}

fn worker(pool: &str) -> WorkerId {
    WorkerId { pool: PoolName::new(pool).unwrap(), slot: Slot(0) }
}

#[tokio::test(start_paused = true)]
async fn s08_a_pool_is_asked_by_its_name_and_one_that_is_not_there_is_named_in_every_answer() {
    let (pit, _lives, _directory) = pit(["a", "b"]).await;
    assert_eq!(pit.stats("b").await.unwrap().size, 1);
    assert_eq!(
        pit.workers("b").await.unwrap().iter().map(WorkerStatus::worker).collect::<Vec<_>>(),
        [worker("b")]
    );
    assert_eq!(pit.explain(&worker("b")).await.unwrap().unwrap().worker, worker("b"));
    assert_eq!(pit.explain(&WorkerId { slot: Slot(9), ..worker("b") }).await.unwrap(), None);
    assert!(pit.drain("b", HANG).await.is_ok());
    assert!(pit.resume("b").await.is_ok());
    assert!(pit.recycle(&worker("b")).await.is_ok());
    assert!(pit.rolling_restart("b").await.unwrap().is_complete());
    assert_eq!(pit.resize("b", 2).await.unwrap().to, 2);
    assert!(pit.await_full("b", HANG).await.is_ok());
    assert_eq!((pit.stats("a").await.unwrap().size, pit.stats("b").await.unwrap().size), (1, 2));
    let not_found = "there is no pool \"c\"";
    let errors = [
        pit.await_ready("c", HANG).await.unwrap_err().to_string(),
        pit.await_full("c", HANG).await.unwrap_err().to_string(),
        pit.stats("c").await.unwrap_err().to_string(),
        pit.workers("c").await.unwrap_err().to_string(),
        pit.explain(&worker("c")).await.unwrap_err().to_string(),
        pit.drain("c", HANG).await.unwrap_err().to_string(),
        pit.resume("c").await.unwrap_err().to_string(),
        pit.recycle(&worker("c")).await.unwrap_err().to_string(),
        pit.rolling_restart("c").await.unwrap_err().to_string(),
        pit.resize("c", 2).await.unwrap_err().to_string(),
        pit.request("work").pool("c").send().await.unwrap_err().to_string(),
    ];
    assert_eq!(errors, [not_found; 11]);
    // There is no default pool, either.
    assert_eq!(pit.end_session("s").await, Err(EndSessionError::PoolNotFound { pool: "default".to_owned() }));
    pit.shutdown(HANG).await;
}

#[tokio::test(start_paused = true)]
async fn s08_a_request_names_its_pool_or_goes_to_the_default_one() {
    let (pit, mut lives, _directory) = pit(["default", "other"]).await;
    for (request, serves) in [
        (pit.request("work"), 0),
        (pit.request("work").pool("other"), 1),
        (pit.request("work").pool("other").session("s").pool("default"), 0),
        (pit.pool("other").unwrap().request("work").pool("other"), 1),
    ] {
        let life = &mut lives[serves];
        let call = tokio::spawn(request.send());
        let id = life.next_request().await;
        life.answer(id, &json!("done"));
        assert_eq!(call.await.unwrap().unwrap().worker, life.life);
    }
    // One that began at a pool knows no other.
    let elsewhere = pit.pool("other").unwrap().request("work").pool("default").send().await;
    assert_eq!(elsewhere.unwrap_err().code(), "pool_not_found");
    assert_eq!(pit.end_session("s").await, Ok(()));
    assert_eq!(pit.end_session("s").await.unwrap_err().code(), "session_not_found");
    assert_eq!(pit.end_session("").await.unwrap_err().code(), "invalid_argument");
    pit.shutdown(HANG).await;
}
