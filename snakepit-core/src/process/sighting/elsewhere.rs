//! Unixes that show no process's environment to us: no mark is ever found, so that nobody is ended by one.

#![expect(clippy::unnecessary_wraps, reason = "systems that show processes may fail to")]

use std::io;

use crate::process::sighting::Marking;

/// Whether the system shows the marks of our processes.
pub(crate) const MARKS_ARE_SHOWN: bool = false;

/// None that could be looked at.
pub(super) fn pids() -> io::Result<Vec<i32>> {
    Ok(Vec::new())
}

/// Not known.
pub(super) fn group_of_running(_pid: i32) -> Option<i32> {
    None
}

/// No mark is shown.
pub(crate) fn marking(_pid: i32) -> io::Result<Marking> {
    Ok(Marking::Unreadable)
}

/// There are no shims here.
pub(super) fn is_shim(_pid: i32) -> bool {
    false
}
