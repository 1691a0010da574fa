//! The plan of a pool: which slots it is to have, and what each of them is there for. It outlives the pool's actor, so that
//! whatever the pool was in the middle of is taken up again by its next life.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::id::{Incarnation, Slot};

/// The slots of a pool. `S` is what a Starter is reached by.
#[derive(Debug)]
pub(crate) struct SlotPlan<S> {
    size: u16,
    slots: BTreeMap<Slot, PlannedSlot<S>>,
    /// The claim that was made last.
    claims: u64,
    /// How many lives each slot's worker has had. A number that is used again goes on counting.
    lives: BTreeMap<Slot, u64>,
}

#[derive(Debug)]
struct PlannedSlot<S> {
    duty: Duty,
    starter: Starter<S>,
}

/// What a slot is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    /// It is one of the pool's `size`.
    Kept,
    /// It boots to take over from another, which keeps working meanwhile. `until`: when it is given up.
    Substitute { of: Slot, until: Instant },
    /// Its worker takes no more requests, finishes those it has, and leaves.
    Retiring { reason: Retirement },
}

/// Why a slot retires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retirement {
    /// The pool has more slots than it is to have.
    Surplus,
    /// Another has taken over.
    Replaced,
    /// It was to take over from another, and is not wanted any more.
    Withdrawn,
}

/// The right to ask for a slot's Starter. What comes of it is told under this claim, so that the late news of one Starter
/// is not taken for that of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim(u64);

/// How far a slot is with its Starter.
#[derive(Debug)]
enum Starter<S> {
    None,
    /// It has been asked for, and nobody knows yet what came of it.
    Asked(Claim),
    Up(Claim, S),
}

/// What there is to do about a slot that retires.
#[must_use = "a slot that nobody clears away keeps its process"]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Clearance<S> {
    /// Nothing is left of it.
    Forget,
    /// Its Starter has been asked for, and must be up before it can be stopped.
    Wait,
    /// Its Starter is to be stopped.
    Stop(Claim, S),
}

impl<S: Clone> SlotPlan<S> {
    /// As many slots as the pool is to have.
    pub(crate) fn new(size: u16) -> Self {
        let mut plan = Self { size, slots: BTreeMap::new(), claims: 0, lives: BTreeMap::new() };
        plan.fill();
        plan
    }

    /// How many slots the pool is to have.
    pub(crate) fn size(&self) -> u16 {
        self.size
    }

    /// Changes how many slots the pool is to have. Returns how many it was to have before.
    pub(crate) fn resize(&mut self, size: u16) -> u16 {
        std::mem::replace(&mut self.size, size)
    }

    /// Adds the slots that are missing, the lowest free numbers first. Returns which.
    pub(crate) fn fill(&mut self) -> Vec<Slot> {
        let missing = usize::from(self.size).saturating_sub(self.kept().count());
        let added: Vec<_> = self.free_numbers().take(missing).collect();
        for slot in &added {
            self.add(*slot, Duty::Kept);
        }
        added
    }

    /// How many slots there are beyond those that the pool is to have.
    pub(crate) fn surplus(&self) -> usize {
        self.kept().count().saturating_sub(usize::from(self.size))
    }

    /// Adds a slot that is to take over from another. `None` where that one is not kept, or no number is free.
    pub(crate) fn substitute(&mut self, of: Slot, until: Instant) -> Option<Slot> {
        if self.duty(of) != Some(Duty::Kept) {
            return None;
        }
        let slot = self.free_numbers().next()?;
        self.add(slot, Duty::Substitute { of, until });
        Some(slot)
    }

    /// A substitute takes over. Returns from whom; that one retires.
    pub(crate) fn take_over(&mut self, slot: Slot) -> Option<Slot> {
        let Some(Duty::Substitute { of, .. }) = self.duty(slot) else { return None };
        self.set_duty(slot, Duty::Kept);
        self.set_duty(of, Duty::Retiring { reason: Retirement::Replaced });
        Some(of)
    }

    /// A slot is to go. One that goes already keeps its reason.
    pub(crate) fn retire(&mut self, slot: Slot, reason: Retirement) {
        if !matches!(self.duty(slot), Some(Duty::Retiring { .. })) {
            self.set_duty(slot, Duty::Retiring { reason });
        }
    }

    /// What there is to do about a slot that retires and whose worker has nothing to finish.
    pub(crate) fn clear(&self, slot: Slot) -> Clearance<S> {
        match self.slots.get(&slot).map(|planned| &planned.starter) {
            None | Some(Starter::None) => Clearance::Forget,
            Some(Starter::Asked(_)) => Clearance::Wait,
            Some(Starter::Up(claim, starter)) => Clearance::Stop(*claim, starter.clone()),
        }
    }

