//! Programs that are missing, broken, replaced while they run, or built in another way.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use snakepit_adapters::{AwaitReadyError, LossCause, PoolConfig, PortAdapter, ProcessExit, Snakepit};
use snakepit_tests::keeper::HANG;
use snakepit_tests::lacking::skipped;
use snakepit_tests::oracle::{self, Mark, ProcessHandle};

use crate::no_orphans::bed::{PATIENCE, ROLES, args, keeping, numbers};

/// Starts a pit over a program in this very process, and says why its workers are lost.
fn loss_of(adapter: PortAdapter) -> LossCause {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
        let config = PoolConfig::new("default", adapter.env(Mark::VARIABLE, mark.value())).size(1);
        let config = config.with(|options| options.restart.intensity = 0);
        let pit = Snakepit::builder().data_dir(directory.path()).pool(config).start().await.unwrap();
        let ready = pit.await_ready("default", HANG).await;
        let Err(AwaitReadyError::PoolFailed { reason, .. }) = ready else { panic!("{ready:?}") };
        assert_eq!(pit.shutdown(HANG).await.processes_left, [0_i32; 0]);
        mark.assert_nothing_left().await;
        reason.last_loss().unwrap().cause.clone()
    })
}

#[test]
fn p24_a_program_that_cannot_be_run_is_named_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let table = [
        (None, "was not found"),
        (Some(("#!/no/such/interpreter\n", 0o755)), "interpreter"),
        (Some(("\u{1}\u{2}\u{3}\u{4}", 0o755)), "Exec format error"),
        (Some(("#!/bin/sh\n", 0o644)), "Permission denied"),
    ];
    for (content, words) in table {
        let program = folder.path().join("worker");
        if let Some((text, mode)) = content {
            std::fs::write(&program, text).unwrap();
            std::fs::set_permissions(&program, PermissionsExt::from_mode(mode)).unwrap();
        }
        match loss_of(PortAdapter::new(&program)) {
            LossCause::SpawnFailed { message } => {
                assert!(message.contains(words), "{message}");
                assert!(message.contains(program.to_str().unwrap()), "{message}");
            }
            other => panic!("{words}: {other}"),
        }
    }
}

#[test]
fn p24_exit_codes_and_signals_arrive_as_they_were() {
    let shell = |script: &str| loss_of(PortAdapter::new("sh").args(["-c", script]));
    for code in [0, 1, 42, 255] {
        let loss = shell(&format!("exit {code}"));
        assert_eq!(loss, LossCause::ProcessExited { exit: ProcessExit::Code(code) });
    }
    for signal in [Signal::SIGTERM, Signal::SIGKILL, Signal::SIGABRT] {
        let number = signal as i32;
        let loss = shell(&format!("ulimit -c 0; kill -{number} $$"));
        assert_eq!(loss, LossCause::ProcessExited { exit: ProcessExit::Signal(number) });
    }
}

/// A host whose program is changed while it runs still replaces its workers.
fn replaces_workers_after(change: impl Fn(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("service");
    std::fs::copy(ROLES, &program).unwrap();
    let mut kept = keeping().run(&program, args(&folder.path().join("data"), &["--size", "1"], &[])).unwrap();
    let before = numbers(&kept.line(HANG).unwrap());
    change(&program);
    ProcessHandle::open(before[0]).unwrap().signal(Signal::SIGKILL);
    let mut after = before.clone();
    let is_replaced = oracle::holds_within(HANG, || {
        after = numbers(&kept.ask("pids").unwrap());
        after != before
    });
    assert!(is_replaced, "{before:?}");
    kept.host().signal(Signal::SIGKILL);
    kept.until_empty(PATIENCE).expect("nothing is left");
}

#[test]
fn p23_a_host_whose_program_was_deleted_starts_workers() {
    replaces_workers_after(|program| std::fs::remove_file(program).unwrap());
}

#[test]
fn p23_a_host_whose_program_was_replaced_starts_workers() {
    replaces_workers_after(|program| {
        let next = program.with_extension("next");
        std::fs::write(&next, "another program").unwrap();
        std::fs::rename(&next, program).unwrap();
    });
}

#[test]
fn p23_a_host_that_is_linked_statically_with_musl_is_a_host_like_any_other() {
    const TARGET: &str = "x86_64-unknown-linux-musl";
    let roles = Path::new(ROLES);
    let (profile, target) = (roles.parent().unwrap(), roles.ancestors().nth(2).unwrap());
    let program = target.join(TARGET).join(profile.file_name().unwrap()).join("chaos");
    if !program.is_file() {
        let build = "cargo build -p snakepit-tests --bin chaos --target";
        return skipped("p23", &format!("there is no musl build: {build} {TARGET}"));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut kept = keeping().run(&program, args(folder.path(), &[], &[])).unwrap();
    assert_eq!(numbers(&kept.line(HANG).unwrap()).len(), 2);
    kept.host().signal(Signal::SIGKILL);
    kept.until_empty(PATIENCE).expect("nothing is left");
}

#[test]
fn p23_a_test_program_is_a_host_like_any_other() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
        let adapter = PortAdapter::new(ROLES).arg("worst-worker").env(Mark::VARIABLE, mark.value());
        let config = PoolConfig::new("default", adapter).size(2);
        let config = config.with(|options| options.stop_grace = Duration::from_millis(50));
        let pit = Snakepit::builder().data_dir(directory.path()).pool(config).start().await.unwrap();
        pit.await_ready("default", HANG).await.unwrap();
        assert_eq!(pit.shutdown(HANG).await.processes_left, [0_i32; 0]);
        mark.assert_nothing_left().await;
    });
}
