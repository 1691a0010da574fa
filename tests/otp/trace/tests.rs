//! Traces of small cases, line by line.

use super::trace;

fn lines(case: &str) -> Vec<String> {
    trace(case).unwrap_or_else(|bad| vec![bad.line()])
}

fn short(case: &str) -> String {
    let told = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).expect("each line is JSON");
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        match text("event").as_str() {
            "start" => format!("start {}{} {}", text("id"), value["n"], text("result")),
            "stop" => format!("stop {} {}", text("id"), text("reason")),
            "reply" => format!("{} {}", text("do"), value["result"]),
            "supervisor_exit" => format!("exit [{}] {}", text("id"), text("reason")),
            other => other.to_owned(),
        }
    };
    lines(case).iter().map(|line| told(line)).collect::<Vec<_>>().join(", ")
}

#[test]
fn lines_have_the_form_that_is_promised() {
    let case = r#"{"supervisor":{"kind":"static","strategy":"one_for_all","intensity":3,"period_s":5,
        "auto_shutdown":"never","children":[{"id":"a","restart":"permanent","shutdown":5000,"significant":false,
        "plan":["ok","err","ok"]}]},"script":[{"do":"exit","id":"a","reason":"err"},{"do":"which_children"},
        {"do":"count_children"},{"do":"stop"}]}"#;
    assert_eq!(
        lines(case),
        [
            r#"{"event":"start","id":"a","n":1,"result":"ok"}"#,
            r#"{"event":"stop","id":"a","reason":"err"}"#,
            r#"{"event":"start","id":"a","n":2,"result":"err"}"#,
            r#"{"event":"start","id":"a","n":3,"result":"ok"}"#,
            r#"{"event":"reply","do":"which_children","result":[["a","up"]]}"#,
            r#"{"event":"reply","do":"count_children","result":[1,1,0,1]}"#,
            r#"{"event":"stop","id":"a","reason":"shutdown"}"#,
            r#"{"event":"supervisor_exit","id":"","reason":"shutdown"}"#,
            r#"{"event":"end"}"#,
        ]
    );
}

#[test]
fn a_root_that_fails_logs_the_rollback_and_runs_no_script() {
    let case = r#"{"supervisor":{"children":[{"id":"a"},{"id":"b","plan":["panic"]},{"id":"c"}]},
        "script":[{"do":"which_children"}]}"#;
    assert_eq!(short(case), "start a1 ok, start b1 panic, stop a shutdown, exit [] shutdown, end");
}

#[test]
fn a_nested_supervisor_starts_after_its_children_and_exits_after_them() {
    let case = r#"{"supervisor":{"children":[{"id":"s","supervisor":{"intensity":0,"children":[{"id":"a"},{"id":"b"}]}},
        {"id":"z"}]},"script":[{"do":"exit","id":"s/a","reason":"panic"},{"do":"which_children","id":"s"},
        {"do":"start_child","spec":{"id":"s/e"}},{"do":"count_children","id":"s"},{"do":"terminate_child","id":"s"},
        {"do":"which_children"},{"do":"start_child","spec":{"id":"s/f"}}]}"#;
    assert_eq!(
        short(case),
        "start s/a1 ok, start s/b1 ok, start s1 ok, start z1 ok, \
         stop s/a panic, stop s/b shutdown, exit [s] shutdown, start s/a2 ok, start s/b2 ok, start s2 ok, \
         which_children [[\"b\",\"up\"],[\"a\",\"up\"]], start s/e1 ok, start_child \"ok\", count_children [3,3,0,3], \
         stop s/e shutdown, stop s/b shutdown, stop s/a shutdown, exit [s] shutdown, terminate_child \"ok\", \
         which_children [[\"z\",\"up\"],[\"s\",\"undefined\"]], start_child \"not_found\", end"
    );
}

#[test]
fn a_nested_supervisor_that_fails_is_an_err_after_its_rollback() {
    let case = r#"{"supervisor":{"children":[{"id":"a"}]},"script":[{"do":"start_child","spec":{"id":"s",
        "supervisor":{"children":[{"id":"x"},{"id":"y","plan":["err"]}]}}},{"do":"which_children"}]}"#;
    assert_eq!(
        short(case),
        "start a1 ok, start s/x1 ok, start s/y1 err, stop s/x shutdown, start s1 err, start_child \"error\", \
         which_children [[\"a\",\"up\"]], end"
    );
}

