//! Driving a planted tree through its script, step by step.

use std::time::Duration;

use ractor::{ActorCell, ActorRef};
use snakepit_supervisor::{
    ChildSummary, ChildTarget, DeleteChildError, RestartChildError, StartChildError, TerminateChildError,
};
use tokio::time::sleep;

use crate::otp::bed::counted;
use crate::otp::monitor::{Monitor, Seen};
use crate::otp::settle::settle_by;
use crate::otp::trace::BadCase;
use crate::otp::trace::form::{ChildForm, ExitForm, PlanForm, Step, TraceCase};
use crate::otp::trace::line::{Answer, Line};
use crate::otp::trace::order::{order_kill, sort_parallel_stops};
use crate::otp::trace::plant::{EndWith, Garden, Planted, Root, join, split};

/// A tree at work.
struct Driver {
    garden: Garden,
    root: Option<ActorCell>,
    seen: Seen,
    log: Vec<Line>,
}

pub(super) async fn drive(case: TraceCase) -> Result<Vec<Line>, BadCase> {
    let garden = Garden::default();
    let (monitor, seen) = Monitor::spawn().await;
    let started = match garden.root(&case.supervisor) {
        Root::Static(spec) => {
            spec.check().map_err(BadCase::new)?;
            spec.start_linked(monitor).await.map(|root| root.cell())
        }
        Root::Dynamic(spec) => {
            spec.check().map_err(BadCase::new)?;
            spec.start_linked(monitor).await.map(|root| root.cell())
        }
    };
    let mut driver = Driver { garden, root: None, seen, log: Vec::new() };
    driver.settle().await;
    let first = driver.garden.book.take();
    driver.log.extend(first);
    if let Ok(root) = started {
        driver.root = root;
        for step in case.script {
            driver.step(step).await;
        }
    } else {
        driver.log.push(Line::SupervisorExit { id: String::new(), reason: "shutdown".to_owned() });
    }
    driver.log.push(Line::End);
    Ok(driver.log)
}

