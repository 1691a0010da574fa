//! The roster's promises, and a property test that no place is lost or given twice.

use super::*;
use crate::error::LossCause;
use crate::id::{PoolName, WorkerId, WorkerLife};
use proptest::prelude::*;

fn loss(slot: u16) -> Arc<WorkerLoss> {
    let worker = WorkerId { pool: PoolName::new("p").unwrap(), slot: Slot(slot) };
    let life = WorkerLife { worker, incarnation: Incarnation(1) };
    Arc::new(WorkerLoss { life, cause: LossCause::Disconnected, stderr_tail: Vec::new() })
}

fn life(slot: u16, incarnation: u64) -> Life {
    Life { slot: Slot(slot), incarnation: Incarnation(incarnation) }
}

/// `size` slots, all about to start.
fn empty(size: u16) -> Roster<()> {
    let mut roster = Roster::default();
    (0..size).for_each(|slot| roster.add(Slot(slot), Duty::Kept));
    roster
}

fn roster(capacities: &[u16]) -> Roster<()> {
    let mut roster = empty(u16::try_from(capacities.len()).unwrap());
    for (slot, capacity) in (0..).zip(capacities) {
        roster.ready(life(slot, 1), seats(*capacity), (), Instant::now());
    }
    roster
}

fn seats(capacity: u16) -> Seats {
    Seats { capacity, prefetch: 0 }
}

fn taken(roster: &mut Roster<()>) -> Option<u16> {
    roster.take_any().map(|life| life.slot.0)
}

#[test]
fn work_goes_to_whoever_has_been_free_longest() {
    let mut roster = roster(&[1, 1, 1]);
    assert_eq!([taken(&mut roster), taken(&mut roster)], [Some(0), Some(1)]);
    assert!(roster.release(life(1, 1)));
    assert!(roster.release(life(0, 1)));
    assert_eq!([taken(&mut roster), taken(&mut roster), taken(&mut roster)], [Some(2), Some(1), Some(0)]);
    assert_eq!(taken(&mut roster), None);
}

#[test]
fn room_for_two_is_given_twice_and_spread() {
    let mut roster = roster(&[2, 2]);
    let order: Vec<_> = std::iter::from_fn(|| taken(&mut roster)).collect();
    assert_eq!(order, [0, 1, 0, 1]);
}

#[test]
fn requests_are_handed_ahead_only_where_nobody_is_free_and_to_each_in_its_turn() {
    let mut roster = empty(2);
    for slot in [0, 1] {
        roster.ready(life(slot, 1), Seats { capacity: 1, prefetch: 2 }, (), Instant::now());
    }
    assert_eq!((roster.best_room(), roster.room()), (Room::Free, 2));
    let order: Vec<_> = std::iter::from_fn(|| taken(&mut roster)).collect();
    assert_eq!(order, [0, 1, 0, 1, 0, 1]);
    assert_eq!((roster.best_room(), roster.counts().busy), (Room::Full, 2));
    assert!(roster.release(life(1, 1)));
    assert_eq!(
        (roster.best_room(), roster.room_of(life(1, 1)), roster.room()),
        (Room::Ahead, Room::Ahead, 0)
    );
    assert!(roster.lost(life(1, 1), Duration::ZERO, Instant::now()));
    assert_eq!((roster.best_room(), taken(&mut roster)), (Room::Full, None));
    for _ in 0..3 {
        assert!(roster.release(life(0, 1)));
    }
    assert_eq!((roster.best_room(), roster.room()), (Room::Free, 1));
}

#[test]
fn a_wanted_worker_is_taken_only_in_its_life_and_with_room() {
    let mut roster = roster(&[1, 1]);
    assert!(!roster.take_this(life(1, 2)));
    assert!(roster.take_this(life(1, 1)));
    assert!(!roster.take_this(life(1, 1)));
    // Its entry among the free ones is out of date and is passed over.
    assert_eq!([taken(&mut roster), taken(&mut roster)], [Some(0), None]);
}

#[test]
fn a_lost_life_gives_nothing_back() {
    let mut roster = roster(&[1]);
    assert_eq!(taken(&mut roster), Some(0));
    assert!(!roster.lost(life(0, 9), Duration::ZERO, Instant::now()));
    assert!(roster.lost(life(0, 1), Duration::ZERO, Instant::now()));
    assert!(!roster.release(life(0, 1)));
    roster.ready(life(0, 2), seats(1), (), Instant::now());
    assert!(!roster.release(life(0, 1)));
    assert_eq!([taken(&mut roster), taken(&mut roster)], [Some(0), None]);
}

