//! A shim for hosts that cannot be their own: those that are loaded into another program as a library.
//!
//! Hosts name it with `SnakepitBuilder::shim_program` and start it; run by hand it does nothing.

use std::process::ExitCode;

fn main() -> ExitCode {
    snakepit_core::shim::init();
    eprintln!("snakepit-shim is started by a snakepit host, not by hand");
    ExitCode::from(2)
}
