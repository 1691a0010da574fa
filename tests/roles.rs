//! One program for all roles, so that a single binary is a whole test bed.

use std::process::ExitCode;

use crate::{host, keeper, stranger, stub_worker, worst_worker};

/// Plays the role that the first argument names; `None` where it names none.
pub fn play() -> Option<ExitCode> {
    let mut args = std::env::args().skip(1);
    match args.next()?.as_str() {
        "host" => Some(host::main(args)),
        "keeper" => Some(keeper::main(args)),
        "stranger" => Some(stranger::main()),
        "stub-worker" => Some(stub_worker::main(args)),
        "worst-worker" => Some(worst_worker::main(args)),
        _ => None,
    }
}
