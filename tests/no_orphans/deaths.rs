//! Hosts that die in mid-churn, in every way that there is.

use std::time::Duration;

use nix::sys::signal::Signal;
use snakepit_tests::keeper::{HANG, Limit};
use snakepit_tests::lacking::skipped;

use crate::no_orphans::bed::TestHost;

/// Hosts in mid-churn that are hit a few milliseconds later each; says how each ended.
fn hit_in_churn(rounds: u64, mut hit: impl FnMut(&mut TestHost)) -> Vec<String> {
    let mut ends = Vec::new();
    for round in 0..rounds {
        let mut host = TestHost::start(&["--mode", "churn", "--grace", "5"], &[]);
        host.answer("churning");
        let early = host.line(Duration::from_millis(3 + 80 * round / rounds));
        assert_eq!(early, None, "the host was to live until it is hit");
        hit(&mut host);
        ends.push(host.until_ended(HANG).unwrap_or("is alive").to_owned());
        host.assert_nothing_left();
    }
    ends
}

fn all_ended(ends: &[String], how: &str) {
    assert!(ends.iter().all(|end| end == how), "{ends:?}");
}

#[test]
fn p01_a_host_killed_in_mid_churn_leaves_nothing() {
    let ends = hit_in_churn(12, |host| {
        host.host().signal(Signal::SIGKILL);
    });
    all_ended(&ends, "SIGKILL");
}

#[test]
fn p02_a_host_that_aborts_leaves_nothing() {
    all_ended(&hit_in_churn(3, |host| host.say("abort")), "SIGABRT");
}

#[test]
fn p02_a_host_that_is_told_to_terminate_and_has_no_handler_leaves_nothing() {
    let ends = hit_in_churn(3, |host| {
        host.host().signal(Signal::SIGTERM);
    });
    all_ended(&ends, "SIGTERM");
}

#[test]
fn p02_a_host_that_exits_without_a_farewell_leaves_nothing() {
    all_ended(&hit_in_churn(3, |host| host.say("exit")), "3");
}

#[test]
fn p02_a_host_with_a_real_fault_leaves_nothing() {
    all_ended(&hit_in_churn(3, |host| host.say("segv")), "SIGSEGV");
}

#[test]
fn p02_a_host_that_panics_in_an_actor_and_then_in_main_leaves_nothing() {
    all_ended(&hit_in_churn(3, |host| host.say("panic")), "101");
}

#[test]
fn p02_an_actor_above_the_pit_that_panics_takes_the_workers_with_it_while_the_host_lives() {
    let (mut host, _) = TestHost::holding(&["--grace", "50"], &[]);
    host.say("panic");
    host.assert_alone();
    host.kill();
}

#[test]
fn p02_a_host_that_runs_out_of_memory_leaves_nothing() {
    let limit = match Limit::memory(192 << 20) {
        Ok(limit) => limit,
        Err(missing) => return skipped("p02", &missing),
    };
    let (mut host, _) = TestHost::holding(&[], &[]);
    if let Err(error) = limit.hold(host.host().pid()) {
        return skipped("p02", &format!("the host cannot be put under a limit of memory: {error}"));
    }
    host.say("oom");
    assert_eq!(host.until_ended(HANG), Some("SIGKILL"));
    host.assert_nothing_left();
}
