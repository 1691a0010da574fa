//! Other Unixes: that a number is taken is all that is known, and never enough to signal it.

use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use crate::process::identity::facts::Look;

/// Whether a number and a start make an identity.
pub(in crate::process::identity) const START_IS_CERTAIN: bool = false;

/// Whether the number is taken.
pub(in crate::process::identity) fn look(pid: i32) -> io::Result<Look> {
    let pid = Some(pid).filter(|pid| *pid > 0).and_then(Pid::from_raw).ok_or(io::ErrorKind::NotFound)?;
    match test_kill_process(pid) {
        // One that we may not signal is there all the same.
        Ok(()) | Err(Errno::PERM) => Ok(Look { start: 0, has_ended: false }),
        Err(Errno::SRCH) => Err(io::ErrorKind::NotFound.into()),
        Err(error) => Err(error.into()),
    }
}

/// The same for all: records of it are kept, and nobody is signalled.
pub(in crate::process::identity) fn start_time(pid: i32) -> io::Result<u64> {
    Ok(look(pid)?.start)
}

/// One boot is not told from another: a record outlives it until its number is free.
#[expect(clippy::unnecessary_wraps, reason = "systems that tell may fail to")]
pub(in crate::process::identity) fn boot() -> io::Result<String> {
    Ok("unknown".to_owned())
}

/// There are no process namespaces here that are known of.
#[expect(clippy::unnecessary_wraps, reason = "systems with namespaces may fail to tell")]
pub(in crate::process::identity) fn pid_namespace() -> io::Result<(u64, Option<u64>)> {
    Ok((0, None))
}
