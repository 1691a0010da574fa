//! Requests: what each call does to a child in each of its states.
//!
//! | call | running | restarting | stopped | unknown |
//! |---|---|---|---|---|
//! | `start_child` | already started | already present | already present | starts, as the newest |
//! | `terminate_child` | stops | cancels the restart | fine | not found |
//! | `restart_child` | running | restarting | starts, in its old place | not found |
//! | `delete_child` | running | restarting | forgets | not found |
//!
//! A dynamic supervisor starts any number of children of one id, up to its limit, and keeps none that is stopped.

use crate::child::ChildSettings;
use crate::core::child::Child;
use crate::core::decision::{Presence, presence};
use crate::core::lane::{Goal, Procedure, Work};
use crate::core::message::{Action, Call, Caller, ChildKey, Kind, Refusal, Reply, Target};
use crate::core::step::Core;
use crate::validation::check_child;

impl Core {
    /// The child that a piece of work concerns, if it is known.
    pub(super) fn subject(&self, work: &Work) -> Option<ChildKey> {
        match work {
            &Work::Judge(key) | &Work::Retry(key) => Some(key),
            Work::Serve { call, .. } => match call {
                Call::Start { settings, .. } => self.namesake(settings),
                Call::Terminate { target } => self.resolve(target),
                Call::Restart { id } | Call::Delete { id } => self.family.find(id),
            },
        }
    }

    pub(super) fn serve(&mut self, call: Call, caller: Caller) {
        match call {
            Call::Start { key, settings } => self.serve_start(key, settings, caller),
            Call::Terminate { target } => self.serve_terminate(&target, caller),
            Call::Restart { id } => self.serve_restart(self.family.find(&id), caller),
            Call::Delete { id } => self.serve_delete(self.family.find(&id), caller),
        }
    }

    fn serve_start(&mut self, key: ChildKey, settings: ChildSettings, caller: Caller) {
        if let Some(refusal) = self.refusal_to_start(&settings) {
            self.act(Action::Forget { key });
            return self.reply(caller, Reply::Refused(refusal));
        }
        self.family.insert(key, Child::new(settings));
        let goal = Goal::Start { key, caller, fresh: true };
        self.begin(key, Procedure::new(Vec::new(), [key].into(), goal));
    }

    fn refusal_to_start(&self, settings: &ChildSettings) -> Option<Refusal> {
        if let Err(error) = check_child(settings, self.config.auto_shutdown) {
            return Some(Refusal::Invalid(error));
        }
        if let Kind::Dynamic { max_children: Some(limit) } = self.config.kind
            && self.family.len() >= limit
        {
            return Some(Refusal::MaxChildren { limit });
        }
        let key = self.namesake(settings)?;
        let child = self.family.get(key)?;
        Some(match presence(&child.phase) {
            Presence::Running => Refusal::AlreadyStarted { life: child.life(key) },
            Presence::Restarting | Presence::Stopped => Refusal::AlreadyPresent,
        })
    }

    fn serve_terminate(&mut self, target: &Target, caller: Caller) {
        match self.resolve(target) {
            None => self.reply(caller, Reply::Refused(Refusal::NotFound)),
            Some(key) => {
                let goal = Goal::Terminate { caller };
                self.begin(key, Procedure::new(vec![key], [].into(), goal));
            }
        }
    }

    fn serve_restart(&mut self, found: Option<ChildKey>, caller: Caller) {
        let Some((key, child)) = found.and_then(|key| Some((key, self.family.get(key)?))) else {
            return self.reply(caller, Reply::Refused(Refusal::NotFound));
        };
        match presence(&child.phase) {
            Presence::Running => self.reply(caller, Reply::Refused(Refusal::Running)),
            Presence::Restarting => self.reply(caller, Reply::Refused(Refusal::Restarting)),
            Presence::Stopped => {
                let goal = Goal::Start { key, caller, fresh: false };
                self.begin(key, Procedure::new(Vec::new(), [key].into(), goal));
            }
        }
    }

    fn serve_delete(&mut self, found: Option<ChildKey>, caller: Caller) {
        let Some((key, child)) = found.and_then(|key| Some((key, self.family.get(key)?))) else {
            return self.reply(caller, Reply::Refused(Refusal::NotFound));
        };
        match presence(&child.phase) {
            Presence::Running => self.reply(caller, Reply::Refused(Refusal::Running)),
            Presence::Restarting => self.reply(caller, Reply::Refused(Refusal::Restarting)),
            Presence::Stopped => {
                self.reply(caller, Reply::Deleted);
                self.remove(key);
            }
        }
    }

    /// A child with the same id, where ids are unique.
    fn namesake(&self, settings: &ChildSettings) -> Option<ChildKey> {
        match self.config.kind {
            Kind::Static(_) => self.family.find(&settings.id),
            Kind::Dynamic { .. } => None,
        }
    }

    fn resolve(&self, target: &Target) -> Option<ChildKey> {
        match target {
            Target::Id(id) => self.family.find(id),
            &Target::Key(key) => self.family.get(key).map(|_| key),
        }
    }

    pub(super) fn reply_started(&mut self, key: ChildKey, caller: Caller) {
        if let Some(child) = self.family.get(key) {
            let life = child.life(key);
            self.reply(caller, Reply::Started { life });
        }
    }

    pub(super) fn reply_terminated(&mut self, caller: Caller) {
        self.reply(caller, Reply::Terminated);
    }

    pub(super) fn reply(&mut self, caller: Caller, reply: Reply) {
        self.act(Action::Reply { caller, reply });
    }
}
