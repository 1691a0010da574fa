//! Runtimes that go away under a pit.

use crate::no_orphans::bed::TestHost;

#[test]
fn p17_a_runtime_that_is_shut_down_takes_all_workers_with_it_while_the_host_lives() {
    let mut host = TestHost::start(&["--mode", "runtimes=1", "--size", "20", "--grace", "50"], &[]);
    assert_eq!(host.answer("ready"), "20");
    host.answer("dropped");
    host.assert_alone();
    let late = host.line(std::time::Duration::from_millis(100));
    assert_eq!(late, None, "nothing starts on a runtime that is no more");
    host.kill();
}

#[test]
fn p17_a_runtime_that_goes_when_no_descriptor_is_left_leaves_neither_child_nor_record() {
    let mut host = TestHost::start(&["--mode", "exhausted", "--size", "3", "--grace", "50"], &["--polite"]);
    assert_eq!(host.answer("ready"), "3");
    assert_eq!(host.answer("exhausted"), "children none records 0");
    host.assert_alone();
    host.kill();
}

#[test]
fn p17_a_pit_whose_last_handle_is_dropped_leaves_nothing_while_the_host_lives() {
    let (mut host, _) = TestHost::holding(&["--grace", "50"], &[]);
    host.ask("drop");
    host.assert_alone();
    host.kill();
}
