//! One child as the core knows it: its settings, the phase of its life, and what it has been through.

use std::sync::Arc;
use std::time::Duration;

use crate::child::ChildSettings;
use crate::core::lane::Lane;
use crate::core::message::{ChildKey, Life};
use crate::error::StartFailure;
use crate::exit::ExitReason;
use crate::explain::{Explanation, Incident, LifeCause, LifeCourse, LifeRecord};
use crate::moment::Moment;
use crate::report::{GaveUp, PastFailure, StartedBy};
use crate::restart::FailureStreak;

/// Where a child is in its life. Every phase has a way out: an event, a deadline, or a call.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// Not there, and not coming by itself.
    Down,
    /// To be started as soon as fewer others are starting.
    Queued,
    /// Its start was ordered; the deadline is that of the start.
    Starting,
    /// Up.
    Up { since: Moment },
    /// Ended by itself; its end is not judged yet.
    Dead { reason: ExitReason, uptime: Duration },
    /// To be started again at the deadline.
    Delayed { due: Moment },
    /// Told to stop; the deadline is when the next, harder step is due.
    Stopping(Stopping),
}

/// How a child is being stopped.
#[derive(Clone, Debug)]
pub(crate) struct Stopping {
    pub(crate) force: Force,
    /// It was still starting: the start is taken to have failed in this way.
    pub(crate) interrupted: Option<StartFailure>,
}

/// What a stopping child was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Force {
    /// To stop.
    Asked,
    /// Nothing: it was killed.
    Killed,
}

/// One child of the core.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) settings: ChildSettings,
    pub(crate) phase: Phase,
    /// How many lives it has had, the present one included.
    pub(crate) incarnation: u64,
    /// How many of them were restarts.
    pub(crate) restarts: u32,
    /// Why its present life was started.
    pub(crate) started_by: StartedBy,
    pub(crate) streak: FailureStreak,
    pub(crate) history: Vec<PastFailure>,
    pub(crate) lives: Vec<LifeRecord>,
    /// The last failure that it is, or was, restarted for.
    pub(crate) incident: Option<Arc<Incident>>,
    /// What is going on with it, and what waits for that.
    pub(crate) lane: Lane,
    /// When its phase wants to be looked at again; kept by the family.
    pub(super) deadline: Option<Moment>,
}

impl Child {
    pub(crate) fn new(settings: ChildSettings) -> Self {
        Self {
            settings,
            phase: Phase::Down,
            incarnation: 0,
            restarts: 0,
            started_by: StartedBy::Boot,
            streak: FailureStreak::default(),
            history: Vec::new(),
            lives: Vec::new(),
            incident: None,
            lane: Lane::default(),
            deadline: None,
        }
    }

    pub(crate) fn life(&self, key: ChildKey) -> Life {
        Life { key, incarnation: self.incarnation }
    }

    /// Begins its next life.
    pub(super) fn begin_life(&mut self, now: Moment, cause: LifeCause) {
        self.phase = Phase::Starting;
        self.incarnation += 1;
        if self.started_by == StartedBy::Restart {
            self.restarts = self.restarts.saturating_add(1);
        }
        if self.lives.len() == Explanation::LIVES_LIMIT {
            self.lives.remove(0);
        }
        // Most children live once; a vector that grows by itself would take room for four.
        self.lives.reserve_exact(1);
        self.lives.push(LifeRecord::new(self.incarnation, now.since_start(), cause));
    }

    /// Writes down what came of its present life.
    pub(super) fn record(&mut self, course: LifeCourse) {
        if let Some(life) = self.lives.last_mut() {
            life.course = course;
        }
    }

    /// Remembers a failure, and forgets the oldest of too many.
    pub(super) fn remember(&mut self, failure: PastFailure) {
        if self.history.len() == GaveUp::HISTORY_LIMIT {
            self.history.remove(0);
        }
        self.history.push(failure);
    }
}
