//! How much a pipe holds: the system's own measure, until a large body comes.

use std::os::fd::AsFd;

/// As much as one part of a cut body. A user may have 64 MiB in pipes before the system gives new ones less than usual
/// (`pipe(7)`, `pipe-user-pages-soft`): a host with a hundred workers stays below that.
#[cfg(target_os = "linux")]
const WIDE: usize = crate::port::frame::CUT_AT;

/// Makes room for large bodies: a fraction of the wake-ups at both ends.
pub(super) fn widen(pipe: &impl AsFd) {
    #[cfg(target_os = "linux")]
    // A user who may have no more goes on with what there is.
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, WIDE);
    #[cfg(not(target_os = "linux"))]
    let _ = pipe;
}