impl Driver {
    async fn settle(&self) {
        settle_by(|| self.garden.book.volume()).await;
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Exit { id, reason } => self.exit(&id, reason).await,
            Step::Kill { id } => self.kill(&id).await,
            Step::StartChild { spec } => self.start_child(spec).await,
            Step::TerminateChild { id } => self.call("terminate_child", &id).await,
            Step::RestartChild { id } => self.call("restart_child", &id).await,
            Step::DeleteChild { id } => self.call("delete_child", &id).await,
            Step::WhichChildren { id } => self.which_children(&id).await,
            Step::CountChildren { id } => self.count_children(&id).await,
            Step::Advance { ms } => {
                sleep(Duration::from_millis(ms)).await;
                self.finish().await;
            }
            Step::Stop => {
                if let Some(root) = self.garden.supervisor("") {
                    root.stop(Some("shutdown".to_owned()));
                }
                self.finish().await;
            }
        }
    }

    /// Lets a step run to its end, and moves what it wrote to the log.
    async fn finish(&mut self) {
        self.settle().await;
        let lines = self.garden.book.take();
        self.log(lines, None);
    }

    /// Where a step ended somebody, the lines up to that end are its own doing: of these only the parallel stops
    /// within what has ended are sorted.
    fn log(&mut self, mut lines: Vec<Line>, ended: Option<&str>) {
        let own = ended.map_or(0, |id| own_end(&lines, id));
        for dynamic in &self.garden.dynamic() {
            let within = ended.is_some_and(|id| dynamic == id || dynamic.starts_with(&join(id, "")));
            let from = if within { 0 } else { own };
            sort_parallel_stops(&mut lines[from..], dynamic);
        }
        self.log.extend(lines);
        if let Some(reason) = self.root.as_ref().and_then(|root| self.seen.end_of(root)) {
            self.root = None;
            self.log.push(Line::SupervisorExit { id: String::new(), reason });
        }
    }

    async fn exit(&mut self, id: &str, reason: ExitForm) {
        if let Some(supervisor) = self.running(id) {
            supervisor.stop(Some(reason.0).filter(|reason| reason != "normal"));
        } else if let Some(worker) = self.garden.book.worker(id) {
            // One that has just ended by itself is not running.
            _ = ActorRef::<EndWith>::from(worker).cast(EndWith(reason));
        }
        self.settle().await;
        let lines = self.garden.book.take();
        self.log(lines, Some(id));
    }

    async fn kill(&mut self, id: &str) {
        let mut tree = None;
        if let Some(supervisor) = self.running(id) {
            tree = supervisor.snapshot().await;
            supervisor.cell().inspect(ActorCell::kill);
        } else if let Some(worker) = self.garden.book.worker(id) {
            worker.kill();
        }
        self.settle().await;
        let lines = self.garden.book.take();
        let lines = if let Some(tree) = tree { order_kill(lines, id, &tree) } else { lines };
        self.log(lines, Some(id));
    }

    /// The supervisor of that path, if it runs.
    fn running(&self, path: &str) -> Option<Planted> {
        self.garden.supervisor(path).filter(|planted| planted.cell().is_some())
    }

    async fn start_child(&mut self, mut form: ChildForm) {
        let path = form.id.clone();
        let (parent, id) = split(&path);
        id.clone_into(&mut form.id);
        let Some(supervisor) = self.running(parent) else {
            return self.answer("start_child", Answer::Word("not_found")).await;
        };
        let known = self.garden.supervisors();
        let is_supervisor = form.supervisor.is_some();
        let spec = self.garden.child(&form, parent);
        let started = match &supervisor {
            Planted::Static(handle) => handle.start_child(spec).await,
            Planted::Dynamic(handle) => handle.start_child(spec).await,
        };
        let word = match &started {
            Ok(Some(_)) => "ok",
            Ok(None) => "ignore",
            Err(StartChildError::AlreadyStarted { .. }) => "already_started",
            Err(StartChildError::AlreadyPresent) => "already_present",
            Err(StartChildError::MaxChildren { .. }) => "max_children",
            Err(StartChildError::Stopping | StartChildError::Gone(_)) => "not_found",
            Err(_) => "error",
        };
        if is_supervisor {
            match (&started, &supervisor) {
                // A dynamic supervisor does not report what a call starts, and no call reports a failure.
                (Ok(Some(_)), Planted::Dynamic(_)) => self.garden.note_start(&path, PlanForm::Ok),
                (Err(StartChildError::Failed(_)), _) => self.garden.note_start(&path, PlanForm::Err),
                _ => {}
            }
        }
        let namesake_runs = known.get(&path).is_some_and(|planted| planted.cell().is_some());
        if started.is_err() || (matches!(started, Ok(None)) && namesake_runs) {
            self.garden.restore(known);
        }
        self.answer("start_child", Answer::Word(word)).await;
    }

    /// The calls that take an id and answer a word.
    async fn call(&mut self, name: &'static str, path: &str) {
        let (parent, id) = split(path);
        let word = match (self.running(parent), name) {
            (None, _) => "not_found",
            (Some(supervisor), "terminate_child") => self.terminate(&supervisor, path, id).await,
            (Some(Planted::Dynamic(_)), _) => "error",
            (Some(Planted::Static(handle)), "restart_child") => match handle.restart_child(id).await {
                Ok(Some(_)) => "ok",
                Ok(None) => "ignore",
                Err(RestartChildError::Running) => "running",
                Err(RestartChildError::Restarting) => "restarting",
                Err(RestartChildError::Failed(_)) => {
                    self.garden.note_start(path, PlanForm::Err);
                    "error"
                }
                Err(_) => "not_found",
            },
            (Some(Planted::Static(handle)), _) => match handle.delete_child(id).await {
                Ok(()) => "ok",
                Err(DeleteChildError::Running) => "running",
                Err(DeleteChildError::Restarting) => "restarting",
                Err(_) => "not_found",
            },
        };
        self.answer(name, Answer::Word(word)).await;
    }

    /// In a dynamic supervisor an id names the child that the script started last under it.
    async fn terminate(&self, supervisor: &Planted, path: &str, id: &str) -> &'static str {
        let done = match supervisor {
            Planted::Static(handle) => handle.terminate_child(id).await,
            Planted::Dynamic(handle) => {
                let supervisor = self.running(path).and_then(|planted| planted.cell());
                let last = supervisor.or_else(|| self.garden.book.worker(path));
                let target = last.map_or_else(|| id.into(), ChildTarget::Cell);
                handle.terminate_child(target).await
            }
        };
        match done {
            Ok(()) => "ok",
            Err(
                TerminateChildError::NotFound | TerminateChildError::Stopping | TerminateChildError::Gone(_),
            ) => "not_found",
            Err(_) => "error",
        }
    }

    async fn which_children(&mut self, path: &str) {
        let children = match self.running(path) {
            None => None,
            Some(Planted::Static(handle)) => handle.which_children().await.ok().map(listed),
            Some(Planted::Dynamic(handle)) => {
                handle.which_children().await.ok().map(listed).map(|mut children| {
                    children.sort();
                    children
                })
            }
        };
        self.answer("which_children", children.map_or(Answer::Word("not_found"), Answer::Children)).await;
    }

    async fn count_children(&mut self, path: &str) {
        let counts = match self.running(path) {
            None => None,
            Some(Planted::Static(handle)) => handle.count_children().await.ok(),
            Some(Planted::Dynamic(handle)) => handle.count_children().await.ok(),
        };
        let answer = counts.map_or(Answer::Word("not_found"), |counts| Answer::Counts(counted(counts)));
        self.answer("count_children", answer).await;
    }

    /// What a call did comes before its answer; what follows from it comes after.
    async fn answer(&mut self, call: &'static str, result: Answer) {
        self.garden.book.write(Line::Reply { call, result });
        self.finish().await;
    }
}

/// How many lines come before and with the end that a step asked for.
fn own_end(lines: &[Line], id: &str) -> usize {
    let is_end = |line: &Line| match line {
        Line::Stop { id: ended, .. } | Line::SupervisorExit { id: ended, .. } => ended == id,
        Line::Start { .. } | Line::Reply { .. } | Line::End => false,
    };
    lines.iter().position(is_end).map_or(0, |place| place + 1)
}

fn listed(children: Vec<ChildSummary>) -> Vec<(String, &'static str)> {
    use snakepit_supervisor::ChildState::{Restarting, Stopped};
    let state = |child: &ChildSummary| match child.state {
        Restarting { .. } => "restarting",
        Stopped => "undefined",
        _ => "up",
    };
    children.into_iter().map(|child| (child.id.to_string(), state(&child))).collect()
}
