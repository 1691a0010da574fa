//! SX-01 to SX-12, but for those about threads and processes: what the crate adds to OTP.

use std::time::Duration;

use snakepit_supervisor::{
    Backoff, ChildSpec, ChildState, GaveUp, GaveUpReason, Report, Restart, RestartIntensity, RestartPolicy,
    StartChildError, StartFailure, StarterSpec, Strategy, SupervisorSpec,
};
use tokio::time::Instant;

use crate::otp::bed::{Bed, FOR_EVER, Supervisor, counted, intensity, millis, secs};
use crate::otp::probe::{How, Plan};
use crate::otp::settle::settle;

fn give_ups(bed: &Bed) -> Vec<GaveUp> {
    let reports = bed.journal.reports().into_iter();
    reports
        .filter_map(|report| if let Report::GaveUp(gave_up) = report { Some(gave_up) } else { None })
        .collect()
}

/// A backoff without chance, beginning with the first restart.
fn steady(base: Duration) -> Backoff {
    Backoff { immediate_first: false, base, jitter: 0.0, ..Backoff::default() }
}

fn delaying(base: Duration) -> RestartPolicy {
    RestartPolicy { consecutive_limit: None, backoff: Some(steady(base)), ..intensity(1000) }
}

pub(crate) async fn sx_01_crash_loops_under_starters_leave_the_others_alone() {
    let bed = Bed::new().await;
    let sup = bed.dynamic_up(bed.dynamic().policy(intensity(0))).await;
    let starter =
        |id: &str, worker: ChildSpec| StarterSpec::new(id, worker, RestartPolicy::default()).into_child();
    let healthy: Vec<String> = (0..10).map(|nth| format!("good{nth}_")).collect();
    for id in &healthy {
        sup.start_child(starter(id, bed.child(id))).await.expect("it starts");
    }
    let before: Vec<_> = healthy.iter().map(|id| bed.journal.actor(id)).collect();
    for nth in 0..50 {
        let worker = bed.probe(&format!("bad{nth}_")).plan([Plan::Crash]).spec();
        // The worker comes up, so the start is fine; the crashes follow.
        sup.start_child(starter(&format!("s{nth}"), worker)).await.expect("it starts");
    }
    bed.pass(secs(600)).await;
    let after: Vec<_> = healthy.iter().map(|id| bed.journal.actor(id)).collect();
    assert_eq!(before, after);
    let gave_up = give_ups(&bed);
    assert_eq!(gave_up.len(), 50);
    assert!(gave_up.iter().all(|gave_up| gave_up.child.as_str().starts_with("bad")));
    assert_eq!(counted(sup.counts().await), [10, 10, 10, 0], "the slots of the bad ones are free");
}

pub(crate) async fn sx_02_a_starter_is_never_empty() {
    let bed = Bed::new().await;
    let sup = bed.dynamic_up(bed.dynamic().policy(intensity(0))).await;
    let policy = RestartPolicy { backoff: Some(steady(millis(100))), ..RestartPolicy::default() };
    let worker = bed.child("w").restart(Restart::Temporary);
    sup.start_child(StarterSpec::new("s", worker, policy).into_child()).await.expect("it starts");
    let mut ends = [How::ShutdownWith("x"), How::Normal, How::Shutdown, How::Err].into_iter();
    while let Some(how) = ends.next() {
        bed.exit("w", how).await;
        let tree = sup.snapshot().await.expect("it runs");
        match tree.find("s") {
            Some(starter) => {
                let worker = &starter.children[0].state;
                assert!(matches!(worker, ChildState::Restarting { .. }), "{worker:?}");
                assert_eq!(give_ups(&bed).len(), 0);
            }
            None => assert_eq!(ends.next(), None, "gone only when the budget is spent"),
        }
        bed.pass(secs(1)).await;
    }
    let gave_up = give_ups(&bed);
    assert_eq!(gave_up.len(), 1);
    assert!(matches!(gave_up[0].reason, GaveUpReason::Intensity { limit: 3, .. }));
    assert_eq!(
        (gave_up[0].supervisor.as_str(), gave_up[0].child.as_str(), gave_up[0].restarts),
        ("s", "w", 3)
    );
    assert_eq!(counted(sup.counts().await), [0; 4]);
}

