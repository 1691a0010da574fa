//! What a supervisor is told: requests that change something, questions that do not, and notices of its own tasks.

use std::time::Duration;

use ractor::ActorCell;
use tokio::sync::oneshot;

use crate::child::{ChildId, ChildSettings, ChildSpec};
use crate::core::message::Life;
use crate::error::{DeleteChildError, RestartChildError, StartChildError, StartFailure, TerminateChildError};
use crate::exit::ExitReason;
use crate::explain::Explanation;
use crate::handle::{ChildCounts, ChildSummary, ChildTarget, StartedChild};
use crate::tree::TreeNode;

/// What a supervisor is told.
pub(crate) enum SupervisorMessage {
    Request(Request),
    Question(Question),
    /// Stop the children in order, then yourself.
    ShutDown {
        reason: Option<String>,
    },
    /// Something waits in the box of notices.
    NoticesPosted,
}

#[cfg(feature = "cluster")]
impl ractor::Message for SupervisorMessage {}

/// A call that changes something about a child. It takes effect in arrival order.
pub(crate) enum Request {
    Start { spec: Box<ChildSpec>, reply: oneshot::Sender<Result<Option<StartedChild>, StartChildError>> },
    Terminate { target: ChildTarget, reply: oneshot::Sender<Result<(), TerminateChildError>> },
    Restart { id: ChildId, reply: oneshot::Sender<Result<Option<StartedChild>, RestartChildError>> },
    Delete { id: ChildId, reply: oneshot::Sender<Result<(), DeleteChildError>> },
}

/// A call that only looks. It is answered at once.
#[expect(clippy::enum_variant_names, reason = "a question is named after what it gets")]
pub(crate) enum Question {
    GetSnapshot { within: Duration, reply: oneshot::Sender<TreeNode> },
    GetChildren { reply: oneshot::Sender<Vec<ChildSummary>> },
    GetCounts { reply: oneshot::Sender<ChildCounts> },
    GetChild { target: ChildTarget, reply: oneshot::Sender<Option<ChildSummary>> },
    GetExplanation { target: ChildTarget, reply: oneshot::Sender<Option<Explanation>> },
    GetEffort { reply: oneshot::Sender<u64> },
    GetSettings { id: ChildId, reply: oneshot::Sender<Option<ChildSettings>> },
}

/// What the tasks of a supervisor post to it.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A child is up.
    ChildStarted { life: Life },
    /// A child did not come up; nothing of it is left.
    ChildNotStarted { life: Life, failure: StartFailure },
    /// A child's task has ended, and its handler is dropped.
    ChildEnded { life: Life, descendants: Descendants, reading: Reading },
    /// The exit hook of an ended child has run.
    ExitHandled { life: Life, reason: Option<ExitReason> },
    /// The alarm rang.
    Elapsed,
}

/// Whether anything below an ended child is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Descendants {
    Gone,
    Left,
}

/// Whether the reason of a death may still come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    First,
    Last,
}

/// The address of a child, for a supervisor's own use.
pub(crate) fn is_supervisor(cell: &ActorCell) -> bool {
    cell.is_message_type_of::<SupervisorMessage>() == Some(true)
}
