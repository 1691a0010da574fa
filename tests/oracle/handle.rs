//! A process held by a descriptor, so that no signal can reach another that has its number later.

use std::io;
use std::os::fd::OwnedFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::os::fd::AsFd;

/// A process that a test, or a host of its own, has started.
#[derive(Debug)]
pub struct ProcessHandle {
    pid: i32,
    pidfd: OwnedFd,
}

impl ProcessHandle {
    /// Takes hold of the process that has this number now.
    ///
    /// # Errors
    /// What the system says, where there is none.
    pub fn open(pid: i32) -> io::Result<Self> {
        let number = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self { pid, pidfd: pidfd_open(number, PidfdFlags::empty())? })
    }

    /// Its number.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Sends a signal; says whether the process was there to take it.
    pub fn signal(&self, signal: Signal) -> bool {
        let Some(signal) = rustix::process::Signal::from_named_raw(signal as i32) else { return false };
        #[expect(clippy::disallowed_methods, reason = "a process of the test's own, or of a host of its own")]
        let sent = rustix::process::pidfd_send_signal(&self.pidfd, signal);
        sent.is_ok()
    }

    /// Whether it has not ended.
    pub fn runs(&self) -> bool {
        let mut ended = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        // A descriptor that cannot be asked is not one of an ended process.
        !matches!(poll(&mut ended, PollTimeout::ZERO), Ok(1..))
    }
}
