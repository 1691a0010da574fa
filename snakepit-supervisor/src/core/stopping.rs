//! Stopping: newest first, each gone before the next is told, and never waited for without a limit.

use crate::child::Shutdown;
use crate::core::child::{Force, Phase, Stopping};
use crate::core::decision::{SpecVerdict, StopVerdict, on_stop, on_stopped};
use crate::core::lane::{Goal, Procedure, Progress, StartOutcome};
use crate::core::message::{Action, ChildKey};
use crate::core::step::Core;
use crate::error::StartFailure;
use crate::exit::ExitReason;
use crate::explain::LifeCourse;
use crate::report::Report;

/// Whether a child that was to be stopped is gone.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// It is.
    Gone,
    /// It was told; its end is yet to come.
    Leaving,
}

impl Core {
    /// Stops a procedure's children, the newest first.
    pub(super) fn stop_in_order(&mut self, procedure: &mut Procedure) -> Progress {
        while let Some(&key) = procedure.stops.last() {
            self.effort += 1;
            match self.halt(key) {
                Halt::Leaving => return Progress::Waiting,
                Halt::Gone => procedure.stops.pop(),
            };
            if !matches!(procedure.goal, Goal::Close) {
                self.drop_spec_unless_kept(key);
            }
        }
        Progress::Done
    }

    /// Tells a child to stop, whatever it is doing; telling it twice is telling it once.
    pub(super) fn halt(&mut self, key: ChildKey) -> Halt {
        let Some(child) = self.family.get_mut(key) else { return Halt::Gone };
        match &child.phase {
            Phase::Down => Halt::Gone,
            Phase::Queued | Phase::Delayed { .. } => {
                child.phase = Phase::Down;
                self.family.set_deadline(key, None);
                Halt::Gone
            }
            Phase::Dead { reason, .. } => {
                // It ended before it could be told; this is its end, and no failure to be counted.
                let reason = reason.clone();
                child.phase = Phase::Down;
                self.report_unless_in_order(key, reason);
                Halt::Gone
            }
            Phase::Starting => {
                self.interrupt(key, StartFailure::Stopped);
                Halt::Leaving
            }
            Phase::Up { .. } => {
                child.phase = Phase::Stopping(Stopping { force: Force::Asked, interrupted: None });
                self.ask_to_stop(key);
                Halt::Leaving
            }
            Phase::Stopping(_) => Halt::Leaving,
        }
    }

    /// Begins to stop a child as its spec says.
    pub(super) fn ask_to_stop(&mut self, key: ChildKey) {
        let Some(child) = self.family.get(key) else { return };
        let life = child.life(key);
        let deadline = match child.settings.shutdown {
            Shutdown::BrutalKill => return self.kill(key),
            Shutdown::Timeout(limit) => Some(self.now + limit),
            Shutdown::Infinity => None,
        };
        self.family.set_deadline(key, deadline);
        self.act(Action::Stop { life });
    }

    /// Kills a child. ractor cannot kill a handler that blocks its thread, so even this wait has an end.
    pub(super) fn kill(&mut self, key: ChildKey) {
        let deadline = self.now + self.config.kill_grace;
        let Some(child) = self.family.get_mut(key) else { return };
        if let Phase::Stopping(stopping) = &mut child.phase {
            stopping.force = Force::Killed;
        }
        let life = child.life(key);
        self.family.set_deadline(key, Some(deadline));
        self.act(Action::Kill { life });
    }

    pub(super) fn on_stop_timeout(&mut self, key: ChildKey) {
        let Some(child) = self.family.get(key) else { return };
        let Phase::Stopping(stopping) = &child.phase else { return };
        match stopping.force {
            Force::Asked => self.kill(key),
            Force::Killed => {
                let (life, child) = (child.life(key), child.settings.id.clone());
                let supervisor = self.config.id.clone();
                self.report(Report::Unstoppable { supervisor, child, incarnation: life.incarnation });
                self.act(Action::Release { life });
                self.record(key, LifeCourse::Abandoned);
                self.set_down(key);
            }
        }
    }

    /// A child that was told to stop is gone. Where nobody was told why, it is taken to have done as it was told.
    pub(super) fn on_stopped(&mut self, key: ChildKey, reason: Option<ExitReason>) {
        let Some(child) = self.family.get(key) else { return };
        let Phase::Stopping(stopping) = &child.phase else { return };
        let reason = reason.unwrap_or(match stopping.force {
            Force::Asked => ExitReason::Shutdown(None),
            Force::Killed => ExitReason::Killed,
        });
        if stopping.interrupted.is_none() {
            self.record(key, LifeCourse::Stopped { reason: reason.clone() });
            self.report_unless_in_order(key, reason);
        }
        self.set_down(key);
    }

    /// The end of a stop: the child is down, and if it was a start that was cut short, that has failed.
    fn set_down(&mut self, key: ChildKey) {
        let Some(child) = self.family.get_mut(key) else { return };
        let Phase::Stopping(stopping) = std::mem::replace(&mut child.phase, Phase::Down) else { return };
        if let Some(failure) = stopping.interrupted {
            self.conclude_start(key, StartOutcome::Failed(failure));
        } else {
            self.family.set_deadline(key, None);
            self.wake(key);
        }
    }

    fn record(&mut self, key: ChildKey, course: LifeCourse) {
        if let Some(child) = self.family.get_mut(key) {
            child.record(course);
        }
    }

    fn report_unless_in_order(&mut self, key: ChildKey, reason: ExitReason) {
        let Some(child) = self.family.get(key) else { return };
        let settings = &child.settings;
        match on_stop(self.config.kind, settings.shutdown, settings.restart, &reason) {
            StopVerdict::InOrder => {}
            StopVerdict::ShutdownError => {
                let (supervisor, child) = (self.config.id.clone(), settings.id.clone());
                self.report(Report::ShutdownError { supervisor, child, reason });
            }
        }
    }

    pub(super) fn drop_spec_unless_kept(&mut self, key: ChildKey) {
        let Some(child) = self.family.get(key) else { return };
        match on_stopped(self.config.kind, child.settings.restart) {
            SpecVerdict::Keep => {}
            SpecVerdict::Remove => self.remove(key),
        }
    }
}
