//! The writer: many requests in one commit, no acknowledgement without one, and no request lost with a thread.

use std::path::Path;

use ractor::Actor;

use super::*;
use crate::id::{Incarnation, PoolName, Slot, WorkerId, WorkerLife};
use crate::process::identity::Scope;
use crate::process::{HostRun, ProcessIdentity};
use crate::process_registry::actor::{ProcessRegistry, ProcessRegistryArgs};
use crate::process_registry::handle::ProcessRegistryRef;
use crate::process_registry::store::{Origin, read};

fn life(slot: u16) -> WorkerLife {
    let worker = WorkerId { pool: PoolName::new("default").unwrap(), slot: Slot(slot) };
    WorkerLife { worker, incarnation: Incarnation(1) }
}

fn own() -> ProcessIdentity {
    ProcessIdentity::read(std::process::id().cast_signed()).unwrap()
}

/// A registry without its actor.
fn open(directory: &Path) -> (ProcessRegistryRef, Writer) {
    let host = HostRun::of_a_test();
    let lock = DirectoryLock::acquire(directory).unwrap();
    let origin = Origin::new(Scope::read().unwrap(), host.run, own());
    let (store, _) = Store::open(directory, origin).unwrap();
    let handle = ProcessRegistryRef::new(host);
    let writer = Writer::new(Ledger::new(host.run, own()), store, lock, handle.queue(), EventSink::default());
    (handle, writer)
}

fn on_disk(directory: &Path) -> Vec<String> {
    let reading = read(directory, &Scope::read().unwrap()).unwrap().unwrap();
    reading
        .records
        .iter()
        .map(|record| format!("{} {:?}", record.life().unwrap().worker.slot, record.state))
        .collect()
}

/// Waits until the lock is free: the thread has ended, and the file is closed.
fn released(directory: &Path) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while DirectoryLock::acquire(directory).is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the writer's thread does not end");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn an_acknowledged_intent_is_on_disk_and_a_life_passes() {
    let directory = tempfile::tempdir().unwrap();
    let (handle, writer) = open(directory.path());
    writer.keep_running().unwrap();
    handle.reserve(life(0), Some(own())).await.unwrap();
    assert_eq!(on_disk(directory.path()), ["0 Intent"]);
    handle.activate(life(0), own()).await.unwrap();
    assert_eq!(on_disk(directory.path()), ["0 Active"]);
    handle.stopping(life(0));
    handle.stuck(life(1), "never reserved".to_owned());
    handle.reserve(life(1), None).await.unwrap();
    assert_eq!(on_disk(directory.path()), ["0 Stopping", "1 Intent"]);
    handle.stuck(life(1), "it hangs".to_owned());
    handle.release_and_wait(life(0)).await;
    assert_eq!(on_disk(directory.path()), ["1 Stuck"]);
    assert_eq!(handle.activate(life(0), own()).await, Err(RegistryError::NotReserved));
    drop((handle, writer));
    released(directory.path());
}

#[tokio::test]
async fn requests_that_arrive_together_are_one_commit() {
    let directory = tempfile::tempdir().unwrap();
    let (handle, writer) = open(directory.path());
    let mut tasks = tokio::task::JoinSet::new();
    for slot in 0..200 {
        let handle = handle.clone();
        tasks.spawn(async move { handle.reserve(life(slot), None).await });
    }
    // Nobody writes yet: all of them wait, and none has been told anything.
    while handle.queue().waiting() < 200 {
        tokio::task::yield_now().await;
    }
    let Taken::Requests(together) = writer.queue.take(None) else { panic!("they wait") };
    assert_eq!(together.len(), 200);
    with(&writer.desk, |desk| desk.write(together, &writer.queue));
    for answer in tasks.join_all().await {
        answer.unwrap();
    }
    assert_eq!(on_disk(directory.path()).len(), 200);
}

/// Whoever sees a tree off hands its release in; the worker that asked for the end comes second, and used to hear at once
/// that there was no such record, while the release still waited to be written. A host that left then left the record.
#[tokio::test]
async fn who_waits_for_a_release_waits_also_where_another_handed_it_in() {
    let directory = tempfile::tempdir().unwrap();
    let (handle, writer) = open(directory.path());
    let write = || {
        let Taken::Requests(requests) = writer.queue.take(None) else { panic!("they wait") };
        with(&writer.desk, |desk| desk.write(requests, &writer.queue));
    };
    let reserving = tokio::spawn({
        let handle = handle.clone();
        async move { handle.reserve(life(0), None).await }
    });
    while handle.queue().waiting() == 0 {
        tokio::task::yield_now().await;
    }
    write();
    reserving.await.unwrap().unwrap();
    handle.release(life(0));
    let stopping = tokio::spawn({
        let handle = handle.clone();
        async move { handle.release_and_wait(life(0)).await }
    });
    while handle.queue().waiting() < 2 {
        assert!(!stopping.is_finished(), "it was told that all is done, and nothing was written");
        tokio::task::yield_now().await;
    }
    assert_eq!(on_disk(directory.path()), ["0 Intent"]);
    write();
    stopping.await.unwrap();
    assert_eq!(on_disk(directory.path()), [""; 0]);
}

