//! Starting: the first children, one child after the other, at most so many at once, not longer than allowed.

use std::collections::VecDeque;

use crate::child::ChildType;
use crate::core::child::{Force, Phase, Stopping};
use crate::core::decision::{SpecVerdict, on_stopped};
use crate::core::lane::{Goal, LaneKey, Procedure, Progress, StartOutcome};
use crate::core::message::{Action, ChildKey, Kind, Life, Refusal, Reply};
use crate::core::step::{Core, Stage};
use crate::error::StartFailure;
use crate::explain::{LifeCause, LifeCourse};
use crate::report::{Report, StartedBy};

/// How many children are starting, and which wait for that.
#[derive(Clone, Debug, Default)]
pub(crate) struct StartSlots {
    taken: usize,
    queue: VecDeque<(ChildKey, LifeCause)>,
}

#[cfg(test)]
impl StartSlots {
    pub(super) fn is_full(&self, limit: Option<usize>) -> bool {
        limit.is_some_and(|limit| self.taken >= limit.max(1))
    }
}

impl Core {
    pub(super) fn boot(&mut self) {
        self.stage = Stage::Booting;
        let starts = self.family.keys().into();
        self.lane.procedure = Some(Box::new(Procedure::new(Vec::new(), starts, Goal::Boot)));
        self.ready.push_back(LaneKey::Family);
    }

    pub(super) fn booted(&mut self) {
        self.stage = Stage::Open;
        self.act(Action::Booted);
        if !self.is_tied() {
            // From here on each child has a lane of its own; what waited for the boot moves there.
            for work in std::mem::take(&mut self.lane.waiting) {
                self.submit(work);
            }
        }
    }

    /// Starts the next of a procedure's children, or says how it ended.
    pub(super) fn start_in_order(&mut self, procedure: &mut Procedure) -> Progress {
        while let Some(&key) = procedure.starts.front() {
            self.effort += 1;
            if let Some(outcome) = procedure.outcome.take() {
                match outcome {
                    StartOutcome::Failed(failure) => return self.start_failed(procedure, key, failure),
                    StartOutcome::Ignored => {
                        procedure.starts.pop_front();
                        if self.start_ignored(procedure, key) == Progress::Abandoned {
                            return Progress::Abandoned;
                        }
                        continue;
                    }
                }
            }
            match self.family.get(key).map(|child| &child.phase) {
                None | Some(Phase::Up { .. } | Phase::Dead { .. }) => _ = procedure.starts.pop_front(),
                Some(Phase::Down | Phase::Delayed { .. }) => {
                    let cause = self.cause_of(&procedure.goal);
                    self.start(key, cause);
                    return Progress::Waiting;
                }
                Some(Phase::Queued | Phase::Starting | Phase::Stopping(_)) => return Progress::Waiting,
            }
        }
        Progress::Done
    }

    /// Why a procedure starts its children.
    fn cause_of(&self, goal: &Goal) -> LifeCause {
        match goal {
            Goal::Boot => LifeCause::Boot,
            Goal::Restart { trigger, .. } => {
                let incident = self.family.get(*trigger).and_then(|child| child.incident.clone());
                incident.map_or(LifeCause::Request, LifeCause::Restart)
            }
            Goal::Start { .. } | Goal::Terminate { .. } | Goal::Close => LifeCause::Request,
        }
    }

    fn start(&mut self, key: ChildKey, cause: LifeCause) {
        let full = self.config.max_concurrent_starts.is_some_and(|limit| self.slots.taken >= limit.max(1));
        let Some(child) = self.family.get_mut(key) else { return };
        child.started_by = match &cause {
            LifeCause::Boot => StartedBy::Boot,
            LifeCause::Request => StartedBy::Request,
            LifeCause::Restart(_) => StartedBy::Restart,
        };
        if full {
            child.phase = Phase::Queued;
            self.family.set_deadline(key, None);
            self.slots.queue.push_back((key, cause));
        } else {
            self.launch(key, cause);
        }
    }

    fn launch(&mut self, key: ChildKey, cause: LifeCause) {
        let now = self.now;
        let Some(child) = self.family.get_mut(key) else { return };
        child.begin_life(now, cause);
        let life = child.life(key);
        let deadline = child.settings.start_timeout.map(|limit| now + limit);
        self.family.set_deadline(key, deadline);
        self.slots.taken += 1;
        self.act(Action::Start { life });
    }

    /// A start is over, one way or the other: the next in the queue may begin.
    pub(super) fn free_start_slot(&mut self) {
        self.slots.taken = self.slots.taken.saturating_sub(1);
        if self.is_closing() {
            self.slots.queue.clear();
        }
        while let Some((key, cause)) = self.slots.queue.pop_front() {
            self.effort += 1;
            if matches!(self.family.get(key).map(|child| &child.phase), Some(Phase::Queued)) {
                return self.launch(key, cause);
            }
        }
    }

