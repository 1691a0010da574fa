//! OC-37 to OC-49: group restarts, restarts that fail, and calls in between.

use std::time::Duration;

use snakepit_supervisor::{ChildState, Restart, RestartChildError, Strategy};
use tokio::time::Instant;

use crate::otp::bed::{Bed, Supervisor, intensity, millis, secs};
use crate::otp::probe::{How, Plan};
use crate::otp::settle::{begin, settle};

pub(crate) async fn oc_37_one_for_all_stops_all_before_the_first_start() {
    let bed = Bed::new().await;
    let sup = bed.up(bed.fixed(Strategy::OneForAll, ["a", "b", "c"]).policy(intensity(1))).await;
    bed.exit("b", How::Err).await;
    assert_eq!(
        bed.happened().await,
        "died b err, stop c shutdown, stop a shutdown, start a2, start b2, start c2"
    );
    assert!(sup.cell().is_some(), "one count");
    bed.exit("b", How::Err).await;
    assert!(sup.cell().is_none(), "and that was the one");
}

pub(crate) async fn oc_38_rest_for_one_restarts_the_rest() {
    let bed = Bed::new().await;
    let _sup = bed.up(bed.fixed(Strategy::RestForOne, ["a", "b", "c", "d", "e"])).await;
    let before = (bed.journal.actor("a"), bed.journal.actor("b"));
    bed.exit("c", How::Err).await;
    assert_eq!(
        bed.happened().await,
        "died c err, stop e shutdown, stop d shutdown, start c2, start d2, start e2"
    );
    assert_eq!((bed.journal.actor("a"), bed.journal.actor("b")), before);
}

pub(crate) async fn oc_39_rest_for_one_restarts_children_added_later() {
    let bed = Bed::new().await;
    let sup = bed.up(bed.fixed(Strategy::RestForOne, ["a", "b"])).await;
    sup.start_child(bed.child("c")).await.expect("it starts");
    bed.forget().await;
    bed.exit("b", How::Err).await;
    assert_eq!(bed.happened().await, "died b err, stop c shutdown, start b2, start c2");
}

pub(crate) async fn oc_40_a_temporary_bystander_is_stopped_and_forgotten() {
    for strategy in [Strategy::OneForAll, Strategy::RestForOne] {
        let bed = Bed::new().await;
        let spec = bed.fixed(strategy, ["a"]).child(bed.child("t").restart(Restart::Temporary));
        let sup = bed.up(spec).await;
        bed.exit("a", How::Err).await;
        assert_eq!(bed.happened().await, "died a err, stop t shutdown, start a2");
        assert!(sup.which_child("t").await.expect("it runs").is_none());
    }
}

pub(crate) async fn oc_41_a_group_restart_starts_also_what_was_stopped() {
    for (strategy, log) in [
        (Strategy::OneForAll, "died a err, start z2, start a2, start t2, start k2"),
        (Strategy::RestForOne, "died a err, start a2, start t2, start k2"),
    ] {
        let bed = Bed::new().await;
        let spec = bed.fixed(strategy, ["z", "a"]).child(bed.child("t").restart(Restart::Transient));
        let sup = bed.up(spec.child(bed.child("k"))).await;
        bed.exit("t", How::Normal).await;
        sup.terminate_child("k").await.expect("it is known");
        sup.terminate_child("z").await.expect("it is known");
        bed.forget().await;
        bed.exit("a", How::Err).await;
        assert_eq!(bed.happened().await, log);
        let z = sup.which_child("z").await.expect("it runs").expect("it is known").state;
        let expected =
            if strategy == Strategy::OneForAll { ChildState::Running } else { ChildState::Stopped };
        assert_eq!(z, expected);
    }
}

const FAILS_TWICE: [Plan; 4] = [Plan::Up, Plan::Err, Plan::Err, Plan::Up];

pub(crate) async fn oc_42_a_retry_under_one_for_all_begins_from_the_start() {
    let bed = Bed::new().await;
    let spec = bed.fixed(Strategy::OneForAll, ["a", "b"]).child(bed.probe("c").plan(FAILS_TWICE).spec());
    let sup = bed.up(spec.child(bed.child("d"))).await;
    bed.exit("b", How::Err).await;
    assert_eq!(
        bed.happened().await,
        "died b err, stop d shutdown, stop c shutdown, stop a shutdown, start a2, start b2, fail c2, \
         stop b shutdown, stop a shutdown, start a3, start b3, fail c3, \
         stop b shutdown, stop a shutdown, start a4, start b4, start c4, start d2"
    );
    assert!(sup.cell().is_some(), "three counts");
    bed.exit("a", How::Err).await;
    assert!(sup.cell().is_none(), "the fourth is one too many");
}

