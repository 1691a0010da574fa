//! The one owner of a worker's process and of everything that it starts.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use serde::Serialize;
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::process::output::{self, OutputLine, OutputStream, StderrTail};
use crate::process::tether::{Tether, TreeEnd};
use crate::process::usage::UsageGauge;
#[cfg(target_os = "linux")]
use crate::process::watch::{Link, watch_shim};
use crate::process::watch::{TreeState, watch_worker};
use crate::process::{ProcessIdentity, TermTarget};

/// How long the output of a process that has ended may take to reach its end. Somebody else may hold the pipes open for
/// ever.
const OUTPUT_GRACE: Duration = Duration::from_millis(200);
/// How long each of the last attempts to end a tree may take.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// A running process and its tree. Dropping it kills the tree.
#[derive(Debug)]
pub(crate) struct OsProcess {
    pid: i32,
    identity: Option<ProcessIdentity>,
    tether: Tether,
    term: TermTarget,
    tree: watch::Receiver<TreeState>,
    output: Option<Output>,
    drains: JoinSet<()>,
    stderr_tail: StderrTail,
}

/// The host's ends of what a process prints.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// How the stop of a worker's process went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StopOutcome {
    /// It left when asked.
    Left,
    /// It had to be killed.
    Killed,
    /// Something of it did not go even when killed: it hangs in the kernel.
    Stuck,
}

impl fmt::Display for StopOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Left => "left",
            Self::Killed => "killed",
            Self::Stuck => "stuck",
        })
    }
}

impl OsProcess {
    /// Takes over a worker that runs behind a shim. Called within a runtime.
    #[cfg(target_os = "linux")]
    pub(super) fn behind_shim(
        tether: Tether,
        link: Link,
        pid: i32,
        output: Output,
        term: TermTarget,
    ) -> Self {
        let identity = tether.bonds().know_shim_child(pid);
        let (sender, tree) = watch::channel(TreeState::Running);
        tokio::spawn(watch_shim(tether.bonds().clone(), link, sender));
        Self::new(tether, pid, identity, tree, output, term)
    }

    /// Takes over a worker that is a child of this host. Called within a runtime.
    pub(super) fn of_our_own(tether: Tether, pid: i32, output: Output, term: TermTarget) -> io::Result<Self> {
        let identity = ProcessIdentity::read(pid)?;
        let (sender, tree) = watch::channel(TreeState::Running);
        tokio::spawn(watch_worker(tether.bonds().clone(), sender)?);
        Ok(Self::new(tether, pid, Some(identity), tree, output, term))
    }

    fn new(
        tether: Tether,
        pid: i32,
        identity: Option<ProcessIdentity>,
        tree: watch::Receiver<TreeState>,
        output: Output,
        term: TermTarget,
    ) -> Self {
        let (output, drains, stderr_tail) = (Some(output), JoinSet::new(), StderrTail::default());
        Self { pid, identity, tether, term, tree, output, drains, stderr_tail }
    }

    /// Its number, for people to read.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Which process it is; `None` where it had ended before anybody could look.
    pub(crate) fn identity(&self) -> Option<&ProcessIdentity> {
        self.identity.as_ref()
    }

    /// The last lines of stderr, which go on being filled while the process prints.
    pub(crate) fn stderr_tail(&self) -> StderrTail {
        self.stderr_tail.clone()
    }

    /// Starts reading what the process prints. Called once, within a runtime.
    pub(crate) fn drain_output(
        &mut self,
        on_line: impl Fn(OutputStream, OutputLine) + Clone + Send + Sync + 'static,
    ) -> io::Result<()> {
        let Some(Output { stdout, stderr }) = self.output.take() else { return Ok(()) };
        for (fd, stream) in [(stdout, OutputStream::Stdout), (stderr, OutputStream::Stderr)] {
            let source = pipe::Receiver::from_owned_fd(fd)?;
            self.drains.spawn(output::drain(source, stream, self.stderr_tail.clone(), on_line.clone()));
        }
        Ok(())
    }

    /// A future that resolves when the worker's own process has ended; it borrows nothing.
    pub(crate) fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut tree = self.tree.clone();
        async move {
            // The sender goes only with the runtime, and with it the process.
            let _ = tree.wait_for(|state| *state != TreeState::Running).await;
        }
    }

    /// What is known of the process and its tree.
    pub(crate) fn state(&self) -> TreeState {
        *self.tree.borrow()
    }

    /// The way to read what the tree uses.
    pub(crate) fn usage(&self) -> UsageGauge {
        UsageGauge::new(self.tether.bonds().clone())
    }

    /// Asks the worker to leave.
    #[cfg(feature = "testkit")]
    pub(crate) fn terminate(&self) {
        self.tether.bonds().term(self.term);
    }

    /// Kills the whole tree at once.
    pub(crate) fn kill(&self) {
        self.tether.bonds().kill();
    }

    /// Waits until all that the process printed has been read, for a short while at most. Says whether somebody else
    /// holds its output open.
    pub(crate) async fn finish_output(&mut self) -> bool {
        let all_read = async { while self.drains.join_next().await.is_some() {} };
        let leaked = tokio::time::timeout(OUTPUT_GRACE, all_read).await.is_err();
        self.drains.abort_all();
        leaked
    }

    /// Asks the worker to leave; kills the tree when `patience` is over; gives up after `kill_grace` and a last attempt.
    pub(crate) async fn stop(
        &mut self,
        patience: impl Future<Output = ()>,
        kill_grace: Duration,
    ) -> StopOutcome {
        self.tether.bonds().term(self.term);
        tokio::select! {
            gone = self.gone() => return if gone.is_some() { StopOutcome::Left } else { StopOutcome::Stuck },
            () = patience => {}
        }
        match self.end(kill_grace).await {
            Some(_) => StopOutcome::Killed,
            None => StopOutcome::Stuck,
        }
    }

    /// Kills the tree and waits until nothing is left of it. `None`: something does not go.
    pub(crate) async fn end(&mut self, kill_grace: Duration) -> Option<TreeEnd> {
        self.kill();
        if let Ok(end) = tokio::time::timeout(kill_grace, self.gone()).await {
            return end;
        }
        self.tether.bonds().kill_worker_group();
        if let Ok(end) = tokio::time::timeout(LAST_PATIENCE, self.gone()).await {
            return end;
        }
        self.tether.bonds().kill_silent_shim();
        tokio::time::timeout(LAST_PATIENCE, self.gone()).await.unwrap_or(None)
    }

    async fn gone(&mut self) -> Option<TreeEnd> {
        let over = |state: &TreeState| matches!(state, TreeState::Gone(_) | TreeState::Unstoppable);
        match self.tree.wait_for(over).await.as_deref() {
            Ok(TreeState::Gone(end)) => Some(*end),
            _ => None,
        }
    }
}
