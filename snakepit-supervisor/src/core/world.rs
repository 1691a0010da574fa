//! A world for the core in tests: children that do what a plan says, and a log of what happened to them.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use crate::child::{ChildId, ChildSettings, Restart, Shutdown};
use crate::core::Core;
use crate::core::message::{
    Action, Call, Caller, ChildKey, CoreConfig, Event, Kind, Life, Refusal, Reply, Target,
};
use crate::error::StartFailure;
use crate::exit::{ExitReason, StoppedWith};
use crate::moment::Moment;
use crate::report::Report;
use crate::restart::{RestartIntensity, RestartPolicy};
use crate::supervisor::{AutoShutdown, Strategy};

/// What a start of a child does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    Up,
    Fail,
    Ignore,
    /// Neither comes up nor fails.
    Hang,
}

/// What a child does when it is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    AtOnce,
    /// Only when killed.
    WhenKilled,
    /// Not at all.
    Never,
}

#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) core: Core,
    pub(super) now: Moment,
    pub(super) live: BTreeMap<Life, ChildId>,
    pub(super) log: Vec<String>,
    pub(super) reports: Vec<Report>,
    pub(super) ended: bool,
    plans: HashMap<ChildId, Vec<Plan>>,
    leaving: HashMap<ChildId, Leaving>,
    /// Those of the living that are not up yet.
    hanging: BTreeSet<Life>,
    ids: HashMap<ChildKey, ChildId>,
    starts: HashMap<ChildId, usize>,
    pending: VecDeque<Event>,
    next_key: u64,
    next_caller: u64,
    answered: u64,
}

pub(super) fn child(id: &str) -> ChildSettings {
    ChildSettings::worker(id.into())
}

pub(super) fn children<const N: usize>(ids: [&str; N]) -> Vec<ChildSettings> {
    ids.into_iter().map(child).collect()
}

pub(super) fn error() -> ExitReason {
    ExitReason::Error(Arc::new(StoppedWith("err".into())))
}

pub(super) fn config(kind: Kind, limit: u32) -> CoreConfig {
    CoreConfig {
        id: "sup".into(),
        kind,
        policy: RestartPolicy::otp(RestartIntensity { limit, period: Duration::from_secs(5) }),
        auto_shutdown: AutoShutdown::Never,
        kill_grace: Duration::from_secs(1),
        max_concurrent_starts: None,
        seed: 7,
    }
}

pub(super) const fn fixed(strategy: Strategy) -> Kind {
    Kind::Static(strategy)
}

impl World {
    pub(super) fn new(config: CoreConfig, children: Vec<ChildSettings>) -> Self {
        let ids = (0..).map(ChildKey).zip(children.iter().map(|child| child.id.clone())).collect();
        Self {
            next_key: children.len() as u64,
            core: Core::new(config, children),
            now: Moment::default(),
            live: BTreeMap::new(),
            log: Vec::new(),
            reports: Vec::new(),
            ended: false,
            plans: HashMap::new(),
            leaving: HashMap::new(),
            hanging: BTreeSet::new(),
            ids,
            starts: HashMap::new(),
            pending: VecDeque::new(),
            next_caller: 0,
            answered: 0,
        }
    }

    /// Booted, with a clean log.
    pub(super) fn up(config: CoreConfig, children: Vec<ChildSettings>) -> Self {
        let mut world = Self::new(config, children);
        world.happen(Event::Boot);
        world.log.clear();
        world.reports.clear();
        world
    }

    /// What the nth start of a child does; the last plan repeats.
    pub(super) fn plan<const N: usize>(mut self, id: &str, plan: [Plan; N]) -> Self {
        self.plans.insert(id.into(), plan.to_vec());
        self
    }

    pub(super) fn leaves(mut self, id: &str, leaving: Leaving) -> Self {
        self.leaving.insert(id.into(), leaving);
        self
    }

    /// Lets something happen, and all that follows from it without time passing.
    pub(super) fn happen(&mut self, event: Event) {
        self.pending.push_back(event);
        self.settle();
    }

    /// Lets things happen before the core has seen the first of them.
    pub(super) fn happen_at_once(&mut self, events: impl IntoIterator<Item = Event>) {
        self.pending.extend(events);
        self.settle();
    }

    pub(super) fn settle(&mut self) {
        loop {
            let event = match self.pending.pop_front() {
                Some(event) => event,
                None if self.core.next_deadline().is_some_and(|due| due <= self.now) => Event::Elapsed,
                None => return,
            };
            for action in self.core.step(event, self.now) {
                self.carry_out(action);
            }
        }
    }

