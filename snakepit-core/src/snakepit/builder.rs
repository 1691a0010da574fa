//! How a pit is put together and started.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use ractor::ActorCell;
use snakepit_supervisor::{ChildSpec, SupervisorSpec};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::config::{CheckedPoolConfig, PoolConfig};
use crate::error::{ConfigError, StartError};
use crate::id::PoolName;
use crate::pool::PoolShared;
use crate::process::{RunId, boot_id};
use crate::process_registry::{
    DirectoryLock, LockError, ProcessRegistry, ProcessRegistryArgs, ProcessRegistryRef, Store, recover,
};
use crate::snakepit::handle::{Pit, Snakepit};
use crate::snakepit::pool_tree::PoolTree;

/// How long a data directory may stay locked by a host that is just dying.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
/// How often the lock is tried meanwhile.
const LOCK_RETRY: Duration = Duration::from_millis(20);

/// Collects what a pit is made of. Made by [`Snakepit::builder`].
#[derive(Debug, Default)]
pub struct SnakepitBuilder {
    data_dir: Option<PathBuf>,
    pools: Vec<PoolConfig>,
}

impl SnakepitBuilder {
    /// Where the pit keeps its registry of processes. One pit at a time uses a directory; it is made where there is none.
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(path.into());
        self
    }

    /// Adds a pool.
    pub fn pool(mut self, config: PoolConfig) -> Self {
        self.pools.push(config);
        self
    }

    /// Ends what an earlier run left behind, then starts the pools. Returns when they are up; their workers boot
    /// meanwhile, which [`Snakepit::await_ready`] waits for.
    ///
    /// Needs a tokio runtime with its time and I/O drivers enabled, on any flavour.
    ///
    /// # Errors
    /// A [`StartError`]; nothing is left running.
    pub async fn start(self) -> Result<Snakepit, StartError> {
        self.start_under(None).await
    }

    /// The same, linked under an actor of the embedding service: when that ends, so does the pit, and it hears when the
    /// pit ends.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_linked(self, supervisor: ActorCell) -> Result<Snakepit, StartError> {
        self.start_under(Some(supervisor)).await
    }

    async fn start_under(self, supervisor: Option<ActorCell>) -> Result<Snakepit, StartError> {
        let data_dir = self.data_dir.clone().ok_or(ConfigError::NoDataDir)?;
        let pools = self.check()?;
        let lock = Arc::new(lock(&data_dir).await?);
        prepare_adapters(&pools, &data_dir).await?;
        let run = RunId::new();
        let registry = ProcessRegistryRef::new(run);
        let store = open_store(&data_dir).await?;
        let recovery = recover(Arc::clone(&store), run)
            .await
            .map_err(|error| StartError::Registry { path: data_dir.clone(), message: error.to_string() })?;
        let boot_id =
            boot_id().map_err(|source| StartError::DataDir { path: "/proc".into(), source })?.into();
        let registry_args = ProcessRegistryArgs { store, handle: registry.clone(), boot_id, lock };
        let requests = Arc::new(AtomicU64::new(0));
        let trees = pools.iter().map(|config| {
            let shared = PoolShared::new(config.name.clone(), config.options.clone(), Arc::clone(&requests));
            PoolTree::new(config, &Arc::new(shared), &registry, &data_dir)
        });
        let mut spec = SupervisorSpec::new("snakepit")
            .child(ChildSpec::worker("process registry", move || (ProcessRegistry, registry_args.clone())));
        let mut handles = BTreeMap::new();
        for tree in trees {
            spec = spec.child(tree.spec);
            handles.insert(tree.pool.name().clone(), (tree.pool, tree.supervisor));
        }
        let started = match supervisor {
            Some(supervisor) => spec.start_linked(supervisor).await,
            None => spec.start().await,
        };
        let root = started.map_err(|error| StartError::Supervision { message: error.to_string() })?;
        Ok(Snakepit::new(Pit { root, pools: handles, run, recovery }))
    }

    fn check(self) -> Result<Vec<CheckedPoolConfig>, ConfigError> {
        let mut names: Vec<PoolName> = Vec::new();
        let mut checked = Vec::new();
        for config in self.pools {
            let config = config.check()?;
            if names.contains(&config.name) {
                return Err(ConfigError::DuplicatePool { pool: config.name });
            }
            names.push(config.name.clone());
            checked.push(config);
        }
        if checked.is_empty() { Err(ConfigError::NoPool) } else { Ok(checked) }
    }
}

/// Holds the data directory. A host that is just dying may still hold it for a moment.
async fn lock(data_dir: &Path) -> Result<DirectoryLock, StartError> {
    let patience_ends = Instant::now() + LOCK_PATIENCE;
    loop {
        let path = data_dir.to_owned();
        let attempt = spawn_blocking(move || DirectoryLock::acquire(&path)).await;
        match attempt.unwrap_or_else(|error| Err(LockError::Unusable(std::io::Error::other(error)))) {
            Ok(lock) => return Ok(lock),
            Err(LockError::Unusable(source)) => {
                return Err(StartError::DataDir { path: data_dir.to_owned(), source });
            }
            Err(LockError::Held { holder }) if Instant::now() >= patience_ends => {
                return Err(StartError::DataDirInUse { path: data_dir.to_owned(), holder });
            }
            Err(LockError::Held { .. }) => sleep(LOCK_RETRY).await,
        }
    }
}

async fn prepare_adapters(pools: &[CheckedPoolConfig], data_dir: &Path) -> Result<(), StartError> {
    for config in pools {
        let (adapter, data_dir) = (Arc::clone(&config.adapter), data_dir.to_owned());
        let prepared = spawn_blocking(move || adapter.prepare(&data_dir)).await;
        let failed = |source| StartError::Adapter { pool: config.name.clone(), source };
        match prepared {
            Ok(result) => result.map_err(failed)?,
            Err(error) => {
                return Err(failed(crate::adapter::AdapterFailure::Failed { what: error.to_string() }));
            }
        }
    }
    Ok(())
}

async fn open_store(data_dir: &Path) -> Result<Arc<Store>, StartError> {
    let directory = data_dir.to_owned();
    let failed = |message: String| StartError::Registry { path: Store::path(data_dir), message };
    match spawn_blocking(move || Store::open(&directory)).await {
        Ok(Ok(store)) => Ok(Arc::new(store)),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}
