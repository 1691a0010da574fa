//! The core, driven by scripts: what it orders, in which order.

use std::time::Duration;

use super::message::Kind;
use super::world::{Leaving, Plan, Varied, World, child, children, config, error, fixed};
use crate::backoff::Backoff;
use crate::child::{Restart, Shutdown};
use crate::core::message::{Event, Target};
use crate::exit::ExitReason;
use crate::report::{GaveUp, GaveUpReason, Report};
use crate::restart::{RestartIntensity, RestartPolicy};
use crate::supervisor::{AutoShutdown, Strategy};

const OFO: Kind = fixed(Strategy::OneForOne);
const OFA: Kind = fixed(Strategy::OneForAll);
const RFO: Kind = fixed(Strategy::RestForOne);
const DYN: Kind = Kind::Dynamic { max_children: None };

fn gave_up(world: &World) -> Option<&GaveUp> {
    world.reports.iter().find_map(|report| match report {
        Report::GaveUp(gave_up) => Some(gave_up),
        _ => None,
    })
}

#[test]
fn children_are_started_in_order() {
    let mut world = World::new(config(OFO, 3), children(["a", "b", "c"]));
    world.happen(Event::Boot);
    assert_eq!(world.took_place(), "start a1, start b1, start c1, booted");
}

#[test]
fn a_failed_boot_is_rolled_back_in_reverse_and_the_rest_is_never_started() {
    let mut world = World::new(config(OFA, 3), children(["a", "b", "c", "d"])).plan("c", [Plan::Fail]);
    world.happen(Event::Boot);
    assert_eq!(
        world.took_place(),
        "start a1, start b1, fail c1, stop b, stop a, boot failed c, exit shutdown"
    );
}

#[test]
fn one_for_one_restarts_the_failed_child_alone() {
    let mut world = World::up(config(OFO, 3), children(["a", "b"]));
    world.dies("a", error());
    assert_eq!(world.took_place(), "died a, start a2");
}

#[test]
fn one_for_all_stops_all_before_the_first_start() {
    let mut world = World::up(config(OFA, 3), children(["a", "b", "c"]));
    world.dies("b", error());
    assert_eq!(world.took_place(), "died b, stop c, stop a, start a2, start b2, start c2");
}

#[test]
fn rest_for_one_leaves_the_earlier_ones_alone() {
    let mut world = World::up(config(RFO, 3), children(["a", "b", "c", "d", "e"]));
    world.dies("c", error());
    assert_eq!(world.took_place(), "died c, stop e, stop d, start c2, start d2, start e2");
}

#[test]
fn a_retry_under_one_for_all_stops_the_restarted_ones_again() {
    let plan = [Plan::Up, Plan::Fail, Plan::Fail, Plan::Up];
    let mut world = World::up(config(OFA, 3), children(["a", "b", "c", "d"])).plan("c", plan);
    world.dies("b", error());
    assert_eq!(
        world.took_place(),
        "died b, stop d, stop c, stop a, start a2, start b2, fail c2, \
         stop b, stop a, start a3, start b3, fail c3, stop b, stop a, start a4, start b4, start c4, start d2"
    );
}

#[test]
fn a_retry_under_rest_for_one_begins_at_the_child_that_failed() {
    let plan = [Plan::Up, Plan::Fail, Plan::Fail, Plan::Up];
    let mut world = World::up(config(RFO, 3), children(["a", "b", "c", "d"])).plan("c", plan);
    world.dies("b", error());
    assert_eq!(world.took_place(), "died b, stop d, stop c, start b2, fail c2, fail c3, start c4, start d2");
}

#[test]
fn deaths_in_one_incident_are_one_restart_of_a_group_and_two_of_children() {
    for (kind, ends) in [(OFA, false), (RFO, false), (OFO, true)] {
        let mut world = World::up(config(kind, 1), children(["a", "b"]));
        let deaths = [world.death("a", ExitReason::Killed), world.death("b", ExitReason::Killed)];
        world.happen_at_once(deaths);
        assert_eq!(world.ended, ends, "{kind:?}: {:?}", world.log);
    }
}

