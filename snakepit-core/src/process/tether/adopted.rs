//! What a killed shim leaves to this host, where the host is a subreaper or the first process of its namespace: children
//! that it never started, which nobody else can reap.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, getpgid, getpgrp, waitid};
use tokio::time::Instant;

use crate::process::identity::handle::{self, Handle};
use crate::process::sighting::Sighting;
use crate::process::tether::Bonds;

/// How long those that were killed may take to end.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long to wait for the next of them.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };

impl Bonds {
    /// Reaps what is left of a tree that lost its shim, as far as it has become this host's: the worker, those that were
    /// found by their mark, and the groups of both. Blocks, until they have ended at the longest.
    ///
    /// What ended without being waited for in a group of which nobody else is left cannot be told from the program's own
    /// children, and stays.
    pub(super) fn reap_adopted(&self, ended: &[Sighting]) {
        let until = Instant::now() + PATIENCE;
        let marked = ended.iter().filter_map(|sighting| {
            let process = sighting.identity.open().ok().flatten()?;
            Some((process, sighting.identity.pid()))
        });
        for (process, pid) in marked {
            reap_group_of(&process, pid, until);
        }
        if let Some((pid, worker)) = self.worker.get() {
            reap_group_of(worker, *pid, until);
        }
    }
}

/// Reaps a process that has been killed, and those of its group. Another's child, as all of them are where the host is no
/// subreaper, is another's to reap.
fn reap_group_of(process: &Handle, pid: i32, until: Instant) {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    if waitid(WaitId::PidFd(process.as_fd()), look).is_err() {
        return;
    }
    handle::wait_for_ends([process], until);
    // Nobody but this host can reap it, so its number is its own, and its group's the group's, until the last of them is.
    let Ok(group) = getpgid(Pid::from_raw(pid)) else { return };
    if group == getpgrp() {
        // It has joined the host's own, and there are strangers in that.
        let _ = waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        return;
    }
    loop {
        match waitid(WaitId::Pgid(Some(group)), WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
            Ok(Some(_)) | Err(Errno::INTR) => {}
            // They are killed, and end at any moment, unless they hang in the kernel.
            Ok(None) if Instant::now() < until => drop(poll(&mut [], Some(&PAUSE))),
            // None is left, or none that can be waited for.
            Ok(None) | Err(_) => return,
        }
    }
}
