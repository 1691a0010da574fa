//! A worker for tests: well-behaved commands, and one flag for each way to misbehave.
//!
//! Whatever its flags, it ends by itself when its host is gone, except under `--ignore-eof`, and then within minutes.

pub(crate) mod commands;
pub(crate) mod flags;
pub(crate) mod plain_grpc;
pub(crate) mod raw;

use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use crate::stub_worker::flags::{Flags, Manner};

/// Serves as the flags say.
pub fn main(args: impl Iterator<Item = String>) -> ExitCode {
    let flags = match Flags::parse(args) {
        Ok(flags) => flags,
        Err(error) => {
            eprintln!("stub-worker: {error}");
            return ExitCode::from(2);
        }
    };
    if let Some(text) = &flags.stderr {
        eprintln!("{text}");
    }
    if flags.forks_child {
        fork_child();
    }
    match flags.manner {
        Manner::ExitAtOnce(code) => ExitCode::from(code),
        Manner::Raw(breach) => raw::serve(breach, flags.on_demand),
        Manner::Plain(plain) => plain_grpc::serve(plain),
        Manner::Good => {
            if let Some(delay) = flags.slow_ready {
                sleep(delay);
            }
            commands::worker(&flags).serve()
        }
    }
}

/// Leaves a grandchild in the worker's process group. It holds none of the wire's pipes.
#[expect(clippy::disallowed_methods, reason = "the grandchild that nobody owns is what the flag is for")]
fn fork_child() {
    let child = Command::new("sh").args(["-c", "exec sleep 600 3<&- 4>&-"]).stdin(Stdio::null()).spawn();
    if let Err(error) = child {
        eprintln!("stub-worker: no child: {error}");
    }
}

#[expect(clippy::disallowed_methods, reason = "it stands for work that takes time and hears nothing")]
pub(crate) fn sleep(duration: Duration) {
    std::thread::sleep(duration);
}
