//! What a supervisor tells about its work: typed reports, and where they go.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, error, info, warn};

use crate::child::ChildId;
use crate::error::StartFailure;
use crate::exit::ExitReason;

/// Why a child was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StartedBy {
    /// With its supervisor.
    Boot,
    /// By a call.
    Request,
    /// After it, or a sibling, had failed.
    Restart,
}

/// One thing that happened under a supervisor.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Report {
    /// A child is up. A dynamic supervisor reports only restarts.
    Progress {
        /// Whose child.
        supervisor: ChildId,
        /// Which.
        child: ChildId,
        /// Which of its lives, counted from 1.
        incarnation: u64,
        /// Why it was started.
        by: StartedBy,
    },
    /// A child ended, and should not have.
    ChildTerminated {
        /// Whose child.
        supervisor: ChildId,
        /// Which.
        child: ChildId,
        /// Which of its lives.
        incarnation: u64,
        /// How it ended.
        reason: ExitReason,
    },
    /// A start at boot, or an automatic one, failed.
    StartFailed {
        /// Whose child.
        supervisor: ChildId,
        /// Which.
        child: ChildId,
        /// Why.
        failure: StartFailure,
    },
    /// A child waits for its next start.
    RestartDelayed {
        /// Whose child.
        supervisor: ChildId,
        /// Which.
        child: ChildId,
        /// How long.
        delay: Duration,
        /// How often it has failed since it was last stable.
        failures: u32,
    },
    /// A child was told to stop, and ended in another way.
    ShutdownError {
        /// Whose child.
        supervisor: ChildId,
        /// Which.
        child: ChildId,
        /// How it ended.
        reason: ExitReason,
    },
    /// A significant child ended, and its supervisor ends with it.
    AutoShutdown {
        /// Which supervisor.
        supervisor: ChildId,
        /// Whose end was the last that was needed.
        child: ChildId,
    },
    /// A supervisor stopped trying.
    GaveUp(GaveUp),
    /// A child was killed and still runs: its handler blocks its thread. It is no longer waited for.
    Unstoppable {
        /// Whose child.
        supervisor: ChildId,
        /// Which.
        child: ChildId,
        /// Which of its lives.
        incarnation: u64,
    },
}

impl Report {
    /// The supervisor that it comes from.
    pub fn supervisor(&self) -> &ChildId {
        match self {
            Self::Progress { supervisor, .. }
            | Self::ChildTerminated { supervisor, .. }
            | Self::StartFailed { supervisor, .. }
            | Self::RestartDelayed { supervisor, .. }
            | Self::ShutdownError { supervisor, .. }
            | Self::AutoShutdown { supervisor, .. }
            | Self::GaveUp(GaveUp { supervisor, .. })
            | Self::Unstoppable { supervisor, .. } => supervisor,
        }
    }

    /// The child that it is about.
    pub fn child(&self) -> &ChildId {
        match self {
            Self::Progress { child, .. }
            | Self::ChildTerminated { child, .. }
            | Self::StartFailed { child, .. }
            | Self::RestartDelayed { child, .. }
            | Self::ShutdownError { child, .. }
            | Self::AutoShutdown { child, .. }
            | Self::GaveUp(GaveUp { child, .. })
            | Self::Unstoppable { child, .. } => child,
        }
    }

    /// Writes the report to the log: an error where a person must act, nothing above info where all is well.
    pub(crate) fn trace(&self) {
        match self {
            Self::Progress { supervisor, child, incarnation, by: StartedBy::Request } => {
                debug!(%supervisor, %child, incarnation, "child started");
            }
            Self::Progress { supervisor, child, incarnation, by: StartedBy::Boot | StartedBy::Restart } => {
                info!(%supervisor, %child, incarnation, "child started");
            }
            Self::ChildTerminated { supervisor, child, incarnation, reason } => {
                warn!(%supervisor, %child, incarnation, %reason, "child terminated");
            }
            Self::StartFailed { supervisor, child, failure } => {
                warn!(%supervisor, %child, %failure, "child failed to start");
            }
            Self::RestartDelayed { supervisor, child, delay, failures } => {
                info!(%supervisor, %child, ?delay, failures, "child waits for its restart");
            }
            Self::ShutdownError { supervisor, child, reason } => {
                warn!(%supervisor, %child, %reason, "child did not stop in order");
            }
            Self::AutoShutdown { supervisor, child } => {
                info!(%supervisor, %child, "supervisor ends with its significant child");
            }
            Self::GaveUp(GaveUp { supervisor, child, reason, last, .. }) => {
                error!(%supervisor, %child, %reason, %last, "supervisor gave up");
            }
            Self::Unstoppable { supervisor, child, incarnation } => {
                error!(%supervisor, %child, incarnation, "child cannot be stopped");
            }
        }
    }
}

/// A supervisor stopped trying to keep a child alive.
///
/// The supervisor itself then ends with reason `shutdown`, which its parent takes for an orderly end: this report
/// is what tells the two apart.
#[derive(Clone, Debug)]
pub struct GaveUp {
    /// Who gave up.
    pub supervisor: ChildId,
    /// On whom.
    pub child: ChildId,
    /// By which rule.
    pub reason: GaveUpReason,
    /// The child's last exit. A start that failed is an [`ExitReason::Error`] that holds the [`StartFailure`].
    pub last: ExitReason,
    /// How often the child was restarted in all.
    pub restarts: u32,
    /// The child's last failures, oldest first; at most [`GaveUp::HISTORY_LIMIT`].
    pub history: Vec<PastFailure>,
}

impl GaveUp {
    /// How many failures a supervisor remembers for each child.
    pub const HISTORY_LIMIT: usize = 16;
}

/// One failure of a child, as its supervisor remembers it.
#[derive(Clone, Debug)]
pub struct PastFailure {
    /// When, counted from the supervisor's start.
    pub at: Duration,
    /// How long the child had been up; `None` for a start that failed.
    pub uptime: Option<Duration>,
    /// How it ended.
    pub reason: ExitReason,
}

/// The rule by which a supervisor gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GaveUpReason {
    /// The budget of the window was spent.
    Intensity {
        /// How many restarts it allows.
        limit: u32,
        /// In which time.
        period: Duration,
    },
    /// The child failed too often in a row, without a stable time between.
    Consecutive {
        /// How many restarts in a row are allowed.
        limit: u32,
    },
    /// The child said that trying again cannot help.
    Fatal,
}

impl fmt::Display for GaveUpReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Intensity { limit, period } => write!(f, "more than {limit} restarts in {period:?}"),
            Self::Consecutive { limit } => write!(f, "more than {limit} restarts in a row"),
            Self::Fatal => f.write_str("the child asked not to be restarted"),
        }
    }
}

/// Where reports go.
///
/// The function runs inside the supervisor, so it must return at once: send a message, push to a channel.
/// A supervisor without a sink of its own uses that of the supervisor above it. Every report is also logged.
#[derive(Clone)]
pub struct ReportSink(Arc<dyn Fn(Report) + Send + Sync>);

impl ReportSink {
    /// Makes a sink of a function.
    pub fn new(sink: impl Fn(Report) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    pub(crate) fn take(&self, report: Report) {
        (self.0)(report);
    }
}

impl fmt::Debug for ReportSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReportSink")
    }
}
