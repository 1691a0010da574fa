//! Hosts that are killed between two steps of a start: no worker without a record, no record without its end.

use std::sync::Arc;

use nix::sys::signal::Signal;
use snakepit_tests::keeper::HANG;
use snakepit_tests::oracle::holds_within;

use crate::no_orphans::bed::{PATIENCE, TestHost, numbers};

/// The steps in their order, and whether a worker may run once they are done.
const STEPS: [(&str, bool); 6] = [
    ("ShimSpawned", false),
    ("HelloReceived", false),
    ("IntentCommitted", false),
    ("GoSent", true),
    ("Started", true),
    ("Activated", true),
];
const ROUNDS: usize = 2;

#[test]
fn p03_a_host_killed_after_any_step_of_a_start_leaves_nothing_and_no_worker_without_a_record() {
    for (step, may_have_worker) in STEPS {
        for _ in 0..ROUNDS {
            let mut host = TestHost::start(&["--halt", step, "--size", "2"], &[]);
            assert_eq!(host.answer("halted"), step);
            // By the role that is its first argument: a shim that is about to become one still goes by its host's command,
            // which names the role of the workers further on.
            let is_worker = |process: &&snakepit_tests::oracle::Relative| {
                process.command.split(' ').nth(1) == Some("worst-worker") && process.state != 'Z'
            };
            let has_worker = || host.others().iter().any(|process| is_worker(&process));
            assert!(may_have_worker || !has_worker(), "{step}: {:?}", host.others());
            let must_have_worker = ["Started", "Activated"].contains(&step);
            assert!(!must_have_worker || holds_within(HANG, has_worker), "{step}: {:?}", host.others());
            host.host().signal(Signal::SIGKILL);
            assert_eq!(host.until_ended(HANG), Some("SIGKILL"));
            let directory = host.assert_nothing_left();
            // What had a worker has a record, and the next start takes it out.
            let mut next = TestHost::start_in(Arc::clone(&directory), &["--grace", "20"], &[]);
            assert_eq!(next.pids_line().len(), 2);
            let recovered = numbers(&next.ask("recovered"));
            let needed = usize::from(may_have_worker);
            assert!(usize::try_from(recovered[0]).unwrap() >= needed, "{step}: {recovered:?}");
            assert_eq!(recovered[2], 0, "{step}: {recovered:?}");
            let report = next.ask("shutdown 5000");
            next.say("leave");
            assert!(next.until_ended(PATIENCE).is_some());
            let mut last = TestHost::start_in(next.assert_nothing_left(), &[], &[]);
            assert_eq!(last.pids_line().len(), 2);
            assert_eq!(last.ask("recovered"), "0 0 0", "{step}: the registry was not empty after {report}");
            last.kill();
        }
    }
}
