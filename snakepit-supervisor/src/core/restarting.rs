//! Restarting: a child's end is judged, the budget is asked, the group of the strategy is started again.

use std::sync::Arc;
use std::time::Duration;

use crate::core::child::Phase;
use crate::core::closing::Ending;
use crate::core::decision::{AutoShutdownVerdict, ExitVerdict, Group, group, on_exit, on_left};
use crate::core::lane::{Goal, Procedure};
use crate::core::message::{ChildKey, Kind};
use crate::core::step::Core;
use crate::error::StartFailure;
use crate::exit::ExitReason;
use crate::explain::Incident;
use crate::moment::Moment;
use crate::report::{GaveUp, GaveUpReason, PastFailure, Report};
use crate::restart::{Failure, RestartVerdict};

impl Core {
    /// Judges the end of a child, unless a procedure before has already taken it for the end that it wanted.
    pub(super) fn judge(&mut self, key: ChildKey) {
        let Some(child) = self.family.get_mut(key) else { return };
        let Phase::Dead { reason, uptime } = &child.phase else { return };
        let (reason, uptime) = (reason.clone(), *uptime);
        child.phase = Phase::Down;
        match on_exit(child.settings.restart, &reason) {
            ExitVerdict::Leave { failed } => {
                if failed {
                    self.report_terminated(key, &reason);
                }
                self.leave(key);
            }
            ExitVerdict::GiveUp => {
                self.report_terminated(key, &reason);
                self.remember(key, Some(uptime), &reason);
                self.give_up(key, GaveUpReason::Fatal, reason);
            }
            ExitVerdict::Restart => {
                self.report_terminated(key, &reason);
                if let Some(due) = self.next_try(key, Some(uptime), reason) {
                    self.restart_group(key, due);
                }
            }
        }
    }

    /// A delay is over, unless the child has since been stopped, or started by somebody.
    pub(super) fn retry(&mut self, key: ChildKey) {
        let Some(child) = self.family.get_mut(key) else { return };
        if matches!(child.phase, Phase::Delayed { due } if due <= self.now) {
            // Its wait is over for good. Should an older sibling fail before its turn comes, that sibling waits, and
            // this child is down until the group is tried again: a wait without a timer would never end by itself.
            child.phase = Phase::Down;
            self.restart_group(key, self.now);
        }
    }

    /// An automatic start failed: the same child is tried again.
    pub(super) fn restart_failed(&mut self, key: ChildKey, failure: StartFailure) {
        let fatal = failure.is_fatal();
        let reason = ExitReason::Error(Arc::new(failure));
        if fatal {
            self.remember(key, None, &reason);
            self.give_up(key, GaveUpReason::Fatal, reason);
        } else if let Some(due) = self.next_try(key, None, reason) {
            self.delay(key, due);
        }
    }

    /// Asks the budget for another try, and gives up if there is none.
    fn next_try(&mut self, key: ChildKey, uptime: Option<Duration>, reason: ExitReason) -> Option<Moment> {
        self.remember(key, uptime, &reason);
        let failure = Failure { uptime, now: self.now, chance: self.chance.next() };
        let child = self.family.get_mut(key)?;
        match child.streak.on_failure(&mut self.window, &self.config.policy, &failure) {
            RestartVerdict::Restart { after: delay, budget_left } => {
                let trigger = child.settings.id.clone();
                let failures = child.streak.failures();
                let strategy = match self.config.kind {
                    Kind::Static(strategy) => Some(strategy),
                    Kind::Dynamic { .. } => None,
                };
                let incident = Incident { trigger, reason, strategy, failures, delay, budget_left };
                child.incident = Some(Arc::new(incident));
                Some(self.now + delay)
            }
            RestartVerdict::GiveUp(rule) => {
                self.give_up(key, rule, reason);
                None
            }
        }
    }

