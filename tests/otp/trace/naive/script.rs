//! The naive supervisor's script: the same steps as the driver's, as plain calls.

use snakepit_supervisor::{AutoShutdown, Restart};

use crate::otp::trace::form::{ChildForm, ExitForm, KindForm, PlanForm, Step, TraceCase};
use crate::otp::trace::line::{Answer, Line};
use crate::otp::trace::naive::{Fate, Naive, Pid, World};
use crate::otp::trace::plant::{join, split};

/// A case, run the naive way.
pub(super) fn run(case: &TraceCase) -> Vec<Line> {
    let mut world = World::default();
    let Some(root) = Naive::start(&case.supervisor, "", &mut world) else {
        world.exit("", "shutdown");
        world.log.push(Line::End);
        return world.log;
    };
    let mut script = Script { root: Some(root), world };
    for step in &case.script {
        script.step(step);
    }
    script.world.log.push(Line::End);
    script.world.log
}

struct Script {
    root: Option<Naive>,
    world: World,
}

impl Script {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Exit { id, reason: ExitForm(reason) } => self.ends(id, reason),
            Step::Kill { id } => self.ends(id, "killed"),
            Step::StartChild { spec } => {
                let answer = self.start_child(spec);
                self.reply("start_child", Answer::Word(answer));
            }
            Step::TerminateChild { id } => self.call("terminate_child", id),
            Step::RestartChild { id } => self.call("restart_child", id),
            Step::DeleteChild { id } => self.call("delete_child", id),
            Step::WhichChildren { id } => {
                let answer = self.find(id).map_or(Answer::Word("not_found"), |supervisor| which(supervisor));
                self.reply("which_children", answer);
            }
            Step::CountChildren { id } => {
                let answer = self.find(id).map_or(Answer::Word("not_found"), |supervisor| count(supervisor));
                self.reply("count_children", answer);
            }
            Step::Advance { ms } => self.world.now_ms += ms,
            Step::Stop => {
                if let Some(mut root) = self.root.take() {
                    root.stop_all(&mut self.world);
                    self.world.exit("", "shutdown");
                }
            }
        }
    }

    fn reply(&mut self, call: &'static str, result: Answer) {
        self.world.log.push(Line::Reply { call, result });
    }

    fn find(&mut self, path: &str) -> Option<&mut Naive> {
        let mut found = self.root.as_mut()?;
        for id in path.split('/').filter(|id| !id.is_empty()) {
            let child = found.children.iter_mut().rev().find(|child| child.form.id == id)?;
            let Pid::Supervisor(below) = &mut child.pid else { return None };
            found = below;
        }
        Some(found)
    }

    /// A worker or a supervisor ends for this reason, and all above hear of it as far as it goes.
    fn ends(&mut self, path: &str, reason: &str) {
        let (parent, id) = split(path);
        let mut world = std::mem::take(&mut self.world);
        let place = self.find(parent).and_then(|supervisor| {
            let is_it = |pid: &Pid| matches!(pid, Pid::Worker | Pid::Supervisor(_));
            supervisor.children.iter().rposition(|child| child.form.id == id && is_it(&child.pid))
        });
        if let (Some(place), Some(supervisor)) = (place, self.find(parent)) {
            let told = end(supervisor, place, reason, &mut world);
            let mut fate = supervisor.died(place, &told, &mut world);
            let mut ended = parent.to_owned();
            while fate == Fate::Ended && !ended.is_empty() {
                let (above, id) = split(&ended);
                let (above, id) = (above.to_owned(), id.to_owned());
                let Some(supervisor) = self.find(&above) else { break };
                let place = supervisor.children.iter().rposition(|child| child.form.id == id);
                let Some(place) = place else { break };
                supervisor.children[place].pid = Pid::Dead;
                fate = supervisor.died(place, "shutdown", &mut world);
                ended = above;
            }
            if fate == Fate::Ended {
                self.root = None;
            }
        }
        self.world = world;
    }

    fn start_child(&mut self, form: &ChildForm) -> &'static str {
        let (parent, id) = split(&form.id);
        let mut world = std::mem::take(&mut self.world);
        let mut local = form.clone();
        id.clone_into(&mut local.id);
        let answer = self.find(parent).map_or("not_found", |supervisor| start(supervisor, local, &mut world));
        self.world = world;
        answer
    }

    fn call(&mut self, name: &'static str, path: &str) {
        let (parent, id) = split(path);
        let mut world = std::mem::take(&mut self.world);
        let answer =
            self.find(parent).map_or("not_found", |supervisor| answer(supervisor, name, id, &mut world));
        self.world = world;
        self.reply(name, Answer::Word(answer));
    }
}

