//! Unixes without handles of processes: a number and a start, compared once more before every signal.

use std::io;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill as signal, killpg};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::process::exit::wait_without_reaping;
use crate::process::identity::facts::{self, Look};

/// How often ends are looked for. The system tells of them to parents alone.
const PAUSE: Duration = Duration::from_millis(5);

/// A process, by its number and its start.
///
/// Between the look and the signal the number would have to go once round all others to reach a stranger, and a child of
/// ours keeps its number until it is reaped.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    pid: i32,
    start: u64,
}

impl Handle {
    #[expect(clippy::unnecessary_wraps, reason = "where a handle is a descriptor, there may be none left")]
    pub(in crate::process) fn try_clone(&self) -> io::Result<Self> {
        Ok(self.clone())
    }

    /// What the system shows of the process; `None`: it is reaped.
    fn look(&self) -> io::Result<Option<Look>> {
        match facts::look(self.pid) {
            Ok(look) => Ok((look.start == self.start).then_some(look)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The handle of the process that has this number now.
pub(crate) fn of_number(pid: i32) -> io::Result<Handle> {
    Ok(Handle { pid, start: facts::look(pid)?.start })
}

/// No process has an inode here.
pub(in crate::process) fn of_inode(_inode: u64) -> io::Result<Option<Handle>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The number of the process; `None` once it is reaped.
pub(in crate::process) fn number(handle: &Handle) -> io::Result<Option<i32>> {
    Ok(handle.look()?.map(|_| handle.pid))
}

/// No process has an inode here.
#[expect(clippy::unnecessary_wraps, reason = "systems that have them may fail to tell")]
pub(in crate::process) fn inode(_handle: &Handle) -> io::Result<Option<u64>> {
    Ok(None)
}

/// Whether the process is still in the system's table, running or waiting to be reaped: its number is its own.
pub(crate) fn is_listed(handle: &Handle) -> bool {
    handle.look().is_ok_and(|look| look.is_some())
}

/// Kills the process. `Ok(false)`: it was gone.
pub(crate) fn kill(handle: &Handle) -> io::Result<bool> {
    send(handle, Signal::SIGKILL)
}

/// Lets a process that was stopped go on. One that is gone needs nothing.
pub(crate) fn go_on(handle: &Handle) {
    let _ = send(handle, Signal::SIGCONT);
}

/// Kills the group that the process leads. `Ok(false)`: there was nobody in it, or its leader is gone and the number may
/// be a stranger's.
#[expect(
    clippy::disallowed_methods,
    reason = "the leader was there at the last look, and is named by its start"
)]
pub(crate) fn kill_group(handle: &Handle, pid: i32) -> io::Result<bool> {
    if number(handle)? != Some(pid) {
        return Ok(false);
    }
    match killpg(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL) {
        Ok(()) => Ok(true),
        // It leads no group.
        Err(Errno::ESRCH) => kill(handle),
        Err(error) => Err(error.into()),
    }
}

/// Whether the process has ended, reaped or not.
pub(crate) fn has_ended(handle: &Handle) -> bool {
    // One that cannot be looked at is taken to run: nobody is proven dead on a guess.
    handle.look().is_ok_and(|look| look.is_none_or(|look| look.has_ended))
}

/// Resolves when the process, a child of ours that is not reaped, has ended; `false`: that cannot be waited for.
pub(in crate::process) fn ended(handle: &Handle) -> io::Result<impl Future<Output = bool> + Send + use<>> {
    let (say, ended) = oneshot::channel();
    let pid = handle.pid;
    // It waits as long as the child lives and no longer; nothing of it is left for a runtime to wait for.
    std::thread::Builder::new().name("snakepit-wait".to_owned()).spawn(move || {
        wait_without_reaping(pid);
        // The listener goes with its runtime.
        let _ = say.send(());
    })?;
    Ok(async move { ended.await.is_ok() })
}

/// Blocks until all the processes have ended or the time has come.
#[expect(
    clippy::disallowed_methods,
    reason = "it blocks anyway, and nothing tells of the end of another's child"
)]
pub(crate) fn wait_for_ends<'a>(handles: impl IntoIterator<Item = &'a Handle>, until: Instant) {
    let mut running: Vec<_> = handles.into_iter().collect();
    loop {
        running.retain(|handle| !has_ended(handle));
        let left = until.saturating_duration_since(Instant::now());
        if running.is_empty() || left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(PAUSE));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the process was there at the last look, and is named by its start"
)]
fn send(handle: &Handle, which: Signal) -> io::Result<bool> {
    if handle.look()?.is_none_or(|look| look.has_ended) {
        return Ok(false);
    }
    match signal(nix::unistd::Pid::from_raw(handle.pid), which) {
        Ok(()) => Ok(true),
        Err(Errno::ESRCH) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
