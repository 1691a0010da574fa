//! What a worker's tree uses: memory now, and processor time so far.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;

use crate::process::tether::Bonds;

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;

#[cfg(not(target_os = "linux"))]
use elsewhere::of_tree;
#[cfg(target_os = "linux")]
use linux::of_tree;

/// What a worker and everything that it has started use together. Its shim is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TreeUsage {
    /// Bytes of memory that are resident; what processes share counts once for each of them.
    pub(crate) rss_bytes: u64,
    /// Processor time so far, in user and kernel mode, that of members that have ended and were waited for included. To a
    /// tick of the system, commonly 10 ms. It may be off by what a process has used that ends while it is read.
    pub(crate) cpu_time: Duration,
}

/// The way to read what a tree uses, also while its owner is busy elsewhere. It does not hold the tree.
#[derive(Clone, Debug)]
pub(crate) struct UsageGauge(Arc<Bonds>);

/// Who is asked what a worker's tree uses; there may be no process to ask about.
pub(crate) type ReadUsage = Arc<dyn Fn(Option<UsageGauge>) -> Reading + Send + Sync>;

/// A look at a tree under way.
pub(crate) type Reading = Pin<Box<dyn Future<Output = Option<TreeUsage>> + Send>>;

/// Asks the system.
pub(super) fn ask_system() -> ReadUsage {
    Arc::new(|gauge: Option<UsageGauge>| Box::pin(async move { gauge?.read().await }))
}

/// The process at the top of a tree, as the host knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// A shim: not counted itself.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "shims need Linux"))]
    Shim(i32),
    /// The worker.
    Worker(i32),
}

impl UsageGauge {
    pub(super) fn new(bonds: Arc<Bonds>) -> Self {
        Self(bonds)
    }

    /// Reads it on a thread where blocking is allowed. `None`: it is not known, because the tree is gone, or is too large
    /// to be looked at, or because the system does not tell.
    ///
    /// Dropping the future leaves the look to end by itself, within a fraction of a second.
    pub(crate) async fn read(self) -> Option<TreeUsage> {
        spawn_blocking(move || self.look()).await.ok().flatten()
    }

    fn look(&self) -> Option<TreeUsage> {
        let usage = of_tree(self.0.root())?;
        // The number was the root's own all the while if the root is still there.
        self.0.root_is_listed().then_some(usage)
    }
}
