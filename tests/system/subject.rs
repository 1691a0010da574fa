//! A pit over one kind of worker, and the proof at its end that nothing is left.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use snakepit_adapters::adapter::Adapter;
use snakepit_adapters::{
    ExecuteError, GrpcAdapter, PoolConfig, PoolOptions, PortAdapter, Progress, RequestBuilder,
    ShutdownReport, Snakepit, SnakepitBuilder,
};
use snakepit_tests::actors::Service;
use snakepit_tests::lacking::{python_with_extras, skipped};
use snakepit_tests::oracle::Mark;
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio::task::JoinHandle;

/// How long anything may take before a test calls it a hang.
pub(crate) const HANG: Duration = Duration::from_mins(1);

/// Which worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Rust,
    Python,
    GrpcRust,
    GrpcPython,
}

impl Kind {
    /// Whether its wire is two pipes.
    pub(crate) fn is_on_pipes(self) -> bool {
        match self {
            Self::Rust | Self::Python => true,
            Self::GrpcRust | Self::GrpcPython => false,
        }
    }
}

/// A pit under test.
pub(crate) struct Subject {
    pub(crate) pit: Snakepit,
    pub(crate) mark: Mark,
    /// Removed at the end.
    directory: TempDir,
}

/// The stub worker's program.
pub(crate) fn stub() -> PathBuf {
    env!("CARGO_BIN_EXE_stub-worker").into()
}

/// A port adapter for a well-behaved worker of one kind, marked.
pub(crate) fn adapter(kind: Kind, mark: &Mark) -> PortAdapter {
    let adapter = match kind {
        Kind::Rust | Kind::GrpcRust => PortAdapter::new(stub()),
        Kind::Python | Kind::GrpcPython => PortAdapter::python(script()),
    };
    adapter.env(Mark::VARIABLE, mark.value())
}

/// A gRPC adapter for a well-behaved worker of one kind, marked.
pub(crate) fn grpc_adapter(kind: Kind, mark: &Mark) -> GrpcAdapter {
    let adapter = match kind {
        Kind::Rust | Kind::GrpcRust => GrpcAdapter::new(stub()),
        Kind::Python | Kind::GrpcPython => {
            let python = python_with_extras().expect("asked for before the kind is chosen");
            GrpcAdapter::new(python).arg(script())
        }
    };
    adapter.env(Mark::VARIABLE, mark.value())
}

fn builder(
    adapter: impl Adapter,
    directory: &TempDir,
    change: impl FnOnce(&mut PoolOptions),
) -> SnakepitBuilder {
    let config = PoolConfig::new("default", adapter).size(2).with(change);
    Snakepit::builder().data_dir(directory.path()).pool(config)
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("workers/test_worker.py")
}

/// The kinds of workers that can be run here.
fn kinds() -> Vec<Kind> {
    let mut kinds = vec![Kind::Rust, Kind::Python, Kind::GrpcRust];
    if python_with_extras().is_some() {
        kinds.push(Kind::GrpcPython);
    } else {
        skipped("gRPC in Python", "a virtual environment with grpcio, which .ci/run makes");
    }
    kinds
}

/// Sends a request that tells how far it is, and waits until a worker has begun with it.
pub(crate) async fn begun(request: RequestBuilder) -> JoinHandle<Result<i64, ExecuteError>> {
    let (sender, mut progress) = Progress::channel();
    let call = tokio::spawn(request.progress(sender).call());
    let first = tokio::time::timeout(HANG, progress.next()).await.expect("no worker begins with it");
    assert!(first.is_some(), "it ended without a word");
    call
}

impl Subject {
    /// Two workers of one kind, the first of them ready.
    pub(crate) async fn start(kind: Kind) -> Self {
        Self::start_with(kind, |_| {}).await
    }

    pub(crate) async fn start_with(kind: Kind, change: impl FnOnce(&mut PoolOptions)) -> Self {
        let mark = Mark::new();
        let subject = match kind {
            Kind::Rust | Kind::Python => Self::start_adapter(adapter(kind, &mark), mark, change).await,
            Kind::GrpcRust | Kind::GrpcPython => {
                let adapter = grpc_adapter(kind, &mark);
                Self::start_adapter(adapter, mark, change).await
            }
        };
        subject.pit.await_ready("default", HANG).await.unwrap();
        subject
    }

