//! Sessions that have ended, and whose workers have not been told. They outlive the pool's actor: what ends while there is
//! none, or is lost with its mailbox, is told by its next life.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::id::{SessionId, Slot};
use crate::pool::message::Life;
use crate::session_affinity::EndedSession;

/// How many are kept. A pool's actor is back in milliseconds, and the largest share that ends at once is 256.
const LIMIT: usize = 4096;

/// The sessions that a pool's workers have yet to hear of.
#[derive(Debug, Default)]
pub(crate) struct EndedSessions(Mutex<Untold>);

#[derive(Debug, Default)]
struct Untold {
    of: HashMap<Life, HashSet<SessionId>>,
    count: usize,
}

impl EndedSessions {
    /// A session has ended. One too many is not kept: its worker keeps its state for as long as it lives.
    pub(super) fn add(&self, EndedSession { session, life }: &EndedSession) {
        let mut untold = self.untold();
        if untold.count < LIMIT && untold.of.entry(*life).or_default().insert(session.clone()) {
            untold.count += 1;
        }
    }

    /// Its worker is told, or is gone.
    pub(super) fn remove(&self, EndedSession { session, life }: &EndedSession) {
        let mut untold = self.untold();
        let Some(sessions) = untold.of.get_mut(life) else { return };
        let (was_there, is_empty) = (sessions.remove(session), sessions.is_empty());
        untold.count -= usize::from(was_there);
        if is_empty {
            untold.of.remove(life);
        }
    }

    /// Takes all that a worker has to be told; those before it in its slot are gone.
    pub(super) fn take(&self, life: Life) -> HashSet<SessionId> {
        let mut untold = self.untold();
        let sessions = untold.of.remove(&life).unwrap_or_default();
        untold.count -= sessions.len();
        untold.forget(|other| other.slot == life.slot && other.incarnation < life.incarnation);
        sessions
    }

    /// A slot is no more.
    pub(super) fn forget(&self, slot: Slot) {
        self.untold().forget(|life| life.slot == slot);
    }

    fn untold(&self) -> MutexGuard<'_, Untold> {
        // Nothing under this lock can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Untold {
    fn forget(&mut self, is_gone: impl Fn(&Life) -> bool) {
        self.of.retain(|life, _| !is_gone(life));
        self.count = self.of.values().map(HashSet::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Incarnation;

    fn life(slot: u16, incarnation: u64) -> Life {
        Life { slot: Slot(slot), incarnation: Incarnation(incarnation) }
    }

    fn ended(session: usize, life: Life) -> EndedSession {
        EndedSession { session: SessionId::new(&session.to_string()).unwrap(), life }
    }

    #[test]
    fn a_worker_is_told_what_it_has_not_been_told_and_once() {
        let sessions = EndedSessions::default();
        for session in [1, 2, 2, 3] {
            sessions.add(&ended(session, life(0, 1)));
        }
        sessions.remove(&ended(2, life(0, 1)));
        sessions.remove(&ended(9, life(0, 1)));
        assert_eq!(sessions.take(life(0, 1)).len(), 2);
        assert!(sessions.take(life(0, 1)).is_empty());
        let untold = sessions.untold();
        assert_eq!((untold.count, untold.of.len()), (0, 0));
    }

    #[test]
    fn what_only_those_knew_who_are_gone_is_forgotten() {
        let sessions = EndedSessions::default();
        let lives = [life(0, 1), life(0, 2), life(0, 3), life(1, 1), life(2, 1)];
        for life in lives {
            sessions.add(&ended(1, life));
        }
        assert_eq!(sessions.take(life(0, 2)).len(), 1);
        sessions.forget(Slot(1));
        let untold = sessions.untold();
        let mut left: Vec<_> = untold.of.keys().copied().collect();
        left.sort_unstable();
        assert_eq!((left, untold.count), (vec![life(0, 3), life(2, 1)], 2));
    }

    #[test]
    fn no_more_are_kept_than_the_limit() {
        let sessions = EndedSessions::default();
        (0..LIMIT + 10).for_each(|session| sessions.add(&ended(session, life(0, 1))));
        sessions.remove(&ended(0, life(0, 1)));
        sessions.add(&ended(LIMIT + 11, life(0, 1)));
        assert_eq!(sessions.take(life(0, 1)).len(), LIMIT);
    }
}
