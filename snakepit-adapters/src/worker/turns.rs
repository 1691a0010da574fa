//! Which thread reads, which runs, which stands by: leader and followers.
//!
//! The thread that reads a request runs it itself: a hand-over would cost several times what a short command does.
//! With one thread for commands, another one stands by and looks now and then; when it finds the same command running
//! as the last time, it takes over the reading. With several, it takes over at once.

use std::time::Duration;

/// How often the thread that stands by looks. A command is left alone with the pipe for one to two of these.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// After so many looks that found nothing new it sleeps until a request wakes it.
const LOOKS_BEFORE_SLEEP: u32 = 25;

/// What a thread that stands by does next.
#[must_use = "a pipe that nobody reads hangs the host"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StandbyVerdict {
    /// Takes over the reading.
    Read,
    /// Looks again after this time, or when it is woken.
    LookAgain(Duration),
    /// Sleeps until it is woken.
    Sleep,
}

/// How long the pipe is left unread while a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// For as long as a short command takes.
    AFewLooks,
    /// Not at all: the next request may run beside it.
    None,
}

#[derive(Debug)]
pub(super) struct Turns {
    patience: Patience,
    /// Whether a thread reads.
    reading: bool,
    /// How many commands have begun.
    begun: u64,
    /// Whether a command waits for something that only reading can bring.
    wanted: bool,
    /// Whether the thread that stands by must be woken to look.
    asleep: bool,
}

/// What a thread that stands by saw when it looked last.
#[derive(Debug, Default)]
pub(super) struct LastLook {
    begun: Option<u64>,
    nothing_new: u32,
}

impl Turns {
    /// For so many commands at once.
    pub(super) fn new(threads: usize) -> Self {
        let patience = if threads == 1 { Patience::AFewLooks } else { Patience::None };
        Self { patience, reading: false, begun: 0, wanted: false, asleep: false }
    }

    /// Takes the reading, if nobody has it.
    #[must_use = "whoever has the reading must read"]
    pub(super) fn take_reading(&mut self) -> bool {
        !std::mem::replace(&mut self.reading, true)
    }

    pub(super) fn stop_reading(&mut self) {
        self.reading = false;
        self.wanted = false;
    }

    /// Whether answers may be kept back while the next command runs: the thread that takes over writes them.
    pub(super) fn may_keep_answers(&self) -> bool {
        self.patience == Patience::AFewLooks && !self.reading
    }

    /// A thread begins with a command. Says whether to wake one that stands by.
    #[must_use = "a sleeping thread does not take over"]
    pub(super) fn begin(&mut self) -> bool {
        self.begun = self.begun.wrapping_add(1);
        self.leave_unread()
    }

    /// A thread goes on with a command, and perhaps nobody reads. Says whether to wake one that stands by.
    #[must_use = "a sleeping thread does not take over"]
    pub(super) fn leave_unread(&mut self) -> bool {
        !self.reading && (self.patience == Patience::None || std::mem::take(&mut self.asleep))
    }

    /// A command waits for credit or for a cancel. Says whether to wake a thread that stands by.
    #[must_use = "a sleeping thread does not take over"]
    pub(super) fn want_reading(&mut self) -> bool {
        self.wanted = !self.reading;
        self.wanted
    }

    /// Judges what a thread that stands by does, by what it saw the last time.
    pub(super) fn stand_by(&mut self, command_runs: bool, last: &mut LastLook) -> StandbyVerdict {
        let same_as_before = last.begun == Some(self.begun);
        let impatient = self.patience == Patience::None;
        if !self.reading && (impatient || self.wanted || (command_runs && same_as_before)) {
            return StandbyVerdict::Read;
        }
        if impatient {
            return StandbyVerdict::Sleep;
        }
        last.nothing_new = if same_as_before { last.nothing_new + 1 } else { 0 };
        last.begun = Some(self.begun);
        if last.nothing_new < LOOKS_BEFORE_SLEEP {
            return StandbyVerdict::LookAgain(LOOK_EVERY);
        }
        *last = LastLook::default();
        self.asleep = true;
        StandbyVerdict::Sleep
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_runs_at_two_looks_loses_the_reading() {
        let (mut turns, mut last) = (Turns::new(1), LastLook::default());
        let _ = turns.begin();
        assert_eq!(turns.stand_by(true, &mut last), StandbyVerdict::LookAgain(LOOK_EVERY));
        assert_eq!(turns.stand_by(true, &mut last), StandbyVerdict::Read);
    }

    #[test]
    fn short_commands_keep_the_reading() {
        let (mut turns, mut last) = (Turns::new(1), LastLook::default());
        for _ in 0..1000 {
            let _ = turns.begin();
            assert_eq!(turns.stand_by(true, &mut last), StandbyVerdict::LookAgain(LOOK_EVERY));
        }
    }

    #[test]
    fn who_finds_nothing_new_sleeps_and_the_next_command_wakes_it() {
        let (mut turns, mut last) = (Turns::new(1), LastLook::default());
        assert!(turns.take_reading());
        let mut looks = 0;
        while turns.stand_by(false, &mut last) != StandbyVerdict::Sleep {
            looks += 1;
        }
        assert_eq!(looks, LOOKS_BEFORE_SLEEP);
        turns.stop_reading();
        assert!(turns.begin(), "the sleeper is woken");
        assert_eq!(turns.stand_by(true, &mut last), StandbyVerdict::LookAgain(LOOK_EVERY));
        assert!(!turns.begin(), "and only once");
    }

    #[test]
    fn a_command_that_waits_is_helped_at_once() {
        let (mut turns, mut last) = (Turns::new(1), LastLook::default());
        let _ = turns.begin();
        assert!(turns.want_reading());
        assert_eq!(turns.stand_by(true, &mut last), StandbyVerdict::Read);
        assert!(turns.take_reading());
        assert!(!turns.want_reading(), "somebody reads already");
    }

    #[test]
    fn with_several_threads_the_reading_is_taken_over_at_once() {
        let (mut turns, mut last) = (Turns::new(2), LastLook::default());
        assert!(turns.begin());
        assert!(!turns.may_keep_answers());
        assert_eq!(turns.stand_by(true, &mut last), StandbyVerdict::Read);
        assert!(turns.take_reading() && !turns.take_reading());
        assert_eq!(turns.stand_by(true, &mut last), StandbyVerdict::Sleep);
    }

    #[test]
    fn answers_are_kept_back_only_while_somebody_may_come_to_write_them() {
        let mut turns = Turns::new(1);
        assert!(turns.may_keep_answers());
        assert!(turns.take_reading());
        assert!(!turns.may_keep_answers());
    }
}