#[test]
fn the_budget_spent_stops_the_rest_in_reverse_and_says_so_first() {
    let mut world = World::up(config(OFO, 0), children(["a", "b", "c"]));
    world.dies("b", error());
    assert_eq!(world.took_place(), "died b, stop c, stop a, exit shutdown");
    let gave_up = gave_up(&world).expect("reported");
    assert_eq!(gave_up.child.as_str(), "b");
    assert!(matches!(gave_up.reason, GaveUpReason::Intensity { limit: 0, .. }));
    assert_eq!(gave_up.history.len(), 1);
}

#[test]
fn failed_restarts_count_and_calls_get_in_between() {
    let mut world = World::up(config(OFO, 4), children(["a", "z"])).plan("a", [Plan::Up, Plan::Fail]);
    world.dies("a", error());
    assert_eq!(world.took_place(), "died a, fail a2, fail a3, fail a4, fail a5, stop z, exit shutdown");
}

#[test]
fn a_delayed_child_answers_restarting_and_terminate_ends_the_delay() {
    let mut with_delay = config(OFO, 1000);
    with_delay.policy.backoff = Some(Backoff { immediate_first: false, jitter: 0.0, ..Backoff::default() });
    let mut world = World::up(with_delay, children(["a"]));
    world.dies("a", error());
    world.restart("a");
    world.delete("a");
    world.start_child(child("a"));
    assert_eq!(world.took_place(), "died a, -> restarting, -> restarting, -> already present");
    world.terminate("a");
    world.advance(Duration::from_mins(1));
    assert_eq!(world.took_place(), "-> terminated");
    world.restart("a");
    assert_eq!(world.took_place(), "start a2, -> ok");
}

#[test]
fn the_delays_are_those_of_the_backoff() {
    let mut with_delay = config(OFO, 1000);
    with_delay.policy.backoff = Some(Backoff {
        immediate_first: false,
        base: Duration::from_millis(200),
        jitter: 0.0,
        ..Backoff::default()
    });
    let mut world = World::up(with_delay, children(["a"]));
    let mut delays = Vec::new();
    for _ in 0..10 {
        world.dies("a", error());
        let due = world.core.next_deadline().expect("a delay is set");
        delays.push((due - world.now).as_millis());
        world.advance(due - world.now);
    }
    assert_eq!(delays, [200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]);
}

#[test]
fn a_group_that_fails_again_while_it_waits_is_one_restart_after_the_longer_wait() {
    let mut with_delay = config(RFO, 1000);
    with_delay.policy.backoff = Some(Backoff { immediate_first: false, jitter: 0.0, ..Backoff::default() });
    let mut world = World::up(with_delay, children(["a", "b", "c"]));
    for _ in 0..3 {
        world.dies("b", error());
        world.advance(Duration::from_secs(1));
    }
    world.dies("b", error());
    let due = world.core.next_deadline().expect("b waits");
    world.took_place();
    world.advance(Duration::from_millis(100));
    world.dies("a", error());
    assert_eq!(world.took_place(), "died a");
    assert_eq!(world.core.next_deadline(), Some(due), "the longer wait holds");
    world.advance(Duration::from_secs(1));
    assert_eq!(world.took_place(), "start a2, start b5, start c5");
}

/// A child whose wait was over kept waiting, without a timer, when an older sibling failed to start in its retry.
/// Once that sibling was stopped by a call, nothing could ever move it on.
#[test]
fn a_retry_in_which_an_older_sibling_fails_leaves_nobody_waiting_without_a_timer() {
    let mut with_delay = config(OFA, 1000);
    with_delay.policy.backoff = Some(Backoff { jitter: 0.0, ..Backoff::default() });
    let mut world = World::up(with_delay, children(["a", "b"]))
        .plan("a", [Plan::Up, Plan::Up, Plan::Fail, Plan::Up])
        .plan("b", [Plan::Up, Plan::Fail, Plan::Up, Plan::Up]);
    world.dies("a", error());
    assert_eq!(world.took_place(), "died a, stop b, start a2, fail b2, stop a, fail a3");
    world.terminate("a");
    let (_, b) = world.core.find(&"b".into()).expect("b is kept");
    assert!(matches!(b.phase, super::child::Phase::Down), "b waits in {:?}", b.phase);
    world.took_place();
    world.restart("b");
    world.advance(Duration::from_secs(1));
    assert!(world.took_place().contains("start b3"), "b can be started by a call");
}

