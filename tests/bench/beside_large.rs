//! What a large payload costs others: small requests to the same worker while it is under way, and memory at both ends.

use std::error::Error;

use snakepit_adapters::{ExecuteError, Payload, PoolRef, Request};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::figures::Aim::{AtMost, Open};
use crate::figures::Judged::{Itself, Ratio};
use crate::figures::{Brought, Judged, Laps, Program, Unit};
use crate::full_path::{Bench, Language, PATIENCE, port_worker};
use crate::large::Way;
use crate::memory;

/// What all programs here begin with.
pub(crate) const PREFIX: &str = "beside_";

/// The longest that a small request may be held up, in microseconds: a part of the body and some turns of the scheduler.
const HELD_UP: Judged = Itself(AtMost(10_000.0));
/// One copy, and what the allocator rounds up.
const ONE_COPY: &[Judged] = &[Itself(AtMost(1.2))];

/// Of each stream of large payloads: the median and the worst time of a small request with nothing beside it, and beside
/// the large one; and the memory that comes with it at both ends, in large payloads.
macro_rules! programs {
    ($($stream:literal)*) => {
        &[$(
            Program::new(concat!("beside_", $stream, "_p50_alone"), Unit::Micros, &[]),
            Program::new(
                concat!("beside_", $stream, "_p50"),
                Unit::Micros,
                &[Ratio(concat!("beside_", $stream, "_p50_alone"), Open)],
            ),
            Program::new(concat!("beside_", $stream, "_worst_alone"), Unit::Micros, &[]),
            Program::new(
                concat!("beside_", $stream, "_worst"),
                Unit::Micros,
                &[HELD_UP, Ratio(concat!("beside_", $stream, "_worst_alone"), Open)],
            ),
            Program::new(concat!("beside_", $stream, "_host"), Unit::Times, ONE_COPY),
            Program::new(concat!("beside_", $stream, "_worker"), Unit::Times, ONE_COPY),
        )*]
    };
}

pub(crate) const PROGRAMS: &[Program] = programs!["rust_take" "rust_give" "python_take" "python_give"];

/// One round of one stream, which brings all of its programs. Of 1 GiB where nothing else is asked for.
pub(crate) fn measure(program: &'static str, calls: usize) -> Result<Brought, Box<dyn Error>> {
    let size = (calls << 18).clamp(16 << 20, 1 << 30);
    let stream = program.splitn(4, '_').take(3).collect::<Vec<_>>().join("_");
    let names = PROGRAMS.iter().map(|program| program.name).filter(|name| name.starts_with(&stream));
    Ok(names.zip(memory::alone(&stream, size)?).collect())
}

/// One stream, in this process: the figures of its programs, in their order.
pub(crate) async fn alone(stream: &str, size: usize) -> Result<Vec<f64>, Box<dyn Error>> {
    let (language, way) = match stream.strip_prefix(PREFIX) {
        Some("rust_take") => (Language::Rust, Way::Take),
        Some("rust_give") => (Language::Rust, Way::Give),
        Some("python_take") => (Language::Python, Way::Take),
        Some("python_give") => (Language::Python, Way::Give),
        _ => return Err(format!("there is no stream {stream}").into()),
    };
    let (folder, worker) = port_worker(language)?;
    let bench = Bench::begin(folder, worker.arg("2"), |options| {
        (options.size, options.capacity) = (1, 2);
        (options.payload_limit, options.timeout) = (size, PATIENCE);
    });
    let bench = bench.await?;
    let pool = bench.pool()?;
    pool.await_full(PATIENCE).await?;
    let before = peaks(&pool).await?;
    let request = way.request(size)?;
    let began = Instant::now();
    // The first makes what is given, so that the second is nothing but a transfer.
    large(&pool, &request).await??;
    let took = began.elapsed();
    let nothing = tokio::spawn(async move {
        sleep(took).await;
        Ok(())
    });
    let alone = laps_during(&pool, nothing).await?;
    let beside = laps_during(&pool, large(&pool, &request)).await?;
    let after = peaks(&pool).await?;
    bench.end().await?;
    let copies = |after: u64, before: u64| (after - before) as f64 / size as f64;
    let (worst_alone, worst) = (alone.worst(), beside.worst());
    let memory = [copies(after.0, before.0), copies(after.1, before.1)];
    Ok([vec![alone.p50(), beside.p50(), worst_alone, worst], memory.to_vec()].concat())
}

/// The most that the host and its worker have held.
async fn peaks(pool: &PoolRef) -> Result<(u64, u64), Box<dyn Error>> {
    let worker = pool.execute(Request::new("peak", Payload::json(&())?)).await?.payload.decode()?;
    Ok((memory::peak()?, worker))
}

/// Sends a large payload on its way. It is gone before the task ends.
fn large(pool: &PoolRef, request: &Request) -> JoinHandle<Result<(), ExecuteError>> {
    let (pool, request) = (pool.clone(), request.clone());
    tokio::spawn(async move { pool.execute(request).await.map(drop) })
}

/// The times of one small request after the other, for as long as something else takes.
async fn laps_during(
    pool: &PoolRef,
    other: JoinHandle<Result<(), ExecuteError>>,
) -> Result<Laps, Box<dyn Error>> {
    let pool = pool.clone();
    let small = tokio::spawn(async move {
        let mut laps = Laps::default();
        while !other.is_finished() {
            let start = Instant::now();
            pool.execute(Request::new("echo", Payload::bytes(vec![7; 64]))).await?;
            laps.add(start);
        }
        Ok::<_, ExecuteError>((laps, other))
    });
    let (laps, other) = small.await??;
    other.await??;
    Ok(laps)
}
