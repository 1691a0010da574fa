//! The index of sessions: from a name to the place where its binding lies, without keeping the name a second time.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::id::SessionId;
use crate::session_affinity::recency::{Recency, Spot};

/// How many tables the index is made of: one for each value of a byte. A table that grows sorts all that it has anew, and
/// a request waits for one of many.
const TABLES: usize = 1 << u8::BITS;

/// What is left of a session's name to find its table and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hash(u32);

/// Something that belongs to a session.
pub(super) trait OfSession {
    fn session(&self) -> &SessionId;
    /// The [`Spots::hash`] of its session. Kept, because to read a name costs as much as all else.
    fn hash(&self) -> Hash;
}

/// The spots of a [`Recency`] by their sessions. A spot is a quarter of a key, so a million cost little beside the things.
///
/// Keys come from outside: they are hashed with a secret, as the standard map does it.
#[derive(Debug)]
pub(super) struct Spots {
    tables: Box<[HashTable<Spot>]>,
    secret: RandomState,
    len: usize,
}

impl Default for Spots {
    fn default() -> Self {
        let tables = (0..TABLES).map(|_| HashTable::new()).collect();
        Self { tables, secret: RandomState::new(), len: 0 }
    }
}

impl Hash {
    /// Which table.
    fn table(self) -> usize {
        let [lowest, ..] = self.0.to_le_bytes();
        usize::from(lowest)
    }

    /// The rest, spread over all the bits that a table looks at.
    fn spread(self) -> u64 {
        // Fibonacci hashing (Knuth, The Art of Computer Programming 3, section 6.4): 2^64 over the golden ratio.
        u64::from(self.0 >> u8::BITS).wrapping_mul(0x9E37_79B9_7F4A_7C15)
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
        let is_of = |thing: &T| thing.hash() == hash && thing.session() == session;
        self.tables[hash.table()].find(hash.spread(), |spot| things.get(*spot).is_some_and(is_of)).copied()
    }

    /// Notes a spot whose thing has just been put there.
    pub(super) fn insert<T: OfSession>(&mut self, hash: Hash, spot: Spot, things: &Recency<T>) {
        let spread = |spot: &Spot| things.get(*spot).map_or(0, |thing| thing.hash().spread());
        self.tables[hash.table()].insert_unique(hash.spread(), spot, spread);
        self.len += 1;
    }

    /// Forgets a spot, whose thing may have been taken already.
    pub(super) fn remove(&mut self, hash: Hash, spot: Spot) {
        if let Ok(entry) = self.tables[hash.table()].find_entry(hash.spread(), |other| *other == spot) {
            entry.remove();
            self.len -= 1;
        }
    }
}
