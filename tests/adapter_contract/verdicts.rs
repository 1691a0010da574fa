//! The examination itself: it finds what is broken, and says so as its program promises.

use std::process::Command;

use snakepit_adapters::PortAdapter;
use snakepit_adapters::contract::{RULES, Verdict};

use crate::adapter_contract::subjects::{rows, verdict};

fn stub(flag: &str) -> PortAdapter {
    PortAdapter::new(env!("CARGO_BIN_EXE_stub-worker")).arg(flag)
}

#[test]
fn a_worker_that_answers_twice_is_found_out() {
    let of = |rule| verdict(stub("--answer-twice"), rule);
    assert_eq!(of("handshake"), Verdict::Holds);
    // It echoes whatever it is asked.
    assert!(matches!(of("unknown_command"), Verdict::Broken(_)));
    let many = of("many_requests");
    assert!(matches!(&many, Verdict::Broken(what) if what.contains("already answered")), "{many}");
}

/// The adapter holds the stream of a lost worker open: it was waited for until the examination's patience ended, and then said
/// to have no end.
#[test]
fn a_worker_that_dies_in_a_stream_is_said_to_be_lost_and_how() {
    let stream = verdict(stub("--die-writing"), "credit");
    let Verdict::Broken(what) = &stream else { panic!("{stream}") };
    assert!(what.starts_with("stream 1 is lost: ") && what.contains("; its process "), "{what}");
}

#[test]
fn a_worker_that_takes_up_what_was_not_offered_is_found_out() {
    let table = [
        ("--latest-version", "version", "version, of [1,1000000]: 1000000, expected 1"),
        ("--feature-unasked", "features", "it honours \"started\", and was offered []"),
        ("--started-unasked", "features", "Started for 1 where Error for 1 belongs"),
        ("--started-unasked", "tells_started", "it tells when a request begins, and was not asked to"),
    ];
    for (flag, rule, expected) in table {
        assert_eq!(verdict(stub(flag), rule), Verdict::Broken(expected.to_owned()), "{flag}");
    }
}

#[test]
fn a_worker_that_forgets_a_cancel_between_the_parts_of_a_request_is_found_out() {
    // It knows no Cancel at all.
    let verdict = verdict(stub("--answer-twice"), "cancel_between_parts");
    assert_eq!(verdict, Verdict::Broken("answer: (Result, 5), expected (Error, 5)".to_owned()));
}

#[test]
fn a_worker_without_the_commands_does_not_offer_them() {
    let rows = rows(PortAdapter::new(env!("CARGO_BIN_EXE_stub-worker")));
    let not_offered = rows.iter().filter(|row| matches!(row.verdict, Verdict::NotOffered(_))).count();
    let broken: Vec<_> = rows.iter().filter(|row| matches!(row.verdict, Verdict::Broken(_))).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(not_offered >= 15, "{rows:#?}");
}

fn check_worker(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_check-worker")).args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_program_prints_a_row_for_each_rule_and_its_exit_code_says_whether_all_hold() {
    let stub = env!("CARGO_BIN_EXE_stub-worker");
    let (code, out, _) = check_worker(&["--patience", "60", stub, "--conformance"]);
    assert_eq!(code, Some(0), "{out}");
    for rule in RULES {
        assert!(out.lines().any(|line| line.starts_with(rule.name)), "{}: {out}", rule.name);
    }
    assert!(out.ends_with(" hold, 0 broken, 1 not offered\n"), "{out}");

    let (code, out, _) =
        check_worker(&["--patience", "60", "--rule", "unknown_command", stub, "--ready-twice"]);
    assert_eq!((code, out.lines().count()), (Some(1), 3), "{out}");
    assert!(out.contains("BROKEN: request 1 is lost: the worker broke the protocol: out_of_order"), "{out}");

    for args in [&[][..], &["--rule", "none", stub], &["--unknown", stub]] {
        let (code, _, error) = check_worker(args);
        assert_eq!((code, error.starts_with("check-worker: ")), (Some(2), true), "{error}");
    }
}
