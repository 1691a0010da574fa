//! Hosts that are killed, and what their successors find.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use snakepit_adapters::{PoolConfig, Snakepit, StartError};
use snakepit_tests::oracle::{self, Mark};

use crate::system::subject::{HANG, Kind, adapter, on_both_runtimes, stub};

/// A host of the test's own, killed with the test at the latest.
struct Host {
    child: Child,
    workers: Vec<i32>,
}

impl Host {
    /// Starts a host with two stub workers, and waits until both are ready.
    fn start(data_dir: &Path, mark: &Mark, flags: &[&str]) -> Self {
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
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn start(data_dir: &Path, mark: &Mark) -> Result<Snakepit, StartError> {
    let config = PoolConfig::new("default", adapter(Kind::Rust, mark)).size(1);
    Snakepit::builder().data_dir(data_dir).pool(config).start().await
}

#[test]
fn workers_leave_when_their_host_is_killed() {
    on_both_runtimes(|| async {
        let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
        let mut host = Host::start(directory.path(), &mark, &[]);
        host.kill();
        mark.assert_nothing_left().await;
    });
}

#[test]
fn what_outlives_a_killed_host_is_ended_by_the_next_start_before_anything_else() {
    on_both_runtimes(|| async {
        let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
        let mut host = Host::start(directory.path(), &mark, &["--ignore-eof", "--forks-child"]);
        host.kill();
        assert!(host.workers.iter().all(|pid| oracle::runs(*pid)), "the workers were to outlive their host");
        let pit = start(directory.path(), &mark).await.unwrap();
        assert!(host.workers.iter().all(|pid| !oracle::runs(*pid)));
        assert_eq!(pit.recovery().records, 2);
        // Two workers, and a child of each.
        assert_eq!((pit.recovery().ended, pit.recovery().survivors), (4, 0));
        assert_eq!(pit.shutdown(HANG).await.processes_left, [0_i32; 0]);
        mark.assert_nothing_left().await;
        let again = start(directory.path(), &mark).await.unwrap();
        assert_eq!(again.recovery().records, 0);
        again.shutdown(HANG).await;
    });
}

#[test]
fn a_process_that_only_looks_like_a_worker_is_never_signalled() {
    on_both_runtimes(|| async {
        let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
        let mut host = Host::start(directory.path(), &mark, &["--ignore-eof"]);
        // The same program, started by somebody else: no mark of the host's run.
        let mut twin = Command::new(stub());
        twin.arg("--ignore-eof").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut sleeper = Command::new("sleep");
        sleeper.arg("600").env("SNAKEPIT_MARK", "not.a.real.mark");
        let mut strangers = [spawn(&mut twin), spawn(&mut sleeper)];
        host.kill();
        let pit = start(directory.path(), &mark).await.unwrap();
        assert_eq!(pit.recovery().ended, 2);
        assert!(strangers[1].try_wait().unwrap().is_none(), "a stranger was ended");
        pit.shutdown(HANG).await;
        for stranger in &mut strangers {
            let _ = stranger.kill();
            stranger.wait().unwrap();
        }
        mark.assert_nothing_left().await;
    });
}

fn spawn(command: &mut Command) -> Child {
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
