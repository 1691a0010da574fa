//! Watching a tree from the host: what its shim tells, and its end.

use std::io;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::process::ProcessExit;
use crate::process::identity::handle;
use crate::process::tether::{Bonds, TreeEnd};

#[cfg(target_os = "linux")]
mod link;

#[cfg(target_os = "linux")]
pub(super) use link::{Link, watch_shim};

/// What is known of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TreeState {
    /// The worker runs.
    Running,
    /// The worker's own process has ended; what it left behind is being killed.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "shims need Linux, and only they tell"))]
    Exited(ProcessExit),
    /// Nothing is left.
    Gone(TreeEnd),
    /// Something is left that cannot be killed.
    Unstoppable,
}

/// Watches a worker without a shim until it has ended and its group is killed.
pub(super) fn watch_worker(
    bonds: Arc<Bonds>,
    state: watch::Sender<TreeState>,
) -> io::Result<impl Future<Output = ()> + Send> {
    let ended = handle::ended(bonds.child_handle())?;
    Ok(async move {
        // Otherwise the runtime ends, and with it the process.
        if ended.await {
            see_off(bonds, false, state).await;
        }
    })
}

async fn see_off(bonds: Arc<Bonds>, done: bool, state: watch::Sender<TreeState>) {
    // Where the runtime ends first, the bonds see to it themselves when they are dropped.
    let told = move |end: Option<TreeEnd>| {
        state.send_replace(end.map_or(TreeState::Unstoppable, TreeState::Gone));
    };
    let _ = spawn_blocking(move || bonds.see_off(done, told)).await;
}
