//! The table's decisions, one test for each.

use super::*;
use crate::id::{Incarnation, Slot};

const TTL: Duration = Duration::from_hours(1);
const UNSENT: Parting = Parting { granted: None, told: Told::Nothing };

struct Bench {
    table: SessionTable,
    born: Instant,
}

impl Bench {
    fn new(limit: usize) -> Self {
        let born = Instant::now();
        Self { table: SessionTable::new(TTL, limit, born), born }
    }

    fn route(&mut self, id: u64, name: &str, at: Duration) -> RouteVerdict {
        let verdict = self.table.route(RequestId(id), &session(name), self.born + at).0;
        self.check_counts();
        verdict
    }

    fn bind(&mut self, id: u64, name: &str, life: Life) -> Vec<(RequestId, RouteVerdict)> {
        let held = self.table.bind(RequestId(id), &session(name), life, self.born).0;
        self.check_counts();
        held
    }

    fn over(
        &mut self,
        id: u64,
        name: &str,
        parting: Parting,
        at: Duration,
    ) -> Option<(RequestId, RouteVerdict)> {
        let next = self.table.over(RequestId(id), &session(name), parting, self.born + at);
        self.check_counts();
        next
    }

    /// A session that was bound by a request that has ended.
    fn idle(&mut self, name: &str, life: Life) {
        assert_eq!(self.route(1, name, Duration::ZERO), RouteVerdict::Bind { lost: None });
        self.bind(1, name, life);
        assert_eq!(self.over(1, name, sent(life), Duration::ZERO), None);
    }

    fn lose(&mut self, id: u64, name: &str, gone: Life) -> RouteVerdict {
        let verdict = self.table.reroute(RequestId(id), &session(name), gone, self.born).0;
        self.check_counts();
        verdict
    }

    /// Counts the sessions that each life keeps one by one, and holds that against what was counted as they came and went.
    fn check_counts(&self) {
        let mut counts = HashMap::new();
        for binding in self.table.bindings.spots().filter_map(|spot| self.table.bindings.get(spot)) {
            if binding.standing != Standing::Lost {
                *counts.entry(self.table.kept.life(binding.life)).or_default() += 1;
            }
        }
        assert_eq!(self.table.counts(), counts);
    }
}

fn session(name: &str) -> SessionId {
    SessionId::new(name).unwrap()
}

fn life(slot: u16, incarnation: u64) -> Life {
    Life { slot: Slot(slot), incarnation: Incarnation(incarnation) }
}

fn sent(life: Life) -> Parting {
    Parting { granted: Some(life), told: Told::Nothing }
}

fn bound(life: Life) -> RouteVerdict {
    RouteVerdict::Bound { life, reset: false }
}

#[test]
fn the_first_request_binds_and_the_others_are_held_until_it_has() {
    let mut bench = Bench::new(10);
    assert_eq!(bench.route(1, "s", Duration::ZERO), RouteVerdict::Bind { lost: None });
    assert_eq!(bench.route(2, "s", Duration::ZERO), RouteVerdict::Hold);
    assert_eq!(bench.route(3, "s", Duration::ZERO), RouteVerdict::Hold);
    let to = life(2, 1);
    assert_eq!(bench.bind(1, "s", to), [2, 3].map(|id| (RequestId(id), bound(to))));
    assert_eq!(bench.route(4, "s", Duration::ZERO), bound(to));
}

#[test]
fn a_binder_that_ends_passes_its_turn_on() {
    let mut bench = Bench::new(10);
    assert_eq!(bench.route(1, "s", Duration::ZERO), RouteVerdict::Bind { lost: None });
    for id in 2..=4 {
        assert_eq!(bench.route(id, "s", Duration::ZERO), RouteVerdict::Hold);
    }
    assert_eq!(bench.over(2, "s", UNSENT, Duration::ZERO), None);
    let next = bench.over(1, "s", UNSENT, Duration::ZERO);
    assert_eq!(next, Some((RequestId(3), RouteVerdict::Bind { lost: None })));
    assert_eq!(bench.bind(1, "s", life(0, 1)), [], "its turn is over");
    assert_eq!(bench.bind(3, "s", life(0, 1)), [(RequestId(4), bound(life(0, 1)))]);
}

#[test]
fn a_binder_that_nobody_waits_for_leaves_nothing_behind() {
    let mut bench = Bench::new(10);
    let _ = bench.route(1, "s", Duration::ZERO);
    assert_eq!(bench.over(1, "s", UNSENT, Duration::ZERO), None);
    assert!(bench.table.binders.is_empty() && bench.table.spots.len() == 0);
}

