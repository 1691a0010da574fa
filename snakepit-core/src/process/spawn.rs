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
    #[error("program {} is there, but the interpreter or loader that it names is not", program.display())]
    InterpreterNotFound { program: PathBuf },
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
        // The system says this also of a script that is there and whose first line names what is not.
        io::ErrorKind::NotFound if program.is_file() && program.components().count() > 1 => {
            SpawnError::InterpreterNotFound { program }
        }
        io::ErrorKind::NotFound => SpawnError::ProgramNotFound { program },
        _ => SpawnError::Refused { program, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Incarnation, PoolName, Slot, WorkerId, WorkerLife};
    use crate::process::RunId;
    use std::os::unix::fs::PermissionsExt;

    fn why_not(program: &Path) -> String {
        let worker = WorkerId { pool: PoolName::new("default").unwrap(), slot: Slot(0) };
        let marker = Marker { run: RunId::new(), life: WorkerLife { worker, incarnation: Incarnation(1) } };
        spawn(&ProcessSpec::new(program), &marker).unwrap_err().to_string()
    }

    #[test]
    fn a_script_without_its_interpreter_is_told_from_a_missing_program() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("worker");
        assert!(why_not(&script).ends_with("was not found"), "{}", why_not(&script));
        std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
        assert!(why_not(&script).contains("the interpreter or loader"), "{}", why_not(&script));
    }
}