    /// Nothing is left of a slot. Its number is free.
    pub(crate) fn forget(&mut self, slot: Slot) {
        self.slots.remove(&slot);
    }

    /// All Starters have gone at once, and every worker with them: what was half done is not needed any more.
    pub(crate) fn all_gone(&mut self) {
        self.slots.retain(|_, planned| planned.duty == Duty::Kept);
        for planned in self.slots.values_mut() {
            planned.starter = Starter::None;
        }
    }

    /// Claims the right to ask for a slot's Starter. `None` where one keeps the slot already, or none is wanted.
    pub(crate) fn claim_starter(&mut self, slot: Slot) -> Option<Claim> {
        match self.slots.get_mut(&slot) {
            Some(PlannedSlot {
                duty: Duty::Kept | Duty::Substitute { .. },
                starter: starter @ Starter::None,
            }) => {
                self.claims += 1;
                *starter = Starter::Asked(Claim(self.claims));
                Some(Claim(self.claims))
            }
            Some(_) | None => None,
        }
    }

    /// The Starter that was asked for is up. One that has given up in the meantime stays gone.
    pub(crate) fn starter_up(&mut self, slot: Slot, claim: Claim, starter: S) {
        if let Some(planned) = self.slots.get_mut(&slot)
            && matches!(planned.starter, Starter::Asked(asked) if asked == claim)
        {
            planned.starter = Starter::Up(claim, starter);
        }
    }

    /// The Starter of this claim was stopped, or never came up. Returns whether it was the slot's.
    pub(crate) fn starter_ended(&mut self, slot: Slot, claim: Claim) -> bool {
        match self.slots.get_mut(&slot) {
            Some(PlannedSlot { starter: starter @ (Starter::Asked(_) | Starter::Up(..)), .. }) => {
                let (Starter::Asked(present) | Starter::Up(present, _)) = starter else { return false };
                let is_this = *present == claim;
                if is_this {
                    *starter = Starter::None;
                }
                is_this
            }
            Some(_) | None => false,
        }
    }

    /// The slot's Starter gave up.
    pub(crate) fn starter_gone(&mut self, slot: Slot) {
        if let Some(planned) = self.slots.get_mut(&slot) {
            planned.starter = Starter::None;
        }
    }

    /// What a slot is there for; `None` where there is no such slot.
    pub(crate) fn duty(&self, slot: Slot) -> Option<Duty> {
        self.slots.get(&slot).map(|planned| planned.duty)
    }

