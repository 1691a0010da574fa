//! Planting a tree: from its form to specs whose children write into the book.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef};
use snakepit_supervisor::{
    ChildExit, ChildSpec, DynamicSupervisorRef, DynamicSupervisorSpec, Offspring, Report, ReportSink,
    StoppedWith, SupervisorRef, SupervisorSpec, TreeNode,
};

use crate::otp::journal::word;
use crate::otp::trace::form::{ChildForm, ExitForm, KindForm, PlanForm, SupervisorForm};
use crate::otp::trace::line::{Book, Line};

/// A handle to a planted supervisor.
#[derive(Clone)]
pub(super) enum Planted {
    Static(SupervisorRef),
    Dynamic(DynamicSupervisorRef),
}

/// A planted root, not started yet.
pub(super) enum Root {
    Static(SupervisorSpec),
    Dynamic(DynamicSupervisorSpec),
}

/// Who is where. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Garden {
    pub(super) book: Book,
    supervisors: Arc<Mutex<HashMap<String, Planted>>>,
}

impl Planted {
    pub(super) fn cell(&self) -> Option<ActorCell> {
        match self {
            Self::Static(handle) => handle.cell(),
            Self::Dynamic(handle) => handle.cell(),
        }
    }

    pub(super) async fn snapshot(&self) -> Option<TreeNode> {
        match self {
            Self::Static(handle) => handle.snapshot().await.ok(),
            Self::Dynamic(handle) => handle.snapshot().await.ok(),
        }
    }

    pub(super) fn stop(&self, reason: Option<String>) {
        match self {
            Self::Static(handle) => handle.stop(reason),
            Self::Dynamic(handle) => handle.stop(reason),
        }
    }
}

/// The path of a child: its supervisor's, and its own id.
pub(super) fn join(parent: &str, id: &str) -> String {
    if parent.is_empty() { id.to_owned() } else { format!("{parent}/{id}") }
}

/// The path of a child's supervisor, and the child's own id.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

impl Garden {
    pub(super) fn supervisor(&self, path: &str) -> Option<Planted> {
        self.supervisors.lock().expect("nobody panics while holding it").get(path).cloned()
    }

    /// Who is where just now.
    pub(super) fn supervisors(&self) -> HashMap<String, Planted> {
        self.supervisors.lock().expect("nobody panics while holding it").clone()
    }

    /// The paths of the dynamic ones.
    pub(super) fn dynamic(&self) -> Vec<String> {
        let supervisors = self.supervisors.lock().expect("nobody panics while holding it");
        let dynamic = supervisors.iter().filter(|(_, planted)| matches!(planted, Planted::Dynamic(_)));
        dynamic.map(|(path, _)| path.clone()).collect()
    }

    /// Puts everybody back whom a refused spec had taken the place of.
    pub(super) fn restore(&self, supervisors: HashMap<String, Planted>) {
        *self.supervisors.lock().expect("nobody panics while holding it") = supervisors;
    }

    pub(super) fn root(&self, form: &SupervisorForm) -> Root {
        self.plant(form, "", "root")
    }

    fn plant(&self, form: &SupervisorForm, path: &str, id: &str) -> Root {
        let (root, planted) = match form.kind {
            KindForm::Static => {
                let spec = SupervisorSpec::new(id)
                    .strategy(form.strategy())
                    .policy(form.policy())
                    .auto_shutdown(form.auto_shutdown())
                    .reports(self.sink(path));
                let spec = form.children.iter().fold(spec, |spec, child| spec.child(self.child(child, path)));
                let handle = spec.handle();
                (Root::Static(spec), Planted::Static(handle))
            }
            KindForm::Dynamic => {
                let spec = DynamicSupervisorSpec::new(id).policy(form.policy()).reports(self.sink(path));
                let spec = form.max_children.into_iter().fold(spec, DynamicSupervisorSpec::max_children);
                let handle = spec.handle();
                (Root::Dynamic(spec), Planted::Dynamic(handle))
            }
        };
        self.supervisors.lock().expect("nobody panics while holding it").insert(path.to_owned(), planted);
        root
    }

