//! How a child comes to life: its factory, what the factory is told, and what it hands over.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use ractor::{Actor, ActorCell, ActorRuntime, SpawnErr};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::child::ChildId;
use crate::error::StartFailure;
use crate::exit::{DoNotRestart, ExitReason};
use crate::report::ReportSink;

/// What a factory knows when it is asked for a child.
#[derive(Clone)]
pub struct StartContext {
    pub(crate) id: ChildId,
    pub(crate) incarnation: u64,
    pub(crate) name: Option<String>,
    pub(crate) supervisor: ActorCell,
    pub(crate) reports: Option<ReportSink>,
    pub(crate) extra: Option<Arc<dyn Any + Send + Sync>>,
}

impl StartContext {
    /// The id of the child to be.
    pub fn id(&self) -> &ChildId {
        &self.id
    }

    /// Which of the child's lives this is, counted from 1.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// The argument that a dynamic supervisor adds to every start, if it is a `T`.
    pub fn extra<T: Any>(&self) -> Option<&T> {
        self.extra.as_ref()?.downcast_ref()
    }
}

impl fmt::Debug for StartContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartContext")
            .field("id", &self.id)
            .field("incarnation", &self.incarnation)
            .finish_non_exhaustive()
    }
}

/// Something that a factory hands to whoever asked for the start. The supervisor only passes it on.
pub type StartInfo = Arc<dyn Any + Send + Sync>;

/// What a factory makes of a request for a child.
#[non_exhaustive]
pub enum Offspring<A: Actor> {
    /// An actor, to be started.
    Actor {
        /// The handler.
        actor: A,
        /// What its `pre_start` gets.
        arguments: A::Arguments,
        /// What the asker gets.
        info: Option<StartInfo>,
    },
    /// None this time, and that is no failure (`supervisor.erl`, `ignore`).
    Ignore,
}

impl<A: Actor> Offspring<A> {
    /// An actor, to be started.
    pub fn new(actor: A, arguments: A::Arguments) -> Self {
        Self::Actor { actor, arguments, info: None }
    }

    /// An actor, to be started, with something for the asker: see [`StartedChild::info`](crate::StartedChild::info).
    pub fn with_info(actor: A, arguments: A::Arguments, info: StartInfo) -> Self {
        Self::Actor { actor, arguments, info: Some(info) }
    }

    pub(crate) fn spawn(
        made: Result<Self, Box<dyn Error + Send + Sync>>,
        context: &StartContext,
    ) -> Result<Option<Birth>, StartFailure> {
        let (actor, arguments, info) = match made.map_err(StartFailure::from_error)? {
            Self::Actor { actor, arguments, info } => (actor, arguments, info),
            Self::Ignore => return Ok(None),
        };
        let (actor, start) = ActorRuntime::spawn_linked_instant(
            context.name.clone(),
            actor,
            arguments,
            context.supervisor.clone(),
        )
        .map_err(StartFailure::from_spawn)?;
        Ok(Some(Birth { cell: actor.get_cell(), start, boot: None, lineage: None, info }))
    }
}

impl<A: Actor> fmt::Debug for Offspring<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Actor { .. } => "Offspring::Actor",
            Self::Ignore => "Offspring::Ignore",
        })
    }
}

impl StartFailure {
    pub(crate) fn from_error(error: Box<dyn Error + Send + Sync>) -> Self {
        match error.downcast::<DoNotRestart>() {
            Ok(fatal) => Self::Fatal(Arc::clone(fatal.inner())),
            Err(error) => Self::Failed(error.into()),
        }
    }

    pub(crate) fn from_spawn(error: SpawnErr) -> Self {
        match error {
            SpawnErr::StartupFailed(error) => Self::from_error(error),
            SpawnErr::ActorAlreadyRegistered(name) => Self::NameTaken { name },
            already_started @ SpawnErr::ActorAlreadyStarted => Self::from_error(Box::new(already_started)),
        }
    }
}

/// A child that was just spawned: its `pre_start` may still be running.
pub(crate) struct Birth {
    pub(crate) cell: ActorCell,
    /// Ends when `pre_start` has; gives the task of the actor itself.
    pub(crate) start: JoinHandle<Result<JoinHandle<()>, SpawnErr>>,
    /// For a supervisor of this crate: whether its children came up.
    pub(crate) boot: Option<oneshot::Receiver<Result<(), StartFailure>>>,
    /// For a supervisor of this crate: open as long as any of its descendants lives.
    pub(crate) lineage: Option<mpsc::Receiver<Descendant>>,
    pub(crate) info: Option<StartInfo>,
}

/// Held by the task of every descendant of a supervisor. Nothing is ever sent; the last drop tells.
pub(crate) enum Descendant {}

pub(crate) type StartFn = Arc<dyn Fn(&StartContext) -> Result<Option<Birth>, StartFailure> + Send + Sync>;

pub(crate) type ExitHook = Arc<dyn Fn(ChildExit) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// One end of a child, as its exit hook sees it.
#[derive(Clone, Debug)]
pub struct ChildExit {
    /// Which child.
    pub id: ChildId,
    /// Which of its lives ended, counted from 1.
    pub incarnation: u64,
    /// The actor that it was.
    pub cell: ActorCell,
    /// How it ended.
    pub reason: ExitReason,
}
