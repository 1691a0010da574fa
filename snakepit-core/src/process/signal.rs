//! Signals through handles: a handle stays with its process, so that a signal can never reach another.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::libc;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// `PIDFD_SIGNAL_PROCESS_GROUP` (`pidfd_send_signal(2)`, Linux 6.9).
const PROCESS_GROUP: libc::c_uint = 1 << 2;

/// A handle of the process that has this number now.
pub(super) fn open(pid: i32) -> io::Result<OwnedFd> {
    let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Signals one process. One that has gone needs no signal.
#[expect(clippy::disallowed_methods, reason = "the room of signals; a handle names one process for ever")]
pub(super) fn send(handle: BorrowedFd<'_>, signal: Signal) {
    let _ = pidfd_send_signal(handle, signal);
}

/// Kills a process and the group that it leads, the group also where the process has gone already. A kernel before 6.9
/// kills the process alone; the group's rest carries its mark.
pub(super) fn kill_group(handle: BorrowedFd<'_>) {
    #[expect(unsafe_code, reason = "no crate offers the flag")]
    // SAFETY: takes numbers only, and an empty pointer where it may be empty.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            handle.as_raw_fd(),
            libc::SIGKILL,
            std::ptr::null::<libc::siginfo_t>(),
            PROCESS_GROUP,
        )
    };
    if result != 0 {
        send(handle, Signal::KILL);
    }
}
