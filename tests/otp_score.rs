//! Runs the conformance cases, and prints one row for each and the score.
//!
//! `cargo run --example otp_score`; with words as arguments, only the cases whose names contain one of them.

use std::process::ExitCode;

use snakepit_tests::otp::{Case, Outcome, all_cases, run_case};

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted =
        |case: &&Case| wanted.is_empty() || wanted.iter().any(|word| case.name.contains(word.as_str()));
    // A case that fails panics; its row says why.
    std::panic::set_hook(Box::new(|_| {}));
    let rows: Vec<(&Case, Outcome)> =
        all_cases().iter().filter(is_wanted).map(|case| (case, run_case(case))).inspect(print).collect();
    let score = |otp: bool| {
        let of = rows.iter().filter(|(case, _)| case.is_otp() == otp);
        let passed = of.clone().filter(|(_, outcome)| *outcome == Outcome::Passed);
        format!("{} of {}", passed.count(), of.count())
    };
    println!("OTP {}, extensions {}", score(true), score(false));
    let all_passed = rows.iter().all(|(_, outcome)| *outcome == Outcome::Passed);
    if all_passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print((case, outcome): &(&Case, Outcome)) {
    let verdict = match outcome {
        Outcome::Passed => "passed",
        Outcome::Failed(_) => "FAILED",
    };
    println!("{} {verdict} {}", case.id(), case.title());
    if let Some(deviation) = case.deviation() {
        println!("      deviation: {deviation}");
    }
    if let Outcome::Failed(why) = outcome {
        println!("      {}", why.replace('\n', "\n      "));
    }
}
