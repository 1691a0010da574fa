//! How a process ended.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use serde::Serialize;

/// How a process ended, as its parent sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessExit {
    /// It left with this exit code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl ProcessExit {
    /// From what `wait(2)` has said to a shim.
    #[cfg(target_os = "linux")]
    pub(super) fn from_wait_status(status: i32) -> Self {
        ExitStatus::from_raw(status).into()
    }
}

impl From<ExitStatus> for ProcessExit {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or(0)),
        }
    }
}

impl std::fmt::Display for ProcessExit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with code {code}"),
            Self::Signal(signal) => match nix::sys::signal::Signal::try_from(*signal) {
                Ok(name) => write!(f, "was ended by {name}"),
                Err(_) => write!(f, "was ended by signal {signal}"),
            },
        }
    }
}

/// Blocks until a child of ours has ended; its number stays taken.
pub(super) fn wait_without_reaping(pid: i32) {
    let Some(pid) = Pid::from_raw(pid) else { return };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while matches!(waitid(WaitId::Pid(pid), options), Err(Errno::INTR)) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_names_its_code_or_signal() {
        assert_eq!(ProcessExit::from(ExitStatus::from_raw(3 << 8)).to_string(), "exited with code 3");
        assert_eq!(ProcessExit::from(ExitStatus::from_raw(9)).to_string(), "was ended by SIGKILL");
        assert_eq!(ProcessExit::Signal(64).to_string(), "was ended by signal 64");
    }
}
