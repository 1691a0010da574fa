//! The step itself: an event comes in, the lanes run until each waits or is empty, the actions go out.

use std::collections::VecDeque;

use crate::child::{ChildId, ChildSettings};
use crate::core::child::{Child, Phase};
use crate::core::closing::Ending;
use crate::core::decision::{Group, group};
use crate::core::family::Family;
use crate::core::lane::{Goal, Lane, LaneKey, Procedure, Progress, Work};
use crate::core::message::{Action, ChildKey, CoreConfig, Event, Kind, Life};
use crate::core::starting::StartSlots;
use crate::exit::ExitReason;
use crate::explain::LifeCourse;
use crate::moment::Moment;
use crate::report::Report;
use crate::restart::RestartWindow;

/// The whole state of one supervisor.
#[derive(Clone, Debug)]
pub(crate) struct Core {
    pub(super) config: CoreConfig,
    pub(super) stage: Stage,
    pub(super) family: Family,
    /// The lane of children that are tied together.
    pub(super) lane: Lane,
    /// Lanes that may be able to go on.
    pub(super) ready: VecDeque<LaneKey>,
    pub(super) slots: StartSlots,
    pub(super) window: RestartWindow,
    pub(super) chance: Chance,
    pub(super) now: Moment,
    pub(super) actions: Vec<Action>,
    /// Counts every turn of every loop: what a decision costs, without a clock.
    pub(super) effort: u64,
}

/// Where the supervisor is in its own life.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    /// Nothing has been started yet.
    New,
    /// The first children are being started.
    Booting,
    /// At work.
    Open,
    /// Stopping its children, for good.
    Closing(Ending),
    /// Over.
    Ended,
}

impl Core {
    /// A supervisor with these children, in start order. Their keys are their places in it.
    pub(crate) fn new(config: CoreConfig, children: impl IntoIterator<Item = ChildSettings>) -> Self {
        let mut family = Family::default();
        for (key, settings) in (0..).map(ChildKey).zip(children) {
            family.insert(key, Child::new(settings));
        }
        Self {
            stage: Stage::New,
            family,
            lane: Lane::default(),
            ready: VecDeque::new(),
            slots: StartSlots::default(),
            window: RestartWindow::default(),
            chance: Chance(config.seed),
            now: Moment::default(),
            actions: Vec::new(),
            effort: 0,
            config,
        }
    }

    /// Takes in what happened, and says what is to be done about it.
    #[must_use = "actions that nobody carries out leave the supervisor waiting for ever"]
    pub(crate) fn step(&mut self, event: Event, now: Moment) -> Vec<Action> {
        self.now = now;
        match event {
            Event::Boot => self.boot(),
            Event::Started { life } => self.on_started(life),
            Event::Ignored { life } => self.on_ignored(life),
            Event::StartFailed { life, failure } => self.on_start_failed(life, failure),
            Event::Exited { life, reason } => self.on_exited(life, reason),
            Event::Elapsed => self.on_elapsed(),
            Event::Called { call, caller } => self.submit(Work::Serve { call, caller }),
            Event::ShutdownRequested { reason } => self.close(Ending::requested(reason)),
        }
        while let Some(lane) = self.ready.pop_front() {
            self.run(lane);
        }
        std::mem::take(&mut self.actions)
    }

