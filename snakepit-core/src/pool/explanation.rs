//! Why a worker is what it is: what its Starter remembers, joined with what the pool does.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use snakepit_supervisor::{ChildState, Explanation, LifeCause};
use tokio::time::Instant;

use crate::config::RestartOptions;
use crate::error::WorkerLoss;
use crate::error::humantime;
use crate::id::{Incarnation, WorkerId};
use crate::pool::shared::LastLoss;

/// Why a slot's worker is in its present life, and what comes next.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct WorkerExplanation {
    /// Which worker.
    pub worker: WorkerId,
    /// Its present life, or its last one where there is none; 0 before the first.
    pub incarnation: Incarnation,
    /// Why that life began.
    pub because: StartCause,
    /// The slot's last loss, which where this life lasts is the end of an earlier one; `None` where none was ever lost.
    pub last_loss: Option<Arc<WorkerLoss>>,
    /// How long ago that was, in milliseconds.
    pub last_loss_ago_ms: Option<u64>,
    /// How many restarts are in the window now.
    pub restarts_in_window: u32,
    /// How many it allows: the pool's `restart.intensity`.
    pub intensity: u32,
    /// How wide it is: the pool's `restart.period`.
    #[serde(with = "humantime_serde")]
    pub period: Duration,
    /// How many failures there were in a row, without a stable time between.
    pub consecutive: u32,
    /// What comes next.
    pub next: RestartOutlook,
}

/// Why a life of a worker began.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
#[non_exhaustive]
pub enum StartCause {
    /// The pool wanted a worker in this slot: it is among its first, the pool grew, or another is replaced.
    Wanted,
    /// The one before was lost, and the restart policy allowed another.
    Restarted {
        /// How often in a row that had happened.
        failures: u32,
        /// How long the restart was put off.
        #[serde(with = "humantime_serde")]
        delay: Duration,
        /// How many more the window allowed.
        budget_left: u32,
    },
    /// The slot had been given up, and was tried again after a rest.
    TriedAgain {
        /// By which rule it had been given up.
        rule: String,
        /// How often in a row that had happened.
        times: u32,
    },
}

/// What comes next for a worker.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RestartOutlook {
    /// It goes on; if it were lost now, it would be started again.
    RestartIfLost,
    /// It goes on; if it were lost now, its slot would be given up.
    GiveUpIfLost,
    /// It is started again.
    Restart {
        /// In this time.
        #[serde(with = "humantime_serde")]
        after: Duration,
    },
    /// Its slot rests, and is then tried again.
    TryAgain {
        /// In this time.
        #[serde(with = "humantime_serde")]
        after: Duration,
    },
    /// Its slot was given up for good, until somebody asks for another worker: `recycle` and `rolling_restart` do.
    Nothing,
    /// It leaves, or its slot is being prepared.
    InTransit,
}

/// A slot that was given up.
#[derive(Clone, Debug)]
pub(crate) struct GivenUp {
    pub(crate) rule: String,
    pub(crate) times: u32,
    /// When it is tried again; `None`: never by itself.
    pub(crate) until: Option<Instant>,
}

/// What there is to join.
#[derive(Debug)]
pub(super) struct ExplanationFacts {
    pub(super) worker: WorkerId,
    pub(super) lives: u64,
    /// What the Starter says; `None` where there is none.
    pub(super) starter: Option<Explanation>,
    pub(super) given_up: Option<GivenUp>,
    pub(super) last_loss: Option<LastLoss>,
    pub(super) now: Instant,
}

impl ExplanationFacts {
    pub(super) fn join(self, restart: &RestartOptions) -> WorkerExplanation {
        let Self { worker, lives, starter, given_up, last_loss, now } = self;
        let (restarts_in_window, consecutive) =
            starter.as_ref().map_or((0, 0), |starter| (starter.restarts_in_window, starter.failures));
        let would_be_too_many = restarts_in_window >= restart.intensity || consecutive >= restart.consecutive;
        let next = match (starter.as_ref().map(|starter| starter.state), &given_up) {
            (Some(ChildState::Starting | ChildState::Running), _) if would_be_too_many => {
                RestartOutlook::GiveUpIfLost
            }
            (Some(ChildState::Starting | ChildState::Running), _) => RestartOutlook::RestartIfLost,
            (Some(ChildState::Restarting { after }), _) => RestartOutlook::Restart { after },
            (None, Some(GivenUp { until: Some(until), .. })) => {
                RestartOutlook::TryAgain { after: until.saturating_duration_since(now) }
            }
            (None, Some(GivenUp { until: None, .. })) => RestartOutlook::Nothing,
            (Some(_) | None, _) => RestartOutlook::InTransit,
        };
        let ago = last_loss.as_ref().map(|last| now.saturating_duration_since(last.at));
        WorkerExplanation {
            worker,
            incarnation: Incarnation(lives),
            because: start_cause(starter.as_ref(), given_up),
            last_loss: last_loss.map(|last| last.loss),
            last_loss_ago_ms: ago.map(|ago| u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)),
            restarts_in_window,
            intensity: restart.intensity,
            period: restart.period,
            consecutive,
            next,
        }
    }
}

fn start_cause(starter: Option<&Explanation>, given_up: Option<GivenUp>) -> StartCause {
    if let Some(LifeCause::Restart(incident)) =
        starter.and_then(|starter| starter.lives.last()).map(|life| &life.cause)
    {
        let (failures, delay, budget_left) = (incident.failures, incident.delay, incident.budget_left);
        return StartCause::Restarted { failures, delay, budget_left };
    }
    match given_up {
        Some(GivenUp { rule, times, .. }) if starter.is_some() => StartCause::TriedAgain { rule, times },
        Some(_) | None => StartCause::Wanted,
    }
}

impl fmt::Display for WorkerExplanation {
    /// Some lines for people, without a newline at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { worker, incarnation, because, last_loss, restarts_in_window, intensity, period, .. } =
            self;
        write!(f, "{worker}#{incarnation}: {because}")?;
        if let (Some(loss), Some(ago)) = (last_loss, self.last_loss_ago_ms) {
            write!(f, "\n  last loss, {} ago: {loss}", humantime(Duration::from_millis(ago)))?;
        }
        write!(f, "\n  restarts in {}: {restarts_in_window} of {intensity}", humantime(*period))?;
        write!(f, "; failures in a row: {}\n  next: {}", self.consecutive, self.next)
    }
}

impl fmt::Display for StartCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wanted => f.write_str("the pool wanted a worker in this slot"),
            Self::Restarted { failures, delay, budget_left } => write!(
                f,
                "started again after failure {failures} in a row, put off {}, {budget_left} more allowed then",
                humantime(*delay)
            ),
            Self::TriedAgain { rule, times } => {
                write!(f, "tried again after its slot was given up ({rule}), {times} times in a row")
            }
        }
    }
}

impl fmt::Display for RestartOutlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RestartIfLost => f.write_str("if it were lost now, it would be started again"),
            Self::GiveUpIfLost => f.write_str("if it were lost now, its slot would be given up for a while"),
            Self::Restart { after } => write!(f, "it is started again in {}", humantime(*after)),
            Self::TryAgain { after } => write!(f, "its slot is tried again in {}", humantime(*after)),
            Self::Nothing => f.write_str("nothing: its slot is given up until another worker is asked for"),
            Self::InTransit => f.write_str("it is leaving, or about to be started"),
        }
    }
}
