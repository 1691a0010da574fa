//! Linux: processes, their marks and their groups in `/proc`.

use std::io;
use std::path::{Path, PathBuf};

use crate::process::Marker;
use crate::process::marker::VARIABLE;
use crate::process::shim::NAME as SHIM_NAME;
use crate::process::sighting::Marking;

/// Where the system lists its processes.
const PROC: &str = "/proc";
/// Whether the system shows the marks of our processes.
pub(crate) const MARKS_ARE_SHOWN: bool = true;

/// The numbers of all processes.
pub(super) fn pids() -> io::Result<Vec<i32>> {
    let mut pids = Vec::new();
    for entry in std::fs::read_dir(PROC)? {
        pids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()));
    }
    Ok(pids)
}

/// The group of a process, unless that has ended.
pub(super) fn group_of_running(pid: i32) -> Option<i32> {
    group_in(&std::fs::read_to_string(file_of(pid, "stat")).ok()?)
}

/// Field 5 of `/proc/pid/stat`, the group, unless field 3 says that the process has ended.
fn group_in(stat: &str) -> Option<i32> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let has_ended = matches!(fields.next()?, "Z" | "X");
    fields.nth(1)?.parse().ok().filter(|_| !has_ended)
}

/// Reads the marker of a process.
///
/// # Errors
/// Where it is not known: this process has no descriptor left, or no memory.
pub(crate) fn marking(pid: i32) -> io::Result<Marking> {
    use nix::libc::{EMFILE, ENFILE};
    match std::fs::read(file_of(pid, "environ")) {
        Ok(environment) if environment.is_empty() && is_in_exec(pid) => Ok(Marking::InExec),
        Ok(environment) => Ok(marker_in(&environment).map_or(Marking::Unmarked, Marking::Marked)),
        Err(error) if matches!(error.raw_os_error(), Some(EMFILE | ENFILE)) => Err(error),
        Err(error) if error.kind() == io::ErrorKind::OutOfMemory => Err(error),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(Marking::Unreadable),
        Err(_) => Ok(Marking::Unmarked),
    }
}

/// Whether a process without an environment is between two programs (`execve(2)`): it has a program, unlike one that has
/// ended or belongs to the kernel, and no arguments, not even its own name, unlike one whose environment was cleared.
fn is_in_exec(pid: i32) -> bool {
    let has_no_args = std::fs::read(file_of(pid, "cmdline")).is_ok_and(|args| args.is_empty());
    has_no_args && std::fs::read_link(file_of(pid, "exe")).is_ok()
}

fn marker_in(environment: &[u8]) -> Option<Marker> {
    let value = environment
        .split(|b| *b == 0)
        .find_map(|pair| pair.strip_prefix(VARIABLE.as_bytes())?.strip_prefix(b"="))?;
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Whether a process is a shim, which ends its tree and then itself once its host is gone. It alone can find what has
/// left the group and cleared its environment: killed in the middle of its work, it would leave that for ever.
pub(super) fn is_shim(pid: i32) -> bool {
    std::fs::read(file_of(pid, "comm")).is_ok_and(|name| name.trim_ascii_end() == SHIM_NAME.as_bytes())
}

fn file_of(pid: i32, name: &str) -> PathBuf {
    Path::new(PROC).join(pid.to_string()).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Incarnation, PoolName, Slot, WorkerId, WorkerLife};
    use crate::process::HostRun;

    #[test]
    fn a_marker_is_found_among_other_variables() {
        let worker = WorkerId { pool: PoolName::new("default").unwrap(), slot: Slot(0) };
        let marker = HostRun::of_a_test().marker(&WorkerLife { worker, incarnation: Incarnation(1) });
        let environment = format!("HOME=/\0SNAKEPIT_MARKER=x\0SNAKEPIT_MARK={marker}\0Z=1\0");
        assert_eq!(marker_in(environment.as_bytes()), Some(marker));
        assert_eq!(marker_in(b"HOME=/\0SNAKEPIT_MARK=nonsense\0"), None);
        assert_eq!(marker_in(b""), None);
    }

    #[test]
    fn a_process_without_an_environment_is_in_exec_only_where_it_has_a_program_and_no_arguments() {
        // This test has arguments; the kernel's own thread has no program; nobody has the last number.
        for pid in [std::process::id().cast_signed(), 2, i32::MAX] {
            assert!(!is_in_exec(pid), "{pid}");
        }
    }

    #[test]
    fn a_member_of_a_group_is_one_that_runs() {
        let table = [
            ("7 (a) S 1 50 9 0", Some(50)),
            ("7 (a) b) R 1 50 9 0", Some(50)),
            ("7 (a) Z 1 50 9 0", None),
            ("7 (a) S 1", None),
            ("7 (a", None),
        ];
        for (stat, group) in table {
            assert_eq!(group_in(stat), group, "{stat}");
        }
    }
}
