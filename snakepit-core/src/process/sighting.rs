//! Marked processes of the system: found by their environment, ended only after a second look.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::process::identity::handle;
use crate::process::marker::VARIABLE;
use crate::process::shim::NAME as SHIM_NAME;
use crate::process::{Marker, ProcessIdentity};

/// Where the system lists its processes.
const PROC: &str = "/proc";
/// How long a process that becomes another program is waited for. One that looks like it for longer has wiped its own
/// arguments.
const EXEC_PATIENCE: Duration = Duration::from_millis(100);
/// How many processes are held open at once: few of the descriptors that a host may have.
const AT_ONCE: usize = 64;

/// A running process that carries a marker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sighting {
    pub(crate) identity: ProcessIdentity,
    pub(crate) marker: Marker,
}

/// What the environment of a process says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Marking {
    /// It carries this marker.
    Marked(Marker),
    /// It carries none, has ended, or is gone.
    Unmarked,
    /// The system does not show it to us.
    Unreadable,
    /// It is just becoming another program, and has no environment for that moment.
    InExec,
}

/// What came of ending a sighted process.
#[derive(Debug)]
pub(crate) enum EndOutcome {
    /// KILL was sent to it; the handle tells when it has ended.
    Signalled(OwnedFd),
    /// It had gone, or its number belongs to another process by now.
    Gone,
    /// The system does not let us.
    Refused,
}

/// What a sweep found and did.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    /// Those that were killed and have ended.
    pub(crate) ended: Vec<Sighting>,
    /// Those that run still: the system does not let us, or they hang in the kernel.
    pub(crate) survivors: Vec<Sighting>,
}

/// What one look at the system shows.
struct View {
    marked: Vec<Sighting>,
    /// Whether some process was just becoming another program: whose it is cannot be seen for that moment.
    in_exec: bool,
}

/// Every running process whose environment holds a marker and may be read by us.
pub(crate) fn scan() -> io::Result<Vec<Sighting>> {
    Ok(view()?.marked)
}

fn view() -> io::Result<View> {
    let mut view = View { marked: Vec::new(), in_exec: false };
    for pid in pids()? {
        let marker = match marking(pid)? {
            Marking::Marked(marker) => marker,
            Marking::InExec => {
                view.in_exec = true;
                continue;
            }
            Marking::Unmarked | Marking::Unreadable => continue,
        };
        match ProcessIdentity::read(pid) {
            Ok(identity) => view.marked.push(Sighting { identity, marker }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(view)
}

/// The numbers of all running processes, by the number of their group.
pub(crate) fn groups() -> io::Result<HashMap<i32, Vec<i32>>> {
    let mut groups: HashMap<i32, Vec<i32>> = HashMap::new();
    for pid in pids()? {
        // One that is gone meanwhile is in no group.
        let stat = std::fs::read_to_string(Path::new(PROC).join(pid.to_string()).join("stat")).ok();
        if let Some(group) = stat.as_deref().and_then(group_of_running) {
            groups.entry(group).or_default().push(pid);
        }
    }
    Ok(groups)
}

/// Field 5 of `/proc/pid/stat`, the group, unless field 3 says that the process has ended.
fn group_of_running(stat: &str) -> Option<i32> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let has_ended = matches!(fields.next()?, "Z" | "X");
    fields.nth(1)?.parse().ok().filter(|_| !has_ended)
}

fn pids() -> io::Result<Vec<i32>> {
    let mut pids = Vec::new();
    for entry in std::fs::read_dir(PROC)? {
        pids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()));
    }
    Ok(pids)
}