pub(crate) async fn sx_03_a_slow_crash_loop_ends() {
    let starts_in_ten_minutes = async |policy: RestartPolicy| {
        let bed = Bed::new().await;
        let slow = bed.probe("a").plan([Plan::SlowCrash(millis(2100))]).spec();
        let sup = bed.try_up(bed.over([slow]).policy(policy)).await.expect("it starts");
        bed.pass(secs(600)).await;
        (bed.journal.times_up("a"), sup.cell().is_some(), give_ups(&bed))
    };
    let (starts, lives, _) = starts_in_ten_minutes(intensity(3)).await;
    assert!(lives && starts > 250, "the window alone never ends it: {starts} starts");
    let guarded = RestartPolicy { consecutive_limit: Some(5), ..intensity(3) };
    let (starts, lives, gave_up) = starts_in_ten_minutes(guarded).await;
    assert!(!lives);
    assert_eq!(starts, 6);
    assert_eq!(gave_up[0].reason, GaveUpReason::Consecutive { limit: 5 });
}

pub(crate) async fn sx_04_the_delays_are_exact_and_can_be_interrupted() {
    let bed = Bed::new().await;
    let sup = bed.up(bed.fixed(Strategy::OneForOne, ["a"]).policy(delaying(millis(200)))).await;
    for expected in [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600] {
        bed.exit("a", How::Err).await;
        let after = millis(expected);
        assert_eq!(sup.list().await, [("a".to_owned(), ChildState::Restarting { after })]);
        let times = bed.journal.times_up("a");
        bed.pass(after.saturating_sub(millis(1))).await;
        assert_eq!(bed.journal.times_up("a"), times, "not before {expected} ms");
        bed.pass(millis(1)).await;
        assert_eq!(bed.journal.times_up("a"), times + 1, "at {expected} ms");
    }
    bed.exit("a", How::Err).await;
    assert_eq!(sup.list().await[0].1, ChildState::Restarting { after: secs(30) }, "the limit");
    sup.terminate_child("a").await.expect("it is known");
    bed.forget().await;
    bed.nothing_happens().await;

    // Jitter takes from each delay what the seed says, the same in every run.
    let jittered = async || {
        let bed = Bed::new().await;
        let backoff = Backoff { jitter: 0.5, ..steady(millis(200)) };
        let policy = RestartPolicy { backoff: Some(backoff), ..delaying(millis(200)) };
        let sup = bed.up(bed.fixed(Strategy::OneForOne, ["a"]).policy(policy).seed(11)).await;
        let mut delays = Vec::new();
        for _ in 0..8 {
            bed.exit("a", How::Err).await;
            let ChildState::Restarting { after } = sup.list().await[0].1 else { panic!("it waits") };
            delays.push(after);
            bed.pass(after + millis(1)).await;
        }
        (delays, bed, sup)
    };
    let (first, bed, sup) = jittered().await;
    assert_eq!(first, jittered().await.0);
    let whole = |nth: usize| millis(200 << nth);
    assert!(first.iter().enumerate().all(|(nth, &delay)| delay >= whole(nth) / 2 && delay <= whole(nth)));
    // A stop interrupts a delay.
    bed.exit("a", How::Err).await;
    let cell = sup.cell().expect("it runs");
    let began = Instant::now();
    Supervisor::stop(&sup);
    cell.wait(Some(FOR_EVER)).await.expect("it ends");
    assert_eq!(began.elapsed(), secs(0));
    bed.forget().await;
    bed.nothing_happens().await;
}

