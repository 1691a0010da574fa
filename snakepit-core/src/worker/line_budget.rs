//! How many lines of a worker's output are handed on: so many a second, and the number of the others.

use std::time::Duration;

use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// What one life may still say in this second, in one of the ways that it has.
#[derive(Debug)]
pub(super) struct LineBudget {
    limit: u32,
    /// When the second began, by the first line in it.
    began: Option<Instant>,
    passed: u32,
    /// Lines that were left out and have not been told of.
    left_out: u64,
}

/// The verdict on a line.
#[must_use = "a line that nobody hands on is neither read nor counted"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineVerdict {
    /// Whether it is handed on.
    pub(super) passes: bool,
    /// How many were left out before it, where that is to be told now.
    pub(super) left_out: u64,
}

impl LineBudget {
    pub(super) fn new(limit: u32) -> Self {
        Self { limit, began: None, passed: 0, left_out: 0 }
    }

    /// Judges a line. What was left out is told with the first line of another second.
    pub(super) fn on_line(&mut self, now: Instant) -> LineVerdict {
        let mut left_out = 0;
        if self.began.is_none_or(|began| now.saturating_duration_since(began) >= SECOND) {
            (self.began, self.passed) = (Some(now), 0);
            left_out = self.rest();
        }
        let passes = self.passed < self.limit;
        if passes {
            self.passed += 1;
        } else {
            self.left_out += 1;
        }
        LineVerdict { passes, left_out }
    }

    /// How many were left out that have not been told of, at the end.
    pub(super) fn rest(&mut self) -> u64 {
        std::mem::take(&mut self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSES: LineVerdict = LineVerdict { passes: true, left_out: 0 };
    const LEFT_OUT: LineVerdict = LineVerdict { passes: false, left_out: 0 };

    #[test]
    fn so_many_lines_a_second_are_handed_on_and_the_others_counted() {
        let (mut budget, began) = (LineBudget::new(2), Instant::now());
        let mut at = |ms| budget.on_line(began + Duration::from_millis(ms));
        assert_eq!([0, 10, 20, 999].map(&mut at), [PASSES, PASSES, LEFT_OUT, LEFT_OUT]);
        assert_eq!([1000, 1001].map(&mut at), [LineVerdict { left_out: 2, ..PASSES }, PASSES]);
        assert_eq!([1002, 1999].map(&mut at), [LEFT_OUT; 2]);
        assert_eq!((budget.rest(), budget.rest()), (2, 0));
    }

    #[test]
    fn a_quiet_worker_loses_nothing() {
        let (mut budget, began) = (LineBudget::new(1), Instant::now());
        for second in 0..100 {
            assert_eq!(budget.on_line(began + SECOND * second), PASSES);
        }
    }

    #[test]
    fn a_limit_of_zero_hands_nothing_on_and_counts_all() {
        let (mut budget, began) = (LineBudget::new(0), Instant::now());
        assert_eq!([0, 1].map(|ms| budget.on_line(began + Duration::from_millis(ms))), [LEFT_OUT; 2]);
        assert_eq!(budget.on_line(began + SECOND), LineVerdict { passes: false, left_out: 2 });
    }
}
