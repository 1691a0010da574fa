//! P13: no room for the registry. Nothing starts without its record, nothing that runs is lost, and room is enough to go on.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;
use snakepit_adapters::registry::{ProcessRow, ProcessState, list};
use snakepit_adapters::{PoolConfig, Snakepit, StartError};
use snakepit_tests::lacking::skipped;
use snakepit_tests::oracle::{self, Mark};
use tempfile::TempDir;

use crate::system::host_death::start;
use crate::system::registry::stage::{file, once};
use crate::system::subject::{HANG, Kind, adapter};

/// How long anything may take here before the test fails. A hang limit and no expectation.
const PATIENCE: Duration = Duration::from_secs(20);

/// A disk of a few megabytes, unmounted at the end.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` where nothing may be mounted.
    fn mount() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m", "none"]).arg(directory.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Self(directory))
    }

    fn data_dir(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn ballast(&self) -> PathBuf {
        self.0.path().join("ballast")
    }

    fn fill(&self) {
        let mut ballast = OpenOptions::new().append(true).create(true).open(self.ballast()).unwrap();
        while ballast.write_all(&[1; 4096]).is_ok() {}
    }

    fn make_room(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: what still has a file open there is about to end.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

async fn until_alive(data_dir: &Path, count: usize) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        // A file that is just being made cannot be read yet.
        let rows = list(data_dir).await.map(|view| view.rows);
        let is_alive = |rows: &Vec<ProcessRow>| rows.iter().all(|row| row.state == ProcessState::Alive);
        if rows.as_ref().is_ok_and(|rows| rows.len() == count && is_alive(rows)) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{rows:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn until_ready(pit: &Snakepit, count: usize) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while pit.stats("default").await.unwrap().available < count {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", pit.stats("default").await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the pool has had to start a worker so often.
async fn until_restarts(pit: &Snakepit, count: u64) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while pit.stats("default").await.unwrap().restarts < count {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", pit.stats("default").await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn p13_a_full_disk_starts_nothing_unrecorded_and_room_mends_it() {
    let Some(disk) = SmallDisk::mount() else { return skipped("p13", "the right to mount a small disk") };
    once(|| async {
        let mark = Mark::new();
        let pool = PoolConfig::new("default", adapter(Kind::Rust, &mark)).size(2).with(|options| {
            options.restart.intensity = 100_000;
            options.restart.consecutive = 100_000;
            options.restart.backoff_base = Duration::from_millis(5);
            options.restart.backoff_max = Duration::from_millis(20);
        });
        let pit = Snakepit::builder().data_dir(disk.data_dir()).pool(pool).start().await.unwrap();
        // Ready and not only alive: a start that is under way when the disk fills up is given up, as it should be.
        until_ready(&pit, 2).await;
        // Pages that the file has already may do for a while; a new file needs room of its own. The old one's stays taken.
        let old = std::fs::File::open(file(&disk.data_dir())).unwrap();
        std::fs::remove_file(file(&disk.data_dir())).unwrap();
        disk.fill();
        let victim = pit.workers("default").await.unwrap()[0].os_pid.unwrap();
        oracle::signal(victim, Signal::SIGKILL);
        until_restarts(&pit, 10).await;
        assert_eq!(mark.processes().len(), 1, "a process was started without a record");
        let sum: i64 = pit.call("add", &json!({"a": 1, "b": 2})).await.unwrap();
        assert_eq!(sum, 3);
        disk.make_room();
        until_alive(&disk.data_dir(), 2).await;
        drop(old);
        assert_eq!(pit.shutdown(HANG).await.processes_left, [0_i32; 0]);
        mark.assert_nothing_left().await;
        let again = start(&disk.data_dir(), &mark).await.unwrap();
        assert_eq!(again.recovery().records, 0, "{:?}", again.recovery());
        again.shutdown(HANG).await;
    });
}

#[test]
fn p13_a_start_without_room_is_refused_and_harms_no_record() {
    let Some(disk) = SmallDisk::mount() else { return skipped("p13", "the right to mount a small disk") };
    once(|| async {
        let mark = Mark::new();
        start(&disk.data_dir(), &mark).await.unwrap().shutdown(HANG).await;
        let files = || std::fs::read_dir(disk.data_dir()).unwrap().count();
        let before = files();
        disk.fill();
        match start(&disk.data_dir(), &mark).await {
            Err(StartError::Registry { message, .. }) => {
                assert!(message.contains("No space") || message.contains("os error 28"), "{message}");
            }
            Err(StartError::DataDir { source, .. }) => {
                assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(files(), before, "a file was put aside for want of room");
        disk.make_room();
        let pit = start(&disk.data_dir(), &mark).await.unwrap();
        pit.await_ready("default", HANG).await.unwrap();
        pit.shutdown(HANG).await;
        mark.assert_nothing_left().await;
    });
}
