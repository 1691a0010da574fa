//! What a shim tells, heard by the host until nothing is left of the tree.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

use crate::process::ProcessExit;
use crate::process::identity::handle::readable;
use crate::process::shim::packet::{News, SIZE};
use crate::process::tether::{Bonds, Tether};
use crate::process::watch::{TreeState, see_off};

/// The host's ear at the socket to a shim.
#[derive(Debug)]
pub(in crate::process) struct Link(AsyncFd<OwnedFd>);

impl Link {
    /// Listens to the shim of a tether. Called within a runtime.
    pub(in crate::process) fn to(tether: &Tether) -> io::Result<Self> {
        let link = tether.bonds().link().ok_or(io::ErrorKind::NotConnected)?;
        // A descriptor of its own, because the tether's is for speaking, also without a runtime.
        Ok(Self(readable(link.try_clone()?)?))
    }

    /// The next thing that the shim says; `None`: it has ended.
    pub(in crate::process) async fn hear(&self) -> io::Result<Option<News>> {
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

/// Watches a worker behind a shim until nothing is left of its tree.
pub(in crate::process) async fn watch_shim(bonds: Arc<Bonds>, link: Link, state: watch::Sender<TreeState>) {
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