/// Reads the marker of a process.
///
/// # Errors
/// Where it is not known: this process has no descriptor left, or no memory.
pub(crate) fn marking(pid: i32) -> io::Result<Marking> {
    use nix::libc::{EMFILE, ENFILE};
    match std::fs::read(Path::new(PROC).join(pid.to_string()).join("environ")) {
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
    let folder = Path::new(PROC).join(pid.to_string());
    let has_no_args = std::fs::read(folder.join("cmdline")).is_ok_and(|args| args.is_empty());
    has_no_args && std::fs::read_link(folder.join("exe")).is_ok()
}

fn marker_in(environment: &[u8]) -> Option<Marker> {
    let value = environment
        .split(|b| *b == 0)
        .find_map(|pair| pair.strip_prefix(VARIABLE.as_bytes())?.strip_prefix(b"="))?;
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Kills a process that was sighted, if it still is the same: the handle is opened first, then everything is compared
/// once more, then the handle is signalled. A number that changed hands in between is never signalled.
pub(crate) fn end(sighting: &Sighting) -> io::Result<EndOutcome> {
    let Some(pidfd) = sighting.identity.open()? else { return Ok(EndOutcome::Gone) };
    let still_marked =
        matches!(marking(sighting.identity.pid())?, Marking::Marked(marker) if marker == sighting.marker);
    // The environment was read of this process if its number is its own before and after.
    if !still_marked || !handle::is_listed(pidfd.as_fd()) {
        return Ok(EndOutcome::Gone);
    }
    match handle::kill(pidfd.as_fd()) {
        Ok(true) => Ok(EndOutcome::Signalled(pidfd)),
        Ok(false) => Ok(EndOutcome::Gone),
        Err(_) => Ok(EndOutcome::Refused),
    }
}

/// Ends every process with a wanted marker, and those that they start meanwhile: looks again until two looks in a row
/// find nothing to end, or `patience` is over. Shims are given half of that to finish by themselves. Blocks.
///
/// # Errors
/// Where processes cannot be looked for.
pub(crate) fn sweep(wanted: impl Fn(&Marker) -> bool, patience: Duration) -> io::Result<Sweep> {
    let until = Instant::now() + patience;
    let shims_spared_until = Instant::now() + patience / 2;
    let execs_end = Instant::now() + EXEC_PATIENCE.min(patience);
    let mut sweep = Sweep::default();
    let mut clean_looks = 0;
    while clean_looks < 2 {
        let View { marked, in_exec } = view()?;
        let found = marked.into_iter().filter(|sighting| wanted(&sighting.marker));
        let (shims, mut found): (Vec<_>, Vec<_>) = found.partition(is_shim);
        if Instant::now() >= shims_spared_until {
            found.extend(shims);
        } else if !shims.is_empty() {
            sweep.ended.extend(let_finish(shims, shims_spared_until)?);
            clean_looks = 0;
        }
        let look = Look::take(&found, until)?;
        let clean = look.ended.is_empty() && look.hanging == 0 && !(in_exec && Instant::now() < execs_end);
        clean_looks = if clean { clean_looks + 1 } else { 0 };
        sweep.ended.extend(look.ended);
        sweep.survivors = look.survivors;
        if Instant::now() >= until {
            break;
        }
    }
    sweep.ended.retain(|sighting| !sweep.survivors.contains(sighting));
    Ok(sweep)
}

/// Whether a process is a shim, which ends its tree and then itself once its host is gone. It alone can find what has
/// left the group and cleared its environment: killed in the middle of its work, it would leave that for ever.
fn is_shim(sighting: &Sighting) -> bool {
    let name = Path::new(PROC).join(sighting.identity.pid().to_string()).join("comm");
    std::fs::read(name).is_ok_and(|name| name.trim_ascii_end() == SHIM_NAME.as_bytes())
}

/// Waits for shims that are at their work, and wakes those that were stopped. Those that have ended by themselves.
fn let_finish(shims: Vec<Sighting>, until: Instant) -> io::Result<Vec<Sighting>> {
    let mut working = Vec::new();
    for shim in shims {
        if let Some(pidfd) = shim.identity.open()? {
            handle::go_on(pidfd.as_fd());
            working.push((shim, pidfd));
        }
    }
    handle::wait_for_ends(working.iter().map(|(_, pidfd)| pidfd), until);
    working.retain(|(_, pidfd)| handle::has_ended(pidfd.as_fd()));
    Ok(working.into_iter().map(|(shim, _)| shim).collect())
}

/// One look: what came of ending those that it found.
#[derive(Default)]
struct Look {
    ended: Vec<Sighting>,
    survivors: Vec<Sighting>,
    /// How many of the survivors were signalled.
    hanging: usize,
}

impl Look {
    fn take(found: &[Sighting], until: Instant) -> io::Result<Self> {
        let mut look = Self::default();
        for some in found.chunks(AT_ONCE) {
            let mut dying = Vec::new();
            for sighting in some {
                match end(sighting)? {
                    EndOutcome::Signalled(pidfd) => dying.push((sighting.clone(), pidfd)),
                    EndOutcome::Gone => {}
                    EndOutcome::Refused => look.survivors.push(sighting.clone()),
                }
            }
            handle::wait_for_ends(dying.iter().map(|(_, pidfd)| pidfd), until);
            for (sighting, pidfd) in dying {
                if handle::has_ended(pidfd.as_fd()) {
                    look.ended.push(sighting);
                } else {
                    look.hanging += 1;
                    look.survivors.push(sighting);
                }
            }
        }
        Ok(look)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Incarnation, PoolName, Slot, WorkerId, WorkerLife};
    use crate::process::HostRun;

    fn marker() -> Marker {
        let worker = WorkerId { pool: PoolName::new("default").unwrap(), slot: Slot(0) };
        HostRun::of_a_test().marker(&WorkerLife { worker, incarnation: Incarnation(1) })
    }

    #[test]
    fn a_process_without_an_environment_is_in_exec_only_where_it_has_a_program_and_no_arguments() {
        // This test has arguments; the kernel's own thread has no program; nobody has the last number.
        for pid in [std::process::id().cast_signed(), 2, i32::MAX] {
            assert!(!is_in_exec(pid), "{pid}");
        }
    }

    #[test]
    fn a_marker_is_found_among_other_variables() {
        let marker = marker();
        let environment = format!("HOME=/\0SNAKEPIT_MARKER=x\0SNAKEPIT_MARK={marker}\0Z=1\0");
        assert_eq!(marker_in(environment.as_bytes()), Some(marker));
        assert_eq!(marker_in(b"HOME=/\0SNAKEPIT_MARK=nonsense\0"), None);
        assert_eq!(marker_in(b""), None);
    }

    #[test]
    fn a_process_without_the_marker_is_never_signalled() {
        let me = i32::try_from(std::process::id()).unwrap();
        let sighting = Sighting { identity: ProcessIdentity::read(me).unwrap(), marker: marker() };
        // Were the second look missing, this test would be killed.
        assert!(matches!(end(&sighting).unwrap(), EndOutcome::Gone));
    }

    #[test]
    fn a_sweep_that_wants_nothing_finds_nothing() {
        let sweep = sweep(|_| false, Duration::from_secs(5)).unwrap();
        assert_eq!((sweep.ended.len(), sweep.survivors.len()), (0, 0));
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
            assert_eq!(group_of_running(stat), group, "{stat}");
        }
        let own = std::process::id().cast_signed();
        assert!(groups().unwrap().values().flatten().any(|pid| *pid == own));
    }
}
