//! How a registry is opened: the directory held, the file opened, earlier runs ended, and only then anything started.

use std::path::Path;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::error::StartError;
use crate::process::identity::Scope;
use crate::process::{HostMark, HostRun, ProcessIdentity, RegistryId, RunId};
use crate::process_registry::actor::ProcessRegistryArgs;
use crate::process_registry::handle::ProcessRegistryRef;
use crate::process_registry::ledger::Ledger;
use crate::process_registry::lock::{DirectoryLock, LockError};
use crate::process_registry::recovery::{RecoveryError, RecoveryReport, recover};
use crate::process_registry::store::{Origin, Store, StoreError};
use crate::process_registry::writer::Writer;
use crate::telemetry::EventSink;

/// How long a data directory may stay locked by a host that is just dying: the system frees its memory before its locks,
/// 0.1 s for each GB.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// How often the lock is tried meanwhile.
const LOCK_RETRY: Duration = Duration::from_millis(10);

/// A registry that is open, and that nobody has reserved anything in yet.
#[derive(Debug)]
pub(crate) struct OpenRegistry {
    pub(crate) args: ProcessRegistryArgs,
    pub(crate) handle: ProcessRegistryRef,
    pub(crate) run: RunId,
    pub(crate) recovery: RecoveryReport,
}

/// Why a registry was not opened this time.
enum Obstacle {
    /// Another host has the directory.
    Held { holder: String },
    /// Nothing that time mends.
    Refused(StartError),
}

/// Opens the registry of a data directory. A host that is just dying may still hold it for a moment.
pub(crate) async fn open(data_dir: &Path, events: &EventSink) -> Result<OpenRegistry, StartError> {
    let patience_ends = Instant::now() + LOCK_PATIENCE;
    loop {
        let (path, events) = (data_dir.to_owned(), events.clone());
        let attempt = spawn_blocking(move || try_open(&path, events)).await;
        let attempt = attempt.unwrap_or_else(|error| Err(Obstacle::refused(data_dir, &error)));
        match attempt {
            Ok(open) => return Ok(open),
            Err(Obstacle::Refused(error)) => return Err(error),
            Err(Obstacle::Held { holder }) if Instant::now() >= patience_ends => {
                return Err(StartError::DataDirInUse { path: data_dir.to_owned(), holder });
            }
            Err(Obstacle::Held { .. }) => sleep(LOCK_RETRY).await,
        }
    }
}

/// Ends what earlier runs on a data directory have left, without starting anything.
///
/// For operators, where no host comes back to do it. A directory that a live host uses is refused.
///
/// # Errors
/// [`StartError::DataDirInUse`] with the process id of the host that uses the directory; [`StartError::DataDir`] and
/// [`StartError::Registry`] where it cannot be read.
///
/// # Cancellation
/// What has begun is finished in the background.
pub async fn recover_directory(data_dir: impl AsRef<Path>) -> Result<RecoveryReport, StartError> {
    let data_dir = data_dir.as_ref();
    // A directory that is not there has nothing to recover, and none is made for it.
    std::fs::metadata(data_dir)
        .map_err(|source| StartError::DataDir { path: data_dir.to_owned(), source })?;
    let OpenRegistry { args, recovery, .. } = open(data_dir, &EventSink::default()).await?;
    let closed = spawn_blocking(move || args.close()).await;
    closed.map_err(|error| StartError::Registry { path: data_dir.to_owned(), message: error.to_string() })?;
    Ok(recovery)
}

impl Obstacle {
    fn refused(data_dir: &Path, message: &impl ToString) -> Self {
        Self::Refused(StartError::Registry { path: data_dir.to_owned(), message: message.to_string() })
    }
}

fn try_open(data_dir: &Path, events: EventSink) -> Result<OpenRegistry, Obstacle> {
    let unusable = |source| Obstacle::Refused(StartError::DataDir { path: data_dir.to_owned(), source });
    let lock = DirectoryLock::acquire(data_dir).map_err(|error| match error {
        LockError::Held { holder } => Obstacle::Held { holder },
        LockError::Unusable(source) => unusable(source),
    })?;
    let identity = own_identity().map_err(|error| Obstacle::refused(data_dir, &error))?;
    let registry = RegistryId::of(lock.directory()).map_err(unusable)?;
    let host = HostRun { registry, run: RunId::new(), host: HostMark::of(&identity) };
    let scope = Scope::read().map_err(|error| Obstacle::refused(data_dir, &error))?;
    let origin = Origin::new(scope, host.run, identity.clone());
    let (mut store, found) = Store::open(data_dir, origin).map_err(|error| match error {
        StoreError::InUse => Obstacle::Held { holder: "unknown".to_owned() },
        StoreError::Failed(_) => Obstacle::refused(data_dir, &error),
    })?;
    let recovery = recover(&mut store, &host, found)
        .map_err(|error: RecoveryError| Obstacle::refused(data_dir, &error))?;
    recovery.tell(&events);
    let handle = ProcessRegistryRef::new(host);
    let writer = Writer::new(Ledger::new(host.run, identity), store, lock, handle.queue(), events);
    let args = ProcessRegistryArgs { writer, handle: handle.clone() };
    Ok(OpenRegistry { args, handle, run: host.run, recovery })
}

fn own_identity() -> std::io::Result<ProcessIdentity> {
    ProcessIdentity::read(std::process::id().cast_signed())
}
