//! The shell of a supervisor: carries out what its core decides.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ractor::ActorRef;
use tokio::runtime::Handle as RuntimeHandle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};
use tracing::error;

use crate::actor::SupervisorArguments;
use crate::actor::answer::Callers;
use crate::actor::life::{Bond, Outbox, follow};
use crate::actor::message::{Notice, SupervisorMessage, is_supervisor};
use crate::actor::seat::{Beginning, Seats};
use crate::blueprint::Blueprint;
use crate::core::Core;
use crate::core::message::{Action, ChildKey, Event, Life};
use crate::error::StartFailure;
use crate::exit::SHUTDOWN;
use crate::moment::Moment;
use crate::offspring::{Descendant, StartContext};
use crate::report::{Report, ReportSink};

/// A supervisor's state: its core, and the world that the core's numbers stand for.
pub(crate) struct Shell {
    pub(super) core: Core,
    pub(super) seats: Seats,
    pub(super) blueprint: Arc<Blueprint>,
    pub(super) myself: ActorRef<SupervisorMessage>,
    epoch: Instant,
    pub(super) callers: Callers,
    next_key: u64,
    pub(super) notices: mpsc::UnboundedReceiver<Notice>,
    pub(super) outbox: Outbox,
    alive: watch::Receiver<()>,
    lineage: mpsc::WeakSender<Descendant>,
    reports: Option<ReportSink>,
    boot: Option<oneshot::Sender<Result<(), StartFailure>>>,
    /// When the earliest alarm rings that is set.
    alarm: Option<(Moment, AbortHandle)>,
    /// ractor tells of deaths only while the actor takes messages.
    pub(super) deaf: bool,
}

impl Shell {
    pub(super) fn new(
        myself: ActorRef<SupervisorMessage>,
        arguments: SupervisorArguments,
        alive: watch::Receiver<()>,
        lineage: mpsc::WeakSender<Descendant>,
    ) -> Self {
        let SupervisorArguments { blueprint, reports, boot } = arguments;
        let (sender, notices) = mpsc::unbounded_channel();
        let mut seats = Seats::default();
        for (key, spec) in (0..).map(ChildKey).zip(&blueprint.children) {
            seats.insert(key, spec.clone());
        }
        let settings = blueprint.children.iter().map(|spec| spec.settings.clone());
        Self {
            core: Core::new(blueprint.core_config(), settings),
            seats,
            outbox: Outbox { notices: sender, supervisor: myself.clone() },
            myself,
            epoch: Instant::now(),
            callers: Callers::default(),
            next_key: blueprint.children.len() as u64,
            notices,
            alive,
            lineage,
            reports,
            boot: Some(boot),
            alarm: None,
            deaf: false,
            blueprint,
        }
    }

    pub(super) fn new_key(&mut self) -> ChildKey {
        let key = ChildKey(self.next_key);
        self.next_key += 1;
        key
    }

    pub(super) fn now(&self) -> Moment {
        Moment::at(self.epoch.elapsed())
    }

