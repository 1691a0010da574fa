//! From nothing to ready: one worker, and many at once. T15 and T17.

use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use tokio::time::Instant;

use crate::child::EchoChild;
use crate::echo;
use crate::figures::Aim::{AtMost, Open};
use crate::figures::Judged::{Excess, Ratio};
use crate::figures::{Brought, Program, Unit, median};
use crate::full_path::{Bench, Language, PATIENCE, port_worker};

pub(crate) const PROGRAMS: &[Program] = &[
    Program::new("spawn_rust", Unit::Millis, &[]),
    Program::new("t15_rust", Unit::Millis, &[Excess("spawn_rust", AtMost(3.0)), Ratio("spawn_rust", Open)]),
    Program::new("t15_rust_pit", Unit::Millis, &[Excess("spawn_rust", Open)]),
    Program::new("spawn_python", Unit::Millis, &[]),
    Program::new(
        "t15_python",
        Unit::Millis,
        &[Excess("spawn_python", AtMost(3.0)), Ratio("spawn_python", Open)],
    ),
    Program::new("t15_python_pit", Unit::Millis, &[Excess("spawn_python", Open)]),
    Program::new("spawn_python_32", Unit::Millis, &[]),
    Program::new("t17_first_of_32", Unit::Millis, &[Ratio("t15_python_pit", Open)]),
    Program::new("t17_all_of_32", Unit::Millis, &[Ratio("spawn_python_32", AtMost(1.3))]),
];

/// How many starts, or deaths, make up a round: they take milliseconds where a call takes micros.
pub(crate) fn in_a_round(calls: usize) -> usize {
    (calls / 100).clamp(1, 10)
}

/// One round of one program.
pub(crate) async fn measure(program: &'static str, calls: usize) -> Result<Brought, Box<dyn Error>> {
    let starts = in_a_round(calls);
    let figure = match program {
        "spawn_rust" => bare_start(Language::Rust, starts)?,
        "spawn_python" => bare_start(Language::Python, starts)?,
        "spawn_python_32" => bare(Language::Python, 32)?,
        "t15_rust" => one_more(Language::Rust, starts).await?,
        "t15_python" => one_more(Language::Python, starts).await?,
        "t15_rust_pit" => pit(Language::Rust, 1).await?.all_ms,
        "t15_python_pit" => pit(Language::Python, 1).await?.all_ms,
        "t17_first_of_32" | "t17_all_of_32" => {
            let starts = pit(Language::Python, 32).await?;
            return Ok(vec![("t17_first_of_32", starts.first_ms), ("t17_all_of_32", starts.all_ms)]);
        }
        other => return Err(format!("there is no program {other}").into()),
    };
    Ok(vec![(program, figure)])
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn bare_start(language: Language, starts: usize) -> Result<f64, Box<dyn Error>> {
    let millis: Result<_, _> = (0..starts).map(|_| bare(language, 1)).collect();
    Ok(median(millis?))
}

/// Bare processes that answer once, started one after the other and all awaited: milliseconds.
fn bare(language: Language, count: usize) -> Result<f64, Box<dyn Error>> {
    let began = Instant::now();
    let mut children = Vec::new();
    for _ in 0..count {
        children.push(match language {
            Language::Rust => EchoChild::rust()?,
            Language::Python => EchoChild::python(echo::PYTHON)?,
        });
    }
    // One frame: a length, and the number of a request.
    let frame = [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1];
    for child in &mut children {
        let pipe = |fd: &mut Option<OwnedFd>| fd.take().map(File::from).ok_or("the child has no pipe");
        let (mut to_child, mut from_child) = (pipe(&mut child.to_child)?, pipe(&mut child.from_child)?);
        to_child.write_all(&frame)?;
        let mut answer = [0; 12];
        from_child.read_exact(&mut answer)?;
    }
    Ok(millis(began))
}

/// One worker more in a pit that runs: what a worker's own start takes, until the pool has it.
async fn one_more(language: Language, starts: usize) -> Result<f64, Box<dyn Error>> {
    let (folder, worker) = port_worker(language)?;
    let bench = Bench::start(folder, worker, 1, 0).await?;
    let (pool, mut laps) = (bench.pool()?, Vec::new());
    for size in 2..2 + starts {
        let began = Instant::now();
        pool.resize(u16::try_from(size)?).await?;
        pool.await_full(PATIENCE).await?;
        laps.push(millis(began));
    }
    bench.end().await?;
    Ok(median(laps))
}

/// A pit with its pool, from nothing.
struct Starts {
    /// Until the first worker has answered.
    first_ms: f64,
    /// Until all are ready.
    all_ms: f64,
}

async fn pit(language: Language, size: u16) -> Result<Starts, Box<dyn Error>> {
    let (folder, worker) = port_worker(language)?;
    let began = Instant::now();
    let bench = Bench::begin(folder, worker, |options| options.size = size).await?;
    let pool = bench.pool()?;
    // Accepted as soon as one is ready: nobody has waited for the pool.
    let first = tokio::spawn({
        let pool = pool.clone();
        async move {
            let request =
                snakepit_adapters::Request::new("echo", snakepit_adapters::Payload::bytes(vec![7; 64]));
            pool.execute(request).await.map(|_| millis(began))
        }
    });
    pool.await_full(PATIENCE).await?;
    let all_ms = millis(began);
    let first_ms = first.await??;
    bench.end().await?;
    Ok(Starts { first_ms, all_ms })
}
