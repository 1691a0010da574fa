//! What is going on, and what waits for it: procedures, and the lanes that keep them apart.
//!
//! Children that a strategy ties together share the family's lane, so that what concerns them happens one after the
//! other, as in OTP. Under one-for-one and in a dynamic supervisor each child has a lane of its own: a slow start
//! of one holds up nobody else.

use std::collections::VecDeque;

use crate::core::message::{Call, Caller, ChildKey};
use crate::error::StartFailure;
use crate::moment::Moment;

/// Which lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaneKey {
    Family,
    Child(ChildKey),
}

/// One procedure at a time, and the work behind it in arrival order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lane {
    pub(crate) procedure: Option<Box<Procedure>>,
    pub(crate) waiting: VecDeque<Work>,
}

/// Work for a lane.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// A child ended by itself: judge it.
    Judge(ChildKey),
    /// A child's delay is over: try again.
    Retry(ChildKey),
    /// Somebody asked for something.
    Serve { call: Call, caller: Caller },
}

/// Stops some children, newest first, each gone before the next is told; then starts some, oldest first, each up
/// before the next is tried.
#[derive(Clone, Debug)]
pub(crate) struct Procedure {
    /// Ascending: the last is next.
    pub(crate) stops: Vec<ChildKey>,
    /// Ascending: the first is next.
    pub(crate) starts: VecDeque<ChildKey>,
    pub(crate) goal: Goal,
    /// What came of the start of the first of `starts`, unless it is up.
    pub(crate) outcome: Option<StartOutcome>,
}

impl Procedure {
    pub(crate) fn new(stops: Vec<ChildKey>, starts: VecDeque<ChildKey>, goal: Goal) -> Self {
        Self { stops, starts, goal, outcome: None }
    }
}

/// What a procedure is for.
#[derive(Clone, Debug)]
pub(crate) enum Goal {
    /// Start them all for the first time.
    Boot,
    /// Start a failed child again, with its group, not before `due`.
    Restart { trigger: ChildKey, due: Moment },
    /// Start one child because somebody asked. A `fresh` one is not kept if that fails.
    Start { key: ChildKey, caller: Caller, fresh: bool },
    /// Stop one child because somebody asked.
    Terminate { caller: Caller },
    /// Stop them all, for good.
    Close,
}

/// How a start ended that did not end with a child.
#[derive(Clone, Debug)]
pub(crate) enum StartOutcome {
    Ignored,
    Failed(StartFailure),
}

/// How far a procedure came.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It waits for an event.
    Waiting,
    /// It has done all that it was for.
    Done,
    /// It is over without that; whoever had to know was told.
    Abandoned,
}
