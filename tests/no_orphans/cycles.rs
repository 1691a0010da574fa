//! What a host must not gather: zombies, descriptors, memory, records.

use std::collections::BTreeMap;
use std::time::Duration;

use nix::sys::signal::Signal;
use snakepit_tests::keeper::Limit;
use snakepit_tests::lacking::skipped;
use snakepit_tests::oracle::{self, ProcessHandle};

use crate::no_orphans::bed::TestHost;

/// How many descriptors above those in use are tried.
const SWEEP: usize = 21;
/// How long one saying of a host may take.
const PATIENCE: Duration = Duration::from_mins(1);

#[test]
fn p15_a_host_that_runs_out_of_descriptors_says_so_and_loses_none() {
    let mut host = TestHost::start(&["--mode", "descriptors", "--size", "1", "--grace", "20"], &[]);
    let mut words = Vec::new();
    while let Some(line) = host.line(PATIENCE) {
        if line == "done" {
            break;
        }
        let fields: Vec<_> = line.split(' ').collect();
        let ["room", _, word, "before", before, "after", after] = fields[..] else { panic!("{line}") };
        assert_eq!(before, after, "{line}");
        words.push(word.to_owned());
    }
    assert_eq!(words.len(), SWEEP, "{words:?}");
    assert!(words.iter().any(|word| word != "ready"), "no step of the sweep ran into the limit");
    host.assert_alone();
    host.kill();
}

#[test]
fn p15_a_host_that_may_start_no_more_processes_loses_none_and_recovers() {
    let (mut host, before) = TestHost::holding(&["--grace", "20"], &[]);
    let pid = host.host().pid();
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().count() as u64;
    // Those that run are counted with the group that they are in; only what the host starts from here on is under it.
    let limit = match Limit::tasks(tasks) {
        Ok(limit) => limit,
        Err(missing) => return skipped("p15", &missing),
    };
    limit.hold(pid).unwrap();
    for worker in &before {
        ProcessHandle::open(*worker).unwrap().signal(Signal::SIGKILL);
    }
    let all_gone = oracle::holds_within(Duration::from_secs(10), || host.others().is_empty());
    assert!(all_gone, "{:?}", host.others());
    limit.release(pid).unwrap();
    let after = host.pids();
    assert!(after.len() == 2 && after.iter().all(|pid| !before.contains(pid)), "{before:?}, {after:?}");
    host.kill();
}

#[test]
fn p16_a_host_gathers_nothing_while_pits_come_and_go() {
    let mut host =
        TestHost::start(&["--mode", "cycles=200", "--size", "1", "--grace", "2000"], &["--polite"]);
    let mut sayings: Vec<BTreeMap<String, u64>> = Vec::new();
    loop {
        let line = host.line(PATIENCE).expect("the host goes on");
        if line.starts_with("done") {
            break;
        }
        let words: Vec<_> = line.split(' ').collect();
        let pairs = words.chunks_exact(2).map(|pair| (pair[0].to_owned(), pair[1].parse().unwrap()));
        sayings.push(pairs.collect());
    }
    let (first, last) = (&sayings[0], &sayings[sayings.len() - 1]);
    assert_eq!((first["cycle"], last["cycle"]), (20, 200));
    assert_eq!((last["zombies"], last["descendants"]), (0, 0), "{last:?}");
    assert_eq!(first["fds"], last["fds"], "{sayings:?}");
    assert!(last["rss_kb"] < first["rss_kb"] + 4096, "{sayings:?}");
    assert!(last["registry_bytes"] <= first["registry_bytes"] + 128 * 1024, "{sayings:?}");
    host.assert_nothing_left();
}