#[test]
fn a_temporary_bystander_is_stopped_and_forgotten() {
    for kind in [OFA, RFO] {
        let specs = vec![child("a"), child("t").restarting(Restart::Temporary)];
        let mut world = World::up(config(kind, 3), specs);
        world.dies("a", error());
        assert_eq!(world.took_place(), "died a, stop t, start a2", "{kind:?}");
        assert!(world.core.find(&"t".into()).is_none());
    }
}

#[test]
fn one_for_all_starts_also_those_that_were_stopped_before() {
    let specs = vec![child("a"), child("t").restarting(Restart::Transient), child("k")];
    let mut world = World::up(config(OFA, 3), specs);
    world.dies("t", ExitReason::Normal);
    world.terminate("k");
    world.took_place();
    world.dies("a", error());
    assert_eq!(world.took_place(), "died a, start a2, start t2, start k2");
}

#[test]
fn a_child_that_ignores_the_stop_is_killed_and_one_that_ignores_the_kill_is_released() {
    let mut world = World::up(config(OFO, 3), children(["a", "b", "c"]))
        .leaves("b", Leaving::WhenKilled)
        .leaves("a", Leaving::Never);
    world.stop();
    assert_eq!(world.took_place(), "stop c, stop b");
    world.advance(Duration::from_secs(5));
    assert_eq!(world.took_place(), "kill b, stop a");
    world.advance(Duration::from_secs(6));
    assert_eq!(world.took_place(), "kill a, released 0.1, exit shutdown");
    assert!(world.reports.iter().any(|report| matches!(report, Report::Unstoppable { .. })));
}

#[test]
fn a_dynamic_supervisor_stops_all_at_once() {
    let mut world = World::up(config(DYN, 3), vec![]);
    for id in ["a", "b", "c"] {
        world.start_child(child(id));
    }
    world.took_place();
    world.stop();
    assert_eq!(world.took_place(), "stop a, stop b, stop c, exit shutdown");
}

#[test]
fn a_dynamic_supervisor_keeps_no_child_that_left() {
    let mut world = World::up(config(DYN, 3), vec![]);
    world.start_child(child("a").restarting(Restart::Transient));
    world.dies("a", ExitReason::Normal);
    assert!(world.core.find(&"a".into()).is_none());
    world.start_child(child("a"));
    world.start_child(child("a"));
    let second = world.core.children().last().map(|(key, _)| key).expect("two children");
    world.call(super::message::Call::Terminate { target: Target::Key(second) });
    assert_eq!(world.core.children().count(), 1);
}

#[test]
fn starts_beyond_the_limit_wait_for_those_before() {
    let mut limited = config(DYN, 3);
    limited.max_concurrent_starts = Some(1);
    let mut world = World::up(limited, vec![]).plan("slow", [Plan::Hang]);
    world.start_child(child("slow"));
    world.start_child(child("next"));
    assert_eq!(world.took_place(), "hang slow1");
    let life = world.life("slow");
    world.happen(Event::Started { life });
    assert_eq!(world.took_place(), "start next1, -> ok, -> ok");
}

#[test]
fn a_start_that_hangs_is_given_up_and_holds_up_nobody_else() {
    let mut slow = child("slow");
    slow.start_timeout = Some(Duration::from_secs(5));
    let mut world = World::up(config(OFO, 3), children(["a"])).plan("slow", [Plan::Hang]);
    world.start_child(slow);
    world.dies("a", error());
    world.start_child(child("b"));
    assert_eq!(world.took_place(), "hang slow1, died a, start a2, start b1, -> ok");
    world.advance(Duration::from_secs(5));
    assert_eq!(world.took_place(), "kill slow, -> failed");
}

