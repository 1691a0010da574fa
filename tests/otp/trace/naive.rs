//! OTP's supervisor written down once more, the naive way: everything happens at once, in plain calls.
//!
//! It follows `supervisor.erl` and Elixir's `DynamicSupervisor` function by function and shares nothing with the
//! crate but the form of a case. Random cases must make the same log in both.

mod random;
mod script;
mod tests;

use std::collections::HashMap;

use snakepit_supervisor::{AutoShutdown, Restart, Shutdown, Strategy};

use crate::otp::trace::form::{ChildForm, KindForm, PlanForm, SupervisorForm};
use crate::otp::trace::line::Line;
use crate::otp::trace::plant::join;

/// What a child is just now.
#[derive(Debug)]
pub(super) enum Pid {
    Undefined,
    Restarting,
    /// Ended; its supervisor is about to hear of it.
    Dead,
    Worker,
    Supervisor(Box<Naive>),
}

#[derive(Debug)]
pub(super) struct NaiveChild {
    pub(super) form: ChildForm,
    pub(super) pid: Pid,
    /// Tells children of one id apart.
    serial: usize,
}

/// A supervisor, as a plain value.
#[derive(Debug)]
pub(super) struct Naive {
    pub(super) form: SupervisorForm,
    pub(super) path: String,
    pub(super) children: Vec<NaiveChild>,
    restarts: Vec<u64>,
    serials: usize,
}

/// What all supervisors of a case share: the log, the counts of starts, the time.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) log: Vec<Line>,
    pub(super) now_ms: u64,
    starts: HashMap<String, usize>,
}

impl World {
    fn start(&mut self, path: &str, result: PlanForm) {
        let n = self.starts.get(path).copied().unwrap_or_default();
        self.log.push(Line::Start { id: path.to_owned(), n, result });
    }

    fn count(&mut self, path: &str) -> usize {
        let count = self.starts.entry(path.to_owned()).or_default();
        *count += 1;
        *count
    }

    pub(super) fn stop(&mut self, path: String, reason: &str) {
        self.log.push(Line::Stop { id: path, reason: reason.to_owned() });
    }

    pub(super) fn exit(&mut self, path: &str, reason: &str) {
        self.log.push(Line::SupervisorExit { id: path.to_owned(), reason: reason.to_owned() });
    }
}

/// Whether a supervisor lives on after what happened in it.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Lives,
    Ended,
}

fn is_clean(reason: &str) -> bool {
    reason == "normal" || reason == "shutdown" || reason.starts_with("shutdown:")
}

impl Naive {
    /// `init/1`, `start_children/2`: the supervisor, or none after a rollback.
    pub(super) fn start(form: &SupervisorForm, path: &str, world: &mut World) -> Option<Self> {
        let mut this = Self {
            form: form.clone(),
            path: path.to_owned(),
            children: Vec::new(),
            restarts: Vec::new(),
            serials: 0,
        };
        for child in &form.children {
            let place = this.add(child.clone());
            match this.start_child(place, world) {
                PlanForm::Ok => {}
                PlanForm::Ignore => this.forget_if_temporary(place),
                PlanForm::Err | PlanForm::Panic => {
                    this.stop_all(world);
                    return None;
                }
            }
        }
        Some(this)
    }

    pub(super) fn is_dynamic(&self) -> bool {
        self.form.kind == KindForm::Dynamic
    }

    pub(super) fn add(&mut self, form: ChildForm) -> usize {
        self.serials += 1;
        self.children.push(NaiveChild { form, pid: Pid::Undefined, serial: self.serials });
        self.children.len() - 1
    }

    /// `do_start_child/2`
    pub(super) fn start_child(&mut self, place: usize, world: &mut World) -> PlanForm {
        let child = &mut self.children[place];
        let path = join(&self.path, &child.form.id);
        let (result, pid) = if let Some(below) = &child.form.supervisor {
            match Self::start(below, &path, world) {
                Some(supervisor) => (PlanForm::Ok, Pid::Supervisor(Box::new(supervisor))),
                None => (PlanForm::Err, Pid::Undefined),
            }
        } else {
            let nth = world.starts.get(&path).copied().unwrap_or_default();
            let plan = child.form.plan.get(nth).or(child.form.plan.last()).copied().unwrap_or_default();
            (plan, if plan == PlanForm::Ok { Pid::Worker } else { Pid::Undefined })
        };
        world.count(&path);
        world.start(&path, result);
        child.pid = pid;
        result
    }

