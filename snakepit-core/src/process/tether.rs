//! What ties a process tree to the host: cut it, in whatever way, and the tree ends.
//!
//! The tether outlives the worker that held it until the tree has been seen off: on the runtime where there is one, on a
//! thread of its own where the runtime is gone.

use std::io;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tracing::error;

use crate::process::exit::wait_without_reaping;
use crate::process::identity::handle::{self, Handle};
use crate::process::usage::Root;
use crate::process::{Marker, ProcessExit, TermTarget, sighting};

#[cfg(target_os = "linux")]
mod adopted;
#[cfg(not(target_os = "linux"))]
mod no_shim_socket;
#[cfg(target_os = "linux")]
mod shim_socket;

#[cfg(not(target_os = "linux"))]
use no_shim_socket::ShimSocket;
#[cfg(target_os = "linux")]
use shim_socket::ShimSocket;

/// How long the processes of a tree that lost its shim may take to go once they have been killed.
const SWEEP_PATIENCE: Duration = Duration::from_secs(2);

/// How a tree came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TreeEnd {
    /// No program was ever run.
    NeverStarted,
    /// The worker ended so, and nothing is left of what it started.
    Ended { exit: Option<ProcessExit> },
    /// Its shim was killed, and the rest by us.
    ShimLost,
}

/// Called once, when nothing is left of a tree.
pub(crate) type OnGone = Box<dyn FnOnce(TreeEnd) + Send>;

/// The host's hold on one tree. Dropping it kills the tree.
#[derive(Debug)]
pub(super) struct Tether(Arc<Bonds>);

/// What the tether is made of. Kept until the tree has been seen off.
pub(super) struct Bonds {
    keeper: Keeper,
    /// The process that the host itself has to reap: the shim, or the worker where there is none. Whoever takes it sees
    /// the tree off.
    child: Mutex<Option<Child>>,
    /// Its number.
    child_pid: i32,
    /// A handle of that process.
    child_handle: Arc<Handle>,
    /// A handle of the worker's own process, once it runs.
    worker: OnceLock<(i32, Handle)>,
    /// Whether a worker may exist: set before the shim is told to go.
    may_have_worker: AtomicBool,
    marker: Option<Marker>,
    exit: Mutex<Option<ProcessExit>>,
    on_gone: Mutex<Option<OnGone>>,
}

/// Who holds the tree.
#[derive(Debug)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "shims need Linux"))]
enum Keeper {
    /// A shim at the other end of this socket.
    Shim(ShimSocket),
    /// Nobody but this host.
    Host,
}

impl Tether {
    /// Ties a worker that was just started without a shim, as the leader of a group of its own.
    pub(super) fn to_worker(child: Child, marker: Marker) -> io::Result<Self> {
        let pid = child.id().cast_signed();
        let tether = Self::tie(child, Keeper::Host, Some(marker))?;
        tether.0.know_worker(pid, tether.0.child_handle.try_clone()?);
        Ok(tether)
    }

    #[cfg_attr(
        not(target_os = "linux"),
        expect(clippy::drop_non_drop, reason = "without shims no keeper has a socket to close")
    )]
    fn tie(mut child: Child, keeper: Keeper, marker: Option<Marker>) -> io::Result<Self> {
        // From here on an error must end the child: a shim leaves with its socket, a worker is killed.
        match handle::of_number(child.id().cast_signed()) {
            Ok(child_handle) => Ok(Self(Arc::new(Bonds {
                keeper,
                child_pid: child.id().cast_signed(),
                child: Mutex::new(Some(child)),
                child_handle: Arc::new(child_handle),
                worker: OnceLock::new(),
                may_have_worker: AtomicBool::new(false),
                marker,
                exit: Mutex::default(),
                on_gone: Mutex::default(),
            }))),
            Err(error) => {
                signal_group(&child, Signal::SIGKILL);
                drop(keeper);
                let _ = child.wait();
                Err(error)
            }
        }
    }

    pub(super) fn bonds(&self) -> &Arc<Bonds> {
        &self.0
    }
}

impl Drop for Tether {
    fn drop(&mut self) {
        self.0.cut();
    }
}

impl Bonds {
    /// Says what is to happen when nothing is left.
    pub(super) fn when_gone(&self, on_gone: OnGone) {
        *lock(&self.on_gone) = Some(on_gone);
    }

    /// Remembers the worker's own process.
    fn know_worker(&self, pid: i32, handle: Handle) {
        // Told once, right after the start.
        let _ = self.worker.set((pid, handle));
    }

    pub(super) fn know_exit(&self, exit: ProcessExit) {
        *lock(&self.exit) = Some(exit);
    }

    /// A handle of the host's own child.
    pub(super) fn child_handle(&self) -> &Handle {
        &self.child_handle
    }

    /// The process at the top of the tree.
    pub(super) fn root(&self) -> Root {
        match &self.keeper {
            Keeper::Shim(_) => Root::Shim(self.child_pid),
            Keeper::Host => Root::Worker(self.child_pid),
        }
    }

    /// Whether that is still in the system's table, so that its number is its own.
    pub(super) fn root_is_listed(&self) -> bool {
        handle::is_listed(self.child_handle())
    }

