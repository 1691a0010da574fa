//! The pit in the storm: one pool of Rust workers, one of Python workers, and what is to be so once it is calm.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use snakepit_adapters::port::PortAdapter;
use snakepit_adapters::registry::{ProcessState, list};
use snakepit_adapters::{Payload, PoolConfig, PoolRef, PoolStats, Request, Snakepit};
use snakepit_tests::oracle::Mark;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::books::Books;

/// How long the pools may take to be as they should: a limit and no expectation.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Rust workers that run two requests at once.
    Rust,
    /// Python workers that run one and are handed two more ahead.
    Python,
}

pub(crate) const ALL: [Kind; 2] = [Kind::Rust, Kind::Python];

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
        }
    }

    /// How many workers it has at the beginning and at the end.
    pub(crate) fn size(self) -> u16 {
        match self {
            Self::Rust => 4,
            Self::Python => 2,
        }
    }

    fn capacity(self) -> u16 {
        match self {
            Self::Rust => 2,
            Self::Python => 1,
        }
    }

    fn prefetch(self) -> u16 {
        match self {
            Self::Rust => 0,
            Self::Python => 2,
        }
    }

    /// How many requests its workers have when all are full.
    fn room(self) -> usize {
        usize::from(self.size()) * usize::from(self.capacity() + self.prefetch())
    }

    fn adapter(self) -> Result<PortAdapter, Box<dyn Error>> {
        Ok(match self {
            Self::Rust => {
                let threads = self.capacity().to_string();
                PortAdapter::new(std::env::current_exe()?).args(["stub-worker", "--threads", &threads])
            }
            Self::Python => {
                PortAdapter::python(Path::new(env!("CARGO_MANIFEST_DIR")).join("workers/test_worker.py"))
            }
        })
    }

    fn config(self, mark: &Mark) -> Result<PoolConfig, Box<dyn Error>> {
        let adapter = self.adapter()?.env(Mark::VARIABLE, mark.value());
        Ok(PoolConfig::new(self.name(), adapter).with(|options| {
            options.size = self.size();
            options.capacity = self.capacity();
            options.prefetch = self.prefetch();
            options.timeout = Duration::from_secs(10);
            options.queue_limit = 50;
            options.cancel_grace = Duration::from_secs(1);
            options.on_stuck = snakepit_adapters::OnStuck::Kill;
            options.heartbeat.interval = Duration::from_millis(200);
            options.stop_grace = Duration::from_millis(500);
            options.kill_grace = Duration::from_millis(500);
            // So many deaths are the plan here, and no reason to give up.
            options.restart.intensity = u32::MAX;
            options.restart.consecutive = u32::MAX;
            options.restart.backoff_base = Duration::from_millis(10);
            options.restart.backoff_max = Duration::from_millis(100);
            match self {
                Self::Rust => options.recycle.max_requests = Some(2_000),
                Self::Python => options.recycle.max_age = Some(Duration::from_secs(5)),
            }
        }))
    }
}

pub(crate) struct Bed {
    pub(crate) pit: Snakepit,
    pub(crate) mark: Mark,
    directory: TempDir,
}

impl Bed {
    pub(crate) async fn start() -> Result<Self, Box<dyn Error>> {
        let (mark, directory) = (Mark::new(), tempfile::tempdir()?);
        let mut builder = Snakepit::builder().data_dir(directory.path());
        for kind in ALL {
            builder = builder.pool(kind.config(&mark)?);
        }
        let bed = Self { pit: builder.start().await?, mark, directory };
        for kind in ALL {
            bed.pool(kind)?.await_full(PATIENCE).await?;
        }
        Ok(bed)
    }

    pub(crate) fn pool(&self, kind: Kind) -> Result<PoolRef, Box<dyn Error>> {
        Ok(self.pit.pool(kind.name())?.clone())
    }

