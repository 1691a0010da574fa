//! Where each session's binding lies: found by the session, which is written down only once, at the binding itself.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::id::SessionId;
use crate::session_affinity::recency::{Recency, Spot};

/// Something that belongs to a session.
pub(super) trait OfSession {
    fn session(&self) -> &SessionId;
}

/// The spots of a [`Recency`] by their sessions. A spot is a quarter of a key, so a million cost little beside the things.
///
/// Keys come from outside: they are hashed with a secret, as the standard map does it.
#[derive(Debug, Default)]
pub(super) struct Spots {
    table: HashTable<Spot>,
    secret: RandomState,
}

impl Spots {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn find<T: OfSession>(&self, session: &SessionId, things: &Recency<T>) -> Option<Spot> {
        self.table.find(self.secret.hash_one(session), |spot| is_of(things, *spot, session)).copied()
    }

    /// Notes a spot whose thing has just been put there.
    pub(super) fn insert<T: OfSession>(&mut self, session: &SessionId, spot: Spot, things: &Recency<T>) {
        let secret = &self.secret;
        let hash_of = |spot: &Spot| things.get(*spot).map_or(0, |thing| secret.hash_one(thing.session()));
        self.table.insert_unique(secret.hash_one(session), spot, hash_of);
    }

    /// Forgets a spot, while its thing is still there or just has been.
    pub(super) fn remove(&mut self, session: &SessionId, spot: Spot) {
        if let Ok(entry) = self.table.find_entry(self.secret.hash_one(session), |other| *other == spot) {
            entry.remove();
        }
    }
}

fn is_of<T: OfSession>(things: &Recency<T>, spot: Spot, session: &SessionId) -> bool {
    things.get(spot).is_some_and(|thing| thing.session() == session)
}
