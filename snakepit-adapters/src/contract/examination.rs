//! One worker held against the rules, one after the other.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use snakepit_core::adapter::{Adapter, WorkerContext};
use snakepit_core::testkit::Launchpad;
use snakepit_core::{Incarnation, PoolName, Slot, WorkerId, WorkerLife};

use crate::contract::finding::{Finding, Findings, Verdict};
use crate::contract::rules::{RULES, Rule};

/// How long a worker may take for anything, if nobody says: long for a machine, short for a person who waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The rule's name.
    pub rule: &'static str,
    /// What it says.
    pub says: &'static str,
    /// Whether it holds.
    pub verdict: Verdict,
}

/// An adapter and its worker, about to be held against the rules.
pub struct Examination {
    pub(super) adapter: Arc<dyn Adapter>,
    pub(super) launchpad: Launchpad,
    pub(super) patience: Duration,
    data_dir: PathBuf,
    lives: AtomicU64,
}

impl Examination {
    /// Gets ready to examine. The adapter is given a directory of its own below the one for temporary files.
    ///
    /// # Errors
    /// What the system said, or the adapter about its preparation.
    pub async fn of(adapter: impl Adapter) -> io::Result<Self> {
        let adapter: Arc<dyn Adapter> = Arc::new(adapter);
        let data_dir = own_directory()?;
        let (prepared, directory) = (Arc::clone(&adapter), data_dir.clone());
        let examination = Self {
            adapter,
            launchpad: Launchpad::probe().await?,
            patience: PATIENCE,
            data_dir,
            lives: AtomicU64::new(0),
        };
        let prepare = tokio::task::spawn_blocking(move || prepared.prepare(&directory));
        prepare.await.map_err(io::Error::other)?.map_err(io::Error::other)?;
        Ok(examination)
    }

    /// Sets how long the worker may take for anything that it must do. Default 10 s.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Goes through every rule.
    pub async fn run(&self) -> Vec<Row> {
        let mut rows = Vec::with_capacity(RULES.len());
        for rule in RULES {
            rows.push(self.judge(rule).await);
        }
        rows
    }

    /// Goes through one rule.
    pub async fn judge(&self, rule: &Rule) -> Row {
        let verdict = (rule.run)(self).await.into();
        Row { rule: rule.name, says: rule.says, verdict }
    }

    /// The next life of the worker.
    pub(super) fn next_life(&self) -> Findings<WorkerContext> {
        let pool = PoolName::new("contract").map_err(Finding::broken)?;
        let incarnation = Incarnation(self.lives.fetch_add(1, Ordering::Relaxed) + 1);
        let life = WorkerLife { worker: WorkerId { pool, slot: Slot(0) }, incarnation };
        Ok(WorkerContext { life, data_dir: self.data_dir.clone() })
    }
}

impl Drop for Examination {
    fn drop(&mut self) {
        // What cannot be removed is what a system cleans up after a restart.
        let _ = std::fs::remove_dir_all(&self.data_dir);
    }
}

impl std::fmt::Debug for Examination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Examination").field("adapter", &self.adapter.name()).finish_non_exhaustive()
    }
}

/// Makes a directory that nobody else uses, or can enter.
fn own_directory() -> io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    static COUNT: AtomicU64 = AtomicU64::new(0);
    loop {
        let name = format!("snakepit-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory: &Path = &std::env::temp_dir().join(name);
        match std::fs::DirBuilder::new().mode(0o700).create(directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| directory.to_owned()),
        }
    }
}
