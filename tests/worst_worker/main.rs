//! The worst worker as a program.

use std::process::ExitCode;

fn main() -> ExitCode {
    snakepit_tests::worst_worker::main(std::env::args().skip(1))
}
