//! Marked processes of the system: found by their environment, ended only after a second look.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::process::marker::VARIABLE;
use crate::process::{Marker, ProcessIdentity};

/// Where the system lists its processes.
pub(crate) const PROC: &str = "/proc";

/// A running process that carries a marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) identity: ProcessIdentity,
    pub(crate) marker: Marker,
}

/// What came of ending a sighted process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndOutcome {
    /// KILL was sent to it.
    Signalled,
    /// It had gone, or its number belongs to another process by now.
    Gone,
    /// The system does not let us.
    Refused,
}

/// Every running process whose environment holds a marker and may be read by us.
pub(crate) fn scan() -> io::Result<Vec<Sighting>> {
    scan_in(Path::new(PROC))
}

/// The same, with the processes listed somewhere else.
pub(crate) fn scan_in(proc: &Path) -> io::Result<Vec<Sighting>> {
    let mut sightings = Vec::new();
    for entry in std::fs::read_dir(proc)? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        sightings.extend(sight(pid));
    }
    Ok(sightings)
}

/// Looks at one process. `None` for a stranger, one that is gone, one that has ended, or one that we may not read.
fn sight(pid: i32) -> Option<Sighting> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let marker = marker_in(&environment)?;
    let identity = ProcessIdentity::read(pid).ok()?;
    Some(Sighting { identity, marker })
}

fn marker_in(environment: &[u8]) -> Option<Marker> {
    let value = environment
        .split(|b| *b == 0)
        .find_map(|pair| pair.strip_prefix(VARIABLE.as_bytes())?.strip_prefix(b"="))?;
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Kills a process that was sighted, if it still is the same: the handle is opened first, then everything is compared
/// once more, then the handle is signalled. A number that changed hands in between is never signalled.
#[expect(
    clippy::disallowed_methods,
    reason = "signalled through a handle whose process was compared after opening"
)]
pub(crate) fn end(sighting: &Sighting) -> EndOutcome {
    let Some(handle) = open(sighting.identity.pid()) else { return EndOutcome::Gone };
    if sight(sighting.identity.pid()).as_ref() != Some(sighting) {
        return EndOutcome::Gone;
    }
    match pidfd_send_signal(&handle, Signal::KILL) {
        Ok(()) => EndOutcome::Signalled,
        Err(rustix::io::Errno::SRCH) => EndOutcome::Gone,
        Err(_) => EndOutcome::Refused,
    }
}

/// What a sweep came to.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    pub(crate) survivors: Vec<ProcessIdentity>,
}

/// Ends every process whose marker is wanted, looking again until two looks find none, or until `patience` is over.
pub(crate) fn sweep(wanted: impl Fn(&Marker) -> bool, patience: std::time::Duration) -> io::Result<Sweep> {
    let began = tokio::time::Instant::now();
    let mut clean = 0;
    loop {
        let mut survivors = Vec::new();
        for sighting in scan()?.into_iter().filter(|sighting| wanted(&sighting.marker)) {
            if end(&sighting) != EndOutcome::Gone {
                survivors.push(sighting.identity);
            }
        }
        clean = if survivors.is_empty() { clean + 1 } else { 0 };
        if clean == 2 || began.elapsed() >= patience {
            return Ok(Sweep { survivors });
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "called where blocking is allowed; the killed need a moment"
        )]
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

fn open(pid: i32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Incarnation, PoolName, Slot, WorkerId, WorkerLife};
    use crate::process::RunId;

    fn marker() -> Marker {
        let worker = WorkerId { pool: PoolName::new("default").unwrap(), slot: Slot(0) };
        Marker { run: RunId::new(), life: WorkerLife { worker, incarnation: Incarnation(1) } }
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
        assert_eq!(end(&sighting), EndOutcome::Gone);
    }
}