    pub(super) fn on_started(&mut self, life: Life) {
        let now = self.now;
        let Some(child) = self.family.living(life) else { return };
        if !matches!(child.phase, Phase::Starting) {
            // It is being stopped; its end is on its way.
            return;
        }
        child.phase = Phase::Up { since: now };
        child.record(LifeCourse::Up);
        let (by, id) = (child.started_by, child.settings.id.clone());
        self.family.set_deadline(life.key, None);
        if by == StartedBy::Restart || matches!(self.config.kind, Kind::Static(_)) {
            let supervisor = self.config.id.clone();
            self.report(Report::Progress { supervisor, child: id, incarnation: life.incarnation, by });
        }
        self.free_start_slot();
        self.wake(life.key);
    }

    pub(super) fn on_ignored(&mut self, life: Life) {
        self.on_start_over(life, StartOutcome::Ignored);
    }

    pub(super) fn on_start_failed(&mut self, life: Life, failure: StartFailure) {
        self.on_start_over(life, StartOutcome::Failed(failure));
    }

    fn on_start_over(&mut self, life: Life, outcome: StartOutcome) {
        let Some(child) = self.family.living(life) else { return };
        match &child.phase {
            Phase::Starting => self.conclude_start(life.key, outcome),
            Phase::Stopping(Stopping { interrupted: Some(failure), .. }) => {
                let failure = failure.clone();
                self.conclude_start(life.key, StartOutcome::Failed(failure));
            }
            Phase::Down
            | Phase::Queued
            | Phase::Up { .. }
            | Phase::Dead { .. }
            | Phase::Delayed { .. }
            | Phase::Stopping(_) => {}
        }
    }

    /// A start ended without a child: its procedure hears of it.
    pub(super) fn conclude_start(&mut self, key: ChildKey, outcome: StartOutcome) {
        if let Some(child) = self.family.get_mut(key) {
            child.phase = Phase::Down;
            child.record(match &outcome {
                StartOutcome::Ignored => LifeCourse::Declined,
                StartOutcome::Failed(failure) => LifeCourse::NotStarted(failure.clone()),
            });
        }
        self.family.set_deadline(key, None);
        self.free_start_slot();
        let closing = self.is_closing();
        let lane = self.lane_of(key);
        if let Some(procedure) = self.lane_mut(lane).and_then(|lane| lane.procedure.as_mut())
            && !closing
        {
            procedure.outcome = Some(outcome);
        }
        self.ready.push_back(lane);
    }

    pub(super) fn on_start_timeout(&mut self, key: ChildKey) {
        let limit = self.family.get(key).and_then(|child| child.settings.start_timeout).unwrap_or_default();
        self.interrupt(key, StartFailure::Timeout { limit });
    }

    /// Cuts a start short.
    ///
    /// ractor honours a stop only after `pre_start`, so a worker is killed; a supervisor has children to stop first.
    pub(super) fn interrupt(&mut self, key: ChildKey, failure: StartFailure) {
        let Some(child) = self.family.get_mut(key) else { return };
        let brutal = child.settings.kind == ChildType::Worker;
        child.phase = Phase::Stopping(Stopping { force: Force::Asked, interrupted: Some(failure) });
        if brutal { self.kill(key) } else { self.ask_to_stop(key) }
    }

    /// | start at | failed |
    /// |---|---|
    /// | boot | all are stopped again, and the supervisor ends |
    /// | restart | tried again, if the budget allows it |
    /// | call | the caller hears of it; nobody tries again |
    fn start_failed(&mut self, procedure: &Procedure, key: ChildKey, failure: StartFailure) -> Progress {
        match procedure.goal {
            Goal::Boot => {
                self.report_start_failed(key, &failure);
                self.fail_boot(key, failure);
            }
            Goal::Restart { .. } => {
                self.report_start_failed(key, &failure);
                self.restart_failed(key, failure);
            }
            Goal::Start { caller, fresh, .. } => {
                self.act(Action::Reply { caller, reply: Reply::Refused(Refusal::Failed(failure)) });
                if fresh {
                    self.remove(key);
                }
            }
            Goal::Terminate { .. } | Goal::Close => {}
        }
        Progress::Abandoned
    }

    /// The spec stays, unless it is one that goes with its child (`supervisor.erl, handle_start_child/2`).
    fn start_ignored(&mut self, procedure: &Procedure, key: ChildKey) -> Progress {
        let Some(child) = self.family.get(key) else { return Progress::Waiting };
        let verdict = on_stopped(self.config.kind, child.settings.restart);
        let progress = match procedure.goal {
            Goal::Start { caller, .. } => {
                self.act(Action::Reply { caller, reply: Reply::Ignored });
                Progress::Abandoned
            }
            Goal::Boot | Goal::Restart { .. } | Goal::Terminate { .. } | Goal::Close => Progress::Waiting,
        };
        match verdict {
            SpecVerdict::Remove => self.remove(key),
            SpecVerdict::Keep => {}
        }
        progress
    }

    fn report_start_failed(&mut self, key: ChildKey, failure: &StartFailure) {
        if let Some(child) = self.family.get(key) {
            let (supervisor, child) = (self.config.id.clone(), child.settings.id.clone());
            self.report(Report::StartFailed { supervisor, child, failure: failure.clone() });
        }
    }
}
