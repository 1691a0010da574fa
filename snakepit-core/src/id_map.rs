//! A map by request id, for tables that are looked at with every request.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A table by the number of a request, a [`RequestId`](crate::RequestId) or what the wire has for it. Only numbers that
/// were counted up may be put in; whoever chooses what is put in could make every look into it slow. Any number may be
/// looked up.
pub type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// Spreads numbers that were counted up: a multiplication does.
#[derive(Debug, Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        // 2^64 divided by the golden ratio: neighbours end far apart, in the high bits as well, which the map uses.
        self.0 = (self.0 ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
