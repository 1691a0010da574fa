//! What a child is: its id, when it is restarted, how it is stopped, how it is started.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ractor::Actor;
use serde::{Serialize, Serializer};
use tokio::runtime::Handle as RuntimeHandle;

use crate::blueprint::Blueprint;
use crate::child_handle::{ChildHandle, LazyAddress};
use crate::offspring::{ChildExit, ExitHook, Offspring, StartContext, StartFn};

/// The name of a child within its supervisor.
///
/// It is local: two supervisors may each have a child `a`, and no actor is registered under it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChildId(Arc<str>);

impl ChildId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ChildId {
    fn from(id: &str) -> Self {
        Self(id.into())
    }
}

impl From<String> for ChildId {
    fn from(id: String) -> Self {
        Self(id.into())
    }
}

impl From<&ChildId> for ChildId {
    fn from(id: &ChildId) -> Self {
        id.clone()
    }
}

impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for ChildId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// When a child that ended by itself is started again (`supervisor.erl`, child spec `restart`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// Always, also after a clean exit.
    #[default]
    Permanent,
    /// Only after an exit that was not clean: see [`ExitReason::is_clean`](crate::ExitReason::is_clean).
    Transient,
    /// Never; its spec goes with it.
    Temporary,
}

/// How a child is stopped by its supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shutdown {
    /// Killed at once; its `post_stop` does not run.
    BrutalKill,
    /// Asked to stop, and killed when it has not stopped in time.
    Timeout(Duration),
    /// Asked to stop, and waited for. Right for supervisors; risky for workers.
    Infinity,
}

impl Shutdown {
    /// What a worker gets unless its spec says otherwise: 5 s, as in OTP.
    pub const WORKER: Self = Self::Timeout(Duration::from_secs(5));
}

/// Whether a child is a worker or a supervisor; it decides nothing but defaults and counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildType {
    /// Has no children that matter here.
    Worker,
    /// Has children of its own.
    Supervisor,
}

/// The part of a spec that is plain data: all that the decisions need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildSettings {
    /// The child's name.
    pub id: ChildId,
    /// When it is started again.
    pub restart: Restart,
    /// How it is stopped.
    pub shutdown: Shutdown,
    /// Whether its end may end its supervisor: see [`AutoShutdown`](crate::AutoShutdown).
    pub significant: bool,
    /// Worker or supervisor.
    pub kind: ChildType,
    /// How long a start may take before it is given up; `None` for no limit.
    pub start_timeout: Option<Duration>,
}

impl ChildSettings {
    /// How long a worker's start may take unless its spec says otherwise: 60 s.
    ///
    /// OTP waits without a limit; here a start that hangs must not hang for ever.
    pub const START_TIMEOUT: Duration = Duration::from_mins(1);

    pub(crate) fn worker(id: ChildId) -> Self {
        Self {
            id,
            restart: Restart::Permanent,
            shutdown: Shutdown::WORKER,
            significant: false,
            kind: ChildType::Worker,
            start_timeout: Some(Self::START_TIMEOUT),
        }
    }

    /// A subtree bounds each of its own starts, so its start as a whole has no limit.
    pub(crate) fn supervisor(id: ChildId) -> Self {
        Self {
            shutdown: Shutdown::Infinity,
            kind: ChildType::Supervisor,
            start_timeout: None,
            ..Self::worker(id)
        }
    }
}

/// A child as its supervisor knows it: what it is, and how to start it any number of times.
#[derive(Clone)]
pub struct ChildSpec {
    pub(crate) settings: ChildSettings,
    pub(crate) name: Option<String>,
    pub(crate) start: StartFn,
    pub(crate) on_exit: Option<ExitHook>,
    pub(crate) runtime: Option<RuntimeHandle>,
    pub(crate) usual_boot: Option<Duration>,
    pub(crate) usual_stop: Option<Duration>,
    pub(crate) address: LazyAddress,
    /// What is below it, if it is a supervisor of this crate.
    pub(crate) below: Option<Arc<Blueprint>>,
}

