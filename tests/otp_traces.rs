//! Traces that another implementation's can be compared with, line by line.

use snakepit_tests::otp::trace::trace;

fn lines(case: &str) -> Vec<String> {
    trace(case).unwrap_or_else(|error| panic!("{}", error.line()))
}

#[test]
fn a_group_restart_is_traced_with_its_failed_attempt() {
    let trace = lines(include_str!("otp/one_for_all.json"));
    let expected = [
        r#"{"event":"start","id":"a","n":1,"result":"ok"}"#,
        r#"{"event":"start","id":"b","n":1,"result":"ok"}"#,
        r#"{"event":"stop","id":"a","reason":"err"}"#,
        r#"{"event":"stop","id":"b","reason":"shutdown"}"#,
        r#"{"event":"start","id":"a","n":2,"result":"err"}"#,
        r#"{"event":"start","id":"a","n":3,"result":"ok"}"#,
        r#"{"event":"reply","do":"which_children","result":[["a","up"]]}"#,
        r#"{"event":"stop","id":"a","reason":"shutdown"}"#,
        r#"{"event":"supervisor_exit","id":"","reason":"shutdown"}"#,
        r#"{"event":"end"}"#,
    ];
    assert_eq!(trace, expected);
}

#[test]
fn a_nested_supervisor_starts_after_its_children_and_its_end_names_it() {
    let trace = lines(
        r#"{"supervisor":{"kind":"static","children":[{"id":"s","supervisor":{"kind":"static","intensity":0,
            "children":[{"id":"w"}]}},{"id":"z"}]},
            "script":[{"do":"exit","id":"s/w","reason":"err"},{"do":"count_children"},{"do":"stop"}]}"#,
    );
    let expected = [
        r#"{"event":"start","id":"s/w","n":1,"result":"ok"}"#,
        r#"{"event":"start","id":"s","n":1,"result":"ok"}"#,
        r#"{"event":"start","id":"z","n":1,"result":"ok"}"#,
        r#"{"event":"stop","id":"s/w","reason":"err"}"#,
        r#"{"event":"supervisor_exit","id":"s","reason":"shutdown"}"#,
        r#"{"event":"start","id":"s/w","n":2,"result":"ok"}"#,
        r#"{"event":"start","id":"s","n":2,"result":"ok"}"#,
        r#"{"event":"reply","do":"count_children","result":[2,2,1,1]}"#,
        r#"{"event":"stop","id":"z","reason":"shutdown"}"#,
        r#"{"event":"stop","id":"s/w","reason":"shutdown"}"#,
        r#"{"event":"supervisor_exit","id":"s","reason":"shutdown"}"#,
        r#"{"event":"supervisor_exit","id":"","reason":"shutdown"}"#,
        r#"{"event":"end"}"#,
    ];
    assert_eq!(trace, expected);
}

#[test]
fn a_root_that_does_not_start_is_rolled_back_and_its_script_not_run() {
    let trace = lines(
        r#"{"supervisor":{"kind":"static","children":[{"id":"a"},{"id":"b","plan":["err"]},{"id":"c"}]},
            "script":[{"do":"which_children"}]}"#,
    );
    let expected = [
        r#"{"event":"start","id":"a","n":1,"result":"ok"}"#,
        r#"{"event":"start","id":"b","n":1,"result":"err"}"#,
        r#"{"event":"stop","id":"a","reason":"shutdown"}"#,
    ];
    assert_eq!(trace[..3], expected);
    assert!(trace[3].starts_with(r#"{"event":"supervisor_exit","id":"""#), "{}", trace[3]);
    assert_eq!(trace[4..], [r#"{"event":"end"}"#]);
}

#[test]
fn a_dynamic_supervisor_is_traced_in_the_order_of_ids() {
    let trace = lines(
        r#"{"supervisor":{"kind":"dynamic","max_children":2},"script":[
            {"do":"start_child","spec":{"id":"b"}},{"do":"start_child","spec":{"id":"a"}},
            {"do":"start_child","spec":{"id":"c"}},{"do":"restart_child","id":"a"},{"do":"stop"}]}"#,
    );
    let expected = [
        r#"{"event":"start","id":"b","n":1,"result":"ok"}"#,
        r#"{"event":"reply","do":"start_child","result":"ok"}"#,
        r#"{"event":"start","id":"a","n":1,"result":"ok"}"#,
        r#"{"event":"reply","do":"start_child","result":"ok"}"#,
        r#"{"event":"reply","do":"start_child","result":"max_children"}"#,
        r#"{"event":"reply","do":"restart_child","result":"error"}"#,
        r#"{"event":"stop","id":"a","reason":"shutdown"}"#,
        r#"{"event":"stop","id":"b","reason":"shutdown"}"#,
        r#"{"event":"supervisor_exit","id":"","reason":"shutdown"}"#,
        r#"{"event":"end"}"#,
    ];
    assert_eq!(trace, expected);
}

#[test]
fn a_bad_case_says_what_is_bad() {
    for case in ["", "[]", r#"{"supervisor":{"kind":"odd"},"script":[]}"#] {
        let error = trace(case).unwrap_err().line();
        assert!(error.starts_with(r#"{"event":"bad_case","message":""#), "{case}: {error}");
    }
}
