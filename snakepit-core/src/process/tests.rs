//! Real processes behind real shims, without a pit: what the owner of one can rely on.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::id::{Incarnation, PoolName, Slot, WorkerId, WorkerLife};

/// A hang limit and no expectation.
const HANG: Duration = Duration::from_secs(30);

fn marker() -> Marker {
    let worker = WorkerId { pool: PoolName::new("default").unwrap(), slot: Slot(0) };
    HostRun::of_a_test().marker(&WorkerLife { worker, incarnation: Incarnation(1) })
}

fn sleeper() -> ProcessSpec {
    ProcessSpec { args: vec!["60".into()], ..ProcessSpec::new("sleep") }
}

/// Starts a process; the receiver hears of the end of its tree.
async fn start(launcher: &Launcher, spec: ProcessSpec) -> (OsProcess, mpsc::Receiver<TreeEnd>) {
    let (sender, ends) = mpsc::channel();
    let on_gone = Box::new(move |end| sender.send(end).unwrap());
    let prepared = launcher.prepare(marker(), on_gone).await.unwrap();
    let mut process = launcher.go(prepared, spec, Duration::ZERO).await.unwrap().process;
    process.drain_output(|_, _| {}).unwrap();
    (process, ends)
}

async fn both() -> [Launcher; 2] {
    let launcher = Launcher::probe(None, None, None).await;
    assert_eq!(launcher.containment(), Containment::tree());
    [launcher, Launcher::direct()]
}

/// Holds the output of a process open from outside, as a program does that was given the descriptor.
fn hold_stdout(process: &OsProcess) -> File {
    OpenOptions::new().write(true).open(format!("/proc/{}/fd/1", process.pid())).unwrap()
}

#[tokio::test]
async fn output_that_somebody_else_holds_open_is_found_out_and_not_waited_for() {
    for launcher in both().await {
        let (mut process, _ends) = start(&launcher, sleeper()).await;
        let holder = hold_stdout(&process);
        process.end(HANG).await.unwrap();
        assert!(process.finish_output().await, "the leak was not seen");
        drop(holder);
        let (mut process, _ends) = start(&launcher, sleeper()).await;
        process.end(HANG).await.unwrap();
        assert!(!process.finish_output().await, "a leak was seen where none is");
    }
}

#[tokio::test]
async fn a_dropped_process_is_seen_off_once() {
    for launcher in both().await {
        let (process, ends) = start(&launcher, sleeper()).await;
        let identity = process.identity().unwrap().clone();
        drop(process);
        // Blocks this thread: the end is seen without the runtime's help, or with it once it goes on.
        let end = tokio::task::spawn_blocking(move || ends.recv_timeout(HANG).map(|end| (end, ends))).await;
        let (end, ends) = end.unwrap().unwrap();
        assert_eq!(end, TreeEnd::Ended { exit: Some(ProcessExit::Signal(9)) });
        assert!(!identity.runs().unwrap());
        assert!(ends.recv_timeout(HANG).is_err(), "told twice");
    }
}

#[test]
fn a_process_outlives_neither_its_runtime_nor_its_record() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (process, ends) = runtime.block_on(async {
        let launcher = Launcher::probe(None, None, None).await;
        start(&launcher, sleeper()).await
    });
    let identity = process.identity().unwrap().clone();
    drop(runtime);
    drop(process);
    assert_eq!(ends.recv_timeout(HANG), Ok(TreeEnd::Ended { exit: Some(ProcessExit::Signal(9)) }));
    assert!(!identity.runs().unwrap());
}

#[tokio::test]
async fn a_start_that_goes_no_further_leaves_nothing() {
    let launcher = Launcher::probe(None, None, None).await;
    let (sender, ends) = mpsc::channel();
    let on_gone = Box::new(move |end| sender.send(end).unwrap());
    let prepared = launcher.prepare(marker(), on_gone).await.unwrap();
    let shim = prepared.shim().unwrap().clone();
    drop(prepared);
    let end = tokio::task::spawn_blocking(move || ends.recv_timeout(HANG)).await.unwrap();
    assert_eq!(end, Ok(TreeEnd::NeverStarted));
    assert!(!shim.runs().unwrap());
}

