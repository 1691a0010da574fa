//! Workers that fork as fast as they can, and whose children do too.

use std::time::Duration;

use snakepit_tests::oracle;
use tokio::time::Instant;

use crate::no_orphans::bed::{TestHost, listed};

/// How many each bomb may fork. They share the machine with the other tests.
const FORKS: &str = "200";
const BOMBS: [&[&str]; 2] = [&["--bomb", FORKS], &["--bomb", FORKS, "--bomb-sessions"]];
/// What the protocol grants a shim without any privilege.
const PATIENCE: Duration = Duration::from_secs(5);

/// A host with one bomb that has begun.
fn bombed(bomb: &[&str]) -> TestHost {
    let host = TestHost::holding(&["--size", "1", "--grace", "100"], bomb).0;
    assert!(oracle::holds_within(PATIENCE, || host.others().len() > 50), "{}", listed(&host.others()));
    host
}

#[test]
fn p14_a_bomb_goes_with_its_killed_host() {
    for bomb in BOMBS {
        let host = bombed(bomb);
        let began = Instant::now();
        host.kill();
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    }
}

#[test]
fn p14_a_bomb_goes_with_its_stopped_pit() {
    for bomb in BOMBS {
        let mut host = bombed(bomb);
        let report: serde_json::Value = serde_json::from_str(&host.ask("shutdown 20000")).unwrap();
        assert_eq!(report["processes_left"], serde_json::json!([]), "{report}");
        host.assert_alone();
        host.kill();
    }
}