#[test]
fn a_lost_life_is_told_with_every_answer_until_one_has_arrived() {
    let mut bench = Bench::new(10);
    bench.idle("s", life(0, 1));
    assert_eq!(bench.route(5, "s", Duration::ZERO), bound(life(0, 1)));
    let lost = RouteVerdict::Bind { lost: Some(life(0, 1)) };
    assert_eq!(bench.lose(5, "s", life(0, 1)), lost);
    assert_eq!(bench.lose(6, "s", life(0, 1)), RouteVerdict::Hold);
    let anew = RouteVerdict::Bound { life: life(0, 2), reset: true };
    assert_eq!(bench.bind(5, "s", life(0, 2)), [(RequestId(6), anew)]);
    // The first was cancelled: its caller has not heard.
    assert_eq!(bench.over(5, "s", sent(life(0, 2)), Duration::ZERO), None);
    assert_eq!(bench.route(7, "s", Duration::ZERO), anew);
    let told = Parting { told: Told::Reset, ..sent(life(0, 2)) };
    assert_eq!(bench.over(6, "s", told, Duration::ZERO), None);
    assert_eq!(bench.route(8, "s", Duration::ZERO), bound(life(0, 2)));
    // Whoever still has the old life in mind is sent to the new one.
    assert_eq!(bench.lose(9, "s", life(0, 1)), bound(life(0, 2)));
}

#[test]
fn a_loss_that_the_binder_took_with_it_is_told_to_the_next() {
    let mut bench = Bench::new(10);
    bench.idle("s", life(0, 1));
    let lost = RouteVerdict::Bind { lost: Some(life(0, 1)) };
    assert_eq!(bench.lose(5, "s", life(0, 1)), lost);
    assert_eq!(bench.over(5, "s", UNSENT, Duration::ZERO), None);
    assert_eq!(bench.route(6, "s", Duration::ZERO), lost);
    assert_eq!(bench.route(7, "s", Duration::ZERO), RouteVerdict::Hold);
    // Whoever asked before the loss was told is told as well; after them the session starts afresh.
    let told = Parting { told: Told::Lost, ..UNSENT };
    assert_eq!(bench.over(6, "s", told, Duration::ZERO), Some((RequestId(7), lost)));
    assert_eq!(bench.over(7, "s", told, Duration::ZERO), None);
    assert_eq!(bench.route(8, "s", Duration::ZERO), RouteVerdict::Bind { lost: None });
}

#[test]
fn a_loss_that_was_told_ends_the_session_and_no_other_of_that_name() {
    let mut bench = Bench::new(10);
    bench.idle("s", life(0, 1));
    assert_eq!(bench.route(5, "s", Duration::ZERO), bound(life(0, 1)));
    assert_eq!(bench.route(6, "s", Duration::ZERO), bound(life(0, 1)));
    let lost = Parting { told: Told::Lost, ..sent(life(0, 1)) };
    bench.over(5, "s", lost, Duration::ZERO);
    bench.idle("s", life(0, 2));
    // The second asked before, and was told the same.
    bench.over(6, "s", lost, Duration::ZERO);
    assert_eq!(bench.route(7, "s", Duration::ZERO), bound(life(0, 2)));
}

#[test]
fn a_new_life_of_the_pool_waits_for_no_request_of_the_former() {
    let mut bench = Bench::new(10);
    bench.idle("bound", life(0, 1));
    bench.idle("lost", life(1, 1));
    assert_eq!(bench.route(2, "bound", Duration::ZERO), bound(life(0, 1)));
    let _ = bench.lose(3, "lost", life(1, 1));
    let _ = bench.route(4, "new", Duration::ZERO);
    bench.table.pool_restarted();
    assert_eq!(bench.route(5, "new", Duration::ZERO), RouteVerdict::Bind { lost: None });
    assert_eq!(bench.route(6, "lost", Duration::ZERO), RouteVerdict::Bind { lost: Some(life(1, 1)) });
    // The request that used it is gone: the session is idle, and expires.
    let (count, ended) = bench.table.sweep(10, bench.born + TTL);
    assert_eq!((count, ended), (1, vec![EndedSession { session: session("bound"), life: life(0, 1) }]));
}

