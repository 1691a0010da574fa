//! The shim: a small process between the host and each worker, the parent of exactly one worker's tree.
//!
//! A host that dies, in whatever way, takes no time to say so: its end of a socket closes, and the shim kills the tree.
//! What loses its parent becomes the shim's child, so nothing of the tree can get away from it. The shim is the host's
//! own program, started again and caught before its `main` ([`entry`]); it runs none of the program's code.
//!
//! Everything below [`entry`], [`keeper`], [`looks`], [`luggage`], [`offspring`] and [`tree`] runs in the shim; [`packet`] and [`plan`] are what
//! both sides know.

#[cfg(target_os = "linux")]
mod entry;
#[cfg(target_os = "linux")]
mod keeper;
#[cfg(target_os = "linux")]
mod looks;
#[cfg(target_os = "linux")]
mod luggage;
#[cfg(target_os = "linux")]
mod offspring;
#[cfg(target_os = "linux")]
pub(super) mod packet;
#[cfg(target_os = "linux")]
pub(super) mod plan;
#[cfg(target_os = "linux")]
mod tree;

#[cfg(target_os = "linux")]
pub(super) use entry::{VARIABLE, is_in_the_program};
#[cfg(target_os = "linux")]
pub(super) use offspring::GROUP_LIMIT;

#[cfg(target_os = "linux")]
/// The name of a shim in lists of processes.
pub(super) const NAME: &str = "snakepit-shim";

/// Becomes a shim where a host has started this program as one; returns at once otherwise.
///
/// Not needed where this crate is linked into the program itself: then the loader calls it. A program that is given to
/// [`SnakepitBuilder::shim_program`](crate::SnakepitBuilder::shim_program) calls it first in its `main`. It does nothing on systems other than Linux, which have no shims.
pub fn init() {
    #[cfg(target_os = "linux")]
    entry::become_shim_if_asked();
}
