//! The lives that sessions are bound to, and how many each keeps, counted as they come and go: nobody wants to count a
//! million.

use std::collections::HashMap;

use crate::pool::Life;

/// A life that at least one session names. A fraction of its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LifeKey(u32);

/// The lives and their counts. A life that no session names is not there.
#[derive(Debug, Default)]
pub(super) struct Kept {
    lives: Vec<Sessions>,
    keys: HashMap<Life, LifeKey>,
    free: Vec<LifeKey>,
}

/// The sessions of a life.
#[derive(Clone, Copy, Debug)]
struct Sessions {
    life: Life,
    /// How many name it.
    named: u64,
    /// How many of them it keeps: it was not found to be gone.
    kept: u64,
}

impl Kept {
    /// A session is bound to a life.
    pub(super) fn keep(&mut self, life: Life) -> LifeKey {
        let key = self.keys.get(&life).copied().unwrap_or_else(|| self.add(life));
        let sessions = self.of(key);
        sessions.named += 1;
        sessions.kept += 1;
        key
    }

    /// A session has lost the life that it still names.
    pub(super) fn lose(&mut self, key: LifeKey) {
        self.of(key).kept -= 1;
    }

    /// A session no longer names its life, which it had lost before.
    pub(super) fn forget_lost(&mut self, key: LifeKey) {
        let sessions = self.of(key);
        sessions.named -= 1;
        if sessions.named == 0 {
            let life = sessions.life;
            self.keys.remove(&life);
            self.free.push(key);
        }
    }

    /// A session no longer names its life, and is no longer kept by it.
    pub(super) fn forget(&mut self, key: LifeKey) {
        self.lose(key);
        self.forget_lost(key);
    }

    pub(super) fn life(&self, key: LifeKey) -> Life {
        self.lives[key.0 as usize].life
    }

    pub(super) fn counts(&self) -> HashMap<Life, u64> {
        let kept = |key: &LifeKey| self.lives[key.0 as usize].kept;
        let counts = self.keys.iter().map(|(life, key)| (*life, kept(key)));
        counts.filter(|(_, kept)| *kept > 0).collect()
    }

    fn of(&mut self, key: LifeKey) -> &mut Sessions {
        &mut self.lives[key.0 as usize]
    }

    fn add(&mut self, life: Life) -> LifeKey {
        let none = Sessions { life, named: 0, kept: 0 };
        let key = if let Some(key) = self.free.pop() {
            *self.of(key) = none;
            key
        } else {
            self.lives.push(none);
            let last = u32::try_from(self.lives.len() - 1);
            LifeKey(last.expect("fewer lives than sessions, and fewer of these than 2^32"))
        };
        self.keys.insert(life, key);
        key
    }
}
