//! What can go wrong, one enum per operation that a caller can act on.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use ractor::ActorCell;

use crate::child::ChildId;

/// Why a child did not start.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartFailure {
    /// Its factory or its `pre_start` returned an error, or panicked.
    #[error("{0}")]
    Failed(Arc<dyn Error + Send + Sync>),
    /// The same, and the error was a [`DoNotRestart`](crate::DoNotRestart).
    #[error("fatal: {0}")]
    Fatal(Arc<dyn Error + Send + Sync>),
    /// It was not up in time, and its start was given up.
    #[error("not started within {limit:?}")]
    Timeout {
        /// How long it was given.
        limit: Duration,
    },
    /// Another actor has the name that it is to be registered under.
    #[error("the name {name:?} belongs to another actor")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// It is a supervisor, and one of its own children did not start.
    #[error("its child {child} failed to start: {failure}")]
    Child {
        /// Which.
        child: ChildId,
        /// Why.
        failure: Box<StartFailure>,
    },
    /// It is a supervisor whose specs do not hold together.
    #[error("{0}")]
    Invalid(#[from] SpecError),
    /// The supervisor was told to stop meanwhile.
    #[error("the start was cut short by a stop")]
    Stopped,
}

impl StartFailure {
    /// Whether trying again cannot help.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Fatal(_) | Self::Invalid(_) => true,
            Self::Child { failure, .. } => failure.is_fatal(),
            Self::Failed(_) | Self::Timeout { .. } | Self::NameTaken { .. } | Self::Stopped => false,
        }
    }

    /// The error that the child gave, as what it was.
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Failed(error) | Self::Fatal(error) => error.downcast_ref::<E>(),
            Self::Child { failure, .. } => failure.downcast_ref::<E>(),
            Self::Timeout { .. } | Self::NameTaken { .. } | Self::Invalid(_) | Self::Stopped => None,
        }
    }
}

/// A spec that cannot be right. Found before anything is started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// Two children of a static supervisor have one id.
    #[error("two children have the id {id}")]
    DuplicateId {
        /// The id.
        id: ChildId,
    },
    /// A significant child, but its end would mean nothing.
    #[error("child {id} is significant, but its supervisor never shuts down by itself")]
    SignificantWithoutAutoShutdown {
        /// The child.
        id: ChildId,
    },
    /// A significant child that is always restarted never ends.
    #[error("child {id} is significant and permanent: it would never end by itself")]
    SignificantPermanent {
        /// The child.
        id: ChildId,
    },
    /// A window of no length.
    #[error("the restart period of {id} is zero")]
    ZeroPeriod {
        /// The supervisor.
        id: ChildId,
    },
}

/// A supervisor did not start. Nothing that it had started is left.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// One of its children failed to start; those before it were stopped again.
    #[error("child {child} failed to start: {failure}")]
    Child {
        /// Which.
        child: ChildId,
        /// Why.
        failure: StartFailure,
    },
    /// Its specs do not hold together.
    #[error("{0}")]
    Invalid(#[from] SpecError),
    /// The function that makes its spec failed.
    #[error("{0}")]
    Init(Arc<dyn Error + Send + Sync>),
    /// Another actor has the name that it is to be registered under.
    #[error("the name {name:?} belongs to another actor")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The actor that it was to be linked to is stopping.
    #[error("the parent is stopping")]
    ParentGone,
    /// It was told to stop, or died, before all its children were up.
    #[error("stopped while starting")]
    Stopped,
}

/// The supervisor does not run: not yet, no more, or not just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the supervisor is not running")]
pub struct Gone;

/// A child could not be added.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartChildError {
    /// A child of this id is running.
    #[error("a child of this id is running")]
    AlreadyStarted {
        /// That child, or the foreign actor that has the new child's registered name.
        running: ActorCell,
    },
    /// A child of this id is known, and stopped or about to be restarted.
    #[error("a child of this id is present")]
    AlreadyPresent,
    /// The supervisor has as many children as it may.
    #[error("the supervisor has {limit} children, as many as it may")]
    MaxChildren {
        /// How many that is.
        limit: usize,
    },
    /// The spec cannot be right.
    #[error("{0}")]
    Invalid(#[from] SpecError),
    /// The start failed. The child is not kept and not tried again.
    #[error("{0}")]
    Failed(#[source] StartFailure),
    /// The supervisor is stopping.
    #[error("the supervisor is stopping")]
    Stopping,
    /// The supervisor does not run.
    #[error("{0}")]
    Gone(#[from] Gone),
}

/// A child could not be terminated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TerminateChildError {
    /// No such child.
    #[error("no such child")]
    NotFound,
    /// The supervisor is stopping, and the child with it.
    #[error("the supervisor is stopping")]
    Stopping,
    /// The supervisor does not run.
    #[error("{0}")]
    Gone(#[from] Gone),
}

/// A stopped child could not be started again.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestartChildError {
    /// No such child.
    #[error("no such child")]
    NotFound,
    /// It is running.
    #[error("the child is running")]
    Running,
    /// It is about to be restarted.
    #[error("the child is being restarted")]
    Restarting,
    /// The start failed. The child stays stopped.
    #[error("{0}")]
    Failed(#[source] StartFailure),
    /// The supervisor is stopping.
    #[error("the supervisor is stopping")]
    Stopping,
    /// The supervisor does not run.
    #[error("{0}")]
    Gone(#[from] Gone),
}

/// A child's spec could not be deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeleteChildError {
    /// No such child.
    #[error("no such child")]
    NotFound,
    /// It is running.
    #[error("the child is running")]
    Running,
    /// It is about to be restarted.
    #[error("the child is being restarted")]
    Restarting,
    /// The supervisor is stopping.
    #[error("the supervisor is stopping")]
    Stopping,
    /// The supervisor does not run.
    #[error("{0}")]
    Gone(#[from] Gone),
}

/// It had not ended when the time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("still running after {limit:?}")]
pub struct StillRunning {
    /// How long it was waited for.
    pub limit: Duration,
}
