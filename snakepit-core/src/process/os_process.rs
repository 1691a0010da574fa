//! The one owner of a process and its group.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::task::JoinSet;

use crate::process::output::{self, OutputLine, OutputStream, StderrTail};
use crate::process::{ProcessExit, ProcessIdentity};

/// How long the output of a process that has ended may take to reach its end. A child that left the group may hold the
/// pipes open for ever.
const OUTPUT_GRACE: Duration = Duration::from_millis(200);

/// A running process, the leader of a group of its own. Dropping it kills the group.
///
/// The leader is not reaped before its group has been killed: until then its number cannot be given to another process
/// or group, so that a signal by that number cannot reach a stranger (`setpgid(2)`, `wait(2)`).
#[derive(Debug)]
pub(crate) struct OsProcess {
    identity: ProcessIdentity,
    leader: Leader,
    pidfd: OwnedFd,
    output: Option<(OwnedFd, OwnedFd)>,
    drains: JoinSet<()>,
    stderr_tail: StderrTail,
}

/// How a stop went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopOutcome {
    /// It left when asked.
    Left(ProcessExit),
    /// It had to be killed.
    Killed(ProcessExit),
    /// It did not go even when killed: it hangs in the kernel.
    Stuck,
}

/// The child, until it is reaped. Kills the group before the leader's number is given back, also when dropped.
#[derive(Debug)]
struct Leader(Mutex<Option<Child>>);

impl OsProcess {
    /// Takes over a child that was just started as the leader of its own group.
    pub(super) fn own(child: Child, stdout: OwnedFd, stderr: OwnedFd) -> io::Result<Self> {
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        // From here on an error drops the leader, which kills the group.
        let leader = Leader(Mutex::new(Some(child)));
        let identity = ProcessIdentity::read(pid)?;
        let handle = rustix::process::Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
        let pidfd = pidfd_open(handle, PidfdFlags::empty())?;
        Ok(Self {
            identity,
            leader,
            pidfd,
            output: Some((stdout, stderr)),
            drains: JoinSet::new(),
            stderr_tail: StderrTail::default(),
        })
    }

    pub(crate) fn identity(&self) -> &ProcessIdentity {
        &self.identity
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
        let Some((stdout, stderr)) = self.output.take() else { return Ok(()) };
        for (fd, stream) in [(stdout, OutputStream::Stdout), (stderr, OutputStream::Stderr)] {
            let source = pipe::Receiver::from_owned_fd(fd)?;
            self.drains.spawn(output::drain(source, stream, self.stderr_tail.clone(), on_line.clone()));
        }
        Ok(())
    }

    /// A future that resolves when the leader has ended; it borrows nothing and reaps nothing.
    pub(crate) fn ended(&self) -> io::Result<impl Future<Output = ()> + Send + use<>> {
        // A descriptor of its own, because a poller takes each number once.
        let pidfd = self.pidfd.try_clone()?;
        #[expect(unsafe_code, reason = "the only constructor that tokio has left for a descriptor")]
        // SAFETY: the descriptor is owned by the `AsyncFd` and never taken out of it.
        let pidfd = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE)? };
        Ok(async move {
            // Readable means ended (`pidfd_open(2)`); an error means that the runtime ends, and with it the process.
            let _ = pidfd.readable().await;
        })
    }

    /// Kills the whole group at once.
    pub(crate) fn kill(&self) {
        self.leader.signal(Signal::SIGKILL);
    }

    /// Reaps a leader that has ended, and kills what is left of its group. `None` while it still runs.
    pub(crate) fn reap(&self) -> Option<ProcessExit> {
        self.leader.reap()
    }

    /// Waits until all that the process printed has been read, for a short while at most.
    pub(crate) async fn finish_output(&mut self) {
        let all_read = async { while self.drains.join_next().await.is_some() {} };
        if tokio::time::timeout(OUTPUT_GRACE, all_read).await.is_err() {
            self.drains.abort_all();
        }
    }

    /// Asks the group to leave with TERM; kills it when `patience` is over; gives up after `kill_grace` more.
    pub(crate) async fn stop(
        &mut self,
        patience: impl Future<Output = ()>,
        kill_grace: Duration,
    ) -> StopOutcome {
        self.leader.signal(Signal::SIGTERM);
        // A stopped process hears TERM only once it goes on.
        self.leader.signal(Signal::SIGCONT);
        if let Some(exit) = self.wait(patience).await {
            return StopOutcome::Left(exit);
        }
        self.kill();
        match self.wait(tokio::time::sleep(kill_grace)).await {
            Some(exit) => StopOutcome::Killed(exit),
            None => StopOutcome::Stuck,
        }
    }

    /// Waits until the leader has ended or the time has, whichever comes first; reaping tells which.
    async fn wait(&self, patience: impl Future<Output = ()>) -> Option<ProcessExit> {
        match self.ended() {
            Ok(ended) => tokio::select! { () = ended => {} () = patience => {} },
            Err(_) => patience.await,
        }
        self.reap()
    }
}

impl Leader {
    fn signal(&self, signal: Signal) {
        if let Some(child) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            signal_group(child, signal);
        }
    }

    fn reap(&self) -> Option<ProcessExit> {
        let mut child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let leader = child.as_mut()?;
        if !has_ended(leader) {
            return None;
        }
        signal_group(leader, Signal::SIGKILL);
        let status = leader.wait().ok()?;
        *child = None;
        Some(status.into())
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        let Some(mut child) = self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take() else { return };
        signal_group(&child, Signal::SIGKILL);
        // Reaping may wait for the kernel to free the process, and a drop must not: a thread of its own waits. Where
        // none can be made the process is dead all the same, and its entry goes when this host does.
        let _ = std::thread::Builder::new().name("snakepit-reap".to_owned()).spawn(move || child.wait());
    }
}

/// Whether the leader has ended, without reaping it: its number stays taken.
fn has_ended(child: &Child) -> bool {
    use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    let status = waitid(Id::Pid(group(child)), flags);
    !matches!(status, Ok(WaitStatus::StillAlive))
}

fn group(child: &Child) -> Pid {
    // A pid is a positive `i32` on every Unix; std hands it out as `u32`.
    Pid::from_raw(child.id().cast_signed())
}

#[expect(clippy::disallowed_methods, reason = "the group is ours: its leader is not reaped yet")]
fn signal_group(child: &Child, signal: Signal) {
    // A group whose members have all ended cannot be signalled, and need not be.
    let _ = killpg(group(child), signal);
}