    /// Fills every place of a pool at the same time. Returns how many could not be filled.
    pub(crate) async fn fill(&self, kind: Kind, books: &Books) -> Result<usize, Box<dyn Error>> {
        let pool = self.pool(kind)?;
        pool.resize(kind.size()).await?;
        self.calm(kind).await?;
        let mut sleepers = JoinSet::new();
        for _ in 0..kind.room() {
            books.sent();
            let pool = pool.clone();
            let request = Request::new("sleep", Payload::json(&serde_json::json!({"ms": 600_000}))?)
                .timeout(2 * PATIENCE);
            sleepers.spawn(async move { pool.execute(request).await });
        }
        let full = self.await_stats(&pool, |stats| stats.running == kind.room()).await?;
        let missing = kind.room().abs_diff(full.running);
        // Their futures are dropped: the last cancels of the storm.
        sleepers.shutdown().await;
        books.left(kind.room());
        Ok(missing)
    }

    /// Waits until a pool has nothing to do and all of its workers. Returns how many places are not free.
    pub(crate) async fn calm(&self, kind: Kind) -> Result<usize, Box<dyn Error>> {
        let pool = self.pool(kind)?;
        let size = usize::from(kind.size());
        let places = |stats: &PoolStats| {
            let workers = stats.available.abs_diff(size) + stats.total.abs_diff(size);
            stats.running + stats.waiting + stats.reserved + workers
        };
        let stats = self.await_stats(&pool, |stats| places(stats) == 0).await?;
        if places(&stats) > 0 {
            println!("{} is not calm: {stats:?}", kind.name());
        }
        Ok(places(&stats))
    }

    /// Waits until there is a process and a record of it for each worker that there is to be, and none else. Returns how many
    /// there are too many or too few.
    pub(crate) async fn agree(&self) -> Result<usize, Box<dyn Error>> {
        let (workers, by) = (usize::from(ALL.map(Kind::size).iter().sum::<u16>()), Instant::now() + PATIENCE);
        loop {
            let (processes, view) = (self.mark.processes().len(), list(self.directory.path()).await?);
            let alive = view.rows.iter().filter(|row| row.state == ProcessState::Alive).count();
            let recorded = view.rows.len();
            let off = [processes, alive, recorded].map(|count| count.abs_diff(workers)).iter().sum();
            if off == 0 || Instant::now() > by {
                if off > 0 {
                    println!(
                        "{workers} workers, {processes} processes, {recorded} recorded, {alive} of them alive"
                    );
                }
                return Ok(off);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn await_stats(
        &self,
        pool: &PoolRef,
        wanted: impl Fn(&PoolStats) -> bool,
    ) -> Result<PoolStats, Box<dyn Error>> {
        let by = Instant::now() + PATIENCE;
        loop {
            let stats = pool.stats().await?;
            if wanted(&stats) || Instant::now() > by {
                return Ok(stats);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// How many requests the pools say that they have ended.
    pub(crate) async fn booked(&self) -> Result<u64, Box<dyn Error>> {
        let mut booked = 0;
        for kind in ALL {
            let stats = self.pool(kind)?.stats().await?;
            println!(
                "{}: {} requests, {} restarts, {} retried, by error {:?}",
                kind.name(),
                stats.requests,
                stats.restarts,
                stats.retried,
                stats.failed_by_code
            );
            booked += stats.succeeded + stats.failed;
        }
        Ok(booked)
    }

    /// Shuts down. Returns how many processes are left then, by the system's own account.
    pub(crate) async fn end(self) -> usize {
        let report = self.pit.shutdown(Duration::from_secs(20)).await;
        let by = Instant::now() + PATIENCE;
        // The shutdown's word is checked and not waited for: what it has reaped is gone.
        while report.processes_left.is_empty() && !self.mark.processes().is_empty() && Instant::now() < by {
            sleep(LOOK_EVERY).await;
        }
        self.mark.processes().len().max(report.processes_left.len())
    }
}
