//! The host that is to be killed, as a program.

use std::process::ExitCode;

fn main() -> ExitCode {
    snakepit_tests::host::main(std::env::args().skip(1))
}
