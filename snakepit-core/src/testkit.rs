//! A worker's process without a pit around it, for test kits of adapters (feature `testkit`); and, for benches, the
//! sessions without a pool.
//!
//! What starts here is held as firmly as any worker: dropping a [`TestProcess`], or killing the program that holds it,
//! ends the process and all that it has started.

use std::io;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::id::WorkerLife;
use crate::process::{
    HostMark, HostRun, Launcher, OsProcess, ProcessExit, ProcessIdentity, ProcessSpec, RegistryId, RunId,
    Spawned, StderrTail, TreeEnd, TreeState, WirePipes,
};

pub use crate::session_affinity::TestSessions;

/// Starts the processes that adapters describe.
#[derive(Clone, Debug)]
pub struct Launchpad {
    launcher: Launcher,
    run: HostRun,
}

/// A running process and its tree. Dropping it kills the tree.
#[derive(Debug)]
pub struct TestProcess {
    process: OsProcess,
    stderr: StderrTail,
}

impl Launchpad {
    /// Finds out how processes can be held here.
    ///
    /// # Errors
    /// What the system said when it was asked about this process, or about the directory for temporary files, which
    /// stands for a data directory.
    pub async fn probe() -> io::Result<Self> {
        let own = ProcessIdentity::read(std::process::id().cast_signed())?;
        let registry = RegistryId::of(&std::env::temp_dir().metadata()?)?;
        let run = HostRun { registry, run: RunId::new(), host: HostMark::of(&own) };
        Ok(Self { launcher: Launcher::probe(None, None, None).await, run })
    }

    /// Starts a process, and hands out the host's ends of its wire.
    ///
    /// # Errors
    /// Why it could not be started; nothing is left of it.
    pub async fn start(
        &self,
        spec: ProcessSpec,
        life: &WorkerLife,
    ) -> io::Result<(TestProcess, Option<WirePipes>)> {
        let prepared =
            self.launcher.prepare(self.run.marker(life), Box::new(|_| {})).await.map_err(io::Error::other)?;
        let started = self.launcher.go(prepared, spec, Duration::ZERO).await.map_err(io::Error::other)?;
        let Spawned { mut process, pipes } = started;
        process.drain_output(|_, _| {})?;
        let stderr = process.stderr_tail();
        Ok((TestProcess { process, stderr }, pipes))
    }
}

impl TestProcess {
    /// Asks the process to leave, as a pool does: SIGTERM.
    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// Sends SIGINT, as a terminal does to everybody who has it. A process that has ended hears nothing.
    pub fn interrupt(&self) {
        let Some(identity) = self.process.identity() else { return };
        if matches!(identity.runs(), Ok(true)) {
            #[expect(clippy::disallowed_methods, reason = "the very process was seen to run just now")]
            let _ = kill(Pid::from_raw(identity.pid()), Signal::SIGINT);
        }
    }

    /// Waits until the process has ended, and says how. `None`: it is still there, or nobody could say how it ended.
    pub async fn ended(&self, within: Duration) -> Option<ProcessExit> {
        tokio::time::timeout(within, self.process.ended()).await.ok()?;
        match self.process.state() {
            TreeState::Exited(exit) | TreeState::Gone(TreeEnd::Ended { exit: Some(exit) }) => Some(exit),
            TreeState::Running | TreeState::Gone(_) | TreeState::Unstoppable => None,
        }
    }

    /// The last lines that it wrote to stderr, oldest first.
    pub fn stderr(&self) -> Vec<String> {
        self.stderr.lines()
    }

    /// Kills the tree, and waits until nothing is left of it. Says whether that is so.
    pub async fn end(mut self, within: Duration) -> bool {
        self.process.end(within).await.is_some()
    }
}
