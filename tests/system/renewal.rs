//! Workers replaced under load: because they are worn, because somebody asks for it, and by more or fewer of them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use snakepit_adapters::{PoolOptions, PortAdapter, RecycleError, RollOutcome};
use snakepit_tests::oracle::{self, Mark};

use crate::system::load::{Load, ready};
use crate::system::subject::{HANG, Kind, Subject, everywhere, on_both_runtimes, stub};

/// Whoever leaves is given time: processors that are busy with the load may keep it from leaving for seconds, and whoever is
/// killed for that counts as lost.
fn patient(options: &mut PoolOptions) {
    options.stop_grace = HANG / 2;
}

/// A pool of two, each of which is replaced when it is worn, and never without a successor.
fn worn(change: impl FnOnce(&mut PoolOptions)) -> impl FnOnce(&mut PoolOptions) {
    |options| {
        patient(options);
        options.recycle.jitter = 0.0;
        change(options);
    }
}

/// Under load, until so many have been replaced. No call fails, and there are never fewer than two.
async fn renews(subject: Subject, count: u64) {
    subject.all_ready(2).await;
    let before = subject.pids().await;
    let load = Load::start(&subject, 4);
    let stats =
        subject.watch(|stats| ready(stats) >= 2 && stats.total <= 3, |stats| stats.recycled >= count).await;
    load.end().await;
    assert_eq!((stats.failed, stats.restarts), (0, 0), "{stats:?}");
    // One that is replaced still finishes and leaves for a while.
    oracle::eventually("none of the first is left", || !before.iter().any(|pid| oracle::runs(*pid))).await;
    subject.stop().await;
}

#[test]
fn s27_workers_that_have_served_their_requests_are_replaced_under_load() {
    everywhere(|kind| async move {
        renews(Subject::start_with(kind, worn(|o| o.recycle.max_requests = Some(100))).await, 3).await;
    });
}

#[test]
fn s27_workers_that_are_old_are_replaced_under_load() {
    everywhere(|kind| async move {
        renews(Subject::start_with(kind, worn(|o| o.recycle.max_age = Some(HANG / 60))).await, 2).await;
    });
}

#[test]
fn s27_a_worker_whose_processes_hold_too_much_memory_is_replaced_under_load() {
    on_both_runtimes(|| async {
        let subject = Subject::start_with(Kind::Rust, |options| {
            patient(options);
            options.recycle.max_rss = Some(96 << 20);
            options.heartbeat.interval = Duration::from_millis(100);
        })
        .await;
        subject.all_ready(2).await;
        let load = Load::start(&subject, 2);
        let value = "x".repeat(8 << 20);
        // A session keeps more and more in its worker, until that is too much. What its successor holds is nothing.
        for key in 0..64 {
            let args = json!({"key": key.to_string(), "value": value});
            subject.pit.execute_in_session("hoarder", "remember", &args).await.unwrap();
            let stats = subject.pit.stats("default").await.unwrap();
            assert!(ready(&stats) >= 2, "{stats:?}");
            if stats.recycled > 0 {
                break;
            }
        }
        let stats = subject.watch(|stats| ready(stats) >= 2, |stats| stats.recycled > 0).await;
        load.end().await;
        assert_eq!((stats.failed, stats.restarts), (0, 0), "{stats:?}");
        subject.stop().await;
    });
}

#[test]
fn s30_a_pool_grows_and_shrinks_under_load() {
    everywhere(|kind| async move {
        let subject = Subject::start_with(kind, patient).await;
        let load = Load::start(&subject, 6);
        let pool = subject.pit.pool("default").unwrap();
        for size in [4, 1, 3] {
            pool.resize(size).await.unwrap();
            pool.await_full(HANG).await.unwrap();
            let size = usize::from(size);
            subject
                .watch(|stats| ready(stats) >= 1, |stats| stats.total == size && ready(stats) == size)
                .await;
            let mark = subject.mark.clone();
            oracle::eventually("each worker has its process, and no other is left", move || {
                mark.processes().len() == size
            })
            .await;
        }
        load.end().await;
        let stats = pool.stats().await.unwrap();
        assert_eq!((stats.failed, stats.restarts), (0, 0), "{stats:?}");
        subject.stop().await;
    });
}

