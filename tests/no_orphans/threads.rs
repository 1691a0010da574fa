//! Threads that start a pit and end: the workers stay.

use std::time::Duration;

use crate::no_orphans::bed::TestHost;

/// How long an idle thread of the blocking pool lives in these hosts; tokio's own figure is 10 s. `chaos --kind threads`
/// watches with that.
const KEEP_ALIVE_MS: &str = "100";
/// How long the workers are watched after that thread has gone.
const WATCHED: Duration = Duration::from_millis(1500);

#[test]
fn p18_workers_outlive_the_thread_that_started_them() {
    let hosts = ["task", "spawn_blocking", "block_in_place"].map(|on| {
        let (host, pids) = TestHost::holding(&["--on", on, "--keep-alive", KEEP_ALIVE_MS], &[]);
        (on, host, pids)
    });
    for (on, mut host, pids) in hosts {
        assert_eq!(host.line(WATCHED), None);
        assert_eq!(host.pids(), pids, "started on {on}");
        host.kill();
    }
}
