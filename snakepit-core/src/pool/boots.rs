//! How many workers boot at once: as many as may, the others one after the other as these are done.

use std::collections::{HashSet, VecDeque};

use crate::id::Slot;

/// The slots that are to be started, and those whose first boot is under way.
#[derive(Debug)]
pub(super) struct Boots {
    waiting: VecDeque<Slot>,
    under_way: HashSet<Slot>,
    limit: usize,
}

impl Boots {
    pub(super) fn new(limit: u16) -> Self {
        Self { waiting: VecDeque::new(), under_way: HashSet::new(), limit: usize::from(limit) }
    }

    /// A slot is to be started.
    pub(super) fn ask(&mut self, slot: Slot) {
        if !self.waiting.contains(&slot) && !self.under_way.contains(&slot) {
            self.waiting.push_back(slot);
        }
    }

    /// Takes out a slot that may start now.
    #[must_use = "a slot that nobody starts keeps another from starting"]
    pub(super) fn next(&mut self) -> Option<Slot> {
        if self.under_way.len() >= self.limit {
            return None;
        }
        let slot = self.waiting.pop_front()?;
        self.under_way.insert(slot);
        Some(slot)
    }

    /// A slot's boot is over, whether it came to a worker or not. What its Starter tries next is the Starter's own affair.
    pub(super) fn over(&mut self, slot: Slot) {
        self.under_way.remove(&slot);
    }

    /// A slot is not to be started any more.
    pub(super) fn forget(&mut self, slot: Slot) {
        self.waiting.retain(|other| *other != slot);
        self.under_way.remove(&slot);
    }

    /// Nothing more is started.
    pub(super) fn give_up(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_boot_at_once_as_may_and_the_others_follow() {
        let mut boots = Boots::new(2);
        for slot in [0, 1, 2, 2, 0, 3] {
            boots.ask(Slot(slot));
        }
        assert_eq!([boots.next(), boots.next(), boots.next()], [Some(Slot(0)), Some(Slot(1)), None]);
        boots.ask(Slot(1));
        boots.over(Slot(9));
        assert_eq!(boots.next(), None);
        boots.over(Slot(1));
        boots.over(Slot(0));
        assert_eq!([boots.next(), boots.next(), boots.next()], [Some(Slot(2)), Some(Slot(3)), None]);
        for slot in [0, 4, 5] {
            boots.ask(Slot(slot));
        }
        boots.forget(Slot(4));
        boots.forget(Slot(2));
        assert_eq!([boots.next(), boots.next()], [Some(Slot(0)), None]);
        boots.give_up();
        boots.over(Slot(0));
        assert_eq!(boots.next(), None);
    }
}
