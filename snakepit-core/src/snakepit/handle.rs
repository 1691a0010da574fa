//! The pit as the embedding service holds it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use snakepit_supervisor::SupervisorRef;

use crate::error::ExecuteError;
use crate::id::{PoolName, SessionId};
use crate::payload::Payload;
use crate::pool::{PoolRef, Response, ResponseStream};
use crate::process::{Containment, RunId};
use crate::process_registry::RecoveryReport;
use crate::request::Request;
use crate::snakepit::builder::SnakepitBuilder;
use crate::snakepit::health::Health;
use crate::snakepit::shutdown::{self, ShutdownReport};
use crate::snakepit::signals;
use crate::snakepit::tree::Tree;
use crate::telemetry::{EventSink, Events};

/// Pools of worker processes under one supervision tree. Cheap to clone.
///
/// Dropping the last clone stops everything in the background; [`shutdown`](Self::shutdown) does so in the open, with a
/// deadline and a report.
#[derive(Clone, Debug)]
pub struct Snakepit {
    pit: Arc<Pit>,
}

/// What the clones of a handle share.
#[derive(Debug)]
pub(super) struct Pit {
    pub(super) root: SupervisorRef,
    pub(super) pools: BTreeMap<PoolName, (PoolRef, SupervisorRef)>,
    pub(super) run: RunId,
    pub(super) recovery: RecoveryReport,
    pub(super) containment: Containment,
    pub(super) data_dir: PathBuf,
    pub(super) events: EventSink,
}

impl Snakepit {
    /// The pool that is meant where none is named and there are several.
    pub(super) const DEFAULT_POOL: &str = "default";

    /// Begins to put a pit together.
    pub fn builder() -> SnakepitBuilder {
        SnakepitBuilder::default()
    }

    pub(super) fn new(pit: Pit) -> Self {
        Self { pit: Arc::new(pit) }
    }

    /// A pool by its name.
    ///
    /// # Errors
    /// [`ExecuteError::PoolNotFound`].
    pub fn pool(&self, name: &str) -> Result<&PoolRef, ExecuteError> {
        let found = self.pit.pools.iter().find(|(known, _)| known.as_str() == name);
        found.map(|(_, (pool, _))| pool).ok_or_else(|| ExecuteError::PoolNotFound { pool: name.to_owned() })
    }

    /// The pool that is meant where none is named: the only one, else the one named `default`.
    ///
    /// # Errors
    /// [`ExecuteError::PoolNotFound`] where there are several and none has that name.
    pub fn default_pool(&self) -> Result<&PoolRef, ExecuteError> {
        match self.pit.pools.first_key_value() {
            Some((_, (pool, _))) if self.pit.pools.len() == 1 => Ok(pool),
            _ => self.pool(Self::DEFAULT_POOL),
        }
    }

    /// All pools, by name.
    pub fn pools(&self) -> impl Iterator<Item = &PoolRef> {
        self.pit.pools.values().map(|(pool, _)| pool)
    }

    /// Runs a command on any worker of the default pool.
    ///
    /// # Errors
    /// # Cancellation
    /// As [`PoolRef::execute`].
    pub async fn execute<A>(&self, command: &str, args: &A) -> Result<Response, ExecuteError>
    where
        A: Serialize + ?Sized,
    {
        self.default_pool()?.execute(Request::new(command, Payload::json(args)?)).await
    }

    /// Runs a command on the worker that the session prefers, in the default pool.
    ///
    /// # Errors
    /// As [`PoolRef::execute`]; [`ExecuteError::InvalidArgument`] for a session id of no or too many bytes.
    ///
    /// # Cancellation
    /// As [`PoolRef::execute`].
    pub async fn execute_in_session<A>(
        &self,
        session: &str,
        command: &str,
        args: &A,
    ) -> Result<Response, ExecuteError>
    where
        A: Serialize + ?Sized,
    {
        let session = SessionId::new(session)
            .map_err(|error| ExecuteError::InvalidArgument { message: error.to_string() })?;
        self.default_pool()?.execute(Request::new(command, Payload::json(args)?).session(session)).await
    }

    /// Calls a command of the default pool; serde in, serde out.
    ///
    /// # Errors
    /// # Cancellation
    /// As [`PoolRef::call`].
    pub async fn call<T, A>(&self, command: &str, args: &A) -> Result<T, ExecuteError>
    where
        T: DeserializeOwned,
        A: Serialize + ?Sized,
    {
        self.default_pool()?.call(command, args).await
    }

    /// Runs a command of the default pool whose answer is a stream.
    ///
    /// # Errors
    /// As [`PoolRef::execute_stream`].
    pub fn execute_stream<A>(&self, command: &str, args: &A) -> Result<ResponseStream, ExecuteError>
    where
        A: Serialize + ?Sized,
    {
        self.default_pool()?.execute_stream(Request::new(command, Payload::json(args)?))
    }

    /// Whether the pit and its pools can do their work, and if not, why: the answer to a readiness probe.
    ///
    /// # Cancellation
    /// Dropping the future stops waiting and nothing else.
    pub async fn health(&self) -> Health {
        Health::of(&self.pit).await
    }

    /// The supervision tree as it is now, with the workers' processes. `None` once the pit has ended.
    ///
    /// # Cancellation
    /// Dropping the future stops waiting and nothing else.
    pub async fn tree(&self) -> Option<Tree> {
        Tree::of(&self.pit).await
    }

    /// What happens in the pit from now on, typed. See [`Event`](crate::Event); [`SnakepitBuilder::events`] hears the start,
    /// too, and [`PoolRef::events`] one pool alone.
    pub fn events(&self) -> Events {
        self.pit.events.subscribe(None)
    }

    /// What the start found of earlier runs.
    pub fn recovery(&self) -> &RecoveryReport {
        &self.pit.recovery
    }

    /// How firmly the workers' processes are held, as was found out at the start.
    pub fn containment(&self) -> &Containment {
        &self.pit.containment
    }

    /// Where this pit keeps its registry of processes. [`registry::list`](crate::registry::list) reads it.
    pub fn data_dir(&self) -> &Path {
        &self.pit.data_dir
    }

    /// Stops everything within `budget`: no more requests, those under way are finished, processes are asked to leave,
    /// then killed. Calling it again may only bring the end forward; `Duration::ZERO` means now.
    ///
    /// # Cancellation
    /// Dropping the future leaves the shutdown where it is; dropping the pit then ends it.
    pub async fn shutdown(&self, budget: Duration) -> ShutdownReport {
        shutdown::run(&self.pit, budget).await
    }

    /// Waits until the system asks this program to end, with TERM or with INT as Ctrl-C sends it, and shuts down within
    /// `budget` of that. A second request means now.
    ///
    /// From the first poll on the two signals no longer end the program by themselves, also after this has returned: the
    /// caller leaves `main`. Workers are in process groups of their own and hear no Ctrl-C.
    ///
    /// # Errors
    /// Where the system does not let the signals be listened to.
    ///
    /// # Cancellation
    /// As [`shutdown`](Self::shutdown); the signals stay listened to, and go unheard.
    pub async fn shutdown_on_signal(&self, budget: Duration) -> io::Result<ShutdownReport> {
        signals::run(&self.pit, budget).await
    }
}

impl Drop for Pit {
    fn drop(&mut self) {
        self.root.stop(Some("shutdown: the last handle was dropped".to_owned()));
    }
}
