//! Places in all that is written to a worker: they tell what it has read of from what it has not.

/// How many bytes are written before that place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position(u64);

impl Position {
    /// The place so many bytes behind this one.
    pub(super) fn plus(self, bytes: usize) -> Self {
        Self(self.0.saturating_add(bytes as u64))
    }

    /// The place so many bytes before this one.
    pub(super) fn minus(self, bytes: usize) -> Self {
        Self(self.0.saturating_sub(bytes as u64))
    }
}
