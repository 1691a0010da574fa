//! OC-23 to OC-28: permanent, transient and temporary children.

use snakepit_supervisor::{ChildState, Restart, Strategy};

use crate::otp::bed::{Bed, Supervisor, counted, intensity};
use crate::otp::cases::threads::Elsewhere;
use crate::otp::probe::{How, Plan};

const CLEAN: [How; 3] = [How::Normal, How::Shutdown, How::ShutdownWith("x")];
const FAILED: [How; 2] = [How::Err, How::Panic];

pub(crate) async fn oc_23_a_permanent_child_is_restarted_whatever_the_reason() {
    let bed = Bed::new().await;
    bed.up(bed.fixed(Strategy::OneForOne, ["a"]).policy(intensity(10))).await;
    let mut actors = vec![bed.journal.actor("a")];
    for how in CLEAN.into_iter().chain(FAILED) {
        bed.exit("a", how).await;
        actors.push(bed.journal.actor("a"));
    }
    bed.kill("a").await;
    actors.push(bed.journal.actor("a"));
    assert_eq!(
        bed.happened().await,
        "stop a normal, start a2, stop a shutdown, start a3, stop a shutdown:x, start a4, \
         died a err, start a5, died a panic, start a6, died a killed, start a7"
    );
    actors.sort_by_key(ractor::ActorId::pid);
    actors.dedup();
    assert_eq!(actors.len(), 7, "a new identity each time");
}

pub(crate) async fn oc_24_a_transient_child_is_not_restarted_after_a_clean_end() {
    let bed = Bed::new().await;
    let sup = bed.up(bed.over([bed.child("a").restart(Restart::Transient)])).await;
    for how in CLEAN {
        bed.exit("a", how).await;
        bed.nothing_happens().await;
        assert_eq!(sup.list().await, [("a".to_owned(), ChildState::Stopped)]);
        assert_eq!(counted(sup.counts().await), [1, 0, 0, 1]);
        sup.restart_child("a").await.expect("it is stopped");
    }
}

pub(crate) async fn oc_25_a_transient_child_is_restarted_after_any_other_end() {
    let bed = Bed::new().await;
    let sup = bed.up(bed.over([bed.child("a").restart(Restart::Transient)]).policy(intensity(10))).await;
    for how in FAILED {
        bed.exit("a", how).await;
    }
    bed.kill("a").await;
    assert_eq!(bed.happened().await, "died a err, start a2, died a panic, start a3, died a killed, start a4");
    assert_eq!(sup.list().await, [("a".to_owned(), ChildState::Running)]);

    // From outside a task is aborted by ending its runtime. The next start is declined: there is none to run it on.
    let bed = Bed::new().await;
    let elsewhere = Elsewhere::new();
    let lost = bed.probe("b").plan([Plan::Up, Plan::Ignore]).spec().restart(Restart::Transient);
    let _sup = elsewhere.up(&bed, bed.over([lost.start_timeout(None).on_runtime(elsewhere.runtime())])).await;
    elsewhere.abort_all(&bed, "died b killed").await;
    assert_eq!(bed.happened().await, "died b killed, ignore b2");
    assert_eq!(bed.reported().await, "terminated b cancelled");
}

pub(crate) async fn oc_26_a_temporary_child_is_never_restarted() {
    let bed = Bed::new().await;
    let temporary = || bed.child("t").restart(Restart::Temporary);
    let sup = bed.up(bed.over([])).await;
    for how in CLEAN.into_iter().chain(FAILED).map(Some).chain([None]) {
        sup.start_child(temporary()).await.expect("the id is free");
        match how {
            Some(how) => bed.exit("t", how).await,
            None => bed.kill("t").await,
        }
        bed.nothing_happens().await;
        assert_eq!(counted(sup.counts().await), [0; 4]);
    }
}

pub(crate) async fn oc_27_clean_ends_of_a_permanent_child_count() {
    let bed = Bed::new().await;
    let sup = bed.up(bed.fixed(Strategy::OneForOne, ["a"]).policy(intensity(1))).await;
    let cell = sup.cell().expect("it runs");
    bed.exit("a", How::Normal).await;
    assert!(bed.end_of(&cell).is_none());
    bed.exit("a", How::Normal).await;
    assert_eq!(bed.end_of(&cell).as_deref(), Some("shutdown"));
    assert_eq!(bed.happened().await, "stop a normal, start a2, stop a normal");
}

pub(crate) async fn oc_28_ends_without_restart_do_not_count() {
    let bed = Bed::new().await;
    let sup = bed.up(bed.over([bed.child("a").restart(Restart::Transient)]).policy(intensity(0))).await;
    for _ in 0..10 {
        bed.exit("a", How::Normal).await;
        sup.restart_child("a").await.expect("it is stopped");
        sup.start_child(bed.child("t").restart(Restart::Temporary)).await.expect("the id is free");
        bed.exit("t", How::Err).await;
    }
    assert_eq!(counted(sup.counts().await), [1, 1, 0, 1]);
}
