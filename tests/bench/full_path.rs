//! The full path: the public `execute`, through pool, supervision, deadline and codec, to a worker and back.

use std::error::Error;
use std::time::Duration;

use snakepit_adapters::adapter::Adapter;
use snakepit_adapters::port::PortAdapter;
use snakepit_adapters::{
    Encoding, ExecuteError, Payload, PoolConfig, PoolOptions, PoolRef, Request, Snakepit,
};
use snakepit_tests::lacking::python_with_extras;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::child::python;
use crate::echo;
use crate::figures::Laps;

/// A limit and no expectation: a start takes seconds where others keep the machine busy.
pub(crate) const PATIENCE: Duration = Duration::from_mins(5);

/// A pit with one pool, and the folder that it lives in.
pub(crate) struct Bench {
    pit: Snakepit,
    _folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) async fn rust(size: u16) -> Result<Self, Box<dyn Error>> {
        let (folder, worker) = port_worker(Language::Rust)?;
        Self::start(folder, worker, size, 0).await
    }

    /// `prefetch`: how many requests beyond the one that it runs each worker is handed.
    pub(crate) async fn python(size: u16, prefetch: u16) -> Result<Self, Box<dyn Error>> {
        let (folder, worker) = port_worker(Language::Python)?;
        Self::start(folder, worker, size, prefetch).await
    }

    /// Starts a pool, and waits until every worker is ready.
    pub(crate) async fn start(
        folder: tempfile::TempDir,
        worker: impl Adapter,
        size: u16,
        prefetch: u16,
    ) -> Result<Self, Box<dyn Error>> {
        let bench = Self::begin(folder, worker, |options| {
            (options.size, options.capacity, options.prefetch) = (size, 64, prefetch);
        });
        let bench = bench.await?;
        bench.pool()?.await_full(PATIENCE).await?;
        Ok(bench)
    }

    /// Starts a pool, and waits for no worker.
    pub(crate) async fn begin(
        folder: tempfile::TempDir,
        worker: impl Adapter,
        options: impl FnOnce(&mut PoolOptions),
    ) -> Result<Self, Box<dyn Error>> {
        let pool = PoolConfig::new("default", worker).with(options);
        let pit = Snakepit::builder().data_dir(folder.path().join("data")).pool(pool).start().await?;
        Ok(Self { pit, _folder: folder })
    }

    pub(crate) fn pool(&self) -> Result<PoolRef, Box<dyn Error>> {
        Ok(self.pit.pool("default")?.clone())
    }

    pub(crate) async fn end(self) -> Result<(), Box<dyn Error>> {
        let report = self.pit.shutdown(PATIENCE).await;
        if report.processes_left.is_empty() { Ok(()) } else { Err(format!("{report:?}").into()) }
    }
}

/// What a worker is written in.
#[derive(Clone, Copy)]
pub(crate) enum Language {
    Rust,
    Python,
}

/// A worker that echoes, and the folder that it lives in.
pub(crate) fn port_worker(language: Language) -> Result<(tempfile::TempDir, PortAdapter), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let worker = match language {
        Language::Rust => PortAdapter::new(std::env::current_exe()?).arg("port-worker"),
        Language::Python => {
            let script = folder.path().join("echo.py");
            std::fs::write(&script, echo::PYTHON_PORT)?;
            PortAdapter::new(python()).arg(script)
        }
    };
    Ok((folder, worker))
}

/// One caller, a Rust worker, 64 bytes: microseconds.
pub(crate) async fn rust_p50(calls: usize) -> Result<f64, Box<dyn Error>> {
    echo_p50(Bench::rust(1).await?, calls).await
}

/// One caller, a Python worker, 64 bytes: microseconds.
pub(crate) async fn python_p50(calls: usize) -> Result<f64, Box<dyn Error>> {
    echo_p50(Bench::python(1, 0).await?, calls).await
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

/// Two Python workers that read five arguments and write as many back, 64 callers: calls per second.
pub(crate) async fn python_values(encoding: Encoding, calls: usize) -> Result<f64, Box<dyn Error>> {
    let (folder, worker) = port_worker(Language::Python)?;
    let worker = if encoding == Encoding::Json {
        worker
    } else {
        // The standard library has nothing for it.
        PortAdapter::new(python_with_extras().ok_or("no msgpack")?).arg(folder.path().join("echo.py"))
    };
    let bench = Bench::start(folder, worker, 2, 31).await?;
    let payload = Payload::encode(&echo::five_keys(), encoding)?;
    let per_second = many_callers(&bench.pool()?, "echo_json", &payload, 64, calls).await?;
    bench.end().await?;
    Ok(per_second)
}

/// One Rust worker: calls per second.
pub(crate) async fn rust_throughput(callers: usize, calls: usize) -> Result<f64, Box<dyn Error>> {
    throughput(Bench::rust(1).await?, callers, calls).await
}

/// One caller, 64 bytes: microseconds.
pub(crate) async fn echo_p50(bench: Bench, calls: usize) -> Result<f64, Box<dyn Error>> {
    p50(bench, "echo", Payload::bytes(vec![7; 64]), calls).await
}

pub(crate) async fn p50(
    bench: Bench,
    command: &'static str,
    payload: Payload,
    calls: usize,
) -> Result<f64, Box<dyn Error>> {
    let p50 = one_caller(bench.pool()?, command, payload, calls).await?;
    bench.end().await?;
    Ok(p50)
}

pub(crate) async fn throughput(bench: Bench, callers: usize, calls: usize) -> Result<f64, Box<dyn Error>> {
    let payload = Payload::bytes(vec![7; 64]);
    let per_second = many_callers(&bench.pool()?, "echo", &payload, callers, calls).await?;
    bench.end().await?;
    Ok(per_second)
}

/// The median of one call after the other, in microseconds.
pub(crate) async fn one_caller(
    pool: PoolRef,
    command: &'static str,
    payload: Payload,
    calls: usize,
) -> Result<f64, Box<dyn Error>> {
    let caller = tokio::spawn(async move {
        let mut laps = Laps::default();
        for _ in 0..calls {
            let request = Request::new(command, payload.clone());
            let start = Instant::now();
            pool.execute(request).await?;
            laps.add(start);
        }
        Ok::<_, ExecuteError>(laps.p50())
    });
    Ok(caller.await??)
}

/// Calls per second of so many callers at once.
pub(crate) async fn many_callers(
    pool: &PoolRef,
    command: &'static str,
    payload: &Payload,
    callers: usize,
    calls: usize,
) -> Result<f64, Box<dyn Error>> {
    let mut tasks = JoinSet::new();
    let each = calls / callers;
    let start = Instant::now();
    for _ in 0..callers {
        let (pool, payload) = (pool.clone(), payload.clone());
        tasks.spawn(async move {
            for _ in 0..each {
                pool.execute(Request::new(command, payload.clone())).await?;
            }
            Ok::<_, ExecuteError>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok((each * callers) as f64 / start.elapsed().as_secs_f64())
}
