//! Which requests a worker says in one breath that it begins with, where its host wants to hear of each.
//!
//! A write for each would cost more than a short command does. Those that are said together count as begun together, and
//! are lost together if the process dies: so it is only said of what will most likely be done in a moment.

use std::collections::HashMap;
use std::time::Duration;

use crate::port::frame::Kind;
use crate::worker::requests::Job;

/// How long those that begin together are expected to take in all.
const MOMENT: Duration = Duration::from_micros(250);
/// So many at once: a write then costs each less than the rest of its way does.
pub(super) const MOST: usize = 16;
/// What a command is taken for before it has run, and what a longer one counts: a pause of the machine is soon forgotten.
const UNKNOWN: Duration = Duration::from_millis(1);
/// The last run counts one part in so many.
const WEIGHT: u32 = 8;

/// How long each command will most likely take.
#[derive(Debug)]
pub(super) struct Expectations(HashMap<String, Duration>);

impl Expectations {
    pub(super) fn new(commands: impl IntoIterator<Item = String>) -> Self {
        Self(commands.into_iter().map(|name| (name, UNKNOWN)).collect())
    }

    /// A command that there is not takes no time.
    fn of(&self, command: &str) -> Duration {
        self.0.get(command).copied().unwrap_or_default()
    }

    /// A command took so long.
    pub(super) fn took(&mut self, command: &str, took: Duration) {
        if let Some(expected) = self.0.get_mut(command) {
            *expected = (*expected * (WEIGHT - 1) + took.min(UNKNOWN)) / WEIGHT;
        }
    }

    /// How many of those that wait begin with `first`, whose turn it is.
    pub(super) fn together<'a>(&self, first: &Job, waiting: impl Iterator<Item = &'a Job>) -> usize {
        let Some(mut left) = MOMENT.checked_sub(self.of(&first.request.command)) else { return 0 };
        waiting
            .take(MOST - 1)
            .take_while(|job| {
                let after = left.checked_sub(self.of(&job.request.command));
                left = after.unwrap_or_default();
                // A stream waits for its reader, however short each of its steps is.
                after.is_some() && job.asked_by != Kind::ExecuteStream
            })
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::requests::tests::job;

    /// Commands are named by what they are expected to take, in microseconds.
    fn expecting(commands: &[u64]) -> Expectations {
        Expectations(commands.iter().map(|us| (us.to_string(), Duration::from_micros(*us))).collect())
    }

    fn together(commands: &[u64], asked_by: Kind) -> usize {
        let jobs: Vec<Job> = commands.iter().map(|us| job(*us, asked_by, &us.to_string())).collect();
        expecting(commands).together(&jobs[0], jobs[1..].iter())
    }

    #[test]
    fn what_is_expected_to_be_done_in_a_moment_begins_together() {
        assert_eq!(together(&[60, 60, 60, 80, 1], Kind::Execute), 2);
        assert_eq!(together(&[1; 40], Kind::Execute), MOST - 1);
        assert_eq!(together(&[250, 0, 0], Kind::Execute), 2);
    }

    #[test]
    fn a_long_command_begins_alone() {
        assert_eq!(together(&[251, 0], Kind::Execute), 0);
        assert_eq!(together(&[0, 251, 0], Kind::Execute), 0);
    }

    #[test]
    fn nothing_begins_with_a_stream_that_waits() {
        assert_eq!(together(&[1, 1, 1], Kind::ExecuteStream), 0);
    }

    #[test]
    fn a_command_that_has_not_run_is_long_and_one_that_there_is_not_takes_no_time() {
        let expectations = Expectations::new(["new".to_owned()]);
        assert_eq!((expectations.of("new"), expectations.of("none")), (UNKNOWN, Duration::ZERO));
    }

    #[test]
    fn what_a_command_takes_is_learned_and_a_pause_is_soon_forgotten() {
        let mut expectations = Expectations::new(["x".to_owned()]);
        let mut after = |runs, took| {
            (0..runs).for_each(|_| expectations.took("x", took));
            expectations.of("x")
        };
        assert!(after(40, Duration::from_micros(1)) * 16 < MOMENT);
        let paused = after(1, Duration::from_secs(10));
        assert!(paused < MOMENT && paused * 2 > MOMENT, "{paused:?}");
        assert!(after(40, Duration::from_secs(10)) > MOMENT);
        assert_eq!(Expectations::new([]).of("none"), Duration::ZERO);
    }
}
