//! Marked processes of the system: found by their environment, ended only after a second look.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use tokio::time::Instant;

use crate::process::identity::handle::{self, Handle};
use crate::process::{Marker, ProcessIdentity};

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{MARKS_ARE_SHOWN, marking};
#[cfg(not(target_os = "linux"))]
use elsewhere::{group_of_running, is_shim, pids};
#[cfg(target_os = "linux")]
pub(crate) use linux::{MARKS_ARE_SHOWN, marking};
#[cfg(target_os = "linux")]
use linux::{group_of_running, is_shim, pids};

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
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "other systems show no environment to us"))]
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
    Signalled(Handle),
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
        if let Some(group) = group_of_running(pid) {
            groups.entry(group).or_default().push(pid);
        }
    }
    Ok(groups)
}

/// Kills a process that was sighted, if it still is the same: the handle is opened first, then everything is compared
/// once more, then the handle is signalled. A number that changed hands in between is never signalled.
pub(crate) fn end(sighting: &Sighting) -> io::Result<EndOutcome> {
    let Some(pidfd) = sighting.identity.open()? else { return Ok(EndOutcome::Gone) };
    let still_marked =
        matches!(marking(sighting.identity.pid())?, Marking::Marked(marker) if marker == sighting.marker);
    // The environment was read of this process if its number is its own before and after.
    if !still_marked || !handle::is_listed(&pidfd) {
        return Ok(EndOutcome::Gone);
    }
    match handle::kill(&pidfd) {
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
        let (shims, mut found): (Vec<_>, Vec<_>) =
            found.partition(|sighting| is_shim(sighting.identity.pid()));
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

/// Waits for shims that are at their work, and wakes those that were stopped. Those that have ended by themselves.
fn let_finish(shims: Vec<Sighting>, until: Instant) -> io::Result<Vec<Sighting>> {
    let mut working = Vec::new();
    for shim in shims {
        if let Some(pidfd) = shim.identity.open()? {
            handle::go_on(&pidfd);
            working.push((shim, pidfd));
        }
    }
    handle::wait_for_ends(working.iter().map(|(_, pidfd)| pidfd), until);
    working.retain(|(_, pidfd)| handle::has_ended(pidfd));
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
                if handle::has_ended(&pidfd) {
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
    fn a_running_process_is_a_member_of_a_group() {
        let own = std::process::id().cast_signed();
        assert!(groups().unwrap().values().flatten().any(|pid| *pid == own));
    }
}
