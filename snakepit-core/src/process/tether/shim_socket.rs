//! The host's end of the socket to a shim, and what of a tether only a tree behind a shim needs.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Child;
use std::sync::atomic::Ordering;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

use crate::process::identity::handle;
use crate::process::shim::packet::{News, Order, SIZE};
use crate::process::tether::{Bonds, Keeper, Tether, lock};
use crate::process::{Marker, ProcessExit, ProcessIdentity, TermTarget};

/// The socket whose end is the order to kill the tree.
#[derive(Debug)]
pub(super) struct ShimSocket(OwnedFd);

impl ShimSocket {
    pub(super) fn order_term(&self, target: TermTarget) {
        self.order(Order::Term(target));
    }

    pub(super) fn order_kill(&self) {
        self.order(Order::Kill);
    }

    fn order(&self, order: Order) {
        // A shim that is gone is heard of as the end of the socket.
        let _ = send(&self.0, &order.encode(), SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
    }

    /// Ends what the host has to say.
    pub(super) fn shut(&self) {
        let _ = shutdown(&self.0, Shutdown::Write);
    }

    /// Reads what the shim still has to say. Says whether it was that nothing is left. Blocks.
    pub(super) fn hear_out(&self, know_exit: impl Fn(ProcessExit)) -> bool {
        let mut done = false;
        loop {
            let mut files = [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN)];
            if poll(&mut files, None).is_err_and(|error| error != rustix::io::Errno::INTR) {
                return done;
            }
            let mut bytes = [0; SIZE];
            match recv(&self.0, &mut bytes[..], RecvFlags::DONTWAIT) {
                Ok((_, length @ 1..)) => match News::decode(&bytes[..length.min(SIZE)]) {
                    Ok(News::Exited { status }) => know_exit(ProcessExit::from_wait_status(status)),
                    Ok(News::Done) => done = true,
                    Ok(_) | Err(_) => {}
                },
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                Ok(_) | Err(_) => return done,
            }
        }
    }
}

impl Tether {
    /// Ties a shim that was just started.
    pub(in crate::process) fn to_shim(
        child: Child,
        link: OwnedFd,
        marker: Option<Marker>,
    ) -> io::Result<Self> {
        Self::tie(child, Keeper::Shim(ShimSocket(link)), marker)
    }
}

impl Bonds {
    /// Remembers the worker that a shim has started, and says which process it is. `None`: it has ended already, and its
    /// number may be another's; whoever is no child of the shim is not it.
    pub(in crate::process) fn know_shim_child(&self, pid: i32) -> Option<ProcessIdentity> {
        let shim = lock(&self.child).as_ref().map(|child| child.id().cast_signed())?;
        let handle = handle::of_number(pid).ok()?;
        let identity = ProcessIdentity::of(&handle, pid).ok()?;
        if parent(pid)? != shim {
            return None;
        }
        self.know_worker(pid, handle);
        Some(identity)
    }

    /// From here on a worker may exist.
    pub(in crate::process) fn expect_worker(&self) {
        self.may_have_worker.store(true, Ordering::Relaxed);
    }

    pub(in crate::process) fn marker(&self) -> Option<&Marker> {
        self.marker.as_ref()
    }

    /// The socket to the shim, where there is one.
    pub(in crate::process) fn link(&self) -> Option<&OwnedFd> {
        match &self.keeper {
            Keeper::Shim(socket) => Some(&socket.0),
            Keeper::Host => None,
        }
    }
}

/// The parent of a process (`proc_pid_stat(5)`, field 4).
fn parent(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}