#[test]
fn a_program_that_is_no_shim_does_not_outlive_its_probe() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("service");
    std::fs::write(&program, "#!/bin/sh\nexec sleep 60\n").unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let program = launch::ShimProgram::find(Some(&program)).unwrap();
    let started = spawn::spawn_shim(&program, None).unwrap();
    let identity = started.identity.clone();
    drop(started);
    let deadline = tokio::time::Instant::now() + HANG;
    while identity.runs().unwrap() {
        assert!(tokio::time::Instant::now() < deadline, "it lives on");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn what_cannot_be_said_to_a_program_is_named() {
    for launcher in both().await {
        let spec = ProcessSpec { args: vec!["a\0b".into()], ..ProcessSpec::new("sleep") };
        let prepared = launcher.prepare(marker(), Box::new(|_| {})).await.unwrap();
        let refused = launcher.go(prepared, spec, Duration::ZERO).await.unwrap_err().to_string();
        assert!(
            refused.contains("argument 1 holds a zero byte") || refused.contains("nul byte"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn a_script_without_its_interpreter_is_told_from_a_missing_program() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("worker");
    for launcher in both().await {
        let why_not = async || {
            let prepared = launcher.prepare(marker(), Box::new(|_| {})).await.unwrap();
            launcher.go(prepared, ProcessSpec::new(&script), Duration::ZERO).await.unwrap_err().to_string()
        };
        let missing = why_not().await;
        assert!(missing.ends_with("was not found"), "{missing}");
        std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let broken = why_not().await;
        assert!(broken.contains("the interpreter or loader"), "{broken}");
        std::fs::remove_file(&script).unwrap();
    }
}

#[tokio::test]
async fn a_program_may_have_its_wire_on_its_standard_input_and_output() {
    for launcher in both().await {
        let spec = ProcessSpec { wire: Wire::Stdio, ..ProcessSpec::new("cat") };
        let prepared = launcher.prepare(marker(), Box::new(|_| {})).await.unwrap();
        let Spawned { mut process, pipes } = launcher.go(prepared, spec, Duration::ZERO).await.unwrap();
        process.drain_output(|_, line| panic!("{line:?} was no output")).unwrap();
        let WirePipes { to_worker, from_worker } = pipes.unwrap();
        let said = tokio::task::spawn_blocking(move || {
            File::from(to_worker).write_all(b"there and back\n").unwrap();
            // The end of its input ends the program, and with it its output.
            let mut said = String::new();
            File::from(from_worker).read_to_string(&mut said).unwrap();
            said
        });
        assert_eq!(said.await.unwrap(), "there and back\n");
        process.ended().await;
        process.end(HANG).await.unwrap();
    }
}

/// A worker that has started another shell, which computes, and one that has ended after it had computed.
fn family() -> ProcessSpec {
    let work = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
    let script = format!("({work}); ({work}; exec sleep 60) & exec sleep 60");
    ProcessSpec { args: vec!["-c".into(), script.into()], ..ProcessSpec::new("sh") }
}

/// Reads until what is read is as wanted.
async fn until_usage(process: &OsProcess, wanted: impl Fn(&TreeUsage) -> bool) -> TreeUsage {
    let deadline = tokio::time::Instant::now() + HANG;
    loop {
        let usage = process.usage().read().await.expect("the tree is there");
        if wanted(&usage) {
            return usage;
        }
        assert!(tokio::time::Instant::now() < deadline, "{usage:?}");
    }
}

#[tokio::test]
async fn a_tree_uses_what_its_members_use_and_have_used() {
    for launcher in both().await {
        let (mut process, _ends) = start(&launcher, sleeper()).await;
        let alone = until_usage(&process, |usage| usage.rss_bytes > 0).await;
        process.end(HANG).await.unwrap();
        assert_eq!(process.usage().read().await, None, "nobody is left");

        let (mut process, _ends) = start(&launcher, family()).await;
        let two = until_usage(&process, |usage| usage.cpu_time >= Duration::from_millis(40)).await;
        assert!(alone.cpu_time < Duration::from_millis(40), "{alone:?}");
        assert!(two.rss_bytes > alone.rss_bytes, "{two:?} beside {alone:?}");
        process.end(HANG).await.unwrap();
    }
}

#[tokio::test]
async fn a_tree_that_comes_and_goes_while_it_is_read_harms_no_reader() {
    let script = "while :; do (:) & (: | :); done";
    let spec = ProcessSpec { args: vec!["-c".into(), script.into()], ..ProcessSpec::new("sh") };
    for launcher in both().await {
        let (mut process, _ends) = start(&launcher, spec.clone()).await;
        for _ in 0..200 {
            let usage = process.usage().read().await.expect("the tree is there");
            // Not of the whole machine, whoever has the numbers of those that have ended.
            assert!(usage.rss_bytes < 1 << 30 && usage.cpu_time < HANG, "{usage:?}");
        }
        process.end(HANG).await.unwrap();
    }
}

#[tokio::test]
async fn a_user_with_more_groups_than_can_be_given_is_refused_by_their_number() {
    let launcher = Launcher::probe(None, None, None).await;
    let user = UserIds { uid: 1, gid: 1, groups: (0..1025).collect() };
    let prepared = launcher.prepare(marker(), Box::new(|_| {})).await.unwrap();
    let spec = ProcessSpec { user: Some(user), ..sleeper() };
    let refused = launcher.go(prepared, spec, Duration::ZERO).await.unwrap_err().to_string();
    assert_eq!(refused, "a user may be given 1024 further groups, and 1025 were named");
}