/// Ends a child; the reason that its supervisor hears.
fn end(supervisor: &mut Naive, place: usize, reason: &str, world: &mut World) -> String {
    let child = &mut supervisor.children[place];
    let path = join(&supervisor.path, &child.form.id);
    match std::mem::replace(&mut child.pid, Pid::Dead) {
        Pid::Supervisor(mut below) if reason == "killed" => {
            killed(&mut below, world);
            reason.to_owned()
        }
        Pid::Supervisor(mut below) => {
            // A supervisor knows no panic of its own.
            let reason = if reason == "panic" { "err" } else { reason };
            below.stop_all(world);
            world.exit(&path, reason);
            reason.to_owned()
        }
        Pid::Worker | Pid::Undefined | Pid::Restarting | Pid::Dead => {
            world.stop(path, reason);
            reason.to_owned()
        }
    }
}

fn killed(supervisor: &mut Naive, world: &mut World) {
    for child in supervisor.children.iter_mut().rev() {
        match &mut child.pid {
            Pid::Worker => world.stop(join(&supervisor.path, &child.form.id), "killed"),
            Pid::Supervisor(below) => killed(below, world),
            Pid::Undefined | Pid::Restarting | Pid::Dead => {}
        }
    }
    world.exit(&supervisor.path, "killed");
}

/// `handle_start_child/2`
fn start(supervisor: &mut Naive, form: ChildForm, world: &mut World) -> &'static str {
    let never = supervisor.form.auto_shutdown() == AutoShutdown::Never;
    if form.significant && (never || form.restart() == Restart::Permanent) {
        return "error";
    }
    if supervisor.is_dynamic() {
        if supervisor.form.max_children.is_some_and(|limit| supervisor.children.len() >= limit) {
            return "max_children";
        }
    } else if let Some(known) = supervisor.children.iter().find(|child| child.form.id == form.id) {
        return match known.pid {
            Pid::Undefined | Pid::Restarting => "already_present",
            Pid::Worker | Pid::Supervisor(_) | Pid::Dead => "already_started",
        };
    }
    let temporary = form.restart() == Restart::Temporary;
    let place = supervisor.add(form);
    match supervisor.start_child(place, world) {
        PlanForm::Ok => "ok",
        PlanForm::Ignore => {
            if supervisor.is_dynamic() || temporary {
                supervisor.children.remove(place);
            }
            "ignore"
        }
        PlanForm::Err | PlanForm::Panic => {
            supervisor.children.remove(place);
            "error"
        }
    }
}

/// `handle_call/3`
fn answer(supervisor: &mut Naive, name: &str, id: &str, world: &mut World) -> &'static str {
    if supervisor.form.kind == KindForm::Dynamic && name != "terminate_child" {
        return "error";
    }
    let Some(place) = supervisor.children.iter().rposition(|child| child.form.id == id) else {
        return "not_found";
    };
    if name == "terminate_child" {
        supervisor.stop_child(place, world);
        supervisor.delete(place);
        return "ok";
    }
    match (&supervisor.children[place].pid, name) {
        (Pid::Restarting, _) => "restarting",
        (Pid::Worker | Pid::Supervisor(_) | Pid::Dead, _) => "running",
        (Pid::Undefined, "restart_child") => match supervisor.start_child(place, world) {
            PlanForm::Ok => "ok",
            PlanForm::Ignore => "ignore",
            PlanForm::Err | PlanForm::Panic => "error",
        },
        (Pid::Undefined, _) => {
            supervisor.children.remove(place);
            "ok"
        }
    }
}

fn which(supervisor: &Naive) -> Answer {
    let mut children: Vec<(String, &'static str)> = supervisor
        .children
        .iter()
        .rev()
        .map(|child| match child.pid {
            Pid::Undefined => (child.form.id.clone(), "undefined"),
            Pid::Restarting => (child.form.id.clone(), "restarting"),
            Pid::Worker | Pid::Supervisor(_) | Pid::Dead => (child.form.id.clone(), "up"),
        })
        .collect();
    if supervisor.is_dynamic() {
        children.sort();
    }
    Answer::Children(children)
}

fn count(supervisor: &Naive) -> Answer {
    let children = &supervisor.children;
    let active = children.iter().filter(|child| matches!(child.pid, Pid::Worker | Pid::Supervisor(_)));
    let supervisors = children.iter().filter(|child| child.form.supervisor.is_some()).count();
    Answer::Counts([children.len(), active.count(), supervisors, children.len() - supervisors])
}
