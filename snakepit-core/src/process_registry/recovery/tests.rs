//! Recovery against the system as it is: nothing of ours runs, whatever the records claim.

use super::*;
use crate::id::{Incarnation, PoolName, Slot, WorkerId, WorkerLife};
use crate::process::RunId;
use crate::process::identity::{Scope, handle};
use crate::process_registry::store::Origin;

fn own() -> ProcessIdentity {
    ProcessIdentity::read(std::process::id().cast_signed()).unwrap()
}

fn forged(change: impl FnOnce(&mut serde_json::Value)) -> ProcessIdentity {
    let mut identity = serde_json::to_value(own()).unwrap();
    change(&mut identity);
    serde_json::from_value(identity).unwrap()
}

/// Recovers with one record of an earlier run, and says how many records are left.
fn recovered(shim: Option<ProcessIdentity>, worker: Option<ProcessIdentity>) -> (RecoveryReport, usize) {
    let directory = tempfile::tempdir().unwrap();
    let run = HostRun::of_a_test();
    let origin = Origin::new(Scope::read().unwrap(), run.run, own());
    let (mut store, found) = Store::open(directory.path(), origin).unwrap();
    let worker_id = WorkerId { pool: PoolName::new("default").unwrap(), slot: Slot(0) };
    let life = WorkerLife { worker: worker_id, incarnation: Incarnation(1) };
    let mut record = Record::intent((RunId::new(), &own()), &life, shim, 1);
    record.worker = worker;
    store.commit(&[(record.key(), Some(record))]).unwrap();
    let report = recover(&mut store, &run, found).unwrap();
    (report, store.all().unwrap().len())
}

#[test]
fn a_record_without_a_process_is_taken_out() {
    let (report, left) = recovered(None, None);
    assert_eq!((report.records, report.ended, report.survivors, left), (1, 0, 0, 0));
}

#[test]
fn a_record_with_our_number_and_another_identity_harms_nobody() {
    // Were any of these signalled, this test would be killed.
    for stranger in [
        forged(|identity| identity["inode"] = u64::MAX.into()),
        forged(|identity| identity["start_time"] = 1.into()),
        forged(|identity| identity["boot_id"] = "earlier".into()),
        // No inode: the number and the start are right, and the mark is missing.
        forged(|identity| identity["inode"] = serde_json::Value::Null),
    ] {
        let (report, left) = recovered(Some(stranger.clone()), Some(stranger));
        assert_eq!((report.ended, report.survivors, report.unreadable, left), (0, 0, 0, 0));
    }
}

#[test]
fn a_handle_tells_a_process_that_runs() {
    let pidfd = own().open().unwrap().unwrap();
    assert!(!handle::has_ended(&pidfd));
}
