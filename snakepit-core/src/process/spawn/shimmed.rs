//! Starting a shim, and what its report of a failed start means.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use crate::process::launch::ShimProgram;
use crate::process::shim::packet::Step;
use crate::process::spawn::{SpawnError, refused};
use crate::process::tether::Tether;
use crate::process::{Marker, ProcessIdentity, ProcessSpec, marker, shim};

/// A shim that has just been started, and the host's ends of what the worker will print.
#[derive(Debug)]
pub(in crate::process) struct StartedShim {
    pub(in crate::process) tether: Tether,
    pub(in crate::process) identity: ProcessIdentity,
    pub(in crate::process) stdout: OwnedFd,
    pub(in crate::process) stderr: OwnedFd,
}

/// Starts a shim, in a group of its own and marked. Blocks for as long as the system takes to make a process.
pub(in crate::process) fn spawn_shim(
    program: &ShimProgram,
    marker: Option<&Marker>,
) -> io::Result<StartedShim> {
    let (link, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    let (stdout, their_stdout) = io::pipe()?;
    let (stderr, their_stderr) = io::pipe()?;
    let mut command = Command::new(program.path());
    command.arg0(shim::NAME).env(shim::VARIABLE, "1").stdin(theirs).stdout(their_stdout).stderr(their_stderr);
    command.process_group(0);
    if let Some(marker) = marker {
        command.arg(marker.to_string()).env(marker::VARIABLE, marker.to_string());
    }
    #[expect(clippy::disallowed_methods, reason = "the one place that starts a process; it is tied at once")]
    let child = command.spawn()?;
    // The command holds the child's ends; while it lives, their end of file never comes.
    drop(command);
    let pid = child.id().cast_signed();
    let tether = Tether::to_shim(child, link, marker.cloned())?;
    let identity = ProcessIdentity::read(pid)?;
    Ok(StartedShim { tether, identity, stdout: stdout.into(), stderr: stderr.into() })
}

/// Finds a program that is named without a path, as a shell would, in the host's `PATH`.
#[expect(clippy::disallowed_methods, reason = "PATH is the system's, and means what it means to a shell")]
pub(in crate::process) fn find_program(program: &Path) -> Result<PathBuf, SpawnError> {
    use std::os::unix::fs::PermissionsExt;
    if program.components().count() != 1 || program.has_root() {
        return Ok(program.to_owned());
    }
    let path: OsString = std::env::var_os("PATH").unwrap_or_default();
    let candidates = std::env::split_paths(&path).map(|folder| folder.join(program));
    let mut refused = None;
    for candidate in candidates {
        match candidate.metadata() {
            Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => return Ok(candidate),
            Ok(found) if found.is_file() => refused = Some(candidate),
            Ok(_) | Err(_) => {}
        }
    }
    Err(match refused {
        Some(program) => SpawnError::Refused { program, source: io::ErrorKind::PermissionDenied.into() },
        None => SpawnError::ProgramNotFound { program: program.to_owned() },
    })
}

/// What a shim's report of a failed step means.
pub(in crate::process) fn failed_step(
    spec: &ProcessSpec,
    program: &Path,
    step: Step,
    errno: i32,
) -> SpawnError {
    let source = io::Error::from_raw_os_error(errno);
    let what = match step {
        Step::Exec => return refused(&ProcessSpec { program: program.to_owned(), ..spec.clone() }, source),
        Step::Directory => {
            return SpawnError::WorkingDirectory { cwd: spec.cwd.clone().unwrap_or_default(), source };
        }
        Step::Plan => "the plan of the start",
        Step::Fork => "a process of its own",
        Step::Group => "a process group of its own",
        Step::Wire => "the wire",
        Step::Limit => "a resource limit",
        Step::OomScore => "oom_score_adj",
        Step::Nice => "nice",
        Step::User => "the user",
        Step::Lifeline => "the lifeline to its shim",
    };
    SpawnError::NotSet { what, source }
}
