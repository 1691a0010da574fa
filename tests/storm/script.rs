//! What is done to the workers, and when: all of it follows from the seed.

use std::fmt;
use std::time::Duration;

use snakepit_tests::chance::Chance;

use crate::bed::{ALL, Kind};

/// The least and the most time between two blows.
const GAP_MS: (u64, u64) = (20, 150);
/// The longest that a worker is held and then let go: some of these outlast its heartbeats, and most do not.
const HOLD_MS: u64 = 900;

/// What is done. `nth`: to which of the workers that there are then, counted round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    /// SIGKILL.
    Kill { nth: u64 },
    /// SIGSTOP, for good: the heartbeat has to find it.
    Stop { nth: u64 },
    /// SIGSTOP, and SIGCONT later.
    Hold { nth: u64, lasts: Duration },
    /// Another size.
    Resize { size: u16 },
    /// Another worker in place of one that works.
    Recycle { nth: u64 },
    /// Other workers in place of all, one after the other.
    Roll,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) at: Duration,
    pub(crate) pool: Kind,
    pub(crate) blow: Blow,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) blows: Vec<Entry>,
}

impl Script {
    pub(crate) fn new(seed: u64, lasts: Duration) -> Self {
        let mut chance = Chance::new(seed);
        let (mut at, mut blows) = (Duration::ZERO, Vec::new());
        loop {
            at += Duration::from_millis(GAP_MS.0 + chance.below(GAP_MS.1 - GAP_MS.0));
            if at >= lasts {
                return Self { blows };
            }
            let pool = chance.of(&ALL);
            blows.push(Entry { at, pool, blow: blow(pool, &mut chance) });
        }
    }
}

fn blow(pool: Kind, chance: &mut Chance) -> Blow {
    let nth = chance.below(1 << 16);
    match chance.below(13) {
        0..=4 => Blow::Kill { nth },
        5 => Blow::Stop { nth },
        6 | 7 => Blow::Hold { nth, lasts: Duration::from_millis(chance.below(HOLD_MS)) },
        8 | 9 => Blow::Recycle { nth },
        10 => Blow::Roll,
        _ => Blow::Resize { size: 1 + u16::try_from(chance.below(2 * u64::from(pool.size()))).unwrap_or(0) },
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Entry { at, pool, blow } in &self.blows {
            writeln!(f, "{:>9} ms  {:<6}  {blow:?}", at.as_millis(), pool.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_script() {
        let minute = Duration::from_mins(1);
        let script = Script::new(7, minute);
        assert_eq!(script, Script::new(7, minute));
        assert_ne!(script, Script::new(8, minute));
    }

    #[test]
    fn a_minute_has_every_blow_on_every_pool() {
        let script = Script::new(1, Duration::from_mins(1));
        for kind in ALL {
            let has = |wanted: fn(&Blow) -> bool| {
                script.blows.iter().any(|entry| entry.pool == kind && wanted(&entry.blow))
            };
            assert!(has(|blow| matches!(blow, Blow::Kill { .. })));
            assert!(has(|blow| matches!(blow, Blow::Stop { .. })));
            assert!(has(|blow| matches!(blow, Blow::Hold { .. })));
            assert!(has(|blow| matches!(blow, Blow::Resize { .. })));
            assert!(has(|blow| matches!(blow, Blow::Recycle { .. })));
            assert!(has(|blow| matches!(blow, Blow::Roll)));
        }
        assert!(script.blows.iter().all(|entry| entry.at < Duration::from_mins(1)));
    }
}