impl ChildSpec {
    /// A worker: permanent, 5 s to stop, 60 s to start.
    ///
    /// `start` builds handler and arguments anew for every start. It must be quick: it runs in the supervisor.
    /// The actor's `pre_start` may take its time: it never holds up the supervisor.
    pub fn worker<A, F>(id: impl Into<ChildId>, start: F) -> Self
    where
        A: Actor,
        F: Fn() -> (A, A::Arguments) + Send + Sync + 'static,
    {
        Self::worker_with(id, move |_| {
            let (actor, arguments) = start();
            Ok(Offspring::new(actor, arguments))
        })
    }

    /// A worker whose start may fail, be declined ([`Offspring::Ignore`]), or depend on its supervisor.
    ///
    /// An `Err`, like an `Err` of the actor's `pre_start`, is a failed start. A panic in `start` is one, too.
    pub fn worker_with<A, F>(id: impl Into<ChildId>, start: F) -> Self
    where
        A: Actor,
        F: Fn(&StartContext) -> Result<Offspring<A>, Box<dyn Error + Send + Sync>> + Send + Sync + 'static,
    {
        let start: StartFn = Arc::new(move |context| Offspring::spawn(start(context), context));
        Self::new(ChildSettings::worker(id.into()), start)
    }

    pub(crate) fn new(settings: ChildSettings, start: StartFn) -> Self {
        Self {
            settings,
            name: None,
            start,
            on_exit: None,
            runtime: None,
            usual_boot: None,
            usual_stop: None,
            address: LazyAddress::default(),
            below: None,
        }
    }

    /// Sets when it is started again.
    pub fn restart(mut self, restart: Restart) -> Self {
        self.settings.restart = restart;
        self
    }

    /// Sets how it is stopped.
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.settings.shutdown = shutdown;
        self
    }

    /// Sets whether its end may end its supervisor.
    pub fn significant(mut self, significant: bool) -> Self {
        self.settings.significant = significant;
        self
    }

    /// Sets how long a start may take; then it is given up and counts as failed. `None` for no limit.
    pub fn start_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.start_timeout = limit.into();
        self
    }

    /// Registers each incarnation under a name of ractor's registry, which is one for the whole program.
    pub fn registered_as(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Counts the child among the supervisors, and gives it what supervisors get: no limit on start and stop.
    ///
    /// For an actor that supervises by its own means; the specs of this crate say it themselves.
    pub fn as_supervisor(mut self) -> Self {
        self.settings = ChildSettings {
            restart: self.settings.restart,
            significant: self.settings.significant,
            ..ChildSettings::supervisor(self.settings.id)
        };
        self
    }

    /// Runs `hook` after each end of the child, before its successor starts: to clear what it left behind.
    ///
    /// The hook is awaited, for as long as the supervisor waits for a killed child (its kill grace) and no longer.
    /// It runs in a task of its own, so the supervisor goes on answering.
    pub fn on_exit<F, Fut>(mut self, hook: F) -> Self
    where
        F: Fn(ChildExit) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.on_exit = Some(Arc::new(move |exit| Box::pin(hook(exit))));
        self
    }

    /// Runs the child on another runtime: one that may block its threads, without holding up the tree.
    pub fn on_runtime(mut self, runtime: RuntimeHandle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Says how long a start usually takes, for [`check`](crate::SupervisorSpec::check) to judge the policy by.
    pub fn usual_boot(mut self, time: Duration) -> Self {
        self.usual_boot = Some(time);
        self
    }

    /// Says how long a stop usually takes, for the same purpose.
    pub fn usual_stop(mut self, time: Duration) -> Self {
        self.usual_stop = Some(time);
        self
    }

    /// A handle that finds the child over its restarts.
    pub fn handle(&self) -> ChildHandle {
        ChildHandle::new(self.settings.id.clone(), &self.address)
    }

    /// The child's name.
    pub fn id(&self) -> &ChildId {
        &self.settings.id
    }

    /// The plain data of the spec.
    pub fn settings(&self) -> &ChildSettings {
        &self.settings
    }
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec")
            .field("settings", &self.settings)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