#[test]
fn a_killed_supervisor_takes_its_children_along_newest_first() {
    let case = r#"{"supervisor":{"children":[{"id":"s","supervisor":{"children":[{"id":"a"},
        {"id":"t","supervisor":{"children":[{"id":"x"},{"id":"y"}]}},{"id":"b"}]}}]},
        "script":[{"do":"kill","id":"s"}]}"#;
    assert_eq!(
        short(case),
        "start s/a1 ok, start s/t/x1 ok, start s/t/y1 ok, start s/t1 ok, start s/b1 ok, start s1 ok, \
         stop s/b killed, stop s/t/y killed, stop s/t/x killed, exit [s/t] killed, stop s/a killed, exit [s] killed, \
         start s/a2 ok, start s/t/x2 ok, start s/t/y2 ok, start s/t2 ok, start s/b2 ok, start s2 ok, end"
    );
}

#[test]
fn dynamic_stops_and_lists_are_sorted_by_id() {
    let case = r#"{"supervisor":{"kind":"dynamic","max_children":3,"intensity":0},"script":[
        {"do":"start_child","spec":{"id":"c"}},{"do":"start_child","spec":{"id":"a","shutdown":"brutal_kill"}},
        {"do":"start_child","spec":{"id":"i","plan":["ignore"]}},{"do":"start_child","spec":{"id":"b"}},
        {"do":"start_child","spec":{"id":"d"}},{"do":"which_children"},{"do":"restart_child","id":"a"},
        {"do":"delete_child","id":"a"},{"do":"terminate_child","id":"x"},{"do":"exit","id":"b","reason":"shutdown:x"},
        {"do":"terminate_child","id":"a"}]}"#;
    assert_eq!(
        short(case),
        "start c1 ok, start_child \"ok\", start a1 ok, start_child \"ok\", start i1 ignore, start_child \"ignore\", \
         start b1 ok, start_child \"ok\", start_child \"max_children\", \
         which_children [[\"a\",\"up\"],[\"b\",\"up\"],[\"c\",\"up\"]], restart_child \"error\", delete_child \"error\", \
         terminate_child \"not_found\", stop b shutdown:x, stop a killed, stop c shutdown, exit [] shutdown, \
         terminate_child \"not_found\", end"
    );
}

#[test]
fn time_passes_only_when_the_script_says_so() {
    let case = |ms: u64| {
        format!(
            r#"{{"supervisor":{{"children":[{{"id":"a"}}]}},"script":[{{"do":"exit","id":"a","reason":"normal"}},
            {{"do":"advance","ms":{ms}}},{{"do":"exit","id":"a","reason":"normal"}},{{"do":"kill","id":"b"}}]}}"#
        )
    };
    let twice = "start a1 ok, stop a normal, start a2 ok, stop a normal, ";
    assert_eq!(short(&case(5000)), format!("{twice}exit [] shutdown, end"));
    assert_eq!(short(&case(5001)), format!("{twice}start a3 ok, end"));
}

#[test]
fn a_bad_case_is_one_line() {
    for (case, what) in [
        ("{}", "missing field `supervisor`"),
        (r#"{"supervisor":{"strategy":"one_for_some"}}"#, "unknown variant `one_for_some`"),
        (r#"{"supervisor":{"children":[{"id":"a"},{"id":"a"}]}}"#, "two children have the id"),
        (r#"{"supervisor":{"period_s":0}}"#, "no period"),
        (r#"{"supervisor":{"children":[{"id":"a","significant":true}]}}"#, "significant"),
        (r#"{"supervisor":{},"script":[{"do":"dance"}]}"#, "unknown variant `dance`"),
        (r#"{"supervisor":{},"script":[{"do":"exit","id":"a","reason":"boredom"}]}"#, "boredom"),
        ("not json", "expected"),
    ] {
        let lines = lines(case);
        assert_eq!(lines.len(), 1, "{case}");
        assert!(
            lines[0].starts_with(r#"{"event":"bad_case","message":""#) && lines[0].contains(what),
            "{lines:?}"
        );
    }
}
