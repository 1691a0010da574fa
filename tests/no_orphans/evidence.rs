//! The evidence itself: a keeper that saw nothing, and strangers that felt nothing, would prove nothing.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use snakepit_tests::keeper::HANG;
use snakepit_tests::oracle::{self, ProcessHandle};
use snakepit_tests::stranger::Strangers;

use crate::no_orphans::bed::{ROLES, keeping};

#[test]
fn the_keeper_sees_a_daemon_without_environment_in_a_session_of_its_own() {
    let mut kept = keeping().run(Path::new(ROLES), ["worst-worker"]).unwrap();
    // The worker, its grandchild, the daemon, and what forked the daemon.
    assert!(oracle::holds_within(HANG, || kept.family().len() == 4), "{:?}", kept.family());
    kept.host().signal(Signal::SIGKILL);
    let left = kept.until_empty(Duration::from_millis(200)).unwrap_err();
    let sleepers: Vec<_> = left.iter().filter(|process| process.command.starts_with("sleep ")).collect();
    assert_eq!(sleepers.len(), 2, "{left:?}");
    let environments: Vec<_> = sleepers
        .iter()
        .map(|sleeper| std::fs::read(format!("/proc/{}/environ", sleeper.pid)).unwrap())
        .collect();
    assert!(environments.iter().any(Vec::is_empty), "one has an empty environment");
    assert_eq!(kept.ended(), Some("SIGKILL"));
    let handles: Vec<_> = left.iter().filter_map(|process| ProcessHandle::open(process.pid).ok()).collect();
    drop(kept);
    assert!(handles.iter().all(|process| !process.runs()), "a host that is dropped leaves nothing");
}

#[test]
fn a_stranger_counts_every_signal_that_reaches_it() {
    let untouched = Strangers::start(Path::new(ROLES)).unwrap();
    assert_eq!(untouched.signals().unwrap(), 0);
    let touched = Strangers::start(Path::new(ROLES)).unwrap();
    for (pid, signal) in touched.pids().into_iter().zip([Signal::SIGTERM, Signal::SIGKILL, Signal::SIGSTOP]) {
        let stranger = ProcessHandle::open(pid).unwrap();
        assert!(stranger.signal(signal));
        // One that hears says so by itself; the end and the stop have to be there when they are counted.
        let has_arrived = || match signal {
            Signal::SIGKILL => !stranger.runs(),
            Signal::SIGSTOP => oracle::look(pid).is_some_and(|process| process.state == 'T'),
            _ => true,
        };
        assert!(oracle::holds_within(HANG, has_arrived));
    }
    assert_eq!(touched.signals().unwrap(), 3);
}