pub(crate) async fn sx_05_a_stable_time_resets_the_delay() {
    let bed = Bed::new().await;
    let policy = RestartPolicy { consecutive_limit: Some(3), ..delaying(millis(200)) };
    let sup = bed.up(bed.fixed(Strategy::OneForOne, ["a"]).policy(policy)).await;
    let delay = async |up_for: Duration| {
        bed.pass(up_for).await;
        bed.exit("a", How::Err).await;
        let ChildState::Restarting { after } = sup.list().await[0].1 else { panic!("it waits") };
        bed.pass(after).await;
        after
    };
    assert_eq!(delay(secs(0)).await, millis(200));
    assert_eq!(delay(secs(1)).await, millis(400));
    assert_eq!(delay(secs(59)).await, millis(800), "not stable yet");
    assert_eq!(delay(secs(60)).await, millis(200), "stable");
    assert_eq!(delay(secs(0)).await, millis(400));
    assert_eq!(delay(secs(0)).await, millis(800), "the count in a row began anew, too");
}

pub(crate) async fn sx_06_groups_in_delay_merge() {
    for strategy in [Strategy::OneForAll, Strategy::RestForOne] {
        let bed = Bed::new().await;
        let sup = bed.up(bed.fixed(strategy, ["a", "b", "c"]).policy(delaying(secs(1)))).await;
        // b fails three times in a row: its group waits 4 s.
        for wait in [1, 2] {
            bed.exit("b", How::Err).await;
            bed.pass(secs(wait)).await;
        }
        bed.exit("b", How::Err).await;
        bed.pass(secs(1)).await;
        if strategy == Strategy::OneForAll {
            // Under one-for-all everybody waits; somebody who is started meanwhile can still fail.
            sup.restart_child("a").await.expect("it is stopped");
        }
        bed.forget().await;
        // a fails for the first time, which alone would wait 1 s. Three seconds remain of the longer wait.
        bed.exit("a", How::Err).await;
        assert_eq!(bed.happened().await, "died a err", "{strategy:?}");
        bed.pass(millis(2999)).await;
        assert_eq!(bed.happened().await, "", "the remaining delay is honoured");
        bed.pass(millis(1)).await;
        let started = bed.happened().await;
        let order: Vec<&str> = started.split(", ").map(|line| &line[..7]).collect();
        assert_eq!(order, ["start a", "start b", "start c"], "one restart of all: {started}");
        bed.nothing_happens().await;
    }
}

pub(crate) async fn sx_08_a_start_that_never_returns_is_given_up() {
    let bed = Bed::new().await;
    let hangs = |id: &str, plan: [Plan; 3]| bed.probe(id).plan(plan).spec().start_timeout(secs(5));
    let never = Plan::Slow(FOR_EVER);
    let sup = bed.up(bed.fixed(Strategy::OneForOne, ["z"]).policy(intensity(2))).await;
    let began = Instant::now();
    let (failed, questions) = tokio::join!(sup.start_child(hangs("h", [never; 3])), async {
        settle(&bed.journal).await;
        let list = sup.list().await;
        bed.exit("z", How::Err).await;
        (list, began.elapsed())
    });
    let timeout =
        |failure: &StartFailure| matches!(failure, StartFailure::Timeout { limit } if *limit == secs(5));
    assert!(matches!(&failed, Err(StartChildError::Failed(failure)) if timeout(failure)), "{failed:?}");
    assert_eq!(began.elapsed(), secs(5));
    assert_eq!(questions.0[0], ("h".to_owned(), ChildState::Starting));
    assert_eq!(questions.1, secs(0), "the supervisor answered, and restarted another, meanwhile");
    assert_eq!(bed.happened().await, "died z err, start z2");
    assert!(sup.which_child("h").await.expect("it runs").is_none());

    // At a restart it counts, and is tried again.
    bed.pass(secs(10)).await;
    sup.start_child(hangs("r", [Plan::Up, never, Plan::Up])).await.expect("it starts");
    bed.exit("r", How::Err).await;
    bed.pass(secs(5)).await;
    assert_eq!(bed.happened().await, "start r1, died r err, start r3");
    bed.exit("r", How::Err).await;
    assert!(sup.cell().is_none(), "two counts, and one too many");
}

