//! Names and numbers that say *which*: pool, slot, life of a worker, request, session.

mod session;

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

pub use session::SessionId;

/// What was wrong with a name that a caller chose.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {name:?} is not valid: {rule}")]
pub struct InvalidName {
    what: &'static str,
    name: String,
    rule: &'static str,
}

impl InvalidName {
    /// Checks a plain name: 1 to 64 ASCII letters, digits, `_` and `-`.
    pub(crate) fn check(what: &'static str, name: &str) -> Result<(), Self> {
        let fits = (1..=64).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if fits {
            return Ok(());
        }
        let name = name.chars().take(80).collect();
        Err(Self { what, name, rule: "1 to 64 ASCII letters, digits, '_' and '-'" })
    }
}

/// The name of a pool: 1 to 64 ASCII letters, digits, `_` and `-`.
///
/// It stands in environment markers, log fields and metric labels, so it never needs quoting.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PoolName(Arc<str>);

impl PoolName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`InvalidName`] for an empty name, one over 64 bytes, or one with another character.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        InvalidName::check("pool name", name)?;
        Ok(Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PoolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PoolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Serialize for PoolName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A place for one worker in a pool, counted from 0. It stays the same over restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Slot(pub u16);

/// Which life of a slot's worker, counted from 1. A later life always has a higher number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Incarnation(pub u64);

/// One request, unique within a [`Snakepit`](crate::Snakepit). Never 0, which on the wire means "the connection".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct RequestId(pub u64);

/// A worker as its pool knows it: stable over restarts. Displayed as `pool/slot`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct WorkerId {
    /// The pool it belongs to.
    pub pool: PoolName,
    /// Its place in that pool.
    pub slot: Slot,
}

/// One life of a worker: what a message, a record or an error is about. Displayed as `pool/slot#incarnation`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct WorkerLife {
    /// Which worker.
    #[serde(flatten)]
    pub worker: WorkerId,
    /// Which of its lives.
    pub incarnation: Incarnation,
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pool, self.slot)
    }
}

impl fmt::Display for WorkerLife {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.worker, self.incarnation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_name_is_plain_ascii() {
        assert_eq!(PoolName::new("gpu-2_b").unwrap().to_string(), "gpu-2_b");
        for bad in ["", "a b", "a/b", "a.b", "ä", &"x".repeat(65)] {
            let error = PoolName::new(bad).unwrap_err().to_string();
            assert!(error.contains("pool name") && error.contains("1 to 64"), "{error}");
        }
    }

    #[test]
    fn a_life_prints_pool_slot_and_incarnation() {
        let pool = PoolName::new("default").unwrap();
        let life = WorkerLife { worker: WorkerId { pool, slot: Slot(3) }, incarnation: Incarnation(2) };
        assert_eq!(life.to_string(), "default/3#2");
        let json = serde_json::to_value(&life).unwrap();
        assert_eq!(json, serde_json::json!({"pool": "default", "slot": 3, "incarnation": 2}));
    }
}
