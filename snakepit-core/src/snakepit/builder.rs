//! How a pit is put together and started.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use ractor::ActorCell;
use snakepit_supervisor::{ChildSpec, SupervisorSpec};
use tokio::task::spawn_blocking;
use tracing::warn;

use crate::adapter::WorkerContext;
use crate::config::{CheckedPoolConfig, PoolConfig};
use crate::error::{ConfigError, StartError};
use crate::id::{PoolName, WorkerLife};
use crate::pool::PoolShared;
use crate::process::{Containment, ContainmentLevel, Launcher, SpawnStep};
use crate::process_registry::{OpenRegistry, ProcessRegistry, open};
use crate::snakepit::data_dir;
use crate::snakepit::handle::{Pit, Snakepit};
use crate::snakepit::open_files;
use crate::snakepit::pool_tree::PoolTree;
use crate::snakepit::reports;
use crate::telemetry::{self, Event, EventSink, Events};

/// Collects what a pit is made of. Made by [`Snakepit::builder`].
#[derive(Default)]
pub struct SnakepitBuilder {
    data_dir: Option<PathBuf>,
    instance: Option<String>,
    pools: Vec<PoolConfig>,
    shim_program: Option<PathBuf>,
    required_level: Option<ContainmentLevel>,
    raise_file_limit: bool,
    spawn_observer: Option<Arc<dyn Fn(SpawnStep) + Send + Sync>>,
    pub(super) events: EventSink,
}

