//! Everything of ours that keeps the contract, rule by rule.

use std::path::{Path, PathBuf};
use std::time::Duration;

use snakepit_adapters::adapter::Adapter;
use snakepit_adapters::contract::{Examination, RULES, Row, Verdict};
use snakepit_adapters::{GrpcAdapter, PortAdapter};
use snakepit_tests::lacking::{python_with_extras, skipped};
use tokio::runtime::Builder;

use crate::adapter_contract::in_process::InProcess;

/// A hang limit and no expectation.
const HANG: Duration = Duration::from_mins(1);

pub(super) fn rows(adapter: impl Adapter) -> Vec<Row> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { Examination::of(adapter).await.unwrap().patience(HANG).run().await })
}

/// Holds an adapter against one rule.
pub(super) fn verdict(adapter: impl Adapter, rule: &str) -> Verdict {
    let rule = RULES.iter().find(|known| known.name == rule).unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let row =
        runtime.block_on(async { Examination::of(adapter).await.unwrap().patience(HANG).judge(rule).await });
    row.verdict
}

/// Holds an adapter against every rule. Those named may be out of its reach; every other must hold.
fn keeps_the_contract(adapter: impl Adapter, out_of_reach: &[&str]) {
    let rows = rows(adapter);
    let not_held: Vec<&Row> = rows
        .iter()
        .filter(|row| match &row.verdict {
            Verdict::Holds => false,
            Verdict::Broken(_) => true,
            Verdict::NotOffered(_) => !out_of_reach.contains(&row.rule),
        })
        .collect();
    assert!(not_held.is_empty(), "{not_held:#?}");
}

fn from_root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn rust() -> PortAdapter {
    PortAdapter::new(env!("CARGO_BIN_EXE_stub-worker")).arg("--conformance")
}

fn python() -> PortAdapter {
    PortAdapter::python(from_root("tests/workers/test_worker.py")).arg("--conformance")
}

fn perl() -> PortAdapter {
    PortAdapter::new("perl").arg(from_root("examples/workers/worker.pl")).arg("--conformance")
}

#[test]
fn port_and_rust() {
    keeps_the_contract(rust(), &["several_at_once"]);
    keeps_the_contract(rust().args(["--threads", "3"]), &[]);
}

#[test]
fn port_and_python() {
    keeps_the_contract(python(), &["several_at_once"]);
}

#[test]
fn port_and_perl_without_an_sdk() {
    keeps_the_contract(perl(), &[]);
}

#[test]
fn stdio_and_rust() {
    keeps_the_contract(rust().stdio(), &["several_at_once"]);
}

#[test]
fn stdio_and_python() {
    keeps_the_contract(python().stdio(), &["several_at_once"]);
}

#[test]
fn stdio_and_perl_without_an_sdk() {
    keeps_the_contract(perl().stdio(), &[]);
}

/// Rules about single frames on pipes.
const ABOUT_FRAMES: &[&str] = &[
    "byte_by_byte",
    "version",
    "features",
    "pong_numbers",
    "optional_frames",
    "cut_requests",
    "cancel_between_parts",
    "late_words",
    "no_common_version",
    "torn_frame",
    "breaches",
];

#[test]
fn grpc_and_rust() {
    let rust = GrpcAdapter::new(env!("CARGO_BIN_EXE_stub-worker")).args(["--conformance", "--threads", "3"]);
    keeps_the_contract(rust, ABOUT_FRAMES);
}

#[test]
fn grpc_and_python() {
    let Some(interpreter) = python_with_extras() else {
        return skipped("grpc_and_python", "a virtual environment with grpcio, which .ci/run makes");
    };
    let script = from_root("tests/workers/test_worker.py");
    let python = GrpcAdapter::new(interpreter).args([script.as_os_str(), "--conformance".as_ref()]);
    keeps_the_contract(python, &[ABOUT_FRAMES, &["several_at_once"]].concat());
}

/// The process left in the middle of a stream: whoever takes signals knew of the worker only once all its threads had started,
/// and the first of them serves while the others do.
#[test]
fn a_grpc_worker_that_still_starts_threads_finishes_what_runs_when_it_is_told_to_leave() {
    let rust =
        || GrpcAdapter::new(env!("CARGO_BIN_EXE_stub-worker")).args(["--conformance", "--threads", "500"]);
    assert_eq!(verdict(rust(), "terminate_while_busy"), Verdict::Holds);
    assert_eq!(verdict(rust().by_calls(), "terminate_while_busy"), Verdict::Holds);
}

/// What calls have no words for.
const BEYOND_CALLS: &[&str] = &["tells_started"];

#[test]
fn grpc_by_calls_and_rust() {
    let rust = GrpcAdapter::new(env!("CARGO_BIN_EXE_stub-worker")).args(["--conformance", "--threads", "3"]);
    keeps_the_contract(rust.capacity(3).by_calls(), &[ABOUT_FRAMES, BEYOND_CALLS].concat());
}

#[test]
fn grpc_by_calls_and_python() {
    let Some(interpreter) = python_with_extras() else {
        return skipped("grpc_by_calls_and_python", "a virtual environment with grpcio, which .ci/run makes");
    };
    let script = from_root("tests/workers/test_worker.py");
    let python = GrpcAdapter::new(interpreter).args([script.as_os_str(), "--conformance".as_ref()]);
    keeps_the_contract(python.by_calls(), &[ABOUT_FRAMES, BEYOND_CALLS, &["several_at_once"]].concat());
}

#[test]
fn an_actor_in_this_process() {
    let about_processes =
        ["terminate", "terminate_while_busy", "interrupt", "host_death", "host_death_while_busy"];
    keeps_the_contract(InProcess, &[&about_processes[..], ABOUT_FRAMES].concat());
}
