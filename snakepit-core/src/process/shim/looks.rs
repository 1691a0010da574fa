//! When a tree that is being killed is looked at again: soon, and then less and less often.

use std::time::Duration;

/// How soon the first look comes; doubled each time, up to the limit.
const FIRST: Duration = Duration::from_millis(2);
const LAST: Duration = Duration::from_secs(1);

/// The next look. It is due at its time, whatever else happens until then: a tree whose members end one after the other
/// wakes the shim all the while, and would otherwise put it off again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Looks {
    due: Duration,
    pause: Duration,
}

impl Looks {
    /// The tree has been looked at for the first time.
    pub(super) fn first(now: Duration) -> Self {
        Self { due: now + FIRST, pause: FIRST }
    }

    /// It has been looked at again.
    pub(super) fn next(self, now: Duration) -> Self {
        let pause = (self.pause * 2).min(LAST);
        Self { due: now + pause, pause }
    }

    pub(super) fn due(self) -> Duration {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_become_rarer_up_to_the_limit() {
        let ms = Duration::from_millis;
        let mut looks = Looks::first(ms(100));
        let mut dues = vec![looks.due()];
        for _ in 0..3 {
            looks = looks.next(looks.due());
            dues.push(looks.due());
        }
        assert_eq!(dues, [102, 106, 114, 130].map(ms));
        for _ in 0..20 {
            looks = looks.next(looks.due());
        }
        assert_eq!(looks.next(ms(0)).due(), LAST);
    }
}
