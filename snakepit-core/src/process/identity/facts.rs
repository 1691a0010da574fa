//! What a system tells of its processes and of itself, by which one process is told from another.

#[cfg(target_vendor = "apple")]
mod apple;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
mod unknown;

#[cfg(target_vendor = "apple")]
pub(super) use apple::*;
#[cfg(target_os = "linux")]
pub(super) use linux::*;
#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
pub(super) use unknown::*;

/// What the system shows of a process.
#[cfg(not(target_os = "linux"))]
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// When it started, in a unit of the system's own.
    pub(super) start: u64,
    /// Whether it has ended and waits to be reaped.
    pub(super) has_ended: bool,
}
