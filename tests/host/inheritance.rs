//! What a host may pass on to its workers by accident, done on purpose.

use std::io;
use std::os::fd::OwnedFd;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::host::plan::Plan;

/// Descriptors that the host starts with.
const LOW: u64 = 24;

/// Spoils the host where the plan says so: a subreaper, TERM blocked, HUP ignored, a socket that every child inherits, and a soft
/// limit of descriptors that the pit has to raise. Returns what is to be kept open.
pub(super) fn spoil(plan: &Plan) -> io::Result<Option<OwnedFd>> {
    if plan.is_subreaper {
        nix::sys::prctl::set_child_subreaper(true)?;
    }
    if plan.holds_int {
        let mut interrupt = SigSet::empty();
        interrupt.add(Signal::SIGINT);
        interrupt.thread_block()?;
    }
    if !plan.is_spoiled {
        return Ok(None);
    }
    let mut term = SigSet::empty();
    term.add(Signal::SIGTERM);
    term.thread_block()?;
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    #[expect(unsafe_code, reason = "a disposition is changed on purpose")]
    // SAFETY: an ignored signal runs no code.
    unsafe {
        sigaction(Signal::SIGHUP, &ignore)?;
    }
    // Too low for any pit, so that the pit has to raise it.
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, LOW, hard)?;
    println!("limit {LOW}");
    // Without close-on-exec, as libraries in other languages make them.
    Ok(Some(socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None)?))
}
