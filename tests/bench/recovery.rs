//! A worker is killed at work: when its caller hears, and when its slot answers again. T18.

use std::error::Error;
use std::time::Duration;

use nix::sys::signal::Signal;
use snakepit_adapters::{ExecuteError, Payload, PoolRef, Progress, Request, Response};
use snakepit_tests::oracle::ProcessHandle;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::figures::Aim::AtMost;
use crate::figures::Judged::{Itself, Ratio};
use crate::figures::{Brought, Program, Unit, median};
use crate::full_path::{Bench, Language, PATIENCE, port_worker};
use crate::starts;

pub(crate) const PROGRAMS: &[Program] = &[
    Program::new("t18_heard_rust", Unit::Millis, &[Itself(AtMost(2.0))]),
    Program::new("t18_again_rust", Unit::Millis, &[Ratio("spawn_rust", AtMost(1.3))]),
    Program::new("t18_heard_python", Unit::Millis, &[Itself(AtMost(2.0))]),
    Program::new("t18_again_python", Unit::Millis, &[Ratio("spawn_python", AtMost(1.3))]),
];

/// How many requests wait for the worker that is killed.
const WAITING: usize = 8;

/// One round: what the caller of the running request waits from the kill to its error, and what the first of those that
/// wait does from the kill to its answer.
pub(crate) async fn measure(program: &'static str, calls: usize) -> Result<Brought, Box<dyn Error>> {
    let (language, names) = match program {
        "t18_heard_rust" | "t18_again_rust" => (Language::Rust, ["t18_heard_rust", "t18_again_rust"]),
        _ => (Language::Python, ["t18_heard_python", "t18_again_python"]),
    };
    let (mut heard, mut again) = (Vec::new(), Vec::new());
    for _ in 0..starts::in_a_round(calls) {
        let (heard_ms, again_ms) = first_death(language).await?;
        heard.push(heard_ms);
        again.push(again_ms);
    }
    Ok(names.into_iter().zip([median(heard), median(again)]).collect())
}

/// In a pit of its own, since the second restart of a slot waits on purpose, and no service sees its workers killed one
/// after the other.
async fn first_death(language: Language) -> Result<(f64, f64), Box<dyn Error>> {
    let (folder, worker) = port_worker(language)?;
    let bench = Bench::begin(folder, worker, |options| (options.size, options.capacity) = (1, 1)).await?;
    let pool = bench.pool()?;
    pool.await_full(PATIENCE).await?;
    let laps = death(&pool).await?;
    bench.end().await?;
    Ok(laps)
}

async fn death(pool: &PoolRef) -> Result<(f64, f64), Box<dyn Error>> {
    let (sender, mut progress) = Progress::channel();
    let running = tokio::spawn(answered(pool.clone(), ask("hold").progress(sender)));
    // Begun: what a worker has not read when it dies goes elsewhere.
    progress.next().await.ok_or("the request that is to run has ended")?;
    let workers = pool.workers().await?;
    let busy = workers.iter().find(|worker| worker.running > 0);
    let pid = busy.and_then(|worker| worker.os_pid).ok_or("no worker runs it")?;
    let mut waiting = JoinSet::new();
    for _ in 0..WAITING {
        waiting.spawn(answered(pool.clone(), ask("echo")));
    }
    while pool.stats().await?.waiting < WAITING {
        sleep(Duration::from_millis(1)).await;
    }
    let millis = |since: Instant, at: Instant| (at - since).as_secs_f64() * 1e3;
    let (worker, killed) = (ProcessHandle::open(pid)?, Instant::now());
    worker.signal(Signal::SIGKILL);
    let (lost, heard) = running.await?;
    if !matches!(lost, Err(ExecuteError::WorkerLost { .. })) {
        return Err(format!("the request of a killed worker ends in {lost:?}").into());
    }
    let mut first = None;
    for (answer, at) in waiting.join_all().await {
        // A request that had not begun is nobody's loss.
        answer?;
        first = first.min(Some(at)).or(Some(at));
    }
    Ok((millis(killed, heard), millis(killed, first.ok_or("nobody waited")?)))
}

fn ask(command: &'static str) -> Request {
    Request::new(command, Payload::bytes(vec![7; 64]))
}

/// An answer, and when it came.
async fn answered(pool: PoolRef, request: Request) -> (Result<Response, ExecuteError>, Instant) {
    let answer = pool.execute(request).await;
    (answer, Instant::now())
}
