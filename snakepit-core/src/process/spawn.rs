//! The one place that starts processes: shims, and workers where there is no shim.
//!
//! Nothing here runs code between a fork and an exec, so that the system can spare the fork (`posix_spawn(3)`): copying
//! the tables of a host with 2 GB of memory takes a thousand times as long.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use command_fds::{CommandFdExt, FdMapping};

use crate::process::tether::Tether;
use crate::process::{Marker, ProcessSpec, Wire, WirePipes, marker};

#[cfg(target_os = "linux")]
mod shimmed;

#[cfg(target_os = "linux")]
pub(super) use shimmed::{StartedShim, failed_step, find_program, spawn_shim};

/// Why a process could not be started. Nothing is left running.
#[derive(Debug, thiserror::Error)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "some of it only a shim can say"))]
pub(crate) enum SpawnError {
    #[error("program {} was not found", program.display())]
    ProgramNotFound { program: PathBuf },
    #[error("program {} is there, but the interpreter or loader that it names is not", program.display())]
    InterpreterNotFound { program: PathBuf },
    #[error("working directory {} cannot be entered: {source}", cwd.display())]
    WorkingDirectory { cwd: PathBuf, source: io::Error },
    #[error("program {} cannot be run: {source}", program.display())]
    Refused { program: PathBuf, source: io::Error },
    #[error("a user may be given {limit} further groups, and {count} were named")]
    TooManyGroups { count: usize, limit: usize },
    #[error("{what} could not be set: {source}")]
    NotSet { what: &'static str, source: io::Error },
    #[error("{what} holds a zero byte, which no program can be given")]
    ZeroByte { what: String },
    #[error("{option} needs a shim, and there is none: {shortfall}")]
    NeedsShim { option: &'static str, shortfall: String },
    #[error("the shim did not come up: {what}")]
    Shim { what: String },
    #[error("no pipes or handles for the process: {source}")]
    Resources {
        #[from]
        source: io::Error,
    },
}

/// A worker that was started without a shim.
#[derive(Debug)]
pub(super) struct StartedWorker {
    pub(super) tether: Tether,
    pub(super) pid: i32,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    pub(super) pipes: Option<WirePipes>,
}

/// Starts a worker without a shim, in a group of its own and marked. Blocks for as long as the fork takes.
pub(super) fn spawn_worker(spec: &ProcessSpec, marker: Marker) -> Result<StartedWorker, SpawnError> {
    if let Some(cwd) = &spec.cwd {
        check_cwd(cwd)?;
    }
    let mut command = Command::new(&spec.program);
    command.args(&spec.args);
    if spec.clear_env {
        command.env_clear();
    }
    command.envs(&spec.env).env(marker::VARIABLE, marker.to_string());
    if let Some(cwd) = &spec.cwd {
        command.current_dir(cwd);
    }
    let (stdout, their_stdout) = io::pipe()?;
    let (stderr, their_stderr) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(their_stdout).stderr(their_stderr).process_group(0);
    let pipes = match spec.wire {
        Wire::None => None,
        Wire::Pipes => {
            let (pipes, theirs) = wire()?;
            let mappings = theirs.into_iter().zip([3, 4]);
            let mappings = mappings.map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd }).collect();
            command.fd_mappings(mappings).map_err(io::Error::other)?;
            Some(pipes)
        }
        Wire::Stdio => {
            let (pipes, [input, output]) = wire()?;
            // Nobody holds the pipe that was to take what the worker prints: it is at its end from the start.
            command.stdin(input).stdout(output);
            Some(pipes)
        }
    };
    #[expect(clippy::disallowed_methods, reason = "the one place that starts a process; it is tied at once")]
    let child = command.spawn().map_err(|source| refused(spec, source))?;
    drop(command);
    let pid = child.id().cast_signed();
    let tether = Tether::to_worker(child, marker)?;
    Ok(StartedWorker { tether, pid, stdout: stdout.into(), stderr: stderr.into(), pipes })
}

/// Makes the wire: the host's ends, and what the worker reads from and writes to.
pub(super) fn wire() -> io::Result<(WirePipes, [OwnedFd; 2])> {
    let (their_input, to_worker) = io::pipe()?;
    let (from_worker, their_output) = io::pipe()?;
    let pipes = WirePipes { to_worker: to_worker.into(), from_worker: from_worker.into() };
    Ok((pipes, [their_input.into(), their_output.into()]))
}

/// The system says "not found" for a missing program and a missing directory alike; this tells them apart.
fn check_cwd(cwd: &Path) -> Result<(), SpawnError> {
    let not_entered = |source| SpawnError::WorkingDirectory { cwd: cwd.to_owned(), source };
    let directory = File::open(cwd).map_err(not_entered)?;
    let is_directory = directory.metadata().map_err(not_entered)?.is_dir();
    if is_directory { Ok(()) } else { Err(not_entered(io::ErrorKind::NotADirectory.into())) }
}

fn refused(spec: &ProcessSpec, source: io::Error) -> SpawnError {
    let program = spec.program.clone();
    // A relative path is looked for in the worker's directory.
    let place = spec.cwd.as_ref().map_or_else(|| program.clone(), |cwd| cwd.join(&program));
    match source.kind() {
        // The system says this also of a script that is there and whose first line names what is not.
        io::ErrorKind::NotFound if place.is_file() && program.components().count() > 1 => {
            SpawnError::InterpreterNotFound { program }
        }
        io::ErrorKind::NotFound => SpawnError::ProgramNotFound { program },
        _ => SpawnError::Refused { program, source },
    }
}
