//! Recovery: before anything starts, what earlier runs left behind is ended.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

mod marks;
mod records;

use crate::id::WorkerLife;
use crate::process::sighting::{Sweep, sweep};
use crate::process::{HostRun, ProcessIdentity};
use crate::process_registry::record::Record;
use crate::process_registry::store::{Found, Store, StoreError};
use crate::telemetry::{Event, EventSink};
use marks::Marks;
use records::Leftovers;

/// How long a killed process may take to go before it is reported as a survivor.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the start found of earlier runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// How many records earlier runs had left.
    pub records: usize,
    /// How many processes were ended.
    pub ended: usize,
    /// How many could not be ended. Their records are kept, and the next start tries again.
    pub survivors: usize,
    /// How many records name a process that may be theirs or a stranger's, which the system does not say. It was left
    /// alone, and the record is kept.
    pub unreadable: usize,
    /// Where a registry file went that could not be opened. What it had recorded was found by the marks that worker
    /// processes carry.
    pub quarantined_file: Option<PathBuf>,
    /// Whether the run before this one had left nothing; `None` where nothing is known of it.
    pub clean_shutdown: Option<bool>,
    /// How long it took.
    pub took: Duration,
    /// The lives of workers that were ended with their host, whether by it, its shims or this recovery.
    pub(crate) cut_short: Vec<WorkerLife>,
}

impl RecoveryReport {
    /// Tells what was found; nothing, where there was nothing.
    pub(super) fn tell(&self, events: &EventSink) {
        let Self { records, ended, survivors, unreadable, took, .. } = *self;
        if let Some(aside) = self.quarantined_file.clone() {
            events.emit(Event::RegistryPutAside { aside });
        }
        if survivors > 0 || unreadable > 0 || ended > 0 {
            events.emit(Event::RecoveryProcesses { records, ended, survivors, unreadable, took });
        } else if records > 0 {
            events.emit(Event::RecoveryRecords { records, took });
        }
    }
}

/// Why it is not known what earlier runs left. Their records are kept: a process that nobody has seen gone may run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecoveryError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the processes of earlier runs cannot be looked for: {source}")]
    System {
        #[from]
        source: io::Error,
    },
}

/// Ends what runs other than `own` have left running, and takes out the records proven dead. Blocks.
///
/// It does not trust the records alone: processes are known by their marks, too, so that it ends the same ones when the
/// file was lost.
pub(crate) fn recover(
    store: &mut Store,
    own: &HostRun,
    found: Found,
) -> Result<RecoveryReport, RecoveryError> {
    let began = Instant::now();
    let records: Vec<_> =
        store.all()?.into_iter().filter(|(_, record)| !is_of(record.as_ref(), own)).collect();
    let marks = Marks::of(own)?;
    let mut leftovers = Leftovers::new(&records, began + PATIENCE);
    leftovers.end()?;
    let swept = sweep(|marker| marks.is_orphan(marker), PATIENCE)?;
    let mut seen: HashSet<&ProcessIdentity> = leftovers.seen.keys().collect();
    seen.extend(marks.orphans.iter().map(|sighting| &sighting.identity));
    seen.extend(swept.ended.iter().chain(&swept.survivors).map(|sighting| &sighting.identity));
    let mut surviving = HashSet::new();
    for identity in &seen {
        if identity.runs()? {
            surviving.insert(*identity);
        }
    }
    let dead = records.iter().enumerate().filter(|(place, (_, record))| {
        !leftovers.keeps(*place, &surviving)
            && !record.as_ref().is_some_and(|record| is_survived(record, &swept))
    });
    let dead: Vec<_> = dead.collect();
    let cut_short = dead.iter().filter_map(|(_, (_, record))| record.as_ref()?.life()).collect();
    let dead: Vec<_> = dead.into_iter().map(|(_, (key, _))| (key.clone(), None)).collect();
    if !dead.is_empty() {
        store.commit(&dead)?;
    }
    let report = RecoveryReport {
        records: records.len(),
        ended: seen.len() - surviving.len(),
        survivors: surviving.len(),
        unreadable: leftovers.unreadable.len(),
        quarantined_file: found.put_aside,
        clean_shutdown: found.previous.map(|previous| previous.clean_shutdown),
        took: began.elapsed(),
        cut_short,
    };
    Ok(report)
}

fn is_of(record: Option<&Record>, own: &HostRun) -> bool {
    record.is_some_and(|record| record.run() == own.run)
}

/// Whether a marked process of the record's life could not be ended.
fn is_survived(record: &Record, swept: &Sweep) -> bool {
    swept.survivors.iter().any(|sighting| {
        sighting.marker.run == record.run() && Some(&sighting.marker.life) == record.life().as_ref()
    })
}

#[cfg(test)]
mod tests;