    /// When the core wants to be told that time has passed.
    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        self.family.next_deadline()
    }

    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended)
    }

    pub(crate) fn kind(&self) -> Kind {
        self.config.kind
    }

    /// The children, oldest first.
    pub(crate) fn children(&self) -> impl DoubleEndedIterator<Item = (ChildKey, &Child)> {
        self.family.iter()
    }

    pub(crate) fn find(&self, id: &ChildId) -> Option<(ChildKey, &Child)> {
        let key = self.family.find(id)?;
        Some((key, self.family.get(key)?))
    }

    pub(crate) fn child(&self, key: ChildKey) -> Option<&Child> {
        self.family.get(key)
    }

    /// How many restarts the window holds now.
    pub(crate) fn restarts_in_window(&self, now: Moment) -> u32 {
        self.window.recent(self.config.policy.intensity, now)
    }

    /// How many elementary steps the decisions have taken so far.
    pub(crate) fn effort(&self) -> u64 {
        self.effort
    }

    fn on_elapsed(&mut self) {
        while let Some(key) = self.family.take_due(self.now) {
            self.effort += 1;
            match self.family.get(key).map(|child| &child.phase) {
                Some(Phase::Starting) => self.on_start_timeout(key),
                Some(Phase::Stopping(_)) => self.on_stop_timeout(key),
                Some(Phase::Delayed { .. }) => self.submit(Work::Retry(key)),
                Some(Phase::Down | Phase::Queued | Phase::Up { .. } | Phase::Dead { .. }) | None => {}
            }
        }
    }

    fn on_exited(&mut self, life: Life, reason: Option<ExitReason>) {
        let now = self.now;
        let Some(child) = self.family.living(life) else { return };
        match &child.phase {
            &Phase::Up { since } => {
                let reason = reason.unwrap_or(ExitReason::Cancelled);
                let uptime = now - since;
                child.record(LifeCourse::Ended { uptime, reason: reason.clone() });
                child.phase = Phase::Dead { reason, uptime };
                self.submit(Work::Judge(life.key));
            }
            Phase::Stopping(_) => self.on_stopped(life.key, reason),
            Phase::Down | Phase::Queued | Phase::Starting | Phase::Dead { .. } | Phase::Delayed { .. } => {}
        }
    }

    /// Hands work to the lane of the child that it concerns.
    pub(super) fn submit(&mut self, work: Work) {
        if self.is_closing() {
            return self.refuse(work);
        }
        let lane = match self.subject(&work) {
            _ if self.is_tied() => LaneKey::Family,
            Some(key) => LaneKey::Child(key),
            None => return self.perform(work),
        };
        if let Some(found) = self.lane_mut(lane) {
            found.waiting.push_back(work);
            self.ready.push_back(lane);
        }
    }

    fn run(&mut self, lane: LaneKey) {
        loop {
            self.effort += 1;
            let Some(found) = self.lane_mut(lane) else { return };
            if let Some(mut procedure) = found.procedure.take() {
                match self.advance(&mut procedure) {
                    Progress::Waiting => {
                        if let Some(found) = self.lane_mut(lane) {
                            found.procedure = Some(procedure);
                        }
                        return;
                    }
                    Progress::Done => self.finish(&procedure),
                    Progress::Abandoned => {}
                }
            } else if let Some(work) = found.waiting.pop_front() {
                self.perform(work);
            } else {
                return;
            }
        }
    }

    fn perform(&mut self, work: Work) {
        match work {
            Work::Judge(key) => self.judge(key),
            Work::Retry(key) => self.retry(key),
            Work::Serve { call, caller } => self.serve(call, caller),
        }
    }

    fn advance(&mut self, procedure: &mut Procedure) -> Progress {
        if self.stop_in_order(procedure) == Progress::Waiting {
            return Progress::Waiting;
        }
        if let Goal::Restart { trigger, due } = procedure.goal
            && due > self.now
        {
            self.delay(trigger, due);
            return Progress::Abandoned;
        }
        self.start_in_order(procedure)
    }

    fn finish(&mut self, procedure: &Procedure) {
        match procedure.goal {
            Goal::Boot => self.booted(),
            Goal::Restart { .. } => {}
            Goal::Start { key, caller, .. } => self.reply_started(key, caller),
            Goal::Terminate { caller } => self.reply_terminated(caller),
            Goal::Close => self.closed(),
        }
    }

    /// Begins a procedure on the lane of a child.
    pub(super) fn begin(&mut self, key: ChildKey, procedure: Procedure) {
        let lane = self.lane_of(key);
        if let Some(found) = self.lane_mut(lane) {
            debug_assert!(found.procedure.is_none(), "a lane runs one procedure at a time");
            found.procedure = Some(Box::new(procedure));
            self.ready.push_back(lane);
        }
    }

    /// Lets the lane of a child go on: something that it may wait for has happened.
    pub(super) fn wake(&mut self, key: ChildKey) {
        let lane = self.lane_of(key);
        self.ready.push_back(lane);
    }

    pub(super) fn lane_of(&self, key: ChildKey) -> LaneKey {
        if self.is_tied() { LaneKey::Family } else { LaneKey::Child(key) }
    }

    pub(super) fn lane_mut(&mut self, lane: LaneKey) -> Option<&mut Lane> {
        match lane {
            LaneKey::Family => Some(&mut self.lane),
            LaneKey::Child(key) => self.family.get_mut(key).map(|child| &mut child.lane),
        }
    }

    /// Whether all children share one lane just now.
    pub(super) fn is_tied(&self) -> bool {
        match self.stage {
            Stage::New | Stage::Booting | Stage::Closing(_) | Stage::Ended => true,
            Stage::Open => group(self.config.kind) != Group::Alone,
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        matches!(self.stage, Stage::Closing(_) | Stage::Ended)
    }

    pub(super) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(super) fn report(&mut self, report: Report) {
        self.actions.push(Action::Report(report));
    }

    /// Forgets a child. What waited for it is looked at anew: it may now find nobody, or make room for a namesake.
    pub(super) fn remove(&mut self, key: ChildKey) {
        let Some(child) = self.family.remove(key) else { return };
        self.act(Action::Forget { key });
        for work in child.lane.waiting {
            self.submit(work);
        }
    }
}

/// The core's own chance, from a seed: the same script makes the same run (splitmix64).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The next number in `0..1`.
    pub(super) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