pub(crate) async fn oc_43_a_retry_under_rest_for_one_begins_at_the_failed_child() {
    let bed = Bed::new().await;
    let fails_twice = [Plan::Up, Plan::Err, Plan::SlowErr(millis(100)), Plan::Up];
    let spec = bed.fixed(Strategy::RestForOne, ["a", "b"]).child(bed.probe("c").plan(fails_twice).spec());
    let sup = bed.up(spec.child(bed.child("d"))).await;
    let a = bed.journal.actor("a");
    bed.exit("b", How::Err).await;
    assert_eq!(bed.happened().await, "died b err, stop d shutdown, stop c shutdown, start b2, fail c2");
    // Between the attempts: b is up, c is tried again, d waits stopped.
    let states: Vec<_> = sup.list().await.into_iter().map(|(id, state)| format!("{id} {state}")).collect();
    assert_eq!(states, ["d stopped", "c starting", "b running", "a running"]);
    bed.pass(millis(100)).await;
    assert_eq!(bed.happened().await, "fail c3, start c4, start d2");
    assert_eq!(bed.journal.actor("a"), a);
}

pub(crate) async fn oc_44_deaths_in_one_incident_count_once_for_a_group() {
    for (strategy, lives) in
        [(Strategy::OneForAll, true), (Strategy::RestForOne, true), (Strategy::OneForOne, false)]
    {
        let bed = Bed::new().await;
        let sup = bed.up(bed.fixed(strategy, ["a", "b"]).policy(intensity(1))).await;
        // The supervisor gets no turn until both are dead.
        bed.journal.cell("a").kill();
        bed.journal.cell("b").kill();
        settle(&bed.journal).await;
        assert_eq!(sup.cell().is_some(), lives, "{strategy:?}");
        assert_eq!(bed.journal.times_up("b"), if lives { 2 } else { 1 }, "{strategy:?}");
    }
}

pub(crate) async fn oc_45_a_failing_restart_lets_calls_in_between() {
    let bed = Bed::new().await;
    let failing = bed.probe("a").plan([Plan::Up, Plan::SlowErr(millis(100)), Plan::Up]).spec();
    let sup = bed.up(bed.over([failing]).policy(intensity(2))).await;
    bed.exit("a", How::Err).await;
    // The call comes during the first attempt, and is answered before the second.
    let restart = sup.restart_child("a").await;
    assert!(matches!(restart, Err(RestartChildError::Restarting)), "{restart:?}");
    assert_eq!(bed.happened().await, "died a err, fail a2, start a3");
    assert_eq!(sup.list().await, [("a".to_owned(), ChildState::Running)]);
}

pub(crate) async fn oc_46_a_stop_ends_a_restart_loop() {
    let bed = Bed::new().await;
    let failing = bed.probe("a").plan([Plan::Up, Plan::Err]).spec();
    let sup = bed.up(bed.over([failing]).policy(intensity(1_000_000))).await;
    let cell = sup.cell().expect("it runs");
    let began = Instant::now();
    bed.tell("a", How::Err);
    bed.until_line("fail a10").await;
    bed.journal.take();
    Supervisor::stop(&sup);
    cell.wait(Some(secs(1))).await.expect("it ends");
    assert_eq!(began.elapsed(), Duration::ZERO);
    let after = bed.happened().await;
    assert!(after.is_empty() || after == "fail a11", "at most the attempt under way: {after}");
    assert_eq!(bed.end_of(&cell).as_deref(), Some("shutdown"));
    bed.nothing_happens().await;
}

pub(crate) async fn oc_47_terminate_child_ends_a_restart_loop() {
    let bed = Bed::new().await;
    let failing = bed.probe("a").plan([Plan::Up, Plan::Err]).spec();
    let sup = bed.up(bed.over([failing]).policy(intensity(1_000_000))).await;
    bed.tell("a", How::Err);
    bed.until_line("fail a10").await;
    sup.terminate_child("a").await.expect("it is known");
    bed.nothing_happens().await;
    assert_eq!(sup.list().await, [("a".to_owned(), ChildState::Stopped)]);
}

pub(crate) async fn oc_48_a_terminated_child_is_not_resurrected_by_its_own_death() {
    for strategy in [Strategy::OneForOne, Strategy::OneForAll] {
        let bed = Bed::new().await;
        let sup = bed.up(bed.fixed(strategy, ["a"])).await;
        let mut terminating = Box::pin(sup.terminate_child("a"));
        assert!(begin(terminating.as_mut()).await.is_none(), "queued");
        bed.journal.cell("a").kill();
        terminating.await.expect("it is known");
        let before = bed.journal.times_up("a");
        bed.nothing_happens().await;
        assert_eq!(bed.journal.times_up("a"), before, "nothing is started after the answer");
        assert!(before <= 2, "at most once before it");
        assert_eq!(sup.list().await, [("a".to_owned(), ChildState::Stopped)]);
    }
}

pub(crate) async fn oc_49_ignore_at_a_restart_leaves_a_stopped_child() {
    let bed = Bed::new().await;
    let ignoring = bed.probe("a").plan([Plan::Up, Plan::Ignore, Plan::Up]).spec();
    let sup = bed.up(bed.over([ignoring]).policy(intensity(1))).await;
    bed.exit("a", How::Err).await;
    assert_eq!(bed.happened().await, "died a err, ignore a2");
    assert_eq!(sup.list().await, [("a".to_owned(), ChildState::Stopped)]);
    bed.nothing_happens().await;
    sup.restart_child("a").await.expect("it is stopped").expect("it is not declined this time");
}