    /// `shutdown/1`
    pub(super) fn stop_child(&mut self, place: usize, world: &mut World) {
        let child = &mut self.children[place];
        let path = join(&self.path, &child.form.id);
        match std::mem::replace(&mut child.pid, Pid::Undefined) {
            Pid::Worker if child.form.shutdown() == Shutdown::BrutalKill => world.stop(path, "killed"),
            Pid::Worker => world.stop(path, "shutdown"),
            Pid::Supervisor(mut below) => {
                below.stop_all(world);
                world.exit(&path, "shutdown");
            }
            Pid::Undefined | Pid::Restarting | Pid::Dead => {}
        }
    }

    /// `terminate_children/2`, `terminate_dynamic_children/1`
    pub(super) fn stop_all(&mut self, world: &mut World) {
        if self.is_dynamic() {
            self.children.sort_by(|one, other| one.form.id.cmp(&other.form.id));
            (0..self.children.len()).for_each(|place| self.stop_child(place, world));
        } else {
            (0..self.children.len()).rev().for_each(|place| self.stop_child(place, world));
        }
    }

    fn end(&mut self, world: &mut World) -> Fate {
        self.stop_all(world);
        world.exit(&self.path, "shutdown");
        Fate::Ended
    }

    fn forget_if_temporary(&mut self, place: usize) {
        if self.children[place].form.restart() == Restart::Temporary {
            self.children.remove(place);
        }
    }

    /// `del_child/2`
    pub(super) fn delete(&mut self, place: usize) {
        if self.is_dynamic() {
            self.children.remove(place);
        } else {
            self.children[place].pid = Pid::Undefined;
            self.forget_if_temporary(place);
        }
    }

    /// `do_restart/3`
    pub(super) fn died(&mut self, place: usize, reason: &str, world: &mut World) -> Fate {
        let child = &self.children[place];
        let (restart, significant) = (child.form.restart(), child.form.significant);
        match restart {
            Restart::Permanent => return self.restart(place, world),
            Restart::Transient if !is_clean(reason) => return self.restart(place, world),
            Restart::Transient | Restart::Temporary => self.delete(place),
        }
        let present = |child: &NaiveChild| child.form.significant && !matches!(child.pid, Pid::Undefined);
        match self.form.auto_shutdown() {
            _ if !significant => Fate::Lives,
            AutoShutdown::AnySignificant => self.end(world),
            AutoShutdown::AllSignificant if !self.children.iter().any(present) => self.end(world),
            _ => Fate::Lives,
        }
    }

    /// `add_restart/1`, then `restart/3` by the strategy, then the same again for whoever failed to start.
    fn restart(&mut self, place: usize, world: &mut World) -> Fate {
        let policy = self.form.policy().intensity;
        let mut serial = self.children[place].serial;
        loop {
            let now = world.now_ms;
            self.restarts.retain(|&then| u128::from(now - then) <= policy.period.as_millis());
            self.restarts.push(now);
            let place = self.place_of(serial);
            if self.restarts.len() > policy.limit as usize {
                self.delete(place);
                return self.end(world);
            }
            match self.restart_group(place, world) {
                Some(failed) => serial = failed,
                None => return Fate::Lives,
            }
        }
    }

    fn place_of(&self, serial: usize) -> usize {
        self.children
            .iter()
            .position(|child| child.serial == serial)
            .expect("who is restarted is not forgotten")
    }

    /// Who failed to start, if somebody did.
    fn restart_group(&mut self, place: usize, world: &mut World) -> Option<usize> {
        let trigger = self.children[place].serial;
        self.children[place].pid = Pid::Undefined;
        let group = match self.form.strategy() {
            _ if self.is_dynamic() => place..=place,
            Strategy::OneForOne => place..=place,
            Strategy::RestForOne => place..=self.children.len() - 1,
            Strategy::OneForAll => 0..=self.children.len() - 1,
        };
        for place in group.clone().rev() {
            if self.children[place].serial != trigger {
                self.stop_child(place, world);
            }
        }
        let members: Vec<usize> = self.children[group].iter().map(|child| child.serial).collect();
        for serial in members {
            let place = self.place_of(serial);
            if serial != trigger && self.children[place].form.restart() == Restart::Temporary {
                self.children.remove(place);
                continue;
            }
            match self.start_child(place, world) {
                PlanForm::Ok => {}
                PlanForm::Ignore if self.is_dynamic() => _ = self.children.remove(place),
                PlanForm::Ignore => self.forget_if_temporary(place),
                PlanForm::Err | PlanForm::Panic => {
                    self.children[place].pid = Pid::Restarting;
                    return Some(serial);
                }
            }
        }
        None
    }
}
