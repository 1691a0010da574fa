//! A handle to a child that survives its restarts.

use std::fmt;
use std::sync::{Arc, OnceLock};

use ractor::{ActorCell, ActorRef, Message};
use tokio::sync::watch;

use crate::child::ChildId;
use crate::handle::{Address, AddressEntry};

/// The address that a spec's handles look at, made when the first of them is.
#[derive(Clone, Default)]
pub(crate) struct LazyAddress(Arc<OnceLock<Address>>);

impl LazyAddress {
    fn subscribe(&self) -> watch::Receiver<Option<ActorCell>> {
        self.0.get_or_init(|| Arc::new(watch::Sender::new(None))).subscribe()
    }

    /// Writes down who the child is just now, for as long as the entry is kept.
    pub(crate) fn enter(&self, cell: &ActorCell) -> Option<AddressEntry> {
        self.0.get().map(|address| AddressEntry::new(address, cell.clone()))
    }
}

/// Finds the actor that a child is just now. ractor's own refs go stale with every restart.
///
/// Made by [`ChildSpec::handle`](crate::ChildSpec::handle). Where several children are started from clones of one
/// spec, it finds the last that came up.
#[derive(Clone)]
pub struct ChildHandle {
    id: ChildId,
    address: watch::Receiver<Option<ActorCell>>,
}

impl ChildHandle {
    pub(crate) fn new(id: ChildId, address: &LazyAddress) -> Self {
        Self { id, address: address.subscribe() }
    }

    /// The child's id.
    pub fn id(&self) -> &ChildId {
        &self.id
    }

    /// The actor that the child is just now; `None` while it is not up.
    pub fn cell(&self) -> Option<ActorCell> {
        self.address.borrow().clone()
    }

    /// The same as an `ActorRef`, if `M` is what the actor takes.
    pub fn actor<M: Message>(&self) -> Option<ActorRef<M>> {
        let cell = self.cell()?;
        (cell.is_message_type_of::<M>() != Some(false)).then(|| cell.into())
    }

    /// Waits until the child is up. `None` when it can never be again, because all that knew its spec are gone.
    pub async fn up(&mut self) -> Option<ActorCell> {
        self.address.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// Waits until the child is another actor than when last asked, or none: `None` for none.
    pub async fn changed(&mut self) -> Option<ActorCell> {
        self.address.changed().await.ok()?;
        self.cell()
    }
}

impl fmt::Debug for ChildHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildHandle")
            .field("id", &self.id)
            .field("cell", &self.cell())
            .finish_non_exhaustive()
    }
}
