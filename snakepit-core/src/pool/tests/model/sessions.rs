//! What the model knows of sessions: where they may run, and whether their callers were told of a change.

use std::collections::{BTreeMap, HashSet};

use crate::config::Affinity;
use crate::error::ExecuteError;
use crate::pool::Response;
use crate::pool::message::Life;

pub(super) struct Sessions {
    is_strict: bool,
    /// Which living worker the model last saw a session on.
    at: BTreeMap<u8, Life>,
    known: BTreeMap<u8, Known>,
}

/// What the callers of one session know.
#[derive(Default)]
struct Known {
    /// The lives that have answered them.
    answered: HashSet<Life>,
    /// The lives that were given something of it.
    given: HashSet<Life>,
    /// The lives of which they were told that the session was lost with them.
    told: HashSet<Life>,
    /// How often it may have begun anew for another reason: it was ended, or a loss was told to nobody who reads.
    other_beginnings: usize,
}

impl Sessions {
    pub(super) fn new(affinity: Affinity) -> Self {
        let is_strict = matches!(affinity, Affinity::StrictQueue | Affinity::StrictFailFast);
        Self { is_strict, at: BTreeMap::new(), known: BTreeMap::new() }
    }

    /// A request was given to a worker. A strict session is never on two that take requests.
    pub(super) fn given(&mut self, session: u8, life: Life, ready: &HashSet<Life>) {
        self.known.entry(session).or_default().given.insert(life);
        if !ready.contains(&life) {
            return;
        }
        let former = self.at.insert(session, life);
        assert!(
            !self.is_strict || former.is_none_or(|former| former == life),
            "{session} moved from {former:?} to {life:?}"
        );
    }

    /// Only these take requests now. Who is to leave may still be in the middle of a session that has started afresh
    /// elsewhere.
    pub(super) fn keep(&mut self, ready: &HashSet<Life>) {
        self.at.retain(|_, life| ready.contains(life));
    }

    pub(super) fn lost(&mut self, gone: Life) {
        self.at.retain(|_, life| *life != gone);
    }

    pub(super) fn ended(&mut self, session: u8) {
        self.at.remove(&session);
        self.may_begin_anew(session);
    }

    /// Somebody has been told that it does, or it is nobody's loss.
    pub(super) fn may_begin_anew(&mut self, session: u8) {
        self.known.entry(session).or_default().other_beginnings += 1;
    }

    pub(super) fn failed(&mut self, session: u8, error: &ExecuteError) {
        if let ExecuteError::SessionLost { worker, .. } = error {
            assert!(self.is_strict, "{session} was not strict, and was lost");
            self.known.entry(session).or_default().told.insert(Life::from(worker));
        }
    }

    /// Never somebody else's state without a word.
    pub(super) fn answered(&mut self, session: u8, response: &Response, ready: &HashSet<Life>) {
        let life = Life::from(&response.worker);
        let known = self.known.entry(session).or_default();
        known.answered.insert(life);
        if response.session_reset {
            assert!(known.given.iter().any(|life| !ready.contains(life)), "{session} lost nothing");
        } else if self.is_strict {
            let beginnings = 1 + known.told.len() + known.other_beginnings;
            assert!(
                known.answered.len() <= beginnings,
                "{session} began anew on {life:?}, and nobody was told"
            );
        }
    }
}
