//! How firmly workers are held, what they are given, and what is undone for those that are killed.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;
use snakepit_adapters::ProcessSpec;
use snakepit_adapters::adapter::{Adapter, AdapterFailure, Connect, Connecting, WorkerContext};
use snakepit_adapters::{
    ContainmentLevel, PoolConfig, PortAdapter, Resource, ResourceLimit, Snakepit, SnakepitBuilder,
    StartError, UserIds, WorkerLife,
};
use snakepit_tests::lacking::skipped;
use snakepit_tests::oracle::{self, Mark, signal};

use crate::system::host_death::{Host, parent};
use crate::system::subject::{HANG, Kind, adapter, on_both_runtimes, stub};

/// A pit of one worker, not started yet.
fn pit(directory: &Path, adapter: impl Adapter) -> SnakepitBuilder {
    Snakepit::builder().data_dir(directory).pool(PoolConfig::new("default", adapter).size(1))
}

/// The process of the worker, once that is ready.
async fn worker(pit: &Snakepit) -> i32 {
    let deadline = tokio::time::Instant::now() + HANG;
    loop {
        pit.await_ready("default", HANG).await.unwrap();
        let worker = pit.workers("default").await.unwrap().remove(0);
        // The pool may not have heard yet that the one before is gone.
        if let (Some(_), Some(pid)) = (&worker.agent, worker.os_pid) {
            return pid;
        }
        assert!(tokio::time::Instant::now() < deadline, "{worker:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[test]
fn a_pit_holds_whole_trees_and_says_so() {
    on_both_runtimes(|| async {
        let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
        let builder = pit(directory.path(), adapter(Kind::Rust, &mark)).require_level(ContainmentLevel::Tree);
        let pit = builder.start().await.unwrap();
        assert_eq!(pit.containment().level(), ContainmentLevel::Tree);
        assert_eq!(pit.containment().shortfall(), None);
        let shim = parent(worker(&pit).await);
        assert_ne!(shim, std::process::id().cast_signed());
        let name = std::fs::read_to_string(format!("/proc/{shim}/comm")).unwrap();
        assert_eq!(name.trim(), "snakepit-shim");
        pit.shutdown(HANG).await;
        mark.assert_nothing_left().await;
    });
}

#[test]
fn a_level_that_is_not_reached_refuses_the_start() {
    on_both_runtimes(|| async {
        let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
        let too_much =
            pit(directory.path(), adapter(Kind::Rust, &mark)).require_level(ContainmentLevel::Kernel);
        let refused = too_much.start().await.unwrap_err();
        assert_eq!(refused.to_string(), "containment level kernel is required, and only tree is reached");
        let no_shim = pit(directory.path(), adapter(Kind::Rust, &mark)).shim_program("/bin/true");
        let refused = no_shim.require_level(ContainmentLevel::Tree).start().await.unwrap_err();
        let StartError::Containment { found: ContainmentLevel::InProcess, shortfall: Some(why), .. } =
            refused
        else {
            panic!("{refused}");
        };
        assert_eq!(why, "/bin/true cannot be run as a shim: it ended without a hello");
    });
}

#[test]
fn without_a_shim_workers_are_served_healed_and_stopped_all_the_same() {
    on_both_runtimes(|| async {
        let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
        let adapter = adapter(Kind::Rust, &mark).args(["--forks-child"]);
        let pit = pit(directory.path(), adapter).shim_program("/bin/true").start().await.unwrap();
        assert_eq!(pit.containment().level(), ContainmentLevel::InProcess);
        let first = worker(&pit).await;
        assert_eq!(parent(first), std::process::id().cast_signed());
        let sum: i64 = pit.call("add", &json!({"a": 1, "b": 2})).await.unwrap();
        assert_eq!(sum, 3);
        signal(first, Signal::SIGKILL);
        let deadline = tokio::time::Instant::now() + HANG;
        while worker(&pit).await == first {
            assert!(tokio::time::Instant::now() < deadline, "the worker is not replaced");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        oracle::eventually("the first worker's child went with it", || mark.processes().len() == 2).await;
        assert_eq!(pit.shutdown(HANG).await.processes_left, [0_i32; 0]);
        mark.assert_nothing_left().await;
    });
}

#[test]
fn a_named_program_is_the_shim() {
    on_both_runtimes(|| async {
        let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
        // Any program that the library is linked into can be one.
        let pit =
            pit(directory.path(), adapter(Kind::Rust, &mark)).shim_program(stub()).start().await.unwrap();
        assert_eq!(pit.containment().level(), ContainmentLevel::Tree);
        let shim = parent(worker(&pit).await);
        let program = std::fs::read_link(format!("/proc/{shim}/exe")).unwrap();
        assert_eq!(program, stub().canonicalize().unwrap());
        pit.shutdown(HANG).await;
        mark.assert_nothing_left().await;
    });
}

#[test]
fn a_worker_gets_its_priority_its_limits_and_its_oom_score() {
    on_both_runtimes(|| async {
        let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
        let limit = ResourceLimit { resource: Resource::OpenFiles, soft: Some(77), hard: Some(88) };
        let adapter = adapter(Kind::Rust, &mark).nice(7).oom_score_adj(432).limit(limit);
        let pit = pit(directory.path(), adapter).start().await.unwrap();
        let worker = worker(&pit).await;
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{worker}/{file}")).unwrap();
        let stat = read("stat");
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().collect();
        // Field 19 of proc_pid_stat(5); the state after the name is field 3.
        assert_eq!(fields[16], "7");
        assert_eq!(read("oom_score_adj").trim(), "432");
        let limits = read("limits");
        let open_files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        assert_eq!(open_files.split_ascii_whitespace().collect::<Vec<_>>()[3..5], ["77", "88"]);
        pit.shutdown(HANG).await;
        mark.assert_nothing_left().await;
    });
}

#[test]
fn a_worker_runs_as_the_user_that_was_named() {
    if !nix::unistd::geteuid().is_root() {
        return skipped("a_worker_runs_as_the_user_that_was_named", "only root may become another user");
    }
    on_both_runtimes(|| async {
        let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
        // A program that anybody may run, wherever this test lies.
        let copy = directory.path().join("stub-worker");
        std::fs::copy(stub(), &copy).unwrap();
        std::os::unix::fs::chown(&copy, Some(65534), None).unwrap();
        std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711))
            .unwrap();
        let user = UserIds { uid: 65534, gid: 65533, groups: vec![65532] };
        let adapter = PortAdapter::new(&copy).env(Mark::VARIABLE, mark.value()).cwd("/").user(user);
        let pit = pit(directory.path(), adapter).start().await.unwrap();
        let worker = worker(&pit).await;
        let status = std::fs::read_to_string(format!("/proc/{worker}/status")).unwrap();
        let ids = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_ascii_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(ids("Uid:"), ["65534"; 4]);
        assert_eq!(ids("Gid:"), ["65533"; 4]);
        assert_eq!(ids("Groups:"), ["65532"]);
        assert_eq!(pit.shutdown(HANG).await.processes_left, [0_i32; 0]);
        mark.assert_nothing_left().await;
    });
}

#[test]
fn what_needs_a_shim_is_refused_without_one() {
    on_both_runtimes(|| async {
        let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
        let adapter = adapter(Kind::Rust, &mark).nice(7);
        let pit = pit(directory.path(), adapter).shim_program("/bin/true").start().await.unwrap();
        let refused = pit.await_ready("default", HANG).await.unwrap_err().to_string();
        assert!(refused.contains("nice needs a shim, and there is none"), "{refused}");
        pit.shutdown(HANG).await;
    });
}

#[test]
fn a_pit_that_needs_more_open_files_than_there_may_be_says_how_many() {
    on_both_runtimes(|| async {
        let directory = tempfile::tempdir().unwrap();
        let mut builder = Snakepit::builder().data_dir(directory.path()).raise_file_limit();
        // No system lets one program have as many.
        for pool in 0..200 {
            builder = builder
                .pool(PoolConfig::new(format!("pool-{pool}"), PortAdapter::new("true")).size(u16::MAX));
        }
        let refused = builder.start().await.unwrap_err();
        let StartError::OpenFilesLimit { need, limit } = refused else { panic!("{refused}") };
        assert!(need > 200 * 65_535 * 7 && limit < need, "need {need}, limit {limit}");
    });
}

/// An adapter that remembers for which workers it was asked to clean up.
#[derive(Clone)]
struct Remembering {
    port: PortAdapter,
    killed: Arc<Mutex<Vec<WorkerLife>>>,
    gone: Arc<Mutex<Vec<WorkerLife>>>,
    then_panics: bool,
}

impl Remembering {
    fn over(port: PortAdapter) -> Self {
        Self { port, killed: Arc::default(), gone: Arc::default(), then_panics: false }
    }

    fn killed(&self) -> Vec<WorkerLife> {
        self.killed.lock().unwrap().clone()
    }
}

impl Adapter for Remembering {
    fn name(&self) -> &'static str {
        "remembering"
    }

    fn prepare(&self, data_dir: &Path) -> Result<(), AdapterFailure> {
        self.port.prepare(data_dir)
    }

    fn process_spec(&self, worker: &WorkerContext) -> Result<Option<ProcessSpec>, AdapterFailure> {
        self.port.process_spec(worker)
    }

    fn on_gone(&self, worker: &WorkerContext) {
        self.gone.lock().unwrap().push(worker.life.clone());
    }

    fn on_kill(&self, worker: &WorkerContext) {
        self.killed.lock().unwrap().push(worker.life.clone());
        assert!(!self.then_panics, "the clean-up was told to panic");
    }

    fn connect(&self, connect: Connect) -> Connecting {
        self.port.connect(connect)
    }
}

#[test]
fn an_adapter_cleans_up_after_a_worker_that_was_killed_and_after_no_other() {
    on_both_runtimes(|| async {
        let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
        let adapter = Remembering::over(adapter(Kind::Rust, &mark));
        let pit = pit(directory.path(), adapter.clone()).start().await.unwrap();
        let first = worker(&pit).await;
        assert_eq!(adapter.killed(), []);
        signal(first, Signal::SIGKILL);
        oracle::eventually("the adapter is asked", || !adapter.killed().is_empty()).await;
        worker(&pit).await;
        // The second life leaves when asked.
        pit.shutdown(HANG).await;
        let killed: Vec<_> = adapter.killed().iter().map(ToString::to_string).collect();
        assert_eq!(killed, ["default/0#1"]);
        let gone: Vec<_> = adapter.gone.lock().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(gone, ["default/0#1", "default/0#2"], "it hears of both, once");
        mark.assert_nothing_left().await;
    });
}

#[test]
fn an_adapter_cleans_up_after_the_workers_of_a_killed_host() {
    on_both_runtimes(|| async {
        let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
        let mut host = Host::start(directory.path(), &mark, &[]);
        host.kill();
        let adapter = Remembering::over(adapter(Kind::Rust, &mark));
        let pit = pit(directory.path(), adapter.clone()).start().await.unwrap();
        let mut killed: Vec<_> = adapter.killed().iter().map(ToString::to_string).collect();
        killed.sort();
        assert_eq!(killed, ["default/0#1", "default/1#1"]);
        pit.shutdown(HANG).await;
        mark.assert_nothing_left().await;
    });
}

#[test]
fn an_adapter_that_panics_while_it_cleans_up_costs_no_worker() {
    on_both_runtimes(|| async {
        let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
        let adapter = Remembering { then_panics: true, ..Remembering::over(adapter(Kind::Rust, &mark)) };
        let pit = pit(directory.path(), adapter.clone()).start().await.unwrap();
        let first = worker(&pit).await;
        signal(first, Signal::SIGKILL);
        oracle::eventually("the adapter is asked", || !adapter.killed().is_empty()).await;
        let deadline = tokio::time::Instant::now() + HANG;
        while worker(&pit).await == first {
            assert!(tokio::time::Instant::now() < deadline, "the worker is not replaced");
        }
        pit.shutdown(HANG).await;
        mark.assert_nothing_left().await;
    });
}

#[test]
fn a_program_with_more_rights_than_its_caller_is_no_shim() {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    use std::os::unix::process::CommandExt;
    if !nix::unistd::geteuid().is_root() {
        return skipped("a_program_with_more_rights_than_its_caller_is_no_shim", "only root may make one");
    }
    let directory = tempfile::tempdir().unwrap();
    let set_id = directory.path().join("set-id");
    std::fs::copy(stub(), &set_id).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode;
    std::fs::set_permissions(directory.path(), mode(0o711)).unwrap();
    for (permissions, says_hello) in [(0o755, true), (0o4755, false)] {
        std::fs::set_permissions(&set_id, mode(permissions)).unwrap();
        let kind = (AddressFamily::Unix, SockType::SeqPacket);
        let (ours, theirs) = socketpair(kind.0, kind.1, None, SockFlag::SOCK_CLOEXEC).unwrap();
        let mut command = std::process::Command::new(&set_id);
        command.uid(65534).env("SNAKEPIT_SHIM", "1").stdin(theirs);
        #[expect(clippy::disallowed_methods, reason = "it leaves with its socket, and is waited for here")]
        let mut child = command.spawn().unwrap();
        drop(command);
        let mut hello = [0; 16];
        let length = nix::unistd::read(&ours, &mut hello).unwrap();
        drop(ours);
        let status = child.wait().unwrap();
        assert_eq!(length == 16, says_hello, "mode {permissions:o}: {status}");
        assert_eq!(status.success(), says_hello, "mode {permissions:o}: {status}");
    }
}