    /// Lets time pass, stopping at every deadline on the way.
    pub(super) fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(due) = self.core.next_deadline().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            self.settle();
        }
        self.now = end;
    }

    pub(super) fn life(&self, id: &str) -> Life {
        let (key, child) = self.core.find(&id.into()).expect("the test names a child that exists");
        child.life(key)
    }

    pub(super) fn is_live(&self, id: &str) -> bool {
        self.live.values().any(|live| live.as_str() == id)
    }

    /// The death of a child: what its task would post.
    pub(super) fn death(&mut self, id: &str, reason: ExitReason) -> Event {
        self.end(self.life(id), id, reason)
    }

    pub(super) fn end(&mut self, life: Life, id: &str, reason: ExitReason) -> Event {
        self.live.remove(&life);
        self.note(|log| write!(log, "died {id}"));
        Event::Exited { life, reason: Some(reason) }
    }

    pub(super) fn dies(&mut self, id: &str, reason: ExitReason) {
        let event = self.death(id, reason);
        self.happen(event);
    }

    pub(super) fn happens_to(&mut self, life: Life, id: &str, reason: ExitReason) {
        let event = self.end(life, id, reason);
        self.happen(event);
    }

    /// How many calls have not been answered.
    pub(super) fn unanswered(&self) -> u64 {
        self.next_caller - self.answered
    }

    pub(super) fn call(&mut self, call: Call) {
        let caller = Caller(self.next_caller);
        self.next_caller += 1;
        self.happen(Event::Called { call, caller });
    }

    pub(super) fn start_child(&mut self, settings: ChildSettings) {
        let key = ChildKey(self.next_key);
        self.next_key += 1;
        self.ids.insert(key, settings.id.clone());
        self.call(Call::Start { key, settings });
    }

    pub(super) fn terminate(&mut self, id: &str) {
        self.call(Call::Terminate { target: Target::Id(id.into()) });
    }

    pub(super) fn restart(&mut self, id: &str) {
        self.call(Call::Restart { id: id.into() });
    }

    pub(super) fn delete(&mut self, id: &str) {
        self.call(Call::Delete { id: id.into() });
    }

    pub(super) fn stop(&mut self) {
        self.happen(Event::ShutdownRequested { reason: Some("shutdown".into()) });
    }

    /// The log since last asked, as one line.
    pub(super) fn took_place(&mut self) -> String {
        std::mem::take(&mut self.log).join(", ")
    }

    fn note(&mut self, line: impl FnOnce(&mut String) -> std::fmt::Result) {
        let mut text = String::new();
        line(&mut text).expect("writing to a string does not fail");
        self.log.push(text);
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Start { life } => self.start(life),
            Action::Stop { life } => self.leave(life, Leaving::AtOnce, ExitReason::Shutdown(None)),
            Action::Kill { life } => self.leave(life, Leaving::WhenKilled, ExitReason::Killed),
            Action::Release { life } => {
                self.note(|log| write!(log, "released {}.{}", life.key.0, life.incarnation));
            }
            Action::Forget { key } => _ = self.ids.remove(&key),
            Action::Reply { reply, .. } => {
                self.answered += 1;
                self.note(|log| write!(log, "-> {}", told(&reply)));
            }
            Action::Report(report) => self.reports.push(report),
            Action::Booted => self.note(|log| write!(log, "booted")),
            Action::BootFailed { child, .. } => {
                let child = child.map_or_else(|| "-".to_owned(), |id| id.to_string());
                self.note(|log| write!(log, "boot failed {child}"));
            }
            Action::Exit { reason } => {
                self.note(|log| write!(log, "exit {}", reason.as_deref().unwrap_or("normal")));
                self.ended = true;
            }
        }
    }

    fn start(&mut self, life: Life) {
        let id = self.ids.get(&life.key).expect("only known children are started").clone();
        let nth = self.starts.entry(id.clone()).or_default();
        let plan = self.plans.get(&id).map_or(Plan::Up, |plans| plans[(*nth).min(plans.len() - 1)]);
        *nth += 1;
        let nth = *nth;
        match plan {
            Plan::Up => {
                self.live.insert(life, id.clone());
                self.note(|log| write!(log, "start {id}{nth}"));
                self.pending.push_back(Event::Started { life });
            }
            Plan::Fail => {
                self.note(|log| write!(log, "fail {id}{nth}"));
                let failure = StartFailure::Failed(Arc::new(StoppedWith("plan".into())));
                self.pending.push_back(Event::StartFailed { life, failure });
            }
            Plan::Ignore => {
                self.note(|log| write!(log, "ignore {id}{nth}"));
                self.pending.push_back(Event::Ignored { life });
            }
            Plan::Hang => {
                self.live.insert(life, id.clone());
                self.hanging.insert(life);
                self.note(|log| write!(log, "hang {id}{nth}"));
            }
        }
    }

    fn leave(&mut self, life: Life, force: Leaving, reason: ExitReason) {
        let Some(id) = self.live.get(&life).cloned() else { return };
        let leaving = self.leaving.get(&id).copied().unwrap_or(Leaving::AtOnce);
        let hangs = self.hanging.contains(&life);
        let verb = if force == Leaving::WhenKilled { "kill" } else { "stop" };
        self.note(|log| write!(log, "{verb} {id}"));
        if leaving == Leaving::AtOnce || leaving == force {
            self.live.remove(&life);
            self.pending.push_back(if hangs {
                let failure = StartFailure::Failed(Arc::new(StoppedWith("killed".into())));
                Event::StartFailed { life, failure }
            } else {
                Event::Exited { life, reason: Some(reason) }
            });
        }
    }
}

fn told(reply: &Reply) -> &'static str {
    match reply {
        Reply::Started { .. } => "ok",
        Reply::Ignored => "ignored",
        Reply::Terminated => "terminated",
        Reply::Deleted => "deleted",
        Reply::Refused(refusal) => match refusal {
            Refusal::AlreadyStarted { .. } => "already started",
            Refusal::AlreadyPresent => "already present",
            Refusal::MaxChildren { .. } => "max children",
            Refusal::NotFound => "not found",
            Refusal::Running => "running",
            Refusal::Restarting => "restarting",
            Refusal::Invalid(_) => "invalid",
            Refusal::Failed(_) => "failed",
            Refusal::Stopping => "stopping",
        },
    }
}

/// Settings that differ from a plain worker's in one thing.
pub(super) trait Varied {
    fn restarting(self, restart: Restart) -> Self;
    fn stopping(self, shutdown: Shutdown) -> Self;
    fn that_matters(self) -> Self;
}

impl Varied for ChildSettings {
    fn restarting(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    fn stopping(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }

    fn that_matters(mut self) -> Self {
        self.significant = true;
        self
    }
}
