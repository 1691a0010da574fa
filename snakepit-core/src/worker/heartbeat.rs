//! The watch over a worker that is ready: whether its silence is that of one that hangs.

use std::time::Duration;

/// What is remembered from one beat to the next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heartbeat {
    signs: u64,
    misses: u32,
    /// What its processes had used at the last beat, where that had to be looked at.
    cpu_time: Option<Duration>,
}

/// What a beat finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beat {
    /// How much has come from the worker so far.
    pub(super) signs: u64,
    /// How many requests it has.
    pub(super) running: u32,
    /// So many misses in a row are too many.
    pub(super) limit: u32,
}

/// The verdict on a beat.
#[must_use = "a worker that hangs keeps its slot for ever"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeartbeatVerdict {
    /// It gave a sign of life, or may be silent for a while longer.
    Alive,
    /// It is silent and has something to do: what its processes use says whether it does it.
    ReadUsage,
    /// It has been silent for too long.
    Unresponsive { misses: u32 },
}

impl Heartbeat {
    /// Starts counting from what has come so far.
    pub(super) fn begin(&mut self, signs: u64) {
        *self = Self { signs, ..Self::default() };
    }

    /// Judges the time since the last beat.
    pub(super) fn on_beat(&mut self, beat: Beat) -> HeartbeatVerdict {
        if beat.signs != self.signs {
            self.begin(beat.signs);
            HeartbeatVerdict::Alive
        } else if beat.running > 0 {
            HeartbeatVerdict::ReadUsage
        } else {
            self.cpu_time = None;
            self.missed(beat.limit)
        }
    }

    /// Judges what the processes of a busy worker have used. One that computes may be silent for as long as it likes: the
    /// caller's deadline watches it. So does it where nobody can say what it uses.
    ///
    /// The first look has nothing to be compared with, and condemns nobody by itself. Any difference counts as life: what
    /// is read may also get less, when a process has just ended.
    pub(super) fn on_usage(&mut self, beat: Beat, cpu_time: Option<Duration>) -> HeartbeatVerdict {
        let before = std::mem::replace(&mut self.cpu_time, cpu_time);
        match (before, cpu_time) {
            _ if beat.signs != self.signs => self.begin(beat.signs),
            (_, None) => self.misses = 0,
            (None, Some(_)) => self.misses = (self.misses + 1).min(beat.limit.saturating_sub(1)),
            (Some(before), Some(now)) if before != now => self.misses = 0,
            (Some(_), Some(_)) => return self.missed(beat.limit),
        }
        HeartbeatVerdict::Alive
    }

    fn missed(&mut self, limit: u32) -> HeartbeatVerdict {
        self.misses += 1;
        if self.misses >= limit {
            HeartbeatVerdict::Unresponsive { misses: self.misses }
        } else {
            HeartbeatVerdict::Alive
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HeartbeatVerdict::{Alive, ReadUsage, Unresponsive};
    use super::*;

    const LIMIT: u32 = 3;

    fn beat(signs: u64, running: u32) -> Beat {
        Beat { signs, running, limit: LIMIT }
    }

    #[expect(clippy::unnecessary_wraps, reason = "as a look at the tree says it")]
    fn ms(ms: u64) -> Option<Duration> {
        Some(Duration::from_millis(ms))
    }

    /// The verdicts on a busy worker that stays silent, one for each look.
    fn busy<const N: usize>(
        heartbeat: &mut Heartbeat,
        looks: [Option<Duration>; N],
    ) -> [HeartbeatVerdict; N] {
        looks.map(|cpu_time| {
            assert_eq!(heartbeat.on_beat(beat(0, 1)), ReadUsage);
            heartbeat.on_usage(beat(0, 1), cpu_time)
        })
    }

    #[test]
    fn only_misses_in_a_row_count_against_an_idle_worker() {
        let mut heartbeat = Heartbeat::default();
        heartbeat.begin(5);
        let verdicts = [5, 5, 6, 6, 6, 6].map(|signs| heartbeat.on_beat(beat(signs, 0)));
        assert_eq!(verdicts, [Alive, Alive, Alive, Alive, Alive, Unresponsive { misses: 3 }]);
    }

    #[test]
    fn a_sign_of_life_is_all_that_is_asked_of_a_busy_worker() {
        let mut heartbeat = Heartbeat::default();
        for signs in 1..100 {
            assert_eq!(heartbeat.on_beat(beat(signs, 1)), Alive);
        }
    }

    #[test]
    fn a_busy_worker_that_uses_no_processor_hangs() {
        let verdicts = busy(&mut Heartbeat::default(), [ms(70); 3]);
        assert_eq!(verdicts, [Alive, Alive, Unresponsive { misses: 3 }]);
    }

    #[test]
    fn a_busy_worker_that_computes_may_be_silent() {
        let mut heartbeat = Heartbeat::default();
        for used in 0..100 {
            assert_eq!(busy(&mut heartbeat, [ms(used * 10)]), [Alive]);
        }
        // A process of it has ended, and is missing from the sum.
        assert_eq!(busy(&mut heartbeat, [ms(5), ms(6), ms(6)]), [Alive; 3]);
        assert_eq!(busy(&mut heartbeat, [ms(6), ms(6)]), [Alive, Unresponsive { misses: 3 }]);
    }

    #[test]
    fn a_busy_worker_of_which_nobody_can_tell_is_left_to_its_deadline() {
        let mut heartbeat = Heartbeat::default();
        assert_eq!(busy(&mut heartbeat, [None; 20]), [Alive; 20]);
        assert_eq!(busy(&mut heartbeat, [ms(1), ms(1), None, ms(1), ms(1)]), [Alive; 5]);
    }

    #[test]
    fn a_sign_that_comes_while_the_usage_is_read_counts() {
        let mut heartbeat = Heartbeat::default();
        assert_eq!(busy(&mut heartbeat, [ms(1), ms(1)]), [Alive; 2]);
        assert_eq!(heartbeat.on_beat(beat(0, 1)), ReadUsage);
        assert_eq!(heartbeat.on_usage(beat(1, 0), ms(1)), Alive);
        let idle = [1, 1, 1].map(|signs| heartbeat.on_beat(beat(signs, 0)));
        assert_eq!(idle, [Alive, Alive, Unresponsive { misses: 3 }]);
    }

    #[test]
    fn the_first_look_condemns_nobody_whatever_was_missed_before() {
        let mut heartbeat = Heartbeat::default();
        assert_eq!([0, 0].map(|signs| heartbeat.on_beat(beat(signs, 0))), [Alive; 2]);
        assert_eq!(busy(&mut heartbeat, [ms(1), ms(1)]), [Alive, Unresponsive { misses: 3 }]);
        let strict = Beat { limit: 1, ..beat(0, 1) };
        let mut heartbeat = Heartbeat::default();
        assert_eq!(heartbeat.on_usage(strict, ms(1)), Alive);
        assert_eq!(heartbeat.on_usage(strict, ms(1)), Unresponsive { misses: 1 });
    }
}