#[test]
fn s30_a_rolling_restart_under_load_replaces_every_process_and_fails_no_request() {
    everywhere(|kind| async move {
        let subject = Subject::start_with(kind, patient).await;
        subject.all_ready(2).await;
        let before: HashSet<_> = subject.pids().await.into_iter().collect();
        let load = Load::start(&subject, 4);
        let pool = subject.pit.pool("default").unwrap().clone();
        let rolled = tokio::spawn(async move { pool.rolling_restart().await });
        subject.watch(|stats| ready(stats) >= 2, |_| rolled.is_finished()).await;
        let report = rolled.await.unwrap().unwrap();
        assert!(report.is_complete(), "{report:?}");
        load.end().await;
        let after: HashSet<_> = subject.pids().await.into_iter().collect();
        assert!(before.is_disjoint(&after) && after.len() == 2, "{before:?} {after:?}");
        let stats = subject.pit.stats("default").await.unwrap();
        assert_eq!((stats.failed, stats.restarts), (0, 0), "{stats:?}");
        subject.stop().await;
    });
}

/// A worker's program that may be exchanged while it runs.
struct Program {
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Program {
    /// There is none yet.
    fn missing() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { path: directory.path().join("worker"), _directory: directory }
    }

    fn good() -> Self {
        let program = Self::missing();
        program.is_good();
        program
    }

    fn is_good(&self) {
        self.says(&format!("exec {}", stub().display()));
    }

    /// From the next start on it does this.
    fn says(&self, line: &str) {
        use std::os::unix::fs::PermissionsExt;
        let new = self.path.with_extension("new");
        std::fs::write(&new, format!("#!/bin/sh\n{line}\n")).unwrap();
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::rename(&new, &self.path).unwrap();
    }

    async fn start(&self, change: impl FnOnce(&mut PoolOptions)) -> Subject {
        let mark = Mark::new();
        let adapter = PortAdapter::new(Path::new(&self.path)).env(Mark::VARIABLE, mark.value());
        Subject::start_adapter(adapter, mark, change).await
    }
}

#[test]
fn s30_a_rolling_restart_keeps_the_old_workers_where_the_new_ones_do_not_get_ready() {
    on_both_runtimes(|| async {
        let program = Program::good();
        let subject = program.start(|options| options.startup_timeout = Duration::from_secs(5)).await;
        subject.all_ready(2).await;
        let before = subject.pids().await;
        let load = Load::start(&subject, 4);
        let pool = subject.pit.pool("default").unwrap();
        for (line, hangs) in [("echo no licence found >&2; exit 3", false), ("exec sleep 600", true)] {
            program.says(line);
            let report = pool.rolling_restart().await.unwrap();
            let [first, second] = &report.workers[..] else { panic!("{report:?}") };
            let as_expected = match &first.outcome {
                RollOutcome::Kept(RecycleError::Failed { loss, .. }) => {
                    !hangs && loss.stderr_tail == ["no licence found"]
                }
                RollOutcome::Kept(RecycleError::TimedOut { .. }) => hangs,
                _ => false,
            };
            assert!(as_expected && second.outcome == RollOutcome::NotTried, "{report:?}");
            subject.watch(|stats| ready(stats) == 2, |stats| stats.total == 2).await;
            assert_eq!(subject.pids().await, before);
        }
        program.is_good();
        let report = pool.rolling_restart().await.unwrap();
        assert!(report.is_complete(), "{report:?}");
        load.end().await;
        assert_eq!(pool.stats().await.unwrap().failed, 0);
        subject.stop().await;
    });
}

#[test]
fn s25_a_pool_whose_program_is_not_there_fails_with_the_reason_and_heals_when_it_is() {
    on_both_runtimes(|| async {
        let program = Program::missing();
        let subject = program.start(|options| options.restart.backoff_max = Duration::from_millis(500)).await;
        let pool = subject.pit.pool("default").unwrap();
        let failed = pool.await_ready(HANG).await.unwrap_err().to_string();
        assert!(failed.contains("was not found"), "{failed}");
        let mut events = pool.events();
        // It is probed again, and says so each time that it fails again.
        let mut times = 0;
        while times < 3 {
            let record = events.next().await.unwrap().unwrap();
            if let snakepit_adapters::Event::SlotQuarantined { times: now, .. } = record.event {
                times = times.max(now);
            }
        }
        assert_eq!(subject.pit.execute("add", &json!({})).await.unwrap_err().code(), "pool_failed");
        program.is_good();
        subject.all_ready(2).await;
        let sum: i64 = subject.pit.call("add", &json!({"a": 1, "b": 2})).await.unwrap();
        assert_eq!(sum, 3);
        subject.stop().await;
    });
}
