//! What the records name: each process opened by its identity, and ended through that handle with its group.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;

use tokio::time::Instant;

use crate::process::ProcessIdentity;
use crate::process::identity::handle::{self, Handle};
use crate::process::sighting::{MARKS_ARE_SHOWN, groups, marking};
use crate::process_registry::orphan::{OrphanVerdict, judge_uncertain};
use crate::process_registry::record::Record;

/// How many records are dealt with at once: each holds a few of the descriptors that a host may have.
const AT_ONCE: usize = 32;

/// The processes that records of earlier runs name.
#[derive(Debug)]
pub(super) struct Leftovers<'a> {
    records: &'a [(String, Option<Record>)],
    until: Instant,
    /// Those that ran, and the places of the records that they belong to.
    pub(super) seen: HashMap<ProcessIdentity, BTreeSet<usize>>,
    /// The places of records whose process may be theirs or a stranger's.
    pub(super) unreadable: BTreeSet<usize>,
}

impl<'a> Leftovers<'a> {
    pub(super) fn new(records: &'a [(String, Option<Record>)], until: Instant) -> Self {
        Self { records, until, seen: HashMap::new(), unreadable: BTreeSet::new() }
    }

    /// Whether a record has to stay: one of its processes runs still, or may.
    pub(super) fn keeps(&self, place: usize, surviving: &HashSet<&ProcessIdentity>) -> bool {
        let survives = |identity: &&&ProcessIdentity| {
            self.seen.get(**identity).is_some_and(|places| places.contains(&place))
        };
        self.unreadable.contains(&place) || surviving.iter().any(|identity| survives(&identity))
    }

    /// Ends them, in rounds: a group may have gained members while its first ones were killed. The last round finds
    /// nothing new.
    pub(super) fn end(&mut self) -> io::Result<()> {
        loop {
            let known = self.seen.len();
            self.round()?;
            if self.seen.len() == known || Instant::now() >= self.until {
                return Ok(());
            }
        }
    }

    fn round(&mut self) -> io::Result<()> {
        let has_processes =
            |record: &Record| record.worker().is_some() || record.shim().is_some() || !MARKS_ARE_SHOWN;
        if !self.records.iter().any(|(_, record)| record.as_ref().is_some_and(has_processes)) {
            return Ok(());
        }
        let groups = groups()?;
        let records = self.records;
        let places: Vec<_> = records.iter().enumerate().collect();
        for some in places.chunks(AT_ONCE) {
            let mut dying = Vec::new();
            for (place, (_, record)) in some {
                if let Some(record) = record {
                    self.end_record(*place, record, &groups, &mut dying)?;
                }
            }
            handle::wait_for_ends(&dying, self.until);
        }
        Ok(())
    }

    fn end_record(
        &mut self,
        place: usize,
        record: &Record,
        groups: &HashMap<i32, Vec<i32>>,
        dying: &mut Vec<Handle>,
    ) -> io::Result<()> {
        if let Some(worker) = record.worker()
            && let Some(pidfd) = self.claim(place, worker, record)?
        {
            let members = groups.get(&worker.pid()).map(Vec::as_slice).unwrap_or_default();
            let members: Vec<_> = members.iter().filter_map(|pid| ProcessIdentity::read(*pid).ok()).collect();
            // Whoever was reached, the group had its number while the members were looked at.
            if handle::kill_group(&pidfd, worker.pid()).unwrap_or(true) {
                for member in members {
                    dying.extend(member.open()?);
                    self.seen.entry(member).or_default().insert(place);
                }
            }
            self.kill(place, worker, pidfd, dying);
        }
        // What was started in the moment before the host was lost would be known by its mark alone.
        if record.worker().is_none() && !MARKS_ARE_SHOWN {
            self.unreadable.insert(place);
        }
        if let Some(shim) = record.shim()
            && let Some(pidfd) = self.claim(place, shim, record)?
        {
            // It is at its work, or will be once it goes on; nobody else can do all of it.
            if !handle::has_ended(&pidfd) {
                handle::go_on(&pidfd);
                self.seen.entry(shim.clone()).or_default().insert(place);
                dying.push(pidfd);
            }
        }
        Ok(())
    }

    /// A handle of exactly the recorded process. `None` when it is gone, or cannot be told from a stranger.
    fn claim(
        &mut self,
        place: usize,
        identity: &ProcessIdentity,
        record: &Record,
    ) -> io::Result<Option<Handle>> {
        let Some(pidfd) = identity.open()? else { return Ok(None) };
        if identity.is_certain() {
            return Ok(Some(pidfd));
        }
        match judge_uncertain(&marking(identity.pid())?, record) {
            OrphanVerdict::End => Ok(Some(pidfd)),
            OrphanVerdict::Stranger => Ok(None),
            OrphanVerdict::Unknown => {
                self.unreadable.insert(place);
                Ok(None)
            }
        }
    }

    fn kill(&mut self, place: usize, identity: &ProcessIdentity, pidfd: Handle, dying: &mut Vec<Handle>) {
        if handle::has_ended(&pidfd) {
            return;
        }
        // One that may not be signalled runs on, and is found to do so at the end.
        let _ = handle::kill(&pidfd);
        self.seen.entry(identity.clone()).or_default().insert(place);
        dying.push(pidfd);
    }
}
