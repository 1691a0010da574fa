//! What the registry knows of one life of a worker.

use serde::{Deserialize, Serialize};

use crate::id::{Incarnation, PoolName, Slot, WorkerId, WorkerLife};
use crate::process::{ProcessIdentity, RunId};

/// How far a life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RecordState {
    /// It is about to have a process.
    Intent,
    /// Its process is known.
    Active,
    /// Its process was asked to leave.
    Stopping,
    /// Its process does not go, even when killed.
    Stuck,
}

/// One life of a worker that has, or is about to have, processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    run: RunId,
    pool: String,
    slot: u16,
    incarnation: u64,
    pub(super) state: RecordState,
    /// Who has written this.
    host: ProcessIdentity,
    /// The process between host and worker, where there is one.
    shim: Option<ProcessIdentity>,
    /// `None` from the intent to start until the process is known.
    pub(super) worker: Option<ProcessIdentity>,
    /// How well the processes are held, in words.
    level: String,
    created_unix_ms: u64,
    pub(super) state_unix_ms: u64,
    pub(super) last_error: Option<String>,
}

impl Record {
    /// The intent to start a process.
    pub(crate) fn intent(
        (run, host): (RunId, &ProcessIdentity),
        life: &WorkerLife,
        shim: Option<ProcessIdentity>,
        now_unix_ms: u64,
    ) -> Self {
        let WorkerLife { worker: WorkerId { pool, slot }, incarnation } = life;
        Self {
            run,
            pool: pool.to_string(),
            slot: slot.0,
            incarnation: incarnation.0,
            state: RecordState::Intent,
            host: host.clone(),
            level: if shim.is_some() { "tree" } else { "in process" }.to_owned(),
            shim,
            worker: None,
            created_unix_ms: now_unix_ms,
            state_unix_ms: now_unix_ms,
            last_error: None,
        }
    }

    /// What tells it from every other record.
    pub(crate) fn key(&self) -> String {
        format!("{}.{}.{}.{}", self.run, self.pool, self.slot, self.incarnation)
    }

    pub(crate) fn run(&self) -> RunId {
        self.run
    }

    pub(crate) fn shim(&self) -> Option<&ProcessIdentity> {
        self.shim.as_ref()
    }

    pub(crate) fn worker(&self) -> Option<&ProcessIdentity> {
        self.worker.as_ref()
    }

    /// The life that it is about. `None` for a record with a name that no pool can have, which only another version or
    /// another program can have written.
    pub(crate) fn life(&self) -> Option<WorkerLife> {
        let worker = WorkerId { pool: PoolName::new(&self.pool).ok()?, slot: Slot(self.slot) };
        Some(WorkerLife { worker, incarnation: Incarnation(self.incarnation) })
    }
}
