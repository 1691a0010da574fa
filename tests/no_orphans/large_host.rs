//! A host with a large heap: a fork would have to copy its page tables, so it never forks.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use snakepit_tests::keeper::HANG;
use snakepit_tests::lacking::skipped;
use snakepit_tests::oracle::children;

use crate::no_orphans::bed::{PATIENCE, ROLES, args, keeping, numbers};

#[test]
fn p21_a_large_host_never_forks_its_own_memory() {
    let strace = Command::new("strace").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !strace.is_ok_and(|status| status.success()) {
        return skipped("p21", "strace is missing");
    }
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("trace");
    let mut words: Vec<String> =
        ["-f", "-qq", "-e", "trace=clone,clone3,fork,vfork", "-e", "signal=none", "-o"]
            .map(str::to_owned)
            .to_vec();
    words.extend([trace.to_str().unwrap().to_owned(), ROLES.to_owned()]);
    words.extend(args(&directory.path().join("data"), &["--heap", "256", "--size", "2"], &["--no-daemon"]));
    let mut kept = keeping().run(Path::new("strace"), words).unwrap();
    assert_eq!(numbers(&kept.line(HANG).unwrap()).len(), 2);
    let host = children(kept.host().pid())[0].pid;
    kept.ask("shutdown 3000").unwrap();
    kept.say("leave");
    kept.until_empty(PATIENCE).expect("nothing is left");
    let calls = calls_of(host, &std::fs::read_to_string(&trace).unwrap());
    let starts: Vec<_> = calls.iter().filter(|call| !call.contains("CLONE_THREAD")).collect();
    assert!(starts.len() >= 2, "two workers were started: {calls:?}");
    // A child that shares the memory until it runs another program copies nothing.
    assert!(
        starts.iter().all(|call| call.contains("CLONE_VM") && call.contains("CLONE_VFORK")),
        "{starts:?}"
    );
}

/// The calls that the threads of one process made, each with its result.
fn calls_of(host: i32, trace: &str) -> Vec<String> {
    let mut threads = BTreeSet::from([host]);
    let mut calls: Vec<String> = Vec::new();
    let mut unfinished: Vec<(i32, String)> = Vec::new();
    for line in trace.lines() {
        let (pid, call) = line.split_once(' ').unwrap_or((line, ""));
        let (pid, call) = (pid.parse::<i32>().unwrap(), call.trim());
        if let Some(begun) = call.strip_suffix("<unfinished ...>") {
            unfinished.push((pid, begun.to_owned()));
            continue;
        }
        let mut whole = call.to_owned();
        if call.starts_with("<...") {
            let at = unfinished.iter().position(|(by, _)| *by == pid).expect("what resumes was begun");
            whole = format!("{}{call}", unfinished.remove(at).1);
        }
        if threads.contains(&pid) {
            let made = whole.rsplit("= ").next().and_then(|made| made.parse::<i32>().ok());
            if let Some(thread) = made.filter(|_| whole.contains("CLONE_THREAD")) {
                threads.insert(thread);
            }
            calls.push(whole);
        }
    }
    calls
}