pub(crate) async fn sx_10_a_new_subtree_waits_for_the_end_of_the_old() {
    let bed = Bed::new().await;
    let leaf = SupervisorSpec::new("leaf").child(bed.probe("w").stop_delay(secs(1)).spec());
    let middle = SupervisorSpec::new("middle").child(bed.child("m")).child(leaf.into_child());
    let middle_ref = middle.handle();
    let sup = bed.up(bed.over([middle.into_child()])).await;
    let old = [bed.journal.cell("m"), bed.journal.cell("w")];
    // Killed in the middle of its own stop: w is in `post_stop`, where ractor does not kill it.
    middle_ref.stop(None);
    bed.until_line("stopping w").await;
    middle_ref.cell().expect("it runs").kill();
    bed.until_line("start m2").await;
    assert!(old.iter().all(|cell| cell.get_status() == ractor::ActorStatus::Stopped));
    let log = bed.happened().await;
    let (ends, starts) = log.split_once(", start m2, ").expect("ends, then starts");
    assert!(ends.contains("died w killed") && ends.contains("died m killed"), "{log}");
    assert_eq!(starts, "start w2");
    assert_eq!(sup.snapshot().await.expect("it runs").find("middle").expect("it is drawn").restarts, 1);
}

pub(crate) async fn sx_11_a_fatal_exit_is_not_retried() {
    for restart in [Restart::Permanent, Restart::Transient] {
        let bed = Bed::new().await;
        let sup = bed.up(bed.over([bed.child("a").restart(restart), bed.child("z")])).await;
        let cell = sup.cell().expect("it runs");
        bed.tell("a", How::Fatal);
        settle(&bed.journal).await;
        assert_eq!(bed.happened().await, "died a fatal, stop z shutdown");
        let gave_up = give_ups(&bed);
        assert_eq!((gave_up.len(), gave_up[0].reason, gave_up[0].restarts), (1, GaveUpReason::Fatal, 0));
        assert!(gave_up[0].last.downcast_ref::<snakepit_supervisor::StoppedWith>().is_some());
        assert_eq!(bed.end_of(&cell).as_deref(), Some("shutdown"));
    }
    // In a dynamic supervisor the child goes alone; the budget that its siblings share is untouched.
    let bed = Bed::new().await;
    let policy = RestartPolicy::otp(RestartIntensity { limit: 0, period: secs(5) });
    let sup = bed.dynamic_up(bed.dynamic().policy(policy)).await;
    sup.start_child(bed.child("a")).await.expect("it starts");
    sup.start_child(bed.child("z")).await.expect("it starts");
    bed.exit("a", How::Fatal).await;
    assert_eq!(give_ups(&bed).len(), 1);
    assert_eq!(sup.list().await, [("z".to_owned(), ChildState::Running)]);
}

pub(crate) async fn sx_12_the_same_script_makes_the_same_run() {
    let run = async || {
        let bed = Bed::new().await;
        let backoff = Backoff { jitter: 1.0, ..steady(millis(500)) };
        let policy = RestartPolicy { backoff: Some(backoff), consecutive_limit: Some(4), ..intensity(100) };
        let failing = bed.probe("b").plan([Plan::Up, Plan::Err, Plan::Up]).spec();
        let spec = bed.fixed(Strategy::RestForOne, ["a"]).policy(policy).seed(42).child(failing);
        let sup = bed.try_up(spec.child(bed.child("c"))).await.expect("it starts");
        for (id, how) in [("b", How::Err), ("a", How::Normal), ("c", How::Panic), ("b", How::Shutdown)] {
            bed.exit(id, how).await;
            bed.pass(secs(3)).await;
        }
        let tree = sup.snapshot().await.expect("it runs");
        Supervisor::stop(&sup);
        settle(&bed.journal).await;
        let states: Vec<_> = tree.children.iter().map(|child| (child.id.clone(), child.state)).collect();
        (bed.journal.take(), bed.journal.take_reports(), states)
    };
    let (first, second) = (run().await, run().await);
    assert_eq!(first, second);
    assert!(first.1.contains("delayed"), "chance played its part: {}", first.1);
}