#[test]
fn a_stop_cuts_a_start_short_and_answers_everybody() {
    let mut world = World::up(config(OFA, 3), children(["a"])).plan("slow", [Plan::Hang]);
    world.start_child(child("slow"));
    world.start_child(child("behind"));
    world.terminate("a");
    world.stop();
    assert_eq!(
        world.took_place(),
        "hang slow1, -> stopping, -> stopping, -> stopping, kill slow, stop a, exit shutdown"
    );
}

#[test]
fn an_end_of_significant_children_ends_the_supervisor_as_the_mode_says() {
    let specs = || {
        let significant = |id| child(id).restarting(Restart::Transient).that_matters();
        vec![significant("a"), significant("b"), child("c")]
    };
    let with = |mode| {
        let mut config = config(OFO, 3);
        config.auto_shutdown = mode;
        config
    };
    let mut any = World::up(with(AutoShutdown::AnySignificant), specs());
    any.dies("a", ExitReason::Normal);
    assert_eq!(any.took_place(), "died a, stop c, stop b, exit shutdown");

    let mut all = World::up(with(AutoShutdown::AllSignificant), specs());
    all.dies("a", ExitReason::Normal);
    assert!(!all.ended);
    all.dies("b", ExitReason::Normal);
    assert_eq!(all.took_place(), "died a, died b, stop c, exit shutdown");
}

#[test]
fn a_fatal_exit_is_not_tried_again() {
    let mut world = World::up(config(OFO, 3), children(["a"]));
    let error = std::sync::Arc::new(crate::exit::StoppedWith("no such program".into()));
    world.dies("a", ExitReason::Fatal(error));
    assert_eq!(world.took_place(), "died a, exit shutdown");
    assert_eq!(gave_up(&world).map(|gave_up| gave_up.reason), Some(GaveUpReason::Fatal));
}

#[test]
fn a_dynamic_child_that_spent_its_own_budget_goes_alone() {
    let mut guarded = config(DYN, 1000);
    guarded.policy = RestartPolicy {
        intensity: RestartIntensity { limit: 1000, period: Duration::from_secs(5) },
        consecutive_limit: Some(2),
        backoff: None,
        ..RestartPolicy::default()
    };
    let mut world = World::up(guarded, vec![]);
    world.start_child(child("a"));
    world.start_child(child("b"));
    for _ in 0..3 {
        world.dies("a", error());
    }
    assert!(world.is_live("b") && !world.is_live("a") && !world.ended);
    assert!(matches!(gave_up(&world).map(|g| g.reason), Some(GaveUpReason::Consecutive { limit: 2 })));
}

#[test]
fn a_message_of_a_former_life_changes_nothing() {
    let mut world = World::up(config(OFO, 3), children(["a"]));
    let former = world.life("a");
    world.dies("a", error());
    world.took_place();
    world.happen(Event::Exited { life: former, reason: Some(error()) });
    world.happen(Event::Started { life: former });
    world.happen(Event::Ignored { life: former });
    assert_eq!(world.took_place(), "");
}

#[test]
fn brutal_kill_kills_at_once() {
    let mut world = World::up(config(OFO, 3), vec![child("a").stopping(Shutdown::BrutalKill)]);
    world.terminate("a");
    assert_eq!(world.took_place(), "kill a, -> terminated");
    assert!(world.reports.is_empty());
}

#[test]
fn a_start_that_is_declined_keeps_the_spec_of_a_static_child_that_is_not_temporary() {
    let declining = |id| World::new(config(OFO, 3), vec![]).plan(id, [Plan::Ignore]);
    for (settings, kept) in [(child("i"), true), (child("i").restarting(Restart::Temporary), false)] {
        let mut world = declining("i");
        world.happen(Event::Boot);
        world.start_child(settings);
        assert_eq!(world.took_place(), "booted, ignore i1, -> ignored");
        assert_eq!(world.core.find(&"i".into()).is_some(), kept);
    }
}

#[test]
fn a_restart_that_is_declined_leaves_a_stopped_child_and_no_failure() {
    let mut world = World::up(config(OFO, 3), children(["a"])).plan("a", [Plan::Up, Plan::Ignore, Plan::Up]);
    world.dies("a", error());
    assert_eq!(world.took_place(), "died a, ignore a2");
    world.restart("a");
    assert_eq!(world.took_place(), "start a3, -> ok");
}
