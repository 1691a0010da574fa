//! Why a child is what it is: the causal record of its last lives.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::child::ChildId;
use crate::error::StartFailure;
use crate::exit::ExitReason;
use crate::supervisor::Strategy;
use crate::tree::ChildState;

/// What a supervisor can say about one of its children.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// Which child.
    pub id: ChildId,
    /// What it is doing.
    pub state: ChildState,
    /// How many of its lives were restarts.
    pub restarts: u64,
    /// Its last lives, oldest first; at most [`Explanation::LIVES_LIMIT`].
    pub lives: Vec<LifeRecord>,
    /// If it waits for its restart: what that restart will be for.
    pub pending: Option<Arc<Incident>>,
    /// How many restarts are in its supervisor's window now, those of its siblings included.
    pub restarts_in_window: u32,
    /// How often it has failed since it was last stable.
    pub failures: u32,
}

impl Explanation {
    /// How many lives of each child a supervisor remembers.
    pub const LIVES_LIMIT: usize = 8;
}

/// One life of a child: why it began, and what came of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LifeRecord {
    /// Which life, counted from 1.
    pub incarnation: u64,
    /// When its start was ordered, counted from the supervisor's start.
    pub ordered_at: Duration,
    /// Why.
    pub cause: LifeCause,
    /// What came of it.
    pub course: LifeCourse,
}

impl LifeRecord {
    pub(crate) fn new(incarnation: u64, ordered_at: Duration, cause: LifeCause) -> Self {
        Self { incarnation, ordered_at, cause, course: LifeCourse::Starting }
    }
}

/// Why a life began.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LifeCause {
    /// The supervisor started.
    Boot,
    /// Somebody asked for it.
    Request,
    /// It, or a sibling that its strategy ties it to, had failed.
    Restart(Arc<Incident>),
}

/// One failure that led to a restart.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Incident {
    /// Who failed.
    pub trigger: ChildId,
    /// How. A start that failed is an [`ExitReason::Error`] that holds the [`StartFailure`].
    pub reason: ExitReason,
    /// Who is restarted with it; `None` in a dynamic supervisor.
    pub strategy: Option<Strategy>,
    /// How often the trigger has failed since it was last stable.
    pub failures: u32,
    /// How long its restart was put off.
    pub delay: Duration,
    /// How many restarts the window would still have allowed.
    pub budget_left: u32,
}

/// What came of a life.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LifeCourse {
    /// It is on its way up.
    Starting,
    /// It is up.
    Up,
    /// Its start failed.
    NotStarted(StartFailure),
    /// Its factory declined.
    Declined,
    /// It ended by itself.
    Ended {
        /// How long it had been up.
        uptime: Duration,
        /// How it ended.
        reason: ExitReason,
    },
    /// It was stopped, and ended in this way.
    Stopped {
        /// How it ended.
        reason: ExitReason,
    },
    /// It was killed and did not die; nobody waits for it any more.
    Abandoned,
}

impl fmt::Display for Explanation {
    /// One line for the child, one for each life, without a newline at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, {} restarts", self.id, self.state, self.restarts)?;
        for life in &self.lives {
            write!(
                f,
                "\n  life {} at {:.1?}: {}; {}",
                life.incarnation, life.ordered_at, life.cause, life.course
            )?;
        }
        match &self.pending {
            Some(incident) => write!(f, "\n  next: {incident}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for LifeCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boot => f.write_str("started with its supervisor"),
            Self::Request => f.write_str("started by a call"),
            Self::Restart(incident) => incident.fmt(f),
        }
    }
}

impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trigger, reason, failures, delay, budget_left, .. } = self;
        write!(f, "restart because {trigger} failed ({reason}), ")?;
        write!(f, "failure {failures} in a row, put off {delay:.1?}, {budget_left} more allowed")
    }
}

impl fmt::Display for LifeCourse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Up => f.write_str("up"),
            Self::NotStarted(failure) => write!(f, "not started: {failure}"),
            Self::Declined => f.write_str("declined"),
            Self::Ended { uptime, reason } => write!(f, "ended after {uptime:.1?}: {reason}"),
            Self::Stopped { reason } => write!(f, "stopped: {reason}"),
            Self::Abandoned => f.write_str("killed, and not dead in time"),
        }
    }
}
