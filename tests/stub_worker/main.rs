//! The stub worker as a program.

use std::process::ExitCode;

fn main() -> ExitCode {
    snakepit_tests::stub_worker::main(std::env::args().skip(1))
}
