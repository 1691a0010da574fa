//! What the example shows, one function a chapter.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use snakepit_core::{ExecuteError, Snakepit};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::first_pool::progress::Progress;
use crate::first_pool::table::{Analysis, Table};

type Chapter = Result<(), Box<dyn Error>>;

/// How long the healing may take before the example calls it a failure.
const HEALING: Duration = Duration::from_secs(20);
/// How long to wait between two looks at the workers.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

pub(crate) fn heading(text: &str) {
    println!("\n== {text}");
}

/// Every file is one request; the pool hands them to whichever worker is free.
pub(crate) async fn spread_work(pit: &Snakepit, files: &[PathBuf]) -> Chapter {
    heading("A real job, spread over the workers");
    let started = Instant::now();
    let mut requests = JoinSet::new();
    for file in files {
        let (pit, args) = (pit.clone(), json!({"path": file}));
        requests.spawn(async move { pit.execute("analyse", &args).await });
    }
    let (mut table, mut progress) = (Table::default(), Progress::new(files.len()));
    let mut shares = std::collections::BTreeMap::new();
    while let Some(response) = requests.join_next().await {
        let response = response??;
        let analysis: Analysis = response.payload.decode()?;
        progress.step(file_name(&analysis.path));
        *shares.entry(response.worker.worker.to_string()).or_insert(0) += 1;
        table.add(analysis);
    }
    table.print();
    let shares: Vec<_> = shares.iter().map(|(worker, count)| format!("{worker} {count}")).collect();
    println!("files read by each worker: {}; {} ms", shares.join(", "), started.elapsed().as_millis());
    Ok(())
}

fn file_name(path: &str) -> &str {
    Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or(path)
}

/// Requests of one session go to the worker that holds its state.
pub(crate) async fn session(pit: &Snakepit) -> Chapter {
    heading("A session whose state stays with its worker");
    for (key, value) in [("colour", "green"), ("animal", "snake"), ("food", "mouse")] {
        let args = json!({"key": key, "value": value});
        let response = pit.execute_in_session("user 123", "remember", &args).await?;
        println!("remember {key} = {value}: worker {}", response.worker.worker);
    }
    let response = pit.execute_in_session("user 123", "recall", &json!({})).await?;
    println!(
        "recall: {} from worker {}",
        String::from_utf8_lossy(&response.payload.data),
        response.worker.worker
    );
    Ok(())
}

#[derive(Deserialize)]
struct Scanned {
    path: String,
    lines: u64,
    identifiers: u64,
}

/// Each item is printed when it is made, not when all are.
pub(crate) async fn stream(pit: &Snakepit, files: &[PathBuf]) -> Chapter {
    heading("A stream, item by item");
    let started = Instant::now();
    let few: Vec<_> = files.iter().take(5).collect();
    let mut stream = pit.execute_stream("scan", &json!({"paths": few}))?;
    while let Some(item) = stream.next().await {
        let item: Scanned = item?.decode()?;
        let Scanned { path, lines, identifiers } = &item;
        let after = started.elapsed().as_millis();
        println!("after {after:>4} ms: {} has {lines} lines, {identifiers} identifiers", file_name(path));
    }
    Ok(())
}

#[derive(Deserialize)]
struct Recalled {
    pid: i32,
}

/// A worker is killed from outside while it works; its caller hears why, and its successor serves.
pub(crate) async fn crash(pit: &Snakepit) -> Chapter {
    heading("A worker killed with SIGKILL in the middle of work");
    let response = pit.execute_in_session("victim", "recall", &json!({})).await?;
    let victim = response.worker.clone();
    let Recalled { pid } = response.payload.decode()?;
    let work = {
        let pit = pit.clone();
        tokio::spawn(async move { pit.execute_in_session("victim", "nap", &json!({"seconds": 30})).await })
    };
    wait_until_busy(pit, &victim.worker.to_string()).await?;
    println!("worker {victim} has process {pid} and is at work: kill -9 {pid}");
    let killed = Instant::now();
    // A child of this program's own: the number cannot have been given to another process.
    Command::new("sh").arg("-c").arg(format!("kill -9 {pid}")).status()?;
    match work.await? {
        Err(error @ ExecuteError::WorkerLost { .. }) => {
            println!("its caller heard after {:.1} ms: {} ({error})", ms(killed), error.code());
        }
        other => return Err(format!("expected worker_lost, got {other:?}").into()),
    }
    let successor = wait_until_ready(pit, &victim.worker.to_string(), victim.incarnation.0).await?;
    println!("its successor, incarnation {successor}, was ready after {:.1} ms", ms(killed));
    let response = pit.execute_in_session("victim", "recall", &json!({})).await?;
    println!("the session goes on with worker {}; reset: {}", response.worker, response.session_reset);
    // Free workers take turns, so the successor's comes soon.
    while pit.execute("nap", &json!({"seconds": 0})).await?.worker.worker != victim.worker {}
    println!("the successor serves again after {:.1} ms", ms(killed));
    Ok(())
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

async fn wait_until_busy(pit: &Snakepit, worker: &str) -> Chapter {
    let deadline = Instant::now() + HEALING;
    while Instant::now() < deadline {
        if pit.workers("default").await?.iter().any(|w| w.id == worker && w.running > 0) {
            return Ok(());
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    Err(format!("worker {worker} never became busy").into())
}

async fn wait_until_ready(pit: &Snakepit, worker: &str, after: u64) -> Result<u64, Box<dyn Error>> {
    let deadline = Instant::now() + HEALING;
    while Instant::now() < deadline {
        let workers = pit.workers("default").await?;
        let successor =
            workers.iter().find(|w| w.id == worker && w.incarnation.0 > after && w.agent.is_some());
        if let Some(successor) = successor {
            return Ok(successor.incarnation.0);
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    Err(format!("worker {worker} has no successor").into())
}

pub(crate) async fn tree(pit: &Snakepit) -> Chapter {
    heading("The supervision tree");
    print!("{}", pit.tree().await.ok_or("the pit has ended")?);
    Ok(())
}
