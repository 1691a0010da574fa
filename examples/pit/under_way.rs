//! What is under way, by the names that callers gave: how each is cancelled, and which names are taken.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::pit::request::LineId;

/// The names that are taken. Cheap to clone; all clones are one table.
#[derive(Clone, Default)]
pub(crate) struct UnderWay(Arc<Mutex<HashMap<LineId, oneshot::Sender<()>>>>);

/// Holds a name; it is free again when this is dropped.
pub(crate) struct Taken {
    under_way: UnderWay,
    id: LineId,
}

impl UnderWay {
    /// Takes a name. The receiver resolves when somebody cancels what goes by it.
    pub(crate) fn take(&self, id: &LineId) -> (Taken, oneshot::Receiver<()>) {
        let (cancel, cancelled) = oneshot::channel();
        self.table().insert(id.clone(), cancel);
        (Taken { under_way: self.clone(), id: id.clone() }, cancelled)
    }

    pub(crate) fn is_taken(&self, id: &LineId) -> bool {
        self.table().contains_key(id)
    }

    /// Cancels what goes by this name. `false` where there is nothing, or it has been cancelled already.
    pub(crate) fn cancel(&self, id: &LineId) -> bool {
        self.table().get_mut(id).is_some_and(|cancel| {
            let (spent, _) = oneshot::channel();
            std::mem::replace(cancel, spent).send(()).is_ok()
        })
    }

    fn table(&self) -> MutexGuard<'_, HashMap<LineId, oneshot::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.under_way.table().remove(&self.id);
    }
}