impl SnakepitBuilder {
    /// Where the pit keeps its registry of processes, on a disk of this machine. One pit at a time uses a directory; it is
    /// made where there is none.
    ///
    /// Default: the first of these that can be made and written: `$RUNTIME_DIRECTORY` (of several the first), `/run/APP`,
    /// `$XDG_STATE_HOME/APP` (else `$HOME/.local/state/APP`). `APP` is the [`instance`](Self::instance), or else the name
    /// of the program. A directory that outlives the service's restarts is what lets the next start find what a killed one
    /// left: under systemd, set `RuntimeDirectoryPreserve=restart`.
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(path.into());
        self
    }

    /// Names this pit among several that share a data directory, or that a program runs at once: 1 to 64 ASCII letters,
    /// digits, `_` and `-`. Each has a folder of that name to itself.
    pub fn instance(mut self, name: impl Into<String>) -> Self {
        self.instance = Some(name.into());
        self
    }

    /// Adds a pool.
    pub fn pool(mut self, config: PoolConfig) -> Self {
        self.pools.push(config);
        self
    }

    /// Refuses the start where workers would be held less firmly than this. Default: whatever the system makes possible
    /// is taken, and a level below [`ContainmentLevel::Tree`] is logged as a warning.
    ///
    /// Whoever requires a level also has no use for a start beside what an earlier run left and nobody can end: that is
    /// a [`StartError::Survivors`].
    pub fn require_level(mut self, level: ContainmentLevel) -> Self {
        self.required_level = Some(level);
        self
    }

    /// The program to run as the shim of each worker: one that calls [`shim::init`](crate::shim::init) first in its
    /// `main`, such as this crate's own `snakepit-shim`.
    ///
    /// Default: this program itself, which needs nothing of its `main`. Only a host that is loaded into another program
    /// as a library has to name one.
    pub fn shim_program(mut self, path: impl Into<PathBuf>) -> Self {
        self.shim_program = Some(path.into());
        self
    }

    /// Raises this process's soft limit of open files where the pools need more, as far as the hard limit allows; workers
    /// get the limit that was there before. Default: a limit that is too low is a
    /// [`StartError::OpenFilesLimit`], because the limit is the whole program's.
    pub fn raise_file_limit(mut self) -> Self {
        self.raise_file_limit = true;
        self
    }

    /// Calls `observer` after every step of the start of every worker's process, within the start: what it does there
    /// holds the start up. For tests and for tracing of slow starts.
    pub fn observe_spawns(mut self, observer: impl Fn(SpawnStep) + Send + Sync + 'static) -> Self {
        self.spawn_observer = Some(Arc::new(observer));
        self
    }

    /// What happens in the pit, typed, its start included. See [`Event`].
    pub fn events(&self) -> Events {
        self.events.subscribe(None)
    }

    /// Ends what an earlier run left behind, then starts the pools. Returns when they are up; their workers boot
    /// meanwhile, which [`Snakepit::await_ready`] waits for.
    ///
    /// Needs a tokio runtime with its time and I/O drivers enabled, on any flavour.
    ///
    /// # Errors
    /// A [`StartError`]; nothing is left running.
    ///
    /// # Cancellation
    /// Dropping the future ends what has been started. What an earlier run left is ended nevertheless, once that has begun.
    pub async fn start(self) -> Result<Snakepit, StartError> {
        self.start_under(None).await
    }

    /// The same, linked under an actor of the embedding service: when that ends, so does the pit, and it hears when the
    /// pit ends.
    ///
    /// # Errors
    /// # Cancellation
    /// As [`start`](Self::start).
    pub async fn start_linked(self, supervisor: ActorCell) -> Result<Snakepit, StartError> {
        self.start_under(Some(supervisor)).await
    }

    async fn start_under(self, supervisor: Option<ActorCell>) -> Result<Snakepit, StartError> {
        let (configured, instance) = (self.data_dir.clone(), self.instance.clone());
        let (shim_program, observer) = (self.shim_program.clone(), self.spawn_observer.clone());
        let events = self.events.clone();
        let (required, raise) = (self.required_level, self.raise_file_limit);
        let pools = self.check()?;
        let workers: u64 = pools.iter().map(|pool| u64::from(pool.options.size)).sum();
        let open_files = open_files::ensure(workers, raise)?;
        let launcher = Launcher::probe(shim_program.as_deref(), open_files, observer).await;
        let containment = contained(&launcher, required, &events)?;
        let data_dir = data_dir::choose(configured, instance.as_deref())?;
        // Nothing of this pit runs before everything of earlier ones has ended.
        let OpenRegistry { args, handle: registry, run, recovery } = open(&data_dir, &events).await?;
        telemetry::recovered(&recovery);
        if required.is_some() && recovery.survivors + recovery.unreadable > 0 {
            return Err(StartError::Survivors {
                survivors: recovery.survivors,
                unreadable: recovery.unreadable,
            });
        }
        prepare_adapters(&pools, &data_dir).await?;
        clean_up_after(&recovery.cut_short, &pools, &data_dir).await;
        let requests = Arc::new(AtomicU64::new(0));
        let trees = pools.iter().map(|config| {
            let (name, options) = (config.name.clone(), config.options.clone());
            let shared = PoolShared::new(name, options, Arc::clone(&requests), events.clone());
            PoolTree::new(config, &Arc::new(shared), &registry, &launcher, &data_dir)
        });
        let mut spec = SupervisorSpec::new("snakepit")
            .reports(reports::of_pit(&events))
            .child(ChildSpec::worker("process registry", move || (ProcessRegistry, args.clone())));
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
        let workers = usize::try_from(workers).unwrap_or(usize::MAX);
        events.emit(Event::PitStarted { pools: handles.len(), workers });
        Ok(Snakepit::new(Pit { root, pools: handles, run, recovery, data_dir, containment, events }))
    }

    fn check(self) -> Result<Vec<CheckedPoolConfig>, ConfigError> {
        if let Some(instance) = &self.instance {
            data_dir::check_instance(instance)?;
        }
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

/// How firmly workers will be held, told to whoever reads the log.
fn contained(
    launcher: &Launcher,
    required: Option<ContainmentLevel>,
    events: &EventSink,
) -> Result<Containment, StartError> {
    let containment = launcher.containment();
    telemetry::contained(&containment, events);
    let (found, shortfall) = (containment.level(), containment.shortfall().map(str::to_owned));
    if let Some(required) = required.filter(|required| *required > found) {
        return Err(StartError::Containment { required, found, shortfall });
    }
    Ok(containment)
}

/// Lets the adapters undo what was asked of other programs for workers that were ended with an earlier host.
async fn clean_up_after(lives: &[WorkerLife], pools: &[CheckedPoolConfig], data_dir: &Path) {
    for life in lives {
        // A pool that is no more has no adapter to ask.
        let Some(pool) = pools.iter().find(|pool| pool.name == life.worker.pool) else { continue };
        let adapter = Arc::clone(&pool.adapter);
        let context = WorkerContext { life: life.clone(), data_dir: data_dir.to_owned() };
        if let Err(error) = spawn_blocking(move || adapter.on_kill(&context)).await {
            warn!(worker = %life, %error, "the adapter could not clean up after a worker of an earlier run");
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

impl std::fmt::Debug for SnakepitBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SnakepitBuilder")
            .field("data_dir", &self.data_dir)
            .field("instance", &self.instance)
            .field("pools", &self.pools)
            .field("shim_program", &self.shim_program)
            .field("required_level", &self.required_level)
            .finish_non_exhaustive()
    }
}