    /// Starts the group of a failed child again: stops what is left of it, waits until `due`, starts it in order.
    ///
    /// A member that waits for its own restart joins the group, and no wait is shortened by that.
    fn restart_group(&mut self, trigger: ChildKey, due: Moment) {
        let members: Vec<(ChildKey, &Phase)> = match group(self.config.kind) {
            Group::Alone => {
                self.family.from(trigger).take(1).map(|(key, child)| (key, &child.phase)).collect()
            }
            Group::Rest => self.family.from(trigger).map(|(key, child)| (key, &child.phase)).collect(),
            Group::All => self.family.iter().map(|(key, child)| (key, &child.phase)).collect(),
        };
        let size = members.len() as u64;
        let due = members.iter().fold(due, |latest, (_, phase)| match phase {
            Phase::Delayed { due } => latest.max(*due),
            _ => latest,
        });
        let stops = members
            .iter()
            .filter(|(key, phase)| *key != trigger && !matches!(phase, Phase::Down))
            .map(|&(key, _)| key)
            .collect();
        let starts = members.iter().map(|&(key, _)| key).collect();
        self.effort += size;
        self.begin(trigger, Procedure::new(stops, starts, Goal::Restart { trigger, due }));
    }

    pub(super) fn delay(&mut self, key: ChildKey, due: Moment) {
        let Some(child) = self.family.get_mut(key) else { return };
        child.phase = Phase::Delayed { due };
        let (failures, id) = (child.streak.failures(), child.settings.id.clone());
        self.family.set_deadline(key, Some(due));
        let delay = due - self.now;
        if !delay.is_zero() {
            let supervisor = self.config.id.clone();
            self.report(Report::RestartDelayed { supervisor, child: id, delay, failures });
        }
    }

    /// A child has left for good. If it was significant, its supervisor may follow.
    fn leave(&mut self, key: ChildKey) {
        let Some(child) = self.family.get(key) else { return };
        let (significant, id) = (child.settings.significant, child.settings.id.clone());
        self.drop_spec_unless_kept(key);
        self.effort += self.family.len() as u64;
        let others = || {
            self.family
                .iter()
                .any(|(_, child)| child.settings.significant && !matches!(child.phase, Phase::Down))
        };
        match on_left(self.config.auto_shutdown, significant, others) {
            AutoShutdownVerdict::Stay => {}
            AutoShutdownVerdict::ShutDown => {
                let supervisor = self.config.id.clone();
                self.report(Report::AutoShutdown { supervisor, child: id });
                self.close(Ending::shutdown());
            }
        }
    }

    /// | spent | static | dynamic |
    /// |---|---|---|
    /// | the supervisor's budget | the supervisor ends | the supervisor ends |
    /// | the child's own | the supervisor ends | the child goes, its siblings stay |
    fn give_up(&mut self, key: ChildKey, reason: GaveUpReason, last: ExitReason) {
        let Some(child) = self.family.get(key) else { return };
        let report = GaveUp {
            supervisor: self.config.id.clone(),
            child: child.settings.id.clone(),
            reason,
            last,
            restarts: child.restarts,
            history: child.history.clone(),
        };
        self.report(Report::GaveUp(report));
        match (self.config.kind, reason) {
            (Kind::Dynamic { .. }, GaveUpReason::Consecutive { .. } | GaveUpReason::Fatal) => {
                self.remove(key);
            }
            (Kind::Dynamic { .. }, GaveUpReason::Intensity { .. }) | (Kind::Static(_), _) => {
                self.close(Ending::shutdown());
            }
        }
    }

    fn remember(&mut self, key: ChildKey, uptime: Option<Duration>, reason: &ExitReason) {
        let at = self.now.since_start();
        if let Some(child) = self.family.get_mut(key) {
            child.remember(PastFailure { at, uptime, reason: reason.clone() });
        }
    }

    fn report_terminated(&mut self, key: ChildKey, reason: &ExitReason) {
        if let Some(child) = self.family.get(key) {
            let (supervisor, incarnation) = (self.config.id.clone(), child.incarnation);
            let (child, reason) = (child.settings.id.clone(), reason.clone());
            self.report(Report::ChildTerminated { supervisor, child, incarnation, reason });
        }
    }
}
