//! What the registry knows of one life of a worker.

use serde::{Deserialize, Serialize};

use crate::id::{Incarnation, PoolName, Slot, WorkerId, WorkerLife};
use crate::process::{Marker, ProcessIdentity, RunId};

/// One life of a worker that has, or is about to have, a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    run: RunId,
    pool: String,
    slot: u16,
    incarnation: u64,
    boot_id: String,
    /// `None` from the intent to start until the process is known.
    process: Option<ProcessIdentity>,
}

impl Record {
    /// The intent to start a process.
    pub(crate) fn reserved(marker: &Marker, boot_id: &str) -> Self {
        let WorkerLife { worker: WorkerId { pool, slot }, incarnation } = &marker.life;
        Self {
            run: marker.run,
            pool: pool.to_string(),
            slot: slot.0,
            incarnation: incarnation.0,
            boot_id: boot_id.to_owned(),
            process: None,
        }
    }

    /// The same life, once its process runs.
    pub(crate) fn activated(mut self, process: ProcessIdentity) -> Self {
        self.process = Some(process);
        self
    }

    pub(crate) fn run(&self) -> RunId {
        self.run
    }

    pub(crate) fn boot_id(&self) -> &str {
        &self.boot_id
    }

    pub(crate) fn process(&self) -> Option<&ProcessIdentity> {
        self.process.as_ref()
    }

    /// The marker that its process carries; also the record's key. `None` for a record with a name that no pool can
    /// have, which only another version or another program can have written.
    pub(crate) fn marker(&self) -> Option<Marker> {
        let worker = WorkerId { pool: PoolName::new(&self.pool).ok()?, slot: Slot(self.slot) };
        Some(Marker {
            run: self.run,
            life: WorkerLife { worker, incarnation: Incarnation(self.incarnation) },
        })
    }
}
