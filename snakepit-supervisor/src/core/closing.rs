//! Closing: everybody who waits is answered, every child is stopped, and then the supervisor ends.

use crate::child::ChildId;
use crate::core::child::Phase;
use crate::core::lane::{Goal, Lane, LaneKey, Procedure, Work};
use crate::core::message::{Action, Call, ChildKey, Kind, Refusal, Reply};
use crate::core::step::{Core, Stage};
use crate::error::StartFailure;
use crate::exit::SHUTDOWN;

/// How a supervisor ends, once its children are gone.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    reason: Option<String>,
    failure: Option<(Option<ChildId>, StartFailure)>,
}

impl Ending {
    /// Somebody asked for it.
    pub(super) fn requested(reason: Option<String>) -> Self {
        Self { reason, failure: None }
    }

    /// By its own decision: given up, or with its significant children. Always `shutdown`, as in OTP.
    pub(super) fn shutdown() -> Self {
        Self::requested(Some(SHUTDOWN.to_owned()))
    }
}

impl Core {
    pub(super) fn fail_boot(&mut self, key: ChildKey, failure: StartFailure) {
        let child = self.family.get(key).map(|child| child.settings.id.clone());
        self.close(Ending { failure: Some((child, failure)), ..Ending::shutdown() });
    }

    /// Stops everything: a static supervisor one child after the other, newest first; a dynamic one all at once.
    pub(super) fn close(&mut self, mut ending: Ending) {
        if self.is_closing() {
            return;
        }
        if matches!(self.stage, Stage::New | Stage::Booting) && ending.failure.is_none() {
            ending.failure = Some((None, StartFailure::Stopped));
        }
        self.stage = Stage::Closing(ending);
        let keys = self.family.keys();
        self.effort += keys.len() as u64;
        let lane = std::mem::take(&mut self.lane);
        self.dissolve(lane);
        for &key in &keys {
            let lane = self.family.get_mut(key).map(|child| std::mem::take(&mut child.lane));
            self.dissolve(lane.unwrap_or_default());
            if matches!(self.config.kind, Kind::Dynamic { .. }) {
                let _told = self.halt(key);
            }
        }
        // Those that are being stopped already come first: one after the other means after these.
        let is_stopping = |key: &ChildKey| {
            matches!(self.family.get(*key).map(|child| &child.phase), Some(Phase::Stopping(_)))
        };
        let (stopping, mut stops): (Vec<_>, Vec<_>) = keys.into_iter().partition(is_stopping);
        stops.extend(stopping);
        self.lane.procedure = Some(Box::new(Procedure::new(stops, [].into(), Goal::Close)));
        self.ready.push_back(LaneKey::Family);
    }

    /// Answers whoever waits in a lane that is no more.
    fn dissolve(&mut self, lane: Lane) {
        if let Some(procedure) = lane.procedure
            && let Goal::Start { caller, .. } | Goal::Terminate { caller } = procedure.goal
        {
            self.reply(caller, Reply::Refused(Refusal::Stopping));
        }
        for work in lane.waiting {
            self.refuse(work);
        }
    }

    pub(super) fn refuse(&mut self, work: Work) {
        match work {
            // Nothing is restarted any more, and the ends of children are taken by the closing itself.
            Work::Judge(_) | Work::Retry(_) => {}
            Work::Serve { call, caller } => {
                if let Call::Start { key, .. } = call {
                    self.act(Action::Forget { key });
                }
                self.reply(caller, Reply::Refused(Refusal::Stopping));
            }
        }
    }

    pub(super) fn closed(&mut self) {
        let Stage::Closing(ending) = std::mem::replace(&mut self.stage, Stage::Ended) else { return };
        if let Some((child, failure)) = ending.failure {
            self.act(Action::BootFailed { child, failure });
        }
        self.act(Action::Exit { reason: ending.reason });
    }
}
