//! What the pool has heard of the lives of its slots: which is the latest, whether it boots, whether it is over.

use std::collections::HashMap;

use crate::id::{Incarnation, Slot};
use crate::pool::message::Life;

/// The latest life of each slot. `W` is what is known of a worker that boots.
#[derive(Debug)]
pub(super) struct Lives<W> {
    latest: HashMap<Slot, Latest<W>>,
}

#[derive(Debug)]
struct Latest<W> {
    incarnation: Incarnation,
    stage: LifeStage<W>,
    /// Whether everything that its worker ever said has been heard.
    heard_out: bool,
}

#[derive(Debug)]
enum LifeStage<W> {
    Booting(W),
    Ready,
    Over,
}

impl<W> Default for Lives<W> {
    fn default() -> Self {
        Self { latest: HashMap::new() }
    }
}

impl<W> Lives<W> {
    /// A worker boots. Of a former life, or one that is over, this is old news.
    pub(super) fn booting(&mut self, life: Life, worker: W) {
        self.hear(life, LifeStage::Booting(worker));
    }

    /// A worker is ready. Returns whether it is the slot's present life.
    pub(super) fn ready(&mut self, life: Life) -> bool {
        self.hear(life, LifeStage::Ready)
    }

    /// A life is over. The late news of a former life leaves its successor alone.
    pub(super) fn over(&mut self, life: Life) {
        self.hear(life, LifeStage::Over);
    }

    /// Whether anything was ever said of a slot's worker.
    pub(super) fn has_heard_of(&self, slot: Slot) -> bool {
        self.latest.contains_key(&slot)
    }

    /// Whether a life is known to be over: because it was said, or because a later one was heard of.
    pub(super) fn is_over(&self, life: Life) -> bool {
        self.latest.get(&life.slot).is_some_and(|latest| {
            latest.incarnation > life.incarnation
                || (latest.incarnation == life.incarnation && matches!(latest.stage, LifeStage::Over))
        })
    }

    /// Everything that a worker ever said has been heard.
    pub(super) fn heard_out(&mut self, life: Life) {
        if let Some(latest) = self.latest.get_mut(&life.slot)
            && latest.incarnation == life.incarnation
        {
            latest.heard_out = true;
        }
    }

    /// Whether a life has been heard out: what it has not said by now it never will.
    pub(super) fn is_heard_out(&self, life: Life) -> bool {
        let latest = self.latest.get(&life.slot);
        latest.is_some_and(|latest| latest.incarnation == life.incarnation && latest.heard_out)
    }

    /// The worker that boots in a slot.
    pub(super) fn booting_in(&self, slot: Slot) -> Option<&W> {
        match self.latest.get(&slot) {
            Some(Latest { stage: LifeStage::Booting(worker), .. }) => Some(worker),
            Some(Latest { stage: LifeStage::Ready | LifeStage::Over, .. }) | None => None,
        }
    }

    fn hear(&mut self, Life { slot, incarnation }: Life, stage: LifeStage<W>) -> bool {
        let is_news = match self.latest.get(&slot) {
            Some(latest) if latest.incarnation == incarnation => !matches!(latest.stage, LifeStage::Over),
            Some(latest) => latest.incarnation < incarnation,
            None => true,
        };
        if is_news {
            let heard_out = self.is_heard_out(Life { slot, incarnation });
            self.latest.insert(slot, Latest { incarnation, stage, heard_out });
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(incarnation: u64) -> Life {
        Life { slot: Slot(3), incarnation: Incarnation(incarnation) }
    }

    #[test]
    fn the_late_end_of_a_former_life_leaves_its_successor_alone() {
        let mut lives = Lives::default();
        lives.booting(life(1), "first");
        lives.booting(life(2), "second");
        lives.over(life(1));
        assert_eq!(lives.booting_in(Slot(3)), Some(&"second"));
        lives.over(life(2));
        assert_eq!(lives.booting_in(Slot(3)), None);
    }

    #[test]
    fn a_life_is_heard_out_for_itself_alone() {
        let mut lives = Lives::default();
        assert!(lives.ready(life(2)));
        lives.heard_out(life(1));
        assert!(!lives.is_heard_out(life(2)) && !lives.is_heard_out(life(1)));
        lives.heard_out(life(2));
        lives.over(life(2));
        assert!(lives.is_heard_out(life(2)));
        lives.booting(life(3), ());
        assert!(!lives.is_heard_out(life(2)) && !lives.is_heard_out(life(3)));
    }

    #[test]
    fn a_life_that_is_over_does_not_come_back() {
        let mut lives = Lives::default();
        lives.over(life(1));
        lives.booting(life(1), "late");
        assert_eq!(lives.booting_in(Slot(3)), None);
        assert!(!lives.ready(life(1)));
        assert!(lives.is_over(life(1)) && !lives.is_over(life(2)));
        assert!(lives.ready(life(2)));
        assert!(lives.is_over(life(1)) && !lives.is_over(life(2)));
        assert!(!lives.ready(life(1)), "a former life");
    }
}
