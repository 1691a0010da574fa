//! What this run has to have on disk: the records as they should be, and which of them are not there yet.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::WorkerLife;
use crate::process::{ProcessIdentity, RunId};
use crate::process_registry::handle::RegistryError;
use crate::process_registry::record::{Record, RecordState};

/// A change to the record of one life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Reserve { shim: Option<ProcessIdentity> },
    Activate { process: ProcessIdentity },
    Stopping,
    Stuck { why: String },
    Release,
}

/// The records of one run. What could not be written stays to be written.
#[derive(Debug)]
pub(super) struct Ledger {
    run: RunId,
    host: ProcessIdentity,
    records: BTreeMap<WorkerLife, Record>,
    unsaved: BTreeSet<WorkerLife>,
}

impl Ledger {
    pub(super) fn new(run: RunId, host: ProcessIdentity) -> Self {
        Self { run, host, records: BTreeMap::new(), unsaved: BTreeSet::new() }
    }

    /// Takes a change in.
    ///
    /// # Errors
    /// [`RegistryError::NotReserved`] for a life that was never reserved, or has been released.
    pub(super) fn apply(&mut self, life: &WorkerLife, change: Change, now: u64) -> Result<(), RegistryError> {
        match change {
            Change::Reserve { shim } => {
                let record = Record::intent((self.run, &self.host), life, shim, now);
                self.records.insert(life.clone(), record);
            }
            Change::Activate { process } => {
                self.record(life)?.worker = Some(process);
                self.enter(life, RecordState::Active, now)?;
            }
            Change::Stopping => self.enter(life, RecordState::Stopping, now)?,
            Change::Stuck { why } => {
                self.record(life)?.last_error = Some(why);
                self.enter(life, RecordState::Stuck, now)?;
            }
            Change::Release => {
                self.records.remove(life);
            }
        }
        self.unsaved.insert(life.clone());
        Ok(())
    }

    fn record(&mut self, life: &WorkerLife) -> Result<&mut Record, RegistryError> {
        self.records.get_mut(life).ok_or(RegistryError::NotReserved)
    }

    fn enter(&mut self, life: &WorkerLife, state: RecordState, now: u64) -> Result<(), RegistryError> {
        let record = self.record(life)?;
        (record.state, record.state_unix_ms) = (state, now);
        Ok(())
    }

    /// An intent could not be written, and its life does not begin. Should part of it be on disk, it is taken out there.
    pub(super) fn take_back(&mut self, life: &WorkerLife) {
        self.records.remove(life);
        self.unsaved.insert(life.clone());
    }

    /// What has to be written: keys with their record, or with `None` where it has to go.
    pub(super) fn unsaved(&self) -> Vec<(String, Option<Record>)> {
        let entry = |life: &WorkerLife| match self.records.get(life) {
            Some(record) => (record.key(), Some(record.clone())),
            None => (Record::intent((self.run, &self.host), life, None, 0).key(), None),
        };
        self.unsaved.iter().map(entry).collect()
    }

    /// All that was to be written is on disk.
    pub(super) fn saved(&mut self) {
        self.unsaved.clear();
    }

    /// The file is a new one: everything has to be written again.
    pub(super) fn file_was_lost(&mut self) {
        self.unsaved = self.records.keys().cloned().collect();
    }

    pub(super) fn is_saved(&self) -> bool {
        self.unsaved.is_empty()
    }

    /// Whether nothing of this run is left to be recorded.
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Incarnation, PoolName, Slot, WorkerId};

    fn life(slot: u16) -> WorkerLife {
        let worker = WorkerId { pool: PoolName::new("default").unwrap(), slot: Slot(slot) };
        WorkerLife { worker, incarnation: Incarnation(1) }
    }

    fn own() -> ProcessIdentity {
        ProcessIdentity::read(std::process::id().cast_signed()).unwrap()
    }

    fn ledger() -> Ledger {
        Ledger::new(RunId::new(), own())
    }

    fn states(ledger: &Ledger) -> Vec<Option<RecordState>> {
        ledger.unsaved().into_iter().map(|(_, record)| record.map(|record| record.state)).collect()
    }

    #[test]
    fn a_life_passes_through_its_states_and_leaves_nothing() {
        let mut ledger = ledger();
        let steps = [
            (Change::Reserve { shim: Some(own()) }, Some(RecordState::Intent)),
            (Change::Activate { process: own() }, Some(RecordState::Active)),
            (Change::Stopping, Some(RecordState::Stopping)),
            (Change::Stuck { why: "it hangs".to_owned() }, Some(RecordState::Stuck)),
            (Change::Release, None),
        ];
        for (now, (change, state)) in (1..).zip(steps) {
            ledger.apply(&life(0), change, now).unwrap();
            assert_eq!(states(&ledger), [state]);
            ledger.saved();
            assert!(ledger.is_saved());
        }
        assert!(ledger.is_empty());
    }

    #[test]
    fn a_life_that_was_not_reserved_has_no_record_to_change() {
        for change in
            [Change::Activate { process: own() }, Change::Stopping, Change::Stuck { why: String::new() }]
        {
            assert_eq!(ledger().apply(&life(0), change, 1), Err(RegistryError::NotReserved));
        }
        assert_eq!(ledger().apply(&life(0), Change::Release, 1), Ok(()));
    }

    #[test]
    fn an_intent_that_was_not_written_is_taken_out_by_the_next_write() {
        let mut ledger = ledger();
        ledger.apply(&life(0), Change::Reserve { shim: None }, 1).unwrap();
        let key = ledger.unsaved()[0].0.clone();
        ledger.take_back(&life(0));
        assert_eq!(ledger.unsaved(), [(key, None)]);
        assert!(ledger.is_empty());
    }

    #[test]
    fn a_lost_file_is_filled_again_with_what_still_runs() {
        let mut ledger = ledger();
        for slot in 0..3 {
            ledger.apply(&life(slot), Change::Reserve { shim: None }, 1).unwrap();
        }
        ledger.apply(&life(1), Change::Release, 2).unwrap();
        ledger.saved();
        ledger.file_was_lost();
        assert_eq!(states(&ledger), [Some(RecordState::Intent), Some(RecordState::Intent)]);
    }
}
