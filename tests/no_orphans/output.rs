//! What workers print, and do not print: none of it stops a host, and none of it stays in its memory.

use std::fs;

use crate::no_orphans::bed::TestHost;

/// What a host may grow by, in kB.
const GROWTH_KB: u64 = 5 << 10;

fn rss_kb(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_ascii_whitespace().next().unwrap().parse().unwrap()
}

/// How much larger a host gets when its worker prints.
fn grows_by(misdeeds: &[&str]) -> u64 {
    let (plain, _) = TestHost::holding(&["--size", "1"], &[]);
    let (printed, _) = TestHost::holding(&["--size", "1"], misdeeds);
    let growth = rss_kb(printed.host().pid()).saturating_sub(rss_kb(plain.host().pid()));
    plain.kill();
    printed.kill();
    growth
}

#[test]
fn p22_a_line_of_200_megabytes_does_not_grow_the_host() {
    let growth = grows_by(&["--line", "200000000"]);
    assert!(growth < GROWTH_KB, "{growth} kB");
}

#[test]
fn p22_a_flood_of_lines_does_not_grow_the_host() {
    let growth = grows_by(&["--flood", "50000000"]);
    assert!(growth < GROWTH_KB, "{growth} kB");
}

#[test]
fn p22_a_worker_that_closes_its_stdout_serves_all_the_same() {
    let (mut host, _) = TestHost::holding(&["--size", "1"], &["--closes-stdout"]);
    assert_eq!(host.ask("busy"), "1");
    host.kill();
}

#[test]
fn p22_a_stop_does_not_wait_for_pipes_that_a_descendant_holds() {
    let (mut host, _) = TestHost::holding(&["--grace", "50"], &["--polite", "--hands-stdout"]);
    let report: serde_json::Value = serde_json::from_str(&host.ask("shutdown 20000")).unwrap();
    assert_eq!(report["processes_left"], serde_json::json!([]), "{report}");
    assert!(report["took_ms"].as_u64().unwrap() < 5000, "{report}");
    host.assert_alone();
    host.kill();
}
