//! Hosts that are killed, and what their successors find.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;
use snakepit_adapters::{PoolConfig, Snakepit, StartError};
use snakepit_tests::oracle::{self, Mark, signal};

use crate::system::subject::{HANG, Kind, adapter, on_both_runtimes, stub};

/// A host of the test's own, killed with the test at the latest.
pub(crate) struct Host {
    pub(crate) child: Child,
    pub(crate) workers: Vec<i32>,
}

impl Host {
    /// Starts a host with two stub workers, and waits until both are ready.
    pub(crate) fn start(data_dir: &Path, mark: &Mark, flags: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_test-host"));
        command.arg(data_dir).arg(mark.value()).arg(stub()).args(flags).stdout(Stdio::piped());
        #[expect(clippy::disallowed_methods, reason = "a host of the test's own, killed when dropped")]
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let workers: Vec<i32> = line.split_ascii_whitespace().map(|pid| pid.parse().unwrap()).collect();
        assert_eq!(workers.len(), 2, "the host said {line:?}");
        Self { child, workers }
    }

    /// Kills the host with SIGKILL; it has no chance to clean up.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Kills the host and the shims of its workers at once: the host is stopped first, so that it cannot react.
    pub(crate) fn kill_with_shims(&mut self) {
        let shims: Vec<i32> = self.workers.iter().map(|worker| parent(*worker)).collect();
        let host = self.child.id();
        signal(host.cast_signed(), Signal::SIGSTOP);
        // Its threads stop one after the other, and until then one of them may see a shim die and end what is left of its tree.
        assert!(oracle::holds_within(HANG, || all_stopped(host)), "the host does not stop");
        for shim in shims {
            signal(shim, Signal::SIGKILL);
        }
        self.kill();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether every thread of a process stands still.
fn all_stopped(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    threads.map(|thread| thread.unwrap().path().join("stat")).all(|stat| {
        let stat = std::fs::read_to_string(stat).unwrap();
        stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
    })
}

/// The parent of a process: of a worker, its shim.
pub(crate) fn parent(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    after_name.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

pub(crate) async fn start(data_dir: &Path, mark: &Mark) -> Result<Snakepit, StartError> {
    let config = PoolConfig::new("default", adapter(Kind::Rust, mark)).size(1);
    Snakepit::builder().data_dir(data_dir).pool(config).start().await
}

#[test]
fn nothing_outlives_a_killed_host() {
    on_both_runtimes(|| async {
        let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
        let mut host = Host::start(directory.path(), &mark, &["--ignore-eof", "--forks-child"]);
        host.kill();
        mark.assert_nothing_left().await;
        let pit = start(directory.path(), &mark).await.unwrap();
        assert_eq!((pit.recovery().records, pit.recovery().ended), (2, 0));
        pit.shutdown(HANG).await;
    });
}

#[test]
fn what_outlives_a_host_killed_with_its_shims_is_ended_by_the_next_start_before_anything_else() {
    on_both_runtimes(|| async {
        let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
        let mut host = Host::start(directory.path(), &mark, &["--ignore-eof", "--forks-child"]);
        host.kill_with_shims();
        oracle::eventually("the workers go with their shims", || mark.processes().len() == 2).await;
        let pit = start(directory.path(), &mark).await.unwrap();
        assert_eq!(pit.recovery().records, 2);
        // A child of each worker.
        assert_eq!((pit.recovery().ended, pit.recovery().survivors), (2, 0));
        assert_eq!(pit.shutdown(HANG).await.processes_left, [0_i32; 0]);
        mark.assert_nothing_left().await;
        let again = start(directory.path(), &mark).await.unwrap();
        assert_eq!(again.recovery().records, 0);
        again.shutdown(HANG).await;
    });
}

/// Processes of the test's own that only look like workers; killed when dropped.
struct Strangers([Child; 2]);

impl Strangers {
    fn start() -> Self {
        // The same program, started by somebody else: no mark of the host's run.
        let mut twin = Command::new(stub());
        twin.arg("--ignore-eof").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut sleeper = Command::new("sleep");
        sleeper.arg("600").env("SNAKEPIT_MARK", "not.a.real.mark");
        Self([spawn(&mut twin), spawn(&mut sleeper)])
    }
}

impl Drop for Strangers {
    fn drop(&mut self) {
        for stranger in &mut self.0 {
            let _ = stranger.kill();
            let _ = stranger.wait();
        }
    }
}

#[test]
fn a_process_that_only_looks_like_a_worker_is_never_signalled() {
    on_both_runtimes(|| async {
        let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
        let mut host = Host::start(directory.path(), &mark, &["--ignore-eof", "--forks-child"]);
        let mut strangers = Strangers::start();
        host.kill_with_shims();
        let pit = start(directory.path(), &mark).await.unwrap();
        assert_eq!(pit.recovery().survivors, 0);
        assert!(strangers.0[1].try_wait().unwrap().is_none(), "a stranger was ended");
        pit.shutdown(HANG).await;
        mark.assert_nothing_left().await;
    });
}

pub(crate) fn spawn(command: &mut Command) -> Child {
    #[expect(clippy::disallowed_methods, reason = "a stranger of the test's own, killed at its end")]
    command.spawn().unwrap()
}

#[test]
fn a_second_host_is_refused_with_the_pid_of_the_first() {
    on_both_runtimes(|| async {
        let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
        let mut host = Host::start(directory.path(), &mark, &[]);
        let refused = start(directory.path(), &mark).await.unwrap_err();
        let StartError::DataDirInUse { holder, .. } = &refused else { panic!("{refused}") };
        assert_eq!(*holder, host.child.id().to_string());
        assert!(refused.to_string().contains(holder.as_str()), "{refused}");
        assert!(host.workers.iter().all(|pid| oracle::runs(*pid)), "the first host's workers were harmed");
        host.kill();
        let pit = start(directory.path(), &mark).await.unwrap();
        pit.await_ready("default", HANG).await.unwrap();
        pit.shutdown(HANG).await;
        mark.assert_nothing_left().await;
    });
}