    /// Asks the worker to leave.
    pub(super) fn term(&self, target: TermTarget) {
        match &self.keeper {
            Keeper::Shim(link) => {
                link.order_term(target);
                // A shim that somebody stopped would not hear it.
                handle::go_on(self.child_handle());
            }
            Keeper::Host => {
                self.signal_own_group(Signal::SIGTERM);
                // A stopped process hears TERM only once it goes on.
                self.signal_own_group(Signal::SIGCONT);
            }
        }
    }

    /// Kills the tree.
    pub(super) fn kill(&self) {
        match &self.keeper {
            Keeper::Shim(link) => {
                link.order_kill();
                handle::go_on(self.child_handle());
            }
            Keeper::Host => self.signal_own_group(Signal::SIGKILL),
        }
    }

    /// Kills a shim that has not told of the worker's end: what is left is found by its mark. One that has told is still
    /// at its work, and nobody could do it better.
    pub(super) fn kill_silent_shim(&self) {
        if lock(&self.exit).is_none() {
            // One that is gone already is what was wanted.
            let _ = handle::kill(self.child_handle());
        }
    }

    /// Kills the worker and its group past its shim.
    pub(super) fn kill_worker_group(&self) {
        if let Some((pid, worker)) = self.worker.get() {
            // What this does not reach carries the tree's mark.
            let _ = handle::kill_group(worker, *pid);
        }
    }

    fn cut(&self) {
        self.kill();
        if let Keeper::Shim(link) = &self.keeper {
            if !self.may_have_worker.load(Ordering::Relaxed) {
                // Nothing can be below it yet, and it may be no shim at all, but a program that hears no socket.
                let _ = handle::kill_group(self.child_handle(), self.child_pid);
            }
            // Also where another descriptor of the socket is still open somewhere, the shim sees its end.
            link.shut();
        }
    }

    fn signal_own_group(&self, signal: Signal) {
        if let Some(child) = &*lock(&self.child) {
            signal_group(child, signal);
        }
    }

    /// Sees the tree off once its shim, or the worker where there is none, has ended or is about to; blocks until then.
    /// `done`: the shim has said that nothing is left. `tell` hears of the end before anything is done about it; `None`:
    /// something is left that cannot be killed.
    pub(super) fn see_off(&self, done: bool, tell: impl FnOnce(Option<TreeEnd>)) {
        let child = lock(&self.child).take();
        let end = self.end_of(child, done);
        tell(end);
        if let (Some(end), Some(on_gone)) = (end, lock(&self.on_gone).take()) {
            on_gone(end);
        }
    }

    fn end_of(&self, child: Option<Child>, done: bool) -> Option<TreeEnd> {
        if let Some(mut child) = child {
            match &self.keeper {
                Keeper::Shim(_) => drop(child.wait()),
                Keeper::Host => {
                    wait_without_reaping(child.id().cast_signed());
                    // By its handle: a host that ignores CHLD has no number left that is certain.
                    let _ = handle::kill_group(self.child_handle(), self.child_pid);
                    if let Ok(status) = child.wait() {
                        self.know_exit(status.into());
                    }
                }
            }
        }
        let exit = *lock(&self.exit);
        match &self.keeper {
            Keeper::Shim(_) if !self.may_have_worker.load(Ordering::Relaxed) => Some(TreeEnd::NeverStarted),
            Keeper::Shim(_) if done => Some(TreeEnd::Ended { exit }),
            Keeper::Shim(_) => {
                self.kill_worker_group();
                self.sweep().then_some(TreeEnd::ShimLost)
            }
            Keeper::Host => self.sweep().then_some(TreeEnd::Ended { exit }),
        }
    }

    /// Ends what carries the tree's mark. Says whether all of it is gone.
    fn sweep(&self) -> bool {
        let Some(marker) = &self.marker else { return true };
        match sighting::sweep(|seen| seen == marker, SWEEP_PATIENCE) {
            Ok(sweep) => {
                if let Keeper::Shim(_) = &self.keeper {
                    self.reap_adopted(&sweep.ended);
                }
                sweep.survivors.is_empty()
            }
            Err(error) => {
                error!(worker = %marker.life, %error, "what a worker left behind cannot be looked for");
                false
            }
        }
    }
}

impl Drop for Bonds {
    fn drop(&mut self) {
        let Some(child) = lock(&self.child).take() else { return };
        // The runtime that would have seen the tree off is gone. The tree ends all the same; what is left to do is to reap
        // the child and to take its record out, which waits, and a drop must not.
        let last = Self {
            keeper: std::mem::replace(&mut self.keeper, Keeper::Host),
            child_pid: self.child_pid,
            child: Mutex::new(Some(child)),
            // Shared and not opened anew: this host may have no descriptor left.
            child_handle: Arc::clone(&self.child_handle),
            worker: std::mem::take(&mut self.worker),
            may_have_worker: AtomicBool::new(self.may_have_worker.load(Ordering::Relaxed)),
            marker: self.marker.take(),
            exit: Mutex::new(*lock(&self.exit)),
            on_gone: Mutex::new(lock(&self.on_gone).take()),
        };
        // Where no thread can be made the tree ends all the same, and its entry goes when this host does.
        let _ = std::thread::Builder::new().name("snakepit-reap".to_owned()).spawn(move || {
            let done = match &last.keeper {
                Keeper::Shim(link) => link.hear_out(|exit| last.know_exit(exit)),
                Keeper::Host => false,
            };
            last.see_off(done, |_| {});
        });
    }
}

impl std::fmt::Debug for Bonds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bonds")
            .field("keeper", &self.keeper)
            .field("marker", &self.marker)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
