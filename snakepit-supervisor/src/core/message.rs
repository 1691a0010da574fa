//! What the core is told, what it answers, and the numbers by which the two sides name things.

use std::fmt;
use std::time::Duration;

use crate::child::{ChildId, ChildSettings};
use crate::error::{SpecError, StartFailure};
use crate::exit::ExitReason;
use crate::report::Report;
use crate::restart::RestartPolicy;
use crate::supervisor::{AutoShutdown, Strategy};

/// One child of one supervisor, over all its lives; ascending in start order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ChildKey(pub(crate) u64);

impl fmt::Debug for ChildKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// One life of one child. A message from a former life is dropped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Life {
    pub(crate) key: ChildKey,
    pub(crate) incarnation: u64,
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}.{}", self.key, self.incarnation)
    }
}

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Caller(pub(crate) u64);

/// What kind of supervisor it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Ordered children, each with an id of its own (`supervisor.erl`).
    Static(Strategy),
    /// Children that come and go, all alike to it (Elixir's `DynamicSupervisor`).
    Dynamic { max_children: Option<usize> },
}

/// What a core needs to know from the outset.
#[derive(Clone, Debug)]
pub(crate) struct CoreConfig {
    pub(crate) id: ChildId,
    pub(crate) kind: Kind,
    pub(crate) policy: RestartPolicy,
    pub(crate) auto_shutdown: AutoShutdown,
    /// How long a killed child is waited for.
    pub(crate) kill_grace: Duration,
    /// How many children may be starting at once.
    pub(crate) max_concurrent_starts: Option<usize>,
    /// Where its chance starts.
    pub(crate) seed: u64,
}

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// The supervisor itself was started.
    Boot,
    /// A child is up.
    Started { life: Life },
    /// A child's factory declined.
    Ignored { life: Life },
    /// A child did not come up.
    StartFailed { life: Life, failure: StartFailure },
    /// A child is gone. `None`: nobody was told why.
    Exited { life: Life, reason: Option<ExitReason> },
    /// Time has passed.
    Elapsed,
    /// Somebody asks for something.
    Called { call: Call, caller: Caller },
    /// The supervisor is to stop, with this reason.
    ShutdownRequested { reason: Option<String> },
}

/// A request that changes something about a child.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Start { key: ChildKey, settings: ChildSettings },
    Terminate { target: Target },
    Restart { id: ChildId },
    Delete { id: ChildId },
}

/// Which child a call means.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Id(ChildId),
    Key(ChildKey),
}

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Start a child; its outcome comes back as an event.
    Start { life: Life },
    /// Ask a child to stop; its end comes back as an event.
    Stop { life: Life },
    /// Kill a child; its end may come back as an event.
    Kill { life: Life },
    /// Stop waiting for a child that cannot be killed.
    Release { life: Life },
    /// Forget a child's spec.
    Forget { key: ChildKey },
    /// Answer a caller.
    Reply { caller: Caller, reply: Reply },
    /// Tell what happened.
    Report(Report),
    /// All children are up.
    Booted,
    /// A child failed to start, and all are stopped again.
    BootFailed { child: Option<ChildId>, failure: StartFailure },
    /// End the supervisor itself. Nothing of it is left.
    Exit { reason: Option<String> },
}

/// The answer to a call.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Started {
        life: Life,
    },
    /// The factory declined; if `kept`, the spec stays.
    Ignored,
    Terminated,
    Deleted,
    Refused(Refusal),
}

/// Why a call changed nothing.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    AlreadyStarted { life: Life },
    AlreadyPresent,
    MaxChildren { limit: usize },
    NotFound,
    Running,
    Restarting,
    Invalid(SpecError),
    Failed(StartFailure),
    Stopping,
}