    /// Stub workers that misbehave in the way that the flags say.
    pub(crate) async fn start_stub(flags: &[&str], change: impl FnOnce(&mut PoolOptions)) -> Self {
        let mark = Mark::new();
        let adapter = adapter(Kind::Rust, &mark).args(flags.iter().copied());
        Self::start_adapter(adapter, mark, change).await
    }

    pub(crate) async fn start_adapter(
        adapter: impl Adapter,
        mark: Mark,
        change: impl FnOnce(&mut PoolOptions),
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let pit = builder(adapter, &directory, change).start().await.unwrap();
        Self { pit, mark, directory }
    }

    /// The same as [`start_with`](Self::start_with), under an actor of the test.
    pub(crate) async fn start_linked(
        service: &Service,
        kind: Kind,
        change: impl FnOnce(&mut PoolOptions),
    ) -> Self {
        let (mark, directory) = (Mark::new(), tempfile::tempdir().unwrap());
        let builder = match kind {
            Kind::Rust | Kind::Python => builder(adapter(kind, &mark), &directory, change),
            Kind::GrpcRust | Kind::GrpcPython => builder(grpc_adapter(kind, &mark), &directory, change),
        };
        let pit = builder.start_linked(service.cell()).await.unwrap();
        pit.await_ready("default", HANG).await.unwrap();
        Self { pit, mark, directory }
    }

    /// Where the pit keeps its registry.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The process of each ready worker.
    pub(crate) async fn pids(&self) -> Vec<i32> {
        let workers = self.pit.workers("default").await.unwrap();
        workers
            .into_iter()
            .filter(|worker| worker.agent.is_some())
            .filter_map(|worker| worker.os_pid)
            .collect()
    }

    /// The process of a worker that has something to do, once there is one.
    pub(crate) async fn busy_pid(&self) -> i32 {
        let deadline = tokio::time::Instant::now() + HANG;
        loop {
            let workers = self.pit.workers("default").await.unwrap();
            let busy = workers.iter().find(|worker| worker.running > 0).and_then(|worker| worker.os_pid);
            if let Some(pid) = busy {
                return pid;
            }
            assert!(tokio::time::Instant::now() < deadline, "{workers:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// A call that sleeps for so many milliseconds, with which a worker has begun.
    pub(crate) async fn nap_begun(&self, ms: u64) -> JoinHandle<Result<i64, ExecuteError>> {
        let pool = self.pit.default_pool().unwrap();
        begun(pool.request("nap").args(&json!({"ms": ms})).unwrap()).await
    }

    /// Waits until so many workers are ready.
    pub(crate) async fn all_ready(&self, count: usize) {
        let deadline = tokio::time::Instant::now() + HANG;
        while self.pids().await.len() < count {
            assert!(tokio::time::Instant::now() < deadline, "{:?}", self.pit.workers("default").await);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until the one worker of the pool is ready and is no longer that process.
    pub(crate) async fn replaced(&self, former: i32) {
        let deadline = tokio::time::Instant::now() + HANG;
        while self.pids().await.first().is_none_or(|pid| *pid == former) {
            assert!(tokio::time::Instant::now() < deadline, "{:?}", self.pit.workers("default").await);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until the workers have so many requests.
    pub(crate) async fn until_running(&self, count: usize) {
        let deadline = tokio::time::Instant::now() + HANG;
        while self.pit.stats("default").await.unwrap().running < count {
            assert!(tokio::time::Instant::now() < deadline, "{:?}", self.pit.stats("default").await);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Shuts down, and asserts that no process is left.
    pub(crate) async fn stop(self) -> ShutdownReport {
        let report = self.pit.shutdown(Duration::from_secs(20)).await;
        assert_eq!(report.processes_left, [0_i32; 0], "{report:?}");
        self.mark.assert_nothing_left().await;
        report
    }
}

/// Runs a test on a current-thread and on a multi-thread runtime.
pub(crate) fn on_both_runtimes<F: Future<Output = ()>>(test: impl Fn() -> F) {
    for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        let runtime = builder.enable_all().build().unwrap();
        let in_time = runtime.block_on(async { tokio::time::timeout(HANG, test()).await });
        in_time.expect("the test hangs");
    }
}

/// Runs a test over each kind of worker, on each flavour of runtime.
pub(crate) fn everywhere<F: Future<Output = ()>>(test: impl Fn(Kind) -> F) {
    for kind in kinds() {
        on_both_runtimes(|| test(kind));
    }
}