#[test]
fn an_idle_session_expires_on_access_and_in_the_sweep() {
    let mut bench = Bench::new(10);
    bench.idle("a", life(0, 1));
    bench.idle("b", life(1, 1));
    assert_eq!(bench.route(9, "a", TTL / 2), bound(life(0, 1)));
    bench.over(9, "a", sent(life(0, 1)), TTL / 2);
    let (count, ended) = bench.table.sweep(10, bench.born + TTL);
    assert_eq!((count, ended), (1, vec![EndedSession { session: session("b"), life: life(1, 1) }]));
    let (verdict, expired) = bench.table.route(RequestId(9), &session("a"), bench.born + TTL + TTL / 2);
    assert_eq!(verdict, RouteVerdict::Bind { lost: None });
    assert_eq!(expired, Some(EndedSession { session: session("a"), life: life(0, 1) }));
}

#[test]
fn a_session_in_use_neither_expires_nor_makes_room() {
    let mut bench = Bench::new(2);
    bench.idle("old", life(0, 1));
    bench.idle("young", life(1, 1));
    assert_eq!(bench.route(7, "old", Duration::ZERO), bound(life(0, 1)));
    assert_eq!(bench.table.sweep(10, bench.born + TTL * 2).0, 1, "only the idle one");
    assert_eq!(bench.route(8, "old", TTL * 3), bound(life(0, 1)));
    bench.over(7, "old", sent(life(0, 1)), TTL * 3);
    assert_eq!(bench.table.sweep(10, bench.born + TTL * 5).0, 0, "the other request still uses it");
    bench.over(8, "old", sent(life(0, 1)), TTL * 5);
    assert_eq!(bench.table.sweep(10, bench.born + TTL * 6).0, 1);
}

#[test]
fn beyond_the_limit_the_least_recently_used_idle_session_goes() {
    let mut bench = Bench::new(2);
    bench.idle("a", life(0, 1));
    bench.idle("b", life(1, 1));
    assert_eq!(bench.route(9, "a", Duration::ZERO), bound(life(0, 1)));
    assert_eq!(bench.route(1, "c", Duration::ZERO), RouteVerdict::Bind { lost: None });
    let (_, evicted) = bench.table.bind(RequestId(1), &session("c"), life(2, 1), bench.born);
    assert_eq!(evicted, Some(EndedSession { session: session("b"), life: life(1, 1) }));
    assert_eq!(bench.table.spots.len(), 2);
}

#[test]
fn an_ended_session_is_known_once_and_a_lost_one_has_no_worker_to_tell() {
    let mut bench = Bench::new(10);
    bench.idle("s", life(0, 1));
    let ended = EndedSession { session: session("s"), life: life(0, 1) };
    assert_eq!(bench.table.end(&session("s")), EndVerdict::Ended(ended));
    assert_eq!(bench.table.end(&session("s")), EndVerdict::NotFound);
    bench.idle("lost", life(0, 1));
    let _ = bench.lose(5, "lost", life(0, 1));
    bench.over(5, "lost", UNSENT, Duration::ZERO);
    assert_eq!(bench.table.end(&session("lost")), EndVerdict::LostAlready);
}

#[test]
fn a_session_costs_what_it_must_and_no_more() {
    // An id of up to 38 bytes lies within. With the index and the order this stays below 100 bytes a session.
    assert_eq!(Recency::<Binding>::SIZE, 72);
}

#[test]
fn the_sessions_of_each_life_are_counted_as_they_come_and_go() {
    let mut bench = Bench::new(3);
    let (first, second) = (life(0, 1), life(1, 1));
    for (name, at) in [("a", first), ("b", first), ("c", second)] {
        bench.idle(name, at);
    }
    assert_eq!(bench.table.counts(), HashMap::from([(first, 2), (second, 1)]));
    // The oldest makes room.
    bench.idle("d", second);
    assert_eq!(bench.table.counts(), HashMap::from([(first, 1), (second, 2)]));
    assert_eq!(bench.lose(2, "b", first), RouteVerdict::Bind { lost: Some(first) });
    assert_eq!(bench.table.counts(), HashMap::from([(second, 2)]));
    bench.bind(2, "b", second);
    assert_eq!(bench.table.counts(), HashMap::from([(second, 3)]));
    assert_ne!(bench.table.end(&session("c")), EndVerdict::NotFound);
    let ended = bench.table.sweep(10, bench.born + TTL);
    assert_eq!(ended.0, 1, "one ended, and one is in use");
    assert_eq!(bench.table.counts(), HashMap::from([(second, 1)]));
}
