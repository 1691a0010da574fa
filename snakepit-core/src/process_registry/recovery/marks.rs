//! The marks of our registry that the system shows: whose host is gone, and which processes are orphans by that.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::time::Duration;

use tokio::time::Instant;

use crate::process::identity::handle;
use crate::process::sighting::{self, Sighting};
use crate::process::{HostMark, HostRun, Marker};
use crate::process_registry::orphan::{MarkedHost, OrphanVerdict, judge_marker};

/// How long a host may take to be gone after it has let go of the directory.
///
/// We hold the directory, so a host that is marked as its user can only be dying: the system frees its memory first, then
/// its locks, and says last that it has ended.
const HOST_PATIENCE: Duration = Duration::from_secs(2);

/// What the marks say.
#[derive(Debug)]
pub(super) struct Marks<'a> {
    own: &'a HostRun,
    hosts: RefCell<HashMap<HostMark, MarkedHost>>,
    /// The orphans before anything was signalled.
    pub(super) orphans: Vec<Sighting>,
}

impl<'a> Marks<'a> {
    /// Looks at the system, and waits for hosts that are just dying.
    pub(super) fn of(own: &'a HostRun) -> io::Result<Self> {
        let sightings = sighting::scan()?;
        let of_ours = |sighting: &&Sighting| {
            sighting.marker.registry == own.registry && sighting.marker.host != own.host
        };
        let mut dying = HashMap::new();
        for sighting in sightings.iter().filter(of_ours) {
            if let Some(host) = sighting.marker.host.open()? {
                dying.insert(sighting.marker.host, host);
            }
        }
        handle::wait_for_ends(dying.values(), Instant::now() + HOST_PATIENCE);
        let mut marks = Self { own, hosts: RefCell::default(), orphans: Vec::new() };
        let orphans = sightings.into_iter().filter(|sighting| marks.is_orphan(&sighting.marker)).collect();
        marks.orphans = orphans;
        Ok(marks)
    }

    /// Whether a process with this mark was left behind.
    pub(super) fn is_orphan(&self, marker: &Marker) -> bool {
        // A stranger's host is not asked for.
        if marker.registry != self.own.registry {
            return false;
        }
        let host = *self.hosts.borrow_mut().entry(marker.host).or_insert_with(|| state_of(marker.host));
        judge_marker(marker, self.own, host) == OrphanVerdict::End
    }
}

fn state_of(host: HostMark) -> MarkedHost {
    match host.open() {
        Ok(None) => MarkedHost::Gone,
        // One that cannot be asked for is taken to run: nobody is ended on a guess.
        Ok(Some(_)) | Err(_) => MarkedHost::Runs,
    }
}