#[test]
fn an_inherited_place_is_given_back_once() {
    let mut roster = roster(&[2]);
    roster.inherit(Slot(0), 1);
    assert_eq!((roster.room(), taken(&mut roster), taken(&mut roster)), (1, Some(0), None));
    assert!(!roster.release_inherited(life(0, 2)));
    assert!(roster.release_inherited(life(0, 1)));
    assert!(!roster.release_inherited(life(0, 1)), "the other place was asked for here");
    assert_eq!((taken(&mut roster), taken(&mut roster)), (Some(0), None));
}

#[test]
fn no_more_is_inherited_than_there_are_places() {
    let mut roster = roster(&[1]);
    roster.inherit(Slot(0), 7);
    assert!(roster.release_inherited(life(0, 1)));
    assert!(!roster.release_inherited(life(0, 1)));
    assert_eq!(roster.room(), 1);
}

#[test]
fn a_pool_has_failed_when_every_slot_is_given_up() {
    let mut roster = empty(2);
    assert_eq!(roster.given_up(Slot(0), loss(0)), 1);
    assert_eq!(roster.failure(), None);
    assert_eq!(roster.given_up(Slot(1), loss(1)), 1);
    assert_eq!(roster.failure(), Some(&loss(1)));
    roster.ready(life(0, 2), seats(1), (), Instant::now());
    assert_eq!(roster.failure(), None);
}

#[test]
fn giving_up_counts_in_a_row_until_a_stable_life() {
    let now = Instant::now();
    let minute = Duration::from_mins(1);
    let mut roster = empty(1);
    assert_eq!(roster.given_up(Slot(0), loss(0)), 1);
    roster.ready(life(0, 2), seats(1), (), now);
    roster.lost(life(0, 2), minute, now + Duration::from_secs(59));
    assert_eq!(roster.given_up(Slot(0), loss(0)), 2);
    roster.ready(life(0, 3), seats(1), (), now);
    roster.lost(life(0, 3), minute, now + minute);
    assert_eq!(roster.given_up(Slot(0), loss(0)), 1);
}

proptest! {
    #[test]
    fn no_place_is_given_twice_and_none_is_lost(steps in prop::collection::vec((0u8..4, 0u16..4), 0..200)) {
        let mut roster = empty(4);
        // The last two may be handed one and two requests ahead.
        let (running_at_once, ahead, capacity) = ([1u16, 2, 1, 2], [0u16, 0, 1, 2], [1u16, 2, 2, 4]);
        for (slot, (capacity, prefetch)) in (0..).zip(running_at_once.into_iter().zip(ahead)) {
            roster.ready(life(slot, 1), Seats { capacity, prefetch }, (), Instant::now());
        }
        let mut running = [0u16; 4];
        for (step, slot) in steps {
            match step {
                0 => if let Some(slot) = taken(&mut roster) { running[usize::from(slot)] += 1; },
                1 => if roster.take_this(life(slot, 1)) { running[usize::from(slot)] += 1; },
                _ => if roster.release(life(slot, 1)) { running[usize::from(slot)] -= 1; },
            }
            prop_assert!(running.iter().zip(capacity).all(|(running, capacity)| *running <= capacity));
        }
        let room: u16 = capacity.iter().zip(running).map(|(capacity, running)| capacity - running).sum();
        prop_assert_eq!(roster.room + roster.room_ahead, usize::from(room));
        let free: u16 = running_at_once.iter().zip(running).map(|(most, running)| most.saturating_sub(running)).sum();
        prop_assert_eq!(roster.room(), usize::from(free));
        let given = std::iter::from_fn(|| taken(&mut roster)).count();
        prop_assert_eq!(given, usize::from(room));
    }
}

#[test]
fn a_worker_that_takes_no_more_counts_as_one_that_leaves_and_not_as_ready() {
    let mut roster = roster(&[1, 1]);
    roster.takes_no_more(life(0, 1));
    let one = RosterCounts { total: 2, available: 1, retiring: 1, ..RosterCounts::default() };
    assert_eq!((roster.counts(), roster.ready_lives()), (one, vec![life(1, 1)]));
    assert!(roster.has_ready());
    roster.takes_no_more(life(1, 1));
    assert!(!roster.has_ready());
}