#[tokio::test]
async fn requests_outlive_a_thread_that_panics() {
    let directory = tempfile::tempdir().unwrap();
    let (handle, writer) = open(directory.path());
    writer.keep_running().unwrap();
    handle.reserve(life(0), None).await.unwrap();
    let desk = Arc::clone(&writer.desk);
    let panicked = std::thread::spawn(move || with(&desk, |_| panic!("as the store might")));
    assert!(panicked.join().is_err());
    handle.reserve(life(1), None).await.unwrap();
    assert_eq!(on_disk(directory.path()), ["0 Intent", "1 Intent"]);
}

#[tokio::test]
async fn a_thread_that_died_is_started_again_and_finds_what_waits() {
    let directory = tempfile::tempdir().unwrap();
    let (handle, writer) = open(directory.path());
    let end = ThreadEnd { running: Arc::clone(&writer.running), actor: Address::default() };
    writer.running.store(true, Ordering::Release);
    let waiting = tokio::spawn({
        let handle = handle.clone();
        async move { handle.reserve(life(0), None).await }
    });
    while handle.queue().waiting() == 0 {
        tokio::task::yield_now().await;
    }
    drop(end);
    writer.keep_running().unwrap();
    waiting.await.unwrap().unwrap();
    // A second call finds the thread at work.
    writer.keep_running().unwrap();
    assert_eq!(on_disk(directory.path()), ["0 Intent"]);
}

#[tokio::test]
async fn the_end_of_the_actor_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (handle, writer) = open(directory.path());
    let args = ProcessRegistryArgs { writer: writer.clone(), handle: handle.clone() };
    let (actor, ended) = Actor::spawn(None, ProcessRegistry, args.clone()).await.unwrap();
    handle.reserve(life(0), None).await.unwrap();
    actor.kill();
    ended.await.unwrap();
    // Between two lives of the actor, requests are served all the same.
    handle.activate(life(0), own()).await.unwrap();
    let (_actor, _ended) = Actor::spawn(None, ProcessRegistry, args).await.unwrap();
    handle.release_and_wait(life(0)).await;
    handle.reserve(life(1), None).await.unwrap();
    assert_eq!(on_disk(directory.path()), ["1 Intent"]);
}

#[tokio::test]
async fn the_actor_starts_a_writer_that_has_panicked_again() {
    let directory = tempfile::tempdir().unwrap();
    let (handle, writer) = open(directory.path());
    // A thread that panics before it has served anything stands for one that does so later.
    writer.running.store(true, Ordering::Release);
    let args = ProcessRegistryArgs { writer: writer.clone(), handle: handle.clone() };
    let (_actor, _ended) = Actor::spawn(None, ProcessRegistry, args).await.unwrap();
    let end = ThreadEnd { running: Arc::clone(&writer.running), actor: writer.actor.clone() };
    let panicked = std::thread::spawn(move || {
        let _end = end;
        panic!("as the store might");
    });
    assert!(panicked.join().is_err());
    handle.reserve(life(0), None).await.unwrap();
    assert_eq!(on_disk(directory.path()), ["0 Intent"]);
}

#[tokio::test]
async fn a_file_deleted_under_a_live_host_is_written_anew() {
    let directory = tempfile::tempdir().unwrap();
    let (handle, writer) = open(directory.path());
    writer.keep_running().unwrap();
    handle.reserve(life(0), None).await.unwrap();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    handle.reserve(life(1), None).await.unwrap();
    assert_eq!(on_disk(directory.path()), ["0 Intent", "1 Intent"]);
}

#[tokio::test]
async fn an_intent_that_cannot_be_written_is_refused_and_later_ones_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let (handle, writer) = open(directory.path());
    writer.keep_running().unwrap();
    handle.reserve(life(0), None).await.unwrap();
    let path = with(&writer.desk, |desk| desk.store.path());
    // A name that cannot be opened as the registry, and cannot be put aside either.
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", &path).unwrap();
    let refused = handle.reserve(life(1), None).await.unwrap_err();
    assert!(matches!(refused, RegistryError::NotWritten { .. }), "{refused}");
    std::fs::remove_file(&path).unwrap();
    handle.reserve(life(2), None).await.unwrap();
    assert_eq!(on_disk(directory.path()), ["0 Intent", "2 Intent"]);
}

#[test]
fn a_run_that_left_nothing_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let (handle, writer) = open(directory.path());
    writer.keep_running().unwrap();
    drop((handle, writer));
    released(directory.path());
    let reading = read(directory.path(), &Scope::read().unwrap()).unwrap().unwrap();
    assert!(reading.origin.clean_shutdown);
}
