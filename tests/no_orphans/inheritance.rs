//! What a worker must not inherit from its host, whatever the host has done to itself.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;

use crate::no_orphans::bed::{TestHost, status};

/// The soft limit of open files.
fn file_limit(pid: i32) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = text.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_ascii_whitespace().nth(3).unwrap().to_owned()
}

/// What each descriptor of a process leads to.
fn descriptors(pid: i32) -> BTreeMap<u32, PathBuf> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().map(Result::unwrap);
    let number = |name: &OsStr| name.to_str().unwrap().parse().unwrap();
    entries.map(|entry| (number(&entry.file_name()), fs::read_link(entry.path()).unwrap())).collect()
}

/// The signals of a mask, without the two that the C library keeps to itself and that nobody can reset through it.
fn signals(pid: i32, mask: &str) -> Vec<Signal> {
    let mask = u64::from_str_radix(&status(pid, mask), 16).unwrap();
    Signal::iterator().filter(|&signal| mask & (1 << (signal as i32 - 1)) != 0).collect()
}

#[test]
fn p20_a_worker_of_a_spoiled_host_starts_clean() {
    let mut host = TestHost::start(&["--spoiled"], &["--hears-term", "--no-daemon", "--no-grandchild"]);
    let limit = host.answer("limit");
    let pids = host.pids_line();
    let spoiled = host.host().pid();
    // The host has all that it may not pass on.
    assert!(signals(spoiled, "SigBlk").contains(&Signal::SIGTERM));
    assert!(signals(spoiled, "SigIgn").contains(&Signal::SIGHUP));
    assert_ne!(file_limit(spoiled), limit, "the limit is raised");
    for pid in pids {
        assert_eq!(signals(pid, "SigBlk"), []);
        // The worker is a Rust program, and Rust's own start ignores this one.
        assert_eq!(signals(pid, "SigIgn"), [Signal::SIGPIPE]);
        assert_eq!(file_limit(pid), limit);
        let open = descriptors(pid);
        // This worker opens its wire again, under numbers of its own.
        let inherited =
            open.iter().filter(|(number, to)| **number < 5 || **to != open[&3] && **to != open[&4]);
        let inherited: Vec<u32> = inherited.map(|(number, _)| *number).collect();
        assert_eq!(inherited, [0, 1, 2, 3, 4], "{open:?}");
    }
    host.kill();
}
