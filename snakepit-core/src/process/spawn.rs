//! The one place that starts a process.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use command_fds::{CommandFdExt, FdMapping};

use crate::process::marker::VARIABLE;
use crate::process::os_process::OsProcess;
use crate::process::{Marker, ProcessSpec, Wire, WirePipes};

/// A process that has just been started, and the host's ends of what connects it.
#[derive(Debug)]
pub(crate) struct Spawned {
    pub(crate) process: OsProcess,
    pub(crate) pipes: Option<WirePipes>,
}

/// Why a process could not be started. Nothing is left running.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpawnError {
    #[error("program {} was not found", program.display())]
    ProgramNotFound { program: PathBuf },
    #[error("working directory {} cannot be entered: {source}", cwd.display())]
    WorkingDirectory { cwd: PathBuf, source: io::Error },
    #[error("program {} cannot be run: {source}", program.display())]
    Refused { program: PathBuf, source: io::Error },
    #[error("no pipes or handles for the process: {source}")]
    Resources {
        #[from]
        source: io::Error,
    },
}

/// Starts the process that `spec` describes, in a group of its own and marked. Blocks for as long as the fork takes.
pub(crate) fn spawn(spec: &ProcessSpec, marker: &Marker) -> Result<Spawned, SpawnError> {
    if let Some(cwd) = &spec.cwd {
        check_cwd(cwd)?;
    }
    let mut command = Command::new(&spec.program);
    command.args(&spec.args);
    if spec.clear_env {
        command.env_clear();
    }
    command.envs(&spec.env).env(VARIABLE, marker.to_string());
    if let Some(cwd) = &spec.cwd {
        command.current_dir(cwd);
    }
    let (stdout, their_stdout) = io::pipe()?;
    let (stderr, their_stderr) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(their_stdout).stderr(their_stderr).process_group(0);
    let pipes = match spec.wire {
        Wire::None => None,
        Wire::Pipes => Some(connect_wire(&mut command)?),
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that starts a process; its owner follows at once"
    )]
    let child = command.spawn().map_err(|source| refused(&spec.program, source))?;
    // The command holds the child's ends of all pipes; while it lives, their end of file never comes.
    drop(command);
    let process = OsProcess::own(child, OwnedFd::from(stdout), OwnedFd::from(stderr))?;
    Ok(Spawned { process, pipes })
}

/// Makes the pipes that the process finds on file descriptors 3 and 4.
fn connect_wire(command: &mut Command) -> io::Result<WirePipes> {
    let (their_input, to_worker) = io::pipe()?;
    let (from_worker, their_output) = io::pipe()?;
    let mappings = vec![
        FdMapping { parent_fd: their_input.into(), child_fd: 3 },
        FdMapping { parent_fd: their_output.into(), child_fd: 4 },
    ];
    command.fd_mappings(mappings).map_err(io::Error::other)?;
    Ok(WirePipes { to_worker: to_worker.into(), from_worker: from_worker.into() })
}

/// The system says "not found" for a missing program and a missing directory alike; this tells them apart.
fn check_cwd(cwd: &Path) -> Result<(), SpawnError> {
    let not_entered = |source| SpawnError::WorkingDirectory { cwd: cwd.to_owned(), source };
    let directory = File::open(cwd).map_err(not_entered)?;
    let is_directory = directory.metadata().map_err(not_entered)?.is_dir();
    if is_directory { Ok(()) } else { Err(not_entered(io::ErrorKind::NotADirectory.into())) }
}

fn refused(program: &Path, source: io::Error) -> SpawnError {
    let program = program.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => SpawnError::ProgramNotFound { program },
        _ => SpawnError::Refused { program, source },
    }
}
