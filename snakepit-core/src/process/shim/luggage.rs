//! What comes to a shim with its host's messages: the plan, and the worker's ends of the wire.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::process::shim::packet::SIZE;

/// What a message from the host comes with.
#[derive(Default)]
pub(super) struct Luggage {
    pub(super) plan: Option<OwnedFd>,
    pub(super) input: Option<OwnedFd>,
    pub(super) output: Option<OwnedFd>,
}

/// Maps a plan into memory, where it stays.
pub(super) fn map(plan: &OwnedFd) -> Option<&'static mut [usize]> {
    use rustix::mm::{MapFlags, ProtFlags, mmap};
    let length = usize::try_from(rustix::fs::fstat(plan).ok()?.st_size).ok()?;
    if length == 0 || !length.is_multiple_of(size_of::<usize>()) {
        return None;
    }
    #[expect(unsafe_code, reason = "the plan is used where it lies, so that nothing is allocated or parsed")]
    // SAFETY: a private mapping of its own that is never unmapped; its length was just asked for, and the host has sealed
    // the file, so that it cannot shrink.
    unsafe {
        let memory = mmap(
            std::ptr::null_mut(),
            length,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
            plan,
            0,
        );
        let memory = memory.ok()?.cast::<usize>();
        Some(std::slice::from_raw_parts_mut(memory, length / size_of::<usize>()))
    }
}

/// Receives one packet and what comes with it.
pub(super) fn receive(link: &OwnedFd, bytes: &mut [u8; SIZE], luggage: &mut Luggage) -> Result<usize, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let received = recvmsg(link, &mut [IoSliceMut::new(bytes)], &mut control, flags)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut files) = message {
            luggage.plan = files.next();
            luggage.input = files.next();
            luggage.output = files.next();
        }
    }
    Ok(received.bytes)
}
