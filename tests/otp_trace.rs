//! Drives a supervision tree through a script, and prints its ordered log.
//!
//! `cargo run --example otp_trace < case.json`. A bad case answers one line, and exit code 2.

use std::io::Read;
use std::process::ExitCode;

use snakepit_tests::otp::trace::{BadCase, trace};

fn main() -> ExitCode {
    // Some children are told to panic; that is part of the log and no news.
    std::panic::set_hook(Box::new(|_| {}));
    let mut input = String::new();
    let read = std::io::stdin().read_to_string(&mut input).map_err(BadCase::new);
    match read.and_then(|_| trace(&input)) {
        Ok(lines) => {
            for line in lines {
                println!("{line}");
            }
            ExitCode::SUCCESS
        }
        Err(bad) => {
            println!("{}", bad.line());
            ExitCode::from(2)
        }
    }
}
