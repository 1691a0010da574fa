//! What stands between a host and its workers is killed: alone, and together with the host.

use std::sync::Arc;

use nix::sys::signal::Signal;
use snakepit_tests::oracle::{self, ProcessHandle};

use crate::no_orphans::bed::{PATIENCE, TestHost, signal_all};

#[test]
fn p04_shims_that_are_killed_take_their_trees_along_and_are_replaced() {
    let (mut host, before) = TestHost::holding(&["--size", "3"], &["--keep-env"]);
    for round in 1..=4 {
        assert_eq!(host.ask("busy"), "3");
        let doomed: Vec<_> =
            host.others().iter().filter_map(|other| ProcessHandle::open(other.pid).ok()).collect();
        assert!(doomed.len() >= 12, "a shim, a worker and two more, three times");
        let shims = host.shims();
        assert_eq!(shims.len(), 3);
        signal_all(&shims, Signal::SIGKILL);
        for _ in 0..3 {
            assert_eq!(host.answer("lost"), "shim_lost");
        }
        let all_gone = oracle::holds_within(PATIENCE, || doomed.iter().all(|process| !process.runs()));
        assert!(all_gone, "round {round}: {:?}", host.others());
        let now = host.pids();
        assert!(now.len() == 3 && now.iter().all(|pid| !before.contains(pid)), "{now:?}");
    }
    host.kill();
}

#[test]
fn p05_what_outlives_a_host_and_its_shims_is_ended_by_the_next_start() {
    for round in 0..6 {
        let (mut host, _) = TestHost::holding(&["--size", "2"], &["--keep-env"]);
        let shims = host.shims();
        if round % 2 == 0 {
            host.host().signal(Signal::SIGKILL);
            signal_all(&shims, Signal::SIGKILL);
        } else {
            signal_all(&shims, Signal::SIGKILL);
            host.host().signal(Signal::SIGKILL);
        }
        assert_eq!(host.until_ended(PATIENCE), Some("SIGKILL"));
        let mut next = TestHost::start_in(Arc::clone(&host.directory), &[], &["--keep-env"]);
        assert_eq!(next.pids_line().len(), 2);
        assert!(next.ask("recovered").ends_with(" 0"), "nothing may survive the recovery");
        // It is the recovery, and no end of the second host, that has to have done it.
        host.assert_nothing_left();
        next.kill();
    }
}

#[test]
fn p04_a_host_that_is_a_subreaper_reaps_what_killed_shims_leave_it() {
    let (mut host, _) = TestHost::holding(&["--size", "2", "--subreaper"], &["--keep-env"]);
    for round in 1..=3 {
        assert_eq!(host.ask("busy"), "2");
        let doomed: Vec<_> = host.others().iter().map(|other| other.pid).collect();
        assert!(doomed.len() >= 8, "a shim, a worker and two more, twice");
        signal_all(&host.shims(), Signal::SIGKILL);
        for _ in 0..2 {
            assert_eq!(host.answer("lost"), "shim_lost");
        }
        // A number that has come again belongs to a process that runs.
        let is_left = |pid: &i32| oracle::look(*pid).is_some_and(|process| process.state == 'Z');
        let mut zombies = Vec::new();
        let reaped = oracle::holds_within(PATIENCE, || {
            zombies = doomed.iter().copied().filter(is_left).collect();
            zombies.is_empty()
        });
        assert!(reaped, "round {round}: {zombies:?} of {doomed:?}");
        host.pids();
    }
    host.kill();
}
