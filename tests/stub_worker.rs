//! A worker for tests: well-behaved commands, and one flag for each way to misbehave.
//!
//! Whatever its flags, it ends by itself when its host is gone, except under `--ignore-eof`, and then within minutes.

#[path = "stub_worker/commands.rs"]
mod commands;
#[path = "stub_worker/flags.rs"]
mod flags;
#[path = "stub_worker/raw.rs"]
mod raw;

use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use crate::flags::{Flags, Manner};

fn main() -> ExitCode {
    let flags = match Flags::parse(std::env::args().skip(1)) {
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
        Manner::Raw(breach) => raw::serve(breach),
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
fn sleep(duration: Duration) {
    std::thread::sleep(duration);
}