    /// All slots, by number.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (Slot, Duty)> {
        self.slots.iter().map(|(slot, planned)| (*slot, planned.duty))
    }

    /// The slots that count.
    pub(crate) fn kept(&self) -> impl Iterator<Item = Slot> {
        self.slots().filter(|(_, duty)| *duty == Duty::Kept).map(|(slot, _)| slot)
    }

    /// The slot that is to take over from this one.
    pub(crate) fn substitute_of(&self, slot: Slot) -> Option<Slot> {
        let takes_over = |duty| matches!(duty, Duty::Substitute { of, .. } if of == slot);
        self.slots().find(|(_, duty)| takes_over(*duty)).map(|(slot, _)| slot)
    }

    /// How many replacements are under way: a process more than the pool is to have for each.
    pub(crate) fn replacements(&self) -> usize {
        let is_one = |duty| match duty {
            Duty::Kept | Duty::Retiring { reason: Retirement::Surplus } => false,
            Duty::Substitute { .. }
            | Duty::Retiring { reason: Retirement::Replaced | Retirement::Withdrawn } => true,
        };
        self.slots().filter(|(_, duty)| is_one(*duty)).count()
    }

    /// Begins a new life of a slot's worker.
    pub(crate) fn next_life(&mut self, slot: Slot) -> Incarnation {
        let lives = self.lives.entry(slot).or_default();
        *lives += 1;
        Incarnation(*lives)
    }

    /// How many lives a slot's worker has had.
    pub(crate) fn lives(&self, slot: Slot) -> u64 {
        self.lives.get(&slot).copied().unwrap_or(0)
    }

    fn add(&mut self, slot: Slot, duty: Duty) {
        self.slots.insert(slot, PlannedSlot { duty, starter: Starter::None });
    }

    fn set_duty(&mut self, slot: Slot, duty: Duty) {
        if let Some(planned) = self.slots.get_mut(&slot) {
            planned.duty = duty;
        }
    }

    fn free_numbers(&self) -> impl Iterator<Item = Slot> {
        (0..=u16::MAX).map(Slot).filter(|slot| !self.slots.contains_key(slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(size: u16) -> SlotPlan<&'static str> {
        SlotPlan::new(size)
    }

    fn numbers(slots: impl IntoIterator<Item = Slot>) -> Vec<u16> {
        slots.into_iter().map(|slot| slot.0).collect()
    }

    #[test]
    fn growing_takes_the_lowest_free_numbers_and_each_goes_on_counting_its_lives() {
        let mut plan = plan(3);
        assert_eq!(plan.next_life(Slot(1)), Incarnation(1));
        plan.retire(Slot(1), Retirement::Surplus);
        plan.forget(Slot(1));
        plan.resize(5);
        assert_eq!(numbers(plan.fill()), [1, 3, 4]);
        assert_eq!(
            (plan.next_life(Slot(1)), plan.lives(Slot(1)), plan.lives(Slot(9))),
            (Incarnation(2), 2, 0)
        );
    }

    #[test]
    fn a_slot_that_retires_counts_no_more_but_keeps_its_number() {
        let mut plan = plan(2);
        assert_eq!((plan.resize(1), plan.surplus()), (2, 1));
        plan.retire(Slot(0), Retirement::Surplus);
        assert_eq!((plan.surplus(), numbers(plan.kept())), (0, vec![1]));
        plan.resize(2);
        assert_eq!(numbers(plan.fill()), [2]);
    }

    #[test]
    fn a_substitute_is_one_more_until_it_takes_over() {
        let until = Instant::now();
        let mut plan = plan(2);
        let substitute = plan.substitute(Slot(0), until).unwrap();
        assert_eq!((substitute, plan.substitute_of(Slot(0))), (Slot(2), Some(Slot(2))));
        assert_eq!((plan.surplus(), plan.fill().len(), plan.replacements()), (0, 0, 1));
        assert_eq!(plan.substitute(substitute, until), None, "what is new is not replaced");
        assert_eq!(plan.take_over(substitute), Some(Slot(0)));
        assert_eq!(plan.take_over(substitute), None);
        assert_eq!(plan.duty(Slot(0)), Some(Duty::Retiring { reason: Retirement::Replaced }));
        assert_eq!((numbers(plan.kept()), plan.replacements()), (vec![1, 2], 1));
        assert_eq!(plan.substitute(Slot(0), until), None, "what goes is not replaced");
        plan.forget(Slot(0));
        assert_eq!(plan.replacements(), 0);
    }

    #[test]
    fn a_starter_is_asked_for_once_and_stopped_only_when_it_is_up() {
        let mut plan = plan(1);
        let claim = plan.claim_starter(Slot(0)).unwrap();
        assert_eq!((plan.claim_starter(Slot(0)), plan.claim_starter(Slot(7))), (None, None));
        plan.retire(Slot(0), Retirement::Surplus);
        assert_eq!(plan.clear(Slot(0)), Clearance::Wait);
        plan.starter_up(Slot(0), claim, "starter");
        assert_eq!(plan.clear(Slot(0)), Clearance::Stop(claim, "starter"));
        plan.starter_gone(Slot(0));
        assert_eq!(plan.clear(Slot(0)), Clearance::Forget);
        assert_eq!(plan.claim_starter(Slot(0)), None, "what goes is not started again");
        plan.starter_up(Slot(0), claim, "late");
        assert_eq!(plan.clear(Slot(0)), Clearance::Forget, "it gave up before its start was heard of");
    }

    #[test]
    fn late_news_of_one_starter_is_not_that_of_the_next() {
        let mut plan = plan(1);
        let first = plan.claim_starter(Slot(0)).unwrap();
        plan.all_gone();
        let second = plan.claim_starter(Slot(0)).unwrap();
        assert!(!plan.starter_ended(Slot(0), first));
        plan.starter_up(Slot(0), first, "first");
        assert_eq!(plan.clear(Slot(0)), Clearance::Wait);
        plan.starter_up(Slot(0), second, "second");
        assert!(!plan.starter_ended(Slot(0), first) && plan.starter_ended(Slot(0), second));
        assert!(!plan.starter_ended(Slot(0), second));
    }

    #[test]
    fn where_every_starter_is_gone_only_what_is_kept_is_left() {
        let mut plan = plan(3);
        for slot in [0, 1, 2] {
            assert!(plan.claim_starter(Slot(slot)).is_some());
        }
        plan.retire(Slot(1), Retirement::Surplus);
        assert!(plan.substitute(Slot(0), Instant::now()).is_some());
        plan.all_gone();
        assert_eq!(numbers(plan.slots().map(|(slot, _)| slot)), [0, 2]);
        assert!(plan.claim_starter(Slot(0)).is_some());
    }

    #[test]
    fn the_largest_pool_has_no_number_left_for_a_substitute() {
        let mut plan = plan(u16::MAX);
        assert!(plan.substitute(Slot(0), Instant::now()).is_some());
        assert_eq!(plan.substitute(Slot(1), Instant::now()), None);
    }
}
