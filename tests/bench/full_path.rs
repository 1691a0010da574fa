//! The full path: the public `execute`, through pool, supervision, deadline and codec, to a worker and back.

use std::error::Error;
use std::time::Duration;

use snakepit_adapters::adapter::Adapter;
use snakepit_adapters::port::PortAdapter;
use snakepit_adapters::{Payload, PoolConfig, PoolRef, Request, Snakepit};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::echo;
use crate::figures::Laps;

const PATIENCE: Duration = Duration::from_secs(30);

/// A pit with one pool, and the folder that it lives in.
pub(crate) struct Bench {
    pit: Snakepit,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn rust(size: u16) -> Result<Self, Box<dyn Error>> {
        let worker = PortAdapter::new(std::env::current_exe()?).arg("port-worker");
        Self::start(tempfile::tempdir()?, worker, size, 0).await
    }

    /// `prefetch`: how many requests beyond the one that it runs each worker is handed.
    async fn python(size: u16, prefetch: u16) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let script = folder.path().join("echo.py");
        std::fs::write(&script, echo::PYTHON_PORT)?;
        Self::start(folder, PortAdapter::python(script), size, prefetch).await
    }

    pub(crate) async fn start(
        folder: tempfile::TempDir,
        worker: impl Adapter,
        size: u16,
        prefetch: u16,
    ) -> Result<Self, Box<dyn Error>> {
        let pool = PoolConfig::new("default", worker).size(size).with(|options| {
            options.capacity = 64;
            options.prefetch = prefetch;
        });
        let pit = Snakepit::builder().data_dir(folder.path().join("data")).pool(pool).start().await?;
        let bench = Self { pit, _folder: folder };
        // Every worker has answered before anything is measured.
        while bench.ready_workers().await? < usize::from(size) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(bench)
    }

    async fn ready_workers(&self) -> Result<usize, Box<dyn Error>> {
        self.pit.await_ready("default", PATIENCE).await?;
        let stats = self.pool()?.stats().await?;
        Ok(stats.available + stats.busy)
    }

    fn pool(&self) -> Result<PoolRef, Box<dyn Error>> {
        Ok(self.pit.pool("default")?.clone())
    }

    async fn end(self) -> Result<(), Box<dyn Error>> {
        let report = self.pit.shutdown(PATIENCE).await;
        if report.processes_left.is_empty() { Ok(()) } else { Err(format!("{report:?}").into()) }
    }
}

/// One caller, a Rust worker, 64 bytes: microseconds.
pub(crate) async fn rust_p50(calls: usize) -> Result<f64, Box<dyn Error>> {
    p50(Bench::rust(1).await?, "echo", Payload::bytes(vec![7; 64]), calls).await
}

/// One caller, a Python worker, 64 bytes: microseconds.
pub(crate) async fn python_p50(calls: usize) -> Result<f64, Box<dyn Error>> {
    p50(Bench::python(1, 0).await?, "echo", Payload::bytes(vec![7; 64]), calls).await
}

/// One caller, a Python worker, 5 keys that are read and written: microseconds.
pub(crate) async fn python_json_p50(calls: usize) -> Result<f64, Box<dyn Error>> {
    p50(Bench::python(1, 0).await?, "echo_json", Payload::json(&echo::five_keys())?, calls).await
}

/// Two Python workers: calls per second. With more callers than workers each worker is handed its share ahead.
pub(crate) async fn python_throughput(callers: usize, calls: usize) -> Result<f64, Box<dyn Error>> {
    let prefetch = u16::try_from((callers / 2).saturating_sub(1))?;
    throughput(Bench::python(2, prefetch).await?, callers, calls).await
}

/// One Rust worker: calls per second.
pub(crate) async fn rust_throughput(callers: usize, calls: usize) -> Result<f64, Box<dyn Error>> {
    throughput(Bench::rust(1).await?, callers, calls).await
}

pub(crate) async fn p50(
    bench: Bench,
    command: &'static str,
    payload: Payload,
    calls: usize,
) -> Result<f64, Box<dyn Error>> {
    let pool = bench.pool()?;
    let caller = tokio::spawn(async move {
        let mut laps = Laps::default();
        for _ in 0..calls {
            let request = Request::new(command, payload.clone());
            let start = Instant::now();
            pool.execute(request).await?;
            laps.add(start);
        }
        Ok::<_, snakepit_adapters::ExecuteError>(laps.p50())
    });
    let p50 = caller.await??;
    bench.end().await?;
    Ok(p50)
}

pub(crate) async fn throughput(bench: Bench, callers: usize, calls: usize) -> Result<f64, Box<dyn Error>> {
    let mut tasks = JoinSet::new();
    let each = calls / callers;
    let start = Instant::now();
    for _ in 0..callers {
        let pool = bench.pool()?;
        tasks.spawn(async move {
            let payload = Payload::bytes(vec![7; 64]);
            for _ in 0..each {
                pool.execute(Request::new("echo", payload.clone())).await?;
            }
            Ok::<_, snakepit_adapters::ExecuteError>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let per_second = (each * callers) as f64 / start.elapsed().as_secs_f64();
    bench.end().await?;
    Ok(per_second)
}