    /// Tells the core what happened, and does what it says; where that fails at once, tells it so.
    pub(super) fn step(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let now = self.now();
            for action in self.core.step(event, now) {
                events.extend(self.carry_out(action));
            }
        }
        self.set_alarm();
    }

    fn carry_out(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Start { life } => return self.start(life),
            Action::Stop { life } => self.stop(life),
            Action::Kill { life } => self.kill(life),
            Action::Release { life } => self.release(life),
            Action::Forget { key } => self.seats.remove(key),
            Action::Reply { caller, reply } => self.reply(caller, reply),
            Action::Report(report) => self.report(report),
            Action::Booted => self.tell_boot(Ok(())),
            Action::BootFailed { child: Some(child), failure } => {
                self.tell_boot(Err(StartFailure::Child { child, failure: Box::new(failure) }));
            }
            Action::BootFailed { child: None, failure } => self.tell_boot(Err(failure)),
            Action::Exit { reason } => self.myself.stop(reason),
        }
        None
    }

    fn start(&mut self, life: Life) -> Option<Event> {
        let Beginning { id, name, runtime, start } = self.seats.begin(life)?;
        let context = StartContext {
            id,
            incarnation: life.incarnation,
            name,
            supervisor: self.myself.get_cell(),
            reports: self.reports.clone(),
            extra: self.blueprint.extra.clone(),
        };
        let spawn = || {
            let _entered = runtime.as_ref().map(RuntimeHandle::enter);
            start(&context)
        };
        let born = catch_unwind(AssertUnwindSafe(spawn))
            .unwrap_or_else(|panic| Err(StartFailure::from_error(panic_text(&*panic).into())));
        match born {
            Ok(None) => Some(Event::Ignored { life }),
            Err(failure) => Some(Event::StartFailed { life, failure }),
            Ok(Some(mut birth)) => {
                self.seats.seat(life, birth.cell.clone(), birth.info.take());
                let bond = Bond {
                    outbox: self.outbox.clone(),
                    alive: self.alive.clone(),
                    lineage: self.lineage.upgrade(),
                    kill_grace: self.blueprint.kill_grace,
                };
                tokio::spawn(follow(life, birth, bond));
                None
            }
        }
    }

    /// A supervisor of this crate is asked by message: then it can still read why its own children end.
    fn stop(&self, life: Life) {
        let Some(cell) = self.seats.cell(life) else { return };
        let reason = Some(SHUTDOWN.to_owned());
        if is_supervisor(cell) {
            let supervisor = ActorRef::<SupervisorMessage>::from(cell.clone());
            if supervisor.cast(SupervisorMessage::ShutDown { reason: reason.clone() }).is_ok() {
                return;
            }
        }
        cell.stop(reason);
    }

    fn kill(&self, life: Life) {
        if let Some(cell) = self.seats.cell(life) {
            cell.kill();
        }
    }

    /// A death that comes after this is a stranger's.
    fn release(&mut self, life: Life) {
        if self.seats.holding(life).is_some()
            && let Some(cell) = self.seats.vacate(life.key)
        {
            cell.unlink(self.myself.get_cell());
        }
    }

    pub(super) fn report(&self, report: Report) {
        report.trace();
        if let Some(sink) = &self.reports {
            // A sink that panics is a bug of its owner, and must not cost the children.
            if catch_unwind(AssertUnwindSafe(|| sink.take(report))).is_err() {
                error!(supervisor = %self.blueprint.id, "report sink panicked");
            }
        }
    }

    fn tell_boot(&mut self, outcome: Result<(), StartFailure>) {
        if let Some(boot) = self.boot.take() {
            // Whoever waited for the start may have given up.
            _ = boot.send(outcome);
        }
    }

    pub(super) fn read_notices(&mut self) {
        while let Ok(notice) = self.notices.try_recv() {
            self.read(notice);
        }
    }

    pub(super) fn read(&mut self, notice: Notice) {
        match notice {
            Notice::ChildStarted { life } => {
                self.seats.announce(life);
                self.step(Event::Started { life });
            }
            Notice::ChildNotStarted { life, failure } => self.step(Event::StartFailed { life, failure }),
            Notice::ChildEnded { life, descendants, reading } => self.child_ended(life, descendants, reading),
            Notice::ExitHandled { life, reason } => self.step(Event::Exited { life, reason }),
            Notice::Elapsed => {
                self.alarm = None;
                self.step(Event::Elapsed);
            }
        }
    }

    /// Sets the alarm for the core's next deadline, unless an earlier one is set: that will set this one.
    fn set_alarm(&mut self) {
        let Some(deadline) = self.core.next_deadline() else { return };
        match &self.alarm {
            Some((set, _)) if *set <= deadline => return,
            Some((_, later)) => later.abort(),
            None => {}
        }
        let at = self.epoch + deadline.since_start();
        let (outbox, mut alive) = (self.outbox.clone(), self.alive.clone());
        let alarm = tokio::spawn(async move {
            tokio::select! {
                () = sleep_until(at) => outbox.post(Notice::Elapsed),
                // The supervisor is gone; nobody is to be woken.
                _ = alive.changed() => {}
            }
        });
        self.alarm = Some((deadline, alarm.abort_handle()));
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panicked".to_owned())
}
