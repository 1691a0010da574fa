//! A point in time as the pure rooms know it: counted from the supervisor's own start, given from outside.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A point in time, counted from the start of the supervisor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Moment(Duration);

impl Moment {
    pub(crate) const fn at(since_start: Duration) -> Self {
        Self(since_start)
    }

    pub(crate) const fn since_start(self) -> Duration {
        self.0
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(delay))
    }
}

impl Sub for Moment {
    type Output = Duration;

    /// The time between two moments, or none if `earlier` is the later one.
    fn sub(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}
