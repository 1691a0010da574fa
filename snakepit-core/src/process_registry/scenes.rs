//! Scenes that make a registry tell every event that it has to tell.

use std::path::{Path, PathBuf};

use ractor::Actor;

use crate::id::{Incarnation, PoolName, Slot, WorkerId, WorkerLife};
use crate::process_registry::message::ProcessRegistryMessage;
use crate::process_registry::{OpenRegistry, ProcessRegistry, RecoveryReport, open};
use crate::telemetry::EventSink;

/// Plays all of them.
pub(crate) async fn play(events: &EventSink) {
    let directory = tempfile::tempdir().unwrap();
    // What earlier runs leave takes processes to show; what is told of it is the same.
    RecoveryReport { records: 2, ..RecoveryReport::default() }.tell(events);
    RecoveryReport { records: 2, ended: 1, ..RecoveryReport::default() }.tell(events);
    let OpenRegistry { args, handle, .. } = open(directory.path(), events).await.unwrap();
    let (actor, ended) = Actor::spawn(None, ProcessRegistry, args.clone()).await.unwrap();
    actor.cast(ProcessRegistryMessage::WriterEnded).unwrap();
    // What it was told before is done first.
    actor.drain().unwrap();
    ended.await.unwrap();
    let (actor, ended) = Actor::spawn(None, ProcessRegistry, args.clone()).await.unwrap();
    std::fs::remove_file(file(directory.path())).unwrap();
    handle.reserve(life(0), None).await.unwrap();
    let file = file(directory.path());
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", &file).unwrap();
    assert!(handle.reserve(life(1), None).await.is_err());
    std::fs::remove_file(&file).unwrap();
    actor.stop(None);
    ended.await.unwrap();
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join(file.file_name().unwrap()), "rubbish").unwrap();
    open(other.path(), events).await.unwrap().args.close();
}

fn file(directory: &Path) -> PathBuf {
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files.into_iter().find(|path| path.extension().is_some_and(|end| end == "redb")).unwrap()
}

fn life(slot: u16) -> WorkerLife {
    let worker = WorkerId { pool: PoolName::new("scene").unwrap(), slot: Slot(slot) };
    WorkerLife { worker, incarnation: Incarnation(1) }
}
