//! Watching a tree from the host: what its shim tells, and its end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::process::ProcessExit;
use crate::process::shim::packet::{News, SIZE};
use crate::process::tether::{Bonds, Tether, TreeEnd};

/// What is known of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TreeState {
    /// The worker runs.
    Running,
    /// The worker's own process has ended; what it left behind is being killed.
    Exited(ProcessExit),
    /// Nothing is left.
    Gone(TreeEnd),
    /// Something is left that cannot be killed.
    Unstoppable,
}

/// The host's ear at the socket to a shim.
#[derive(Debug)]
pub(super) struct Link(AsyncFd<OwnedFd>);

impl Link {
    /// Listens to the shim of a tether. Called within a runtime.
    pub(super) fn to(tether: &Tether) -> io::Result<Self> {
        let link = tether.bonds().link().ok_or(io::ErrorKind::NotConnected)?;
        // A descriptor of its own, because the tether's is for speaking, also without a runtime.
        Ok(Self(register(link.try_clone()?)?))
    }

    /// The next thing that the shim says; `None`: it has ended.
    pub(super) async fn hear(&self) -> io::Result<Option<News>> {
        loop {
            let mut ready = self.0.readable().await?;
            let mut bytes = [0; SIZE];
            match recv(self.0.get_ref(), &mut bytes[..], RecvFlags::DONTWAIT) {
                Ok((_, 0)) | Err(Errno::CONNRESET) => return Ok(None),
                Ok((_, length)) => return News::decode(&bytes[..length.min(SIZE)]).map(Some),
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}

fn register(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    #[expect(unsafe_code, reason = "the only constructor that tokio has left for a descriptor")]
    // SAFETY: the descriptor is owned by the `AsyncFd` and never taken out of it.
    unsafe {
        Ok(AsyncFd::register_with_interest(fd, Interest::READABLE)?)
    }
}

/// Watches a worker behind a shim until nothing is left of its tree.
pub(super) async fn watch_shim(bonds: Arc<Bonds>, link: Link, state: watch::Sender<TreeState>) {
    let mut done = false;
    // Rubbish on this socket means what its end means: whatever is there is no shim of ours.
    while let Ok(Some(news)) = link.hear().await {
        match news {
            News::Exited { status } => {
                let exit = ProcessExit::from_wait_status(status);
                bonds.know_exit(exit);
                state.send_replace(TreeState::Exited(exit));
            }
            News::Done => done = true,
            News::Hello { .. } | News::Started { .. } | News::Failed { .. } => {}
        }
    }
    see_off(bonds, done, state).await;
}

/// Watches a worker without a shim until it has ended and its group is killed.
pub(super) fn watch_worker(
    bonds: Arc<Bonds>,
    state: watch::Sender<TreeState>,
) -> io::Result<impl Future<Output = ()> + Send> {
    let handle = register(bonds.child_handle().try_clone_to_owned()?)?;
    Ok(async move {
        // Readable means ended (`pidfd_open(2)`); an error means that the runtime ends, and with it the process.
        if handle.readable().await.is_ok() {
            see_off(bonds, false, state).await;
        }
    })
}

async fn see_off(bonds: Arc<Bonds>, done: bool, state: watch::Sender<TreeState>) {
    // Where the runtime ends first, the bonds see to it themselves when they are dropped.
    let Ok(end) = spawn_blocking(move || bonds.see_off(done)).await else { return };
    state.send_replace(end.map_or(TreeState::Unstoppable, TreeState::Gone));
}
