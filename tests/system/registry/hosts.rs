//! P11 and P12: one host after another, two at once on one directory, two on two, and an operator who looks on.

use std::path::Path;

use nix::sys::signal::Signal;
use snakepit_adapters::registry::{ProcessRow, ProcessState, list, recover};
use snakepit_adapters::{PoolConfig, Snakepit, StartError};
use snakepit_tests::oracle::{self, Mark};

use crate::system::host_death::{Host, start};
use crate::system::registry::stage::{Sleeper, file, once};
use crate::system::subject::{HANG, Kind, adapter};

fn all_run(host: &Host) -> bool {
    host.workers.iter().all(|pid| oracle::runs(*pid))
}

async fn refused(data_dir: &Path, mark: &Mark) -> String {
    match start(data_dir, mark).await {
        Err(StartError::DataDirInUse { holder, .. }) => holder,
        other => panic!("{other:?}"),
    }
}

#[test]
fn p11_a_second_host_touches_neither_file_nor_processes() {
    once(|| async {
        let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
        let host = Host::start(directory.path(), &mark, &[]);
        let before = std::fs::read(file(directory.path())).unwrap();
        assert_eq!(refused(directory.path(), &mark).await, host.child.id().to_string());
        let error = recover(directory.path()).await.unwrap_err();
        assert!(error.to_string().contains(&host.child.id().to_string()), "{error}");
        assert_eq!(std::fs::read(file(directory.path())).unwrap(), before);
        assert!(all_run(&host));
        drop(host);
        mark.assert_nothing_left().await;
    });
}

#[test]
fn p11_a_host_that_is_killed_is_succeeded_at_once() {
    once(|| async {
        for _ in 0..10 {
            let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
            let mut host = Host::start(directory.path(), &mark, &["--ignore-eof"]);
            let mut orphan = Sleeper::left_by(&host, &mark);
            // Not reaped: the successor finds the host's number still listed.
            host.child.kill().unwrap();
            let began = tokio::time::Instant::now();
            let pit = start(directory.path(), &mark).await.unwrap();
            assert!(began.elapsed() < std::time::Duration::from_secs(5));
            assert!(!orphan.runs(), "{:?}", pit.recovery());
            pit.shutdown(HANG).await;
            mark.assert_nothing_left().await;
        }
    });
}

#[test]
fn p11_a_view_tells_the_living_from_the_dead_beside_a_host_and_after_it() {
    once(|| async {
        let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
        let mut host = Host::start(directory.path(), &mark, &[]);
        let pid = |host: &Host| Some(i32::try_from(host.child.id()).unwrap());
        let view = list(directory.path()).await.unwrap();
        assert_eq!((view.host, view.host_runs, view.clean_shutdown), (pid(&host), true, false));
        let seen: Vec<_> = view.rows.iter().map(|row| (row.slot.0, row.pid, row.state)).collect();
        let alive = |slot: u16| (slot, Some(host.workers[usize::from(slot)]), ProcessState::Alive);
        assert_eq!(seen, [alive(0), alive(1)]);
        host.kill();
        for worker in &host.workers {
            oracle::eventually("the worker has left", || !oracle::runs(*worker)).await;
        }
        let bytes = std::fs::read(file(directory.path())).unwrap();
        let view = list(directory.path()).await.unwrap();
        assert_eq!((view.host, view.host_runs, view.clean_shutdown), (pid(&host), false, false));
        assert_eq!(view.rows.len(), 2);
        assert!(view.rows.iter().all(|row| row.state != ProcessState::Alive), "{view:?}");
        assert_eq!(std::fs::read(file(directory.path())).unwrap(), bytes, "looking has changed the file");
        let report = recover(directory.path()).await.unwrap();
        assert_eq!((report.records, report.survivors), (2, 0));
        let view = list(directory.path()).await.unwrap();
        assert_eq!((view.clean_shutdown, view.rows.len()), (true, 0));
        mark.assert_nothing_left().await;
    });
}

#[test]
fn p12_recovering_one_registry_again_and_again_leaves_another_alone() {
    once(|| async {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (mark, mark_of_other) = (Mark::new(), Mark::new());
        let host = Host::start(one.path(), &mark, &[]);
        let mut killed = Host::start(other.path(), &mark_of_other, &["--ignore-eof"]);
        killed.kill();
        for _ in 0..100 {
            recover(other.path()).await.unwrap();
            assert!(all_run(&host));
        }
        mark_of_other.assert_nothing_left().await;
        drop(host);
        mark.assert_nothing_left().await;
    });
}

#[test]
fn p12_pits_of_one_program_have_a_folder_each_and_leave_each_other_alone() {
    once(|| async {
        let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
        let begin = async |name: &str| {
            let pool = PoolConfig::new("default", adapter(Kind::Rust, &mark)).size(1);
            Snakepit::builder().data_dir(directory.path()).instance(name).pool(pool).start().await.unwrap()
        };
        let (blue, green) = (begin("blue").await, begin("green").await);
        assert_eq!(blue.data_dir(), directory.path().join("blue"));
        for pit in [&blue, &green] {
            pit.await_ready("default", HANG).await.unwrap();
        }
        let of_green = green.workers("default").await.unwrap()[0].os_pid.unwrap();
        assert_eq!(blue.shutdown(HANG).await.processes_left, [0_i32; 0]);
        let again = begin("blue").await;
        assert_eq!(again.recovery().ended, 0);
        assert!(oracle::runs(of_green));
        again.shutdown(HANG).await;
        green.shutdown(HANG).await;
        mark.assert_nothing_left().await;
    });
}

#[test]
fn p12_deleted_files_let_no_second_host_in() {
    once(|| async {
        let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
        let mut host = Host::start(directory.path(), &mark, &["--ignore-eof"]);
        for name in ["LOCK".into(), file(directory.path())] {
            std::fs::remove_file(directory.path().join(name)).unwrap();
        }
        refused(directory.path(), &mark).await;
        assert!(all_run(&host));
        // The next change of the live host writes everything anew.
        oracle::signal(host.workers[0], Signal::SIGKILL);
        let deadline = tokio::time::Instant::now() + HANG;
        loop {
            // A file that is just being made cannot be read yet.
            let rows = list(directory.path()).await.map(|view| view.rows);
            let alive = |rows: &Vec<ProcessRow>| rows.iter().all(|row| row.state == ProcessState::Alive);
            if rows.as_ref().is_ok_and(|rows| rows.len() == 2 && alive(rows)) {
                break;
            }
            assert!(tokio::time::Instant::now() < deadline, "{rows:?}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let mut orphan = Sleeper::left_by_worker(host.workers[1], &mark);
        host.kill();
        let pit = start(directory.path(), &mark).await.unwrap();
        assert_eq!(pit.recovery().records, 2);
        assert!(!orphan.runs());
        pit.shutdown(HANG).await;
        mark.assert_nothing_left().await;
    });
}
