//! The index of sessions: from a name to the place where its binding lies, without keeping the name a second time.

use std::hash::{BuildHasher, RandomState};

use crate::id::SessionId;
use crate::session_affinity::recency::{Recency, Spot};
use crate::session_affinity::spots::row::Row;

mod row;

/// How many rows the index is made of: one for each value of a byte. One that grows puts all that it has anew, and a request
/// waits for one of many.
const ROWS: usize = 1 << u8::BITS;

/// What is left of a session's name to find its row and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hash(u32);

/// Something that belongs to a session.
pub(super) trait OfSession {
    fn session(&self) -> &SessionId;
}

/// The spots of a [`Recency`] by their sessions.
///
/// Keys come from outside: they are hashed with a secret, as the standard map does it.
#[derive(Debug)]
pub(super) struct Spots {
    rows: Box<[Row]>,
    secret: RandomState,
    len: usize,
}

impl Default for Spots {
    fn default() -> Self {
        let rows = (0..ROWS).map(|_| Row::default()).collect();
        Self { rows, secret: RandomState::new(), len: 0 }
    }
}

impl Hash {
    /// Which row.
    fn row(self) -> usize {
        let [lowest, ..] = self.0.to_le_bytes();
        usize::from(lowest)
    }

    /// Where in a row of any length.
    fn place(self) -> usize {
        (self.0 >> u8::BITS) as usize
    }
}

impl Spots {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn hash(&self, session: &SessionId) -> Hash {
        // One half is as good as the other.
        let [a, b, c, d, ..] = self.secret.hash_one(session).to_le_bytes();
        Hash(u32::from_le_bytes([a, b, c, d]))
    }

    pub(super) fn find<T: OfSession>(&self, session: &SessionId, things: &Recency<T>) -> Option<Spot> {
        let hash = self.hash(session);
        let is_it = |spot| things.get(spot).is_some_and(|thing| thing.session() == session);
        self.rows[hash.row()].find(hash, is_it)
    }

    /// Notes a spot whose thing has just been put there.
    pub(super) fn insert(&mut self, hash: Hash, spot: Spot) {
        self.rows[hash.row()].insert(hash, spot);
        self.len += 1;
    }

    /// Forgets a spot, whose thing may have been taken already.
    pub(super) fn remove(&mut self, hash: Hash, spot: Spot) {
        if self.rows[hash.row()].remove(hash, spot) {
            self.len -= 1;
        }
    }
}
