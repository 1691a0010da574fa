//! The store: what it keeps, and what it does with a file that it cannot use.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use super::*;
use crate::id::{Incarnation, PoolName, Slot, WorkerId, WorkerLife};

fn origin() -> Origin {
    let host = ProcessIdentity::read(std::process::id().cast_signed()).unwrap();
    Origin::new(Scope::read().unwrap(), RunId::new(), host)
}

fn record(origin: &Origin, slot: u16) -> (String, Option<Record>) {
    let worker = WorkerId { pool: PoolName::new("default").unwrap(), slot: Slot(slot) };
    let life = WorkerLife { worker, incarnation: Incarnation(1) };
    let record = Record::intent((origin.run, &origin.host), &life, None, 1);
    (record.key(), Some(record))
}

fn open(directory: &Path, origin: &Origin) -> (Store, Found) {
    Store::open(directory, origin.clone()).unwrap()
}

#[test]
fn records_outlive_the_store() {
    let (directory, origin) = (tempfile::tempdir().unwrap(), origin());
    let (kept, gone) = (record(&origin, 0), record(&origin, 1));
    {
        let (mut store, found) = open(directory.path(), &origin);
        assert_eq!(found, Found::default());
        store.commit(&[kept.clone(), gone.clone()]).unwrap();
        store.commit(&[(gone.0, None)]).unwrap();
    }
    let (store, found) = open(directory.path(), &origin);
    assert_eq!(store.all().unwrap(), [kept]);
    assert_eq!(found, Found { previous: Some(origin), put_aside: None });
}

#[test]
fn a_clean_end_is_remembered() {
    let (directory, origin) = (tempfile::tempdir().unwrap(), origin());
    open(directory.path(), &origin).0.say_clean().unwrap();
    let (_store, found) = open(directory.path(), &origin);
    assert!(found.previous.unwrap().clean_shutdown);
}

#[test]
fn what_another_scope_has_recorded_is_dropped() {
    let (directory, ours) = (tempfile::tempdir().unwrap(), origin());
    // The same file name: a later container that was given the same namespace number, with another first process.
    let mut scope = serde_json::to_value(&ours.scope).unwrap();
    scope["init"] = 1.into();
    let theirs = Origin { scope: serde_json::from_value(scope).unwrap(), ..ours.clone() };
    open(directory.path(), &theirs).0.commit(&[record(&theirs, 0)]).unwrap();
    let (store, found) = open(directory.path(), &ours);
    assert_eq!(found, Found::default());
    assert_eq!(store.all().unwrap(), []);
}

/// Damages the file of a store that held a record.
fn damaged(damage: impl FnOnce(&Path)) {
    let (directory, origin) = (tempfile::tempdir().unwrap(), origin());
    let (mut store, _) = open(directory.path(), &origin);
    store.commit(&[record(&origin, 0)]).unwrap();
    let path = store.path();
    drop(store);
    damage(&path);
    let (mut store, found) = open(directory.path(), &origin);
    assert!(found.put_aside.is_some_and(|aside| aside.exists()));
    assert_eq!((found.previous, store.all().unwrap()), (None, Vec::new()));
    store.commit(&[record(&origin, 1)]).unwrap();
}

#[test]
fn a_file_of_no_use_is_put_aside_and_a_new_one_made() {
    damaged(|path| std::fs::write(path, b"this is no database, whatever its name says").unwrap());
    damaged(|path| OpenOptions::new().write(true).open(path).unwrap().set_len(100).unwrap());
    damaged(|path| {
        std::fs::remove_file(path).unwrap();
        let database = Database::create(path).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(TableDefinition::<u64, u64>::new("somebody else's")).unwrap();
        transaction.commit().unwrap();
    });
    damaged(|path| {
        let database = builder().create(path).unwrap();
        let transaction = database.begin_write().unwrap();
        let json: &[u8] = br#"{"schema": 2, "new": true}"#;
        transaction.open_table(META).unwrap().insert(ORIGIN_KEY, json).unwrap();
        transaction.commit().unwrap();
    });
}

#[test]
fn no_flipped_bit_and_no_zeroed_page_is_a_panic_or_a_wrong_record() {
    let (directory, origin) = (tempfile::tempdir().unwrap(), origin());
    let (mut store, _) = open(directory.path(), &origin);
    let written: Vec<_> = (0..20).map(|slot| record(&origin, slot)).collect();
    store.commit(&written).unwrap();
    let path = store.path();
    drop(store);
    let whole = std::fs::read(&path).unwrap();
    let (mut used, mut aside) = (0, 0);
    for step in 0..whole.len() / 1024 {
        std::fs::write(&path, &whole).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        if step % 2 == 0 {
            let at = (step * 1024 + step % 997).min(whole.len() - 1);
            file.write_all_at(&[whole[at] ^ 1 << (step % 8)], at as u64).unwrap();
        } else {
            file.write_all_at(&[0; 1024], step as u64 * 1024).unwrap();
        }
        let (store, found) = open(directory.path(), &origin);
        let records = store.all().unwrap();
        if found.put_aside.is_some() {
            aside += 1;
            assert_eq!(records, []);
        } else {
            used += 1;
            assert!(records.iter().all(|record| written.contains(record)), "step {step}: {records:?}");
        }
    }
    assert!(used > 0 && aside > 0, "{used} used, {aside} put aside");
}

#[test]
fn a_file_that_was_deleted_is_made_again() {
    let (directory, origin) = (tempfile::tempdir().unwrap(), origin());
    let (mut store, _) = open(directory.path(), &origin);
    assert_eq!(store.ready().unwrap(), FileState::Kept);
    std::fs::remove_file(store.path()).unwrap();
    assert_eq!(store.ready().unwrap(), FileState::New);
    store.commit(&[record(&origin, 0)]).unwrap();
    assert!(store.path().exists());
}

#[test]
fn a_closed_file_is_opened_again_with_what_it_had() {
    let (directory, origin) = (tempfile::tempdir().unwrap(), origin());
    let (mut store, _) = open(directory.path(), &origin);
    store.commit(&[record(&origin, 0)]).unwrap();
    store.close();
    assert_eq!(store.ready().unwrap(), FileState::Kept);
    assert_eq!(store.all().unwrap(), [record(&origin, 0)]);
}

#[test]
fn others_read_along_and_after() {
    let (directory, origin) = (tempfile::tempdir().unwrap(), origin());
    assert!(read(directory.path(), &origin.scope).unwrap().is_none());
    let (mut store, _) = open(directory.path(), &origin);
    store.commit(&[record(&origin, 0)]).unwrap();
    let along = read(directory.path(), &origin.scope).unwrap().unwrap();
    assert_eq!((along.records.len(), &along.origin), (1, &origin));
    // What a killed host leaves: a file that was never closed.
    let path = store.path();
    let unclosed = std::fs::read(&path).unwrap();
    drop(store);
    std::fs::write(&path, &unclosed).unwrap();
    let after = read(directory.path(), &origin.scope).unwrap().unwrap();
    assert_eq!((after.records, &after.origin), (along.records, &origin));
    assert_eq!(std::fs::read(&path).unwrap(), unclosed);
}