    /// A child, as its form says. Its id is local to its supervisor.
    pub(super) fn child(&self, form: &ChildForm, parent: &str) -> ChildSpec {
        let path = join(parent, &form.id);
        let spec = match &form.supervisor {
            None => {
                // A supervisor may have been here before.
                self.supervisors.lock().expect("nobody panics while holding it").remove(&path);
                self.worker(form, &path)
            }
            Some(below) => {
                let spec = match self.plant(below, &path, &form.id) {
                    Root::Static(spec) => spec.into_child(),
                    Root::Dynamic(spec) => spec.into_child(),
                };
                let book = self.book.clone();
                spec.on_exit(move |exit: ChildExit| {
                    book.write(Line::SupervisorExit { id: path.clone(), reason: word(&exit.reason) });
                    std::future::ready(())
                })
            }
        };
        spec.restart(form.restart()).shutdown(form.shutdown()).significant(form.significant)
    }

    fn worker(&self, form: &ChildForm, path: &str) -> ChildSpec {
        let (book, path, plans) = (self.book.clone(), path.to_owned(), form.plan.clone());
        ChildSpec::worker_with(form.id.as_str(), move |_| {
            let n = book.count_start(&path);
            let plan = plans.get(n - 1).or(plans.last()).copied().unwrap_or_default();
            let start = Line::Start { id: path.clone(), n, result: plan };
            if plan == PlanForm::Ignore {
                book.write(start);
                return Ok(Offspring::Ignore);
            }
            Ok(Offspring::new(Worker { start, plan, last: LastLine::new(&path, &book) }, ()))
        })
    }

    /// A worker writes its own starts; a supervisor's start is what its parent reports.
    fn sink(&self, parent: &str) -> ReportSink {
        let (garden, parent) = (self.clone(), parent.to_owned());
        ReportSink::new(move |report| match report {
            Report::Progress { child, .. } => {
                garden.note_start(&join(&parent, child.as_str()), PlanForm::Ok);
            }
            Report::StartFailed { child, .. } => {
                garden.note_start(&join(&parent, child.as_str()), PlanForm::Err);
            }
            _ => {}
        })
    }

    /// Writes down the start of a supervisor.
    pub(super) fn note_start(&self, path: &str, result: PlanForm) {
        if self.supervisor(path).is_some() {
            let n = self.book.count_start(path);
            self.book.write(Line::Start { id: path.to_owned(), n, result });
        }
    }
}

/// A child that ends as it is told, and writes down its starts and ends.
struct Worker {
    start: Line,
    plan: PlanForm,
    last: LastLine,
}

/// Written when the worker's handler is dropped: once, whatever became of it.
struct LastLine {
    path: String,
    book: Book,
    reason: Mutex<Option<String>>,
}

impl LastLine {
    fn new(path: &str, book: &Book) -> Self {
        Self { path: path.to_owned(), book: book.clone(), reason: Mutex::new(None) }
    }

    fn be(&self, reason: &str) {
        let mut known = self.reason.lock().expect("nobody panics while holding it");
        // A worker that was told to end ends for that reason, also if it then stops in order.
        if known.as_deref().is_none_or(|known| known == "killed") {
            *known = Some(reason.to_owned());
        }
    }
}

impl Drop for LastLine {
    fn drop(&mut self) {
        let reason = self.reason.lock().expect("nobody panics while holding it").take();
        if let Some(reason) = reason {
            self.book.write(Line::Stop { id: self.path.clone(), reason });
        }
    }
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Worker {
    type Msg = EndWith;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<EndWith>, (): ()) -> Result<(), ActorProcessingErr> {
        self.last.book.write(self.start.clone());
        match self.plan {
            PlanForm::Err => return Err(Box::new(StoppedWith("plan".into()))),
            PlanForm::Panic => panic!("planned"),
            PlanForm::Ok | PlanForm::Ignore => {}
        }
        self.last.book.introduce(&self.last.path, myself.get_cell());
        // From here on an end without any word is a kill.
        self.last.be("killed");
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<EndWith>,
        EndWith(ExitForm(reason)): EndWith,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        self.last.be(&reason);
        match reason.as_str() {
            "err" => return Err(Box::new(StoppedWith(reason))),
            "panic" => panic!("told to"),
            "normal" => myself.stop(None),
            _ => myself.stop(Some(reason)),
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<EndWith>, (): &mut ()) -> Result<(), ActorProcessingErr> {
        self.last.be("shutdown");
        Ok(())
    }
}

/// Tells a worker how to end.
pub(super) struct EndWith(pub(super) ExitForm);

#[cfg(feature = "cluster")]
impl ractor::Message for EndWith {}
