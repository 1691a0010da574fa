//! The end of a caller's wait, told to the pool.

use std::sync::Arc;

use crate::id::RequestId;
use crate::pool::message::{PoolCommand, PoolMessage};
use crate::pool::shared::PoolShared;

/// Tells the pool that a caller is gone, unless it has its answer.
#[derive(Debug)]
pub(super) struct CancelOnDrop {
    shared: Arc<PoolShared>,
    id: Option<RequestId>,
}

impl CancelOnDrop {
    pub(super) fn new(shared: &Arc<PoolShared>, id: RequestId) -> Self {
        Self { shared: Arc::clone(shared), id: Some(id) }
    }

    pub(super) fn disarm(&mut self) {
        self.id = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.shared.inbox.put(PoolMessage::Command(PoolCommand::Cancel { id }));
        }
    }
}
