//! Whether a call costs more beside more workers, or beside more who wait, and whether calls leave memory behind. T22.

use std::error::Error;

use snakepit_adapters::{Affinity, Payload, Request, SessionId};
use tokio::task::JoinSet;

use crate::figures::Aim::AtMost;
use crate::figures::Judged::{Itself, Ratio};
use crate::figures::{Brought, Program, Unit};
use crate::full_path::{Bench, echo_p50, many_callers, one_caller};
use crate::in_process;
use crate::memory::{self, resident};

/// Flat: what is above it is more than the rounds differ by among themselves.
const FLAT: f64 = 1.1;

pub(crate) const PROGRAMS: &[Program] = &[
    Program::new("t22_1_worker", Unit::Micros, &[]),
    Program::new("t22_256_workers", Unit::Micros, &[Ratio("t22_1_worker", AtMost(FLAT))]),
    Program::new("t22_none_waiting", Unit::Micros, &[]),
    Program::new("t22_1000_waiting", Unit::Micros, &[Ratio("t22_none_waiting", AtMost(FLAT))]),
    // A byte for each of them would be a leak.
    Program::new("t22_memory_per_call", Unit::Bytes, &[Itself(AtMost(1.0))]),
];

const CALLERS: usize = 64;

/// One round of one program.
pub(crate) async fn measure(program: &'static str, calls: usize) -> Result<Brought, Box<dyn Error>> {
    let figure = match program {
        "t22_1_worker" => of_workers(1, calls).await?,
        "t22_256_workers" => of_workers(256, calls).await?,
        "t22_none_waiting" => of_the_line(0, calls).await?,
        "t22_1000_waiting" => of_the_line(1000, calls).await?,
        // A million, where nothing else is asked for.
        "t22_memory_per_call" => memory::alone("calls", calls * 200)?[0],
        other => return Err(format!("there is no program {other}").into()),
    };
    Ok(vec![(program, figure)])
}

/// One caller in a pool of so many workers, all of them idle: microseconds.
async fn of_workers(workers: u16, calls: usize) -> Result<f64, Box<dyn Error>> {
    echo_p50(in_process::pool(workers, 1).await?, calls).await
}

/// One caller, while so many requests wait for a session's worker that never answers: microseconds.
async fn of_the_line(waiting: usize, calls: usize) -> Result<f64, Box<dyn Error>> {
    let bench = in_process::pool(2, 1).await?;
    let pool = bench.pool()?;
    let mut held = JoinSet::new();
    // The first takes one of the two workers for itself, the others wait for it in strict affinity.
    let session = SessionId::new("held")?;
    for _ in 0..=waiting {
        let request = Request::new("hold", Payload::bytes(Vec::new()))
            .session(session.clone())
            .affinity(Affinity::StrictQueue);
        let pool = pool.clone();
        held.spawn(async move { pool.execute(request).await });
    }
    loop {
        let stats = pool.stats().await?;
        if stats.waiting == waiting && stats.busy == 1 {
            break;
        }
        tokio::task::yield_now().await;
    }
    let p50 = one_caller(pool, "echo", Payload::bytes(vec![7; 64]), calls).await?;
    held.shutdown().await;
    bench.end().await?;
    Ok(p50)
}

/// What each of so many calls to a process leaves in the host's memory: bytes.
pub(crate) async fn of_memory(calls: usize) -> Result<Vec<f64>, Box<dyn Error>> {
    let bench = Bench::rust(1).await?;
    let pool = bench.pool()?;
    // Buffers, tables and the allocator take on their size.
    let payload = Payload::bytes(vec![7; 64]);
    many_callers(&pool, "echo", &payload, CALLERS, calls / 10).await?;
    let before = resident()?;
    many_callers(&pool, "echo", &payload, CALLERS, calls).await?;
    let grown = resident()? - before;
    bench.end().await?;
    Ok(vec![grown / calls as f64])
}
