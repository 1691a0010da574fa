//! The crate and the naive supervisor, side by side.

use super::random::{Chance, case};
use super::script::run;
use crate::otp::trace::form::TraceCase;
use crate::otp::trace::trace;

const CASES: u64 = 1_500;

/// Thousands of panics that a case asked for help nobody.
fn silence_plans() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.payload().downcast_ref::<&str>().is_some_and(|text| ["planned", "told to"].contains(text)) {
            print(panic);
        }
    }));
}

#[test]
fn random_cases_make_the_same_log_in_both() {
    silence_plans();
    let mut lines = 0;
    for seed in 0..CASES {
        let text = case(&mut Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))).to_string();
        let form = TraceCase::read(&text).unwrap_or_else(|bad| panic!("{}: {text}", bad.line()));
        let naive: Vec<String> =
            run(&form).iter().map(|line| serde_json::to_string(line).expect("a line")).collect();
        let ours = trace(&text).unwrap_or_else(|bad| panic!("{}: {text}", bad.line()));
        assert_eq!(ours, naive, "case {seed}: {text}");
        lines += ours.len();
    }
    assert!(lines as u64 > CASES * 8, "only {lines} lines: the cases are too small to show anything");
}
