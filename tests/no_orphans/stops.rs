//! Pits that are told to stop: over stopped processes, and over workers that do not hear.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use snakepit_tests::oracle::{ProcessHandle, Relative};
use tokio::time::Instant;

use crate::no_orphans::bed::{TestHost, signal_all};

/// How long the workers of these tests may take to leave.
const GRACE_MS: u64 = 200;
/// What a stop may take beyond the grace before it is a hang.
const HANG: Duration = Duration::from_secs(5);

/// Which processes of a tree are stopped.
#[derive(Clone, Copy, Debug)]
enum Stopped {
    Workers,
    Shims,
    Both,
}

impl Stopped {
    const ALL: [Self; 3] = [Self::Workers, Self::Shims, Self::Both];

    /// Sends SIGSTOP. A shim is a child of the host; the rest below it is the worker's.
    fn stop(self, host: &TestHost) {
        let is_shim = |process: &Relative| process.parent == host.host().pid();
        let wanted = |process: &&Relative| match self {
            Self::Workers => !is_shim(process),
            Self::Shims => is_shim(process),
            Self::Both => true,
        };
        let others = host.others();
        let found: Vec<_> = others
            .iter()
            .filter(wanted)
            .filter_map(|process| ProcessHandle::open(process.pid).ok())
            .collect();
        assert!(found.len() >= 2, "{self:?} of {others:?}");
        signal_all(&found, Signal::SIGSTOP);
    }
}

fn shut_down(host: &mut TestHost) -> (Value, Duration) {
    let began = Instant::now();
    let report = serde_json::from_str(&host.ask("shutdown 20000")).unwrap();
    (report, began.elapsed())
}

#[test]
fn p07_a_pit_over_stopped_processes_stops_in_its_grace() {
    for stopped in Stopped::ALL {
        let (mut host, _) = TestHost::holding(&["--grace", &GRACE_MS.to_string()], &[]);
        stopped.stop(&host);
        let (report, took) = shut_down(&mut host);
        assert_eq!(report["processes_left"], serde_json::json!([]), "{stopped:?}: {report}");
        // A shim that is stopped cannot hear that it is to stop its worker; the host waits for it a little longer.
        assert!(took < Duration::from_millis(GRACE_MS) + HANG, "{stopped:?}: {took:?}");
        host.assert_alone();
        host.kill();
    }
}

#[test]
fn p07_a_host_that_is_killed_over_stopped_processes_leaves_nothing() {
    for stopped in Stopped::ALL {
        let (host, _) = TestHost::holding(&[], &[]);
        stopped.stop(&host);
        host.kill();
    }
}

#[test]
fn p07_a_worker_that_stops_itself_is_no_shelter() {
    let (mut host, _) = TestHost::holding(&["--grace", &GRACE_MS.to_string()], &["--stops-itself"]);
    let (report, _) = shut_down(&mut host);
    assert_eq!(report["processes_left"], serde_json::json!([]), "{report}");
    host.assert_alone();
    host.kill();
}

#[test]
fn p08_a_pool_of_workers_that_ignore_term_is_stopped_in_its_grace_and_each_is_counted() {
    let size = 20;
    let (mut host, _) =
        TestHost::holding(&["--size", &size.to_string(), "--grace", &GRACE_MS.to_string()], &[]);
    let (report, took) = shut_down(&mut host);
    let pool = &report["pools"][0];
    assert_eq!((&pool["workers_killed"], &pool["workers_left"]), (&size.into(), &0.into()), "{report}");
    // All at once and not one after the other, which would take 20 graces.
    assert!(took >= Duration::from_millis(GRACE_MS), "{took:?}");
    assert!(took < Duration::from_millis(GRACE_MS * 10), "{took:?}");
    host.assert_alone();
    host.kill();
}
