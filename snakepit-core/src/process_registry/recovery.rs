//! Recovery: before anything starts, what earlier runs left behind is ended.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use tracing::warn;

use crate::process::sighting::{self, EndOutcome, PROC, Sighting};
use crate::process::{Marker, RunId, boot_id};
use crate::process_registry::orphan::{OrphanVerdict, judge};
use crate::process_registry::record::Record;
use crate::process_registry::store::{Store, StoreError};

/// How long a killed process may take to go before it is reported as a survivor.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait between two looks at the system.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

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

/// Ends what the records of runs other than `run` still have running, and takes out the records proven dead.
pub(crate) async fn recover(store: Arc<Store>, run: RunId) -> Result<RecoveryReport, RecoveryError> {
    recover_in(store, run, Path::new(PROC)).await
}

async fn recover_in(store: Arc<Store>, run: RunId, proc: &Path) -> Result<RecoveryReport, RecoveryError> {
    let records = earlier_records(&store, run).await?;
    let mut report = RecoveryReport { records: records.len(), ..RecoveryReport::default() };
    if records.is_empty() {
        return Ok(report);
    }
    let records = Arc::new(records);
    let patience_ends = Instant::now() + PATIENCE;
    let mut ended: Vec<Sighting> = Vec::new();
    let survivors = loop {
        let look = Look::take(Arc::clone(&records), proc.to_owned()).await?;
        ended.extend(look.signalled.iter().filter(|new| !ended.contains(new)).cloned().collect::<Vec<_>>());
        let clean = look.signalled.is_empty() && look.refused.is_empty();
        if clean || Instant::now() >= patience_ends {
            break look.signalled.into_iter().chain(look.refused).map(|sighting| sighting.marker).collect();
        }
        sleep(BETWEEN_LOOKS).await;
    };
    report.survivors = Vec::len(&survivors);
    report.ended = ended.len() - ended.iter().filter(|sighting| survivors.contains(&sighting.marker)).count();
    forget_the_dead(&store, &records, &survivors).await?;
    if report.ended > 0 || report.survivors > 0 {
        warn!(
            records = report.records,
            ended = report.ended,
            survivors = report.survivors,
            "an earlier run left processes"
        );
    }
    Ok(report)
}

/// One look at the system: which orphans run, and what came of signalling them.
#[derive(Default)]
struct Look {
    signalled: Vec<Sighting>,
    refused: Vec<Sighting>,
}

impl Look {
    async fn take(records: Arc<Vec<Record>>, proc: PathBuf) -> io::Result<Self> {
        spawn_blocking(move || {
            let mut look = Self::default();
            for sighting in sighting::scan_in(&proc)? {
                let is_orphan = records.iter().any(|record| judge(record, &sighting) == OrphanVerdict::End);
                if !is_orphan {
                    continue;
                }
                match sighting::end(&sighting) {
                    EndOutcome::Signalled => look.signalled.push(sighting),
                    EndOutcome::Gone => {}
                    EndOutcome::Refused => look.refused.push(sighting),
                }
            }
            Ok(look)
        })
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

async fn earlier_records(store: &Arc<Store>, run: RunId) -> Result<Vec<Record>, StoreError> {
    let store = Arc::clone(store);
    let all = spawn_blocking(move || store.all()).await.expect("reading a table does not panic")?;
    Ok(all.into_iter().filter(|record| record.run() != run).collect())
}

/// Takes out every record whose processes are proven gone: those of another boot, and those nobody was sighted of.
async fn forget_the_dead(
    store: &Arc<Store>,
    records: &[Record],
    survivors: &[Marker],
) -> Result<(), RecoveryError> {
    let boot = boot_id()?;
    let dead: Vec<Marker> = records
        .iter()
        .filter_map(|record| Some((record, record.marker()?)))
        .filter(|(record, marker)| record.boot_id() != boot || !survivors.contains(marker))
        .map(|(_, marker)| marker)
        .collect();
    let store = Arc::clone(store);
    Ok(spawn_blocking(move || store.remove(&dead)).await.expect("removing from a table does not panic")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Incarnation, PoolName, Slot, WorkerId, WorkerLife};

    #[tokio::test]
    async fn records_are_kept_where_processes_cannot_be_looked_for() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(directory.path()).unwrap());
        let worker = WorkerId { pool: PoolName::new("default").unwrap(), slot: Slot(0) };
        let marker = Marker { run: RunId::new(), life: WorkerLife { worker, incarnation: Incarnation(1) } };
        store.put(&marker, &Record::reserved(&marker, &boot_id().unwrap())).unwrap();
        let blind = recover_in(Arc::clone(&store), RunId::new(), &directory.path().join("none")).await;
        assert!(matches!(blind, Err(RecoveryError::System { .. })), "{blind:?}");
        assert_eq!(store.all().unwrap().len(), 1);
        let report = recover(Arc::clone(&store), RunId::new()).await.unwrap();
        assert_eq!((report.records, report.ended, report.survivors), (1, 0, 0));
        assert_eq!(store.all().unwrap().len(), 0);
    }
}
