//! OC-29 to OC-36: the budget of restarts, and what happens when it is spent.

use snakepit_supervisor::{
    ChildState, DynamicSupervisorSpec, RestartIntensity, RestartPolicy, Strategy, SupervisorSpec,
};

use crate::otp::bed::{Bed, Supervisor, intensity, millis, secs};
use crate::otp::probe::{How, Plan};

fn within(limit: u32, period: std::time::Duration) -> RestartPolicy {
    RestartPolicy::otp(RestartIntensity { limit, period })
}

pub(crate) async fn oc_29_intensity_n_allows_n_restarts() {
    for (limit, starts) in [(0, 1), (1, 2), (3, 4)] {
        let bed = Bed::new().await;
        let sup = bed.up(bed.fixed(Strategy::OneForOne, ["a", "z"]).policy(intensity(limit))).await;
        let cell = sup.cell().expect("it runs");
        while bed.end_of(&cell).is_none() {
            bed.exit("a", How::Err).await;
        }
        assert_eq!(bed.end_of(&cell).as_deref(), Some("shutdown"));
        assert_eq!(bed.journal.times_up("a"), starts, "intensity {limit}");
        assert!(bed.happened().await.ends_with("died a err, stop z shutdown"), "no attempt after the last");
        bed.assert_nothing_lives();
    }
}

pub(crate) async fn oc_30_restarts_out_of_the_window_do_not_count() {
    let bed = Bed::new().await;
    let sup = bed.up(bed.fixed(Strategy::OneForOne, ["a"]).policy(within(1, secs(1)))).await;
    for _ in 0..4 {
        bed.exit("a", How::Err).await;
        bed.pass(millis(2100)).await;
    }
    assert!(sup.cell().is_some());
    assert_eq!(bed.journal.times_up("a"), 5);
}

pub(crate) async fn oc_31_the_ends_of_the_window_belong_to_it() {
    for (gap, lives) in [(5000, false), (5001, true), (6001, true)] {
        let bed = Bed::new().await;
        let sup = bed.up(bed.fixed(Strategy::OneForOne, ["a"]).policy(within(1, secs(5)))).await;
        bed.exit("a", How::Err).await;
        bed.pass(millis(gap)).await;
        bed.exit("a", How::Err).await;
        assert_eq!(sup.cell().is_some(), lives, "{gap} ms apart");
    }
}

pub(crate) async fn oc_32_failed_restarts_count() {
    let bed = Bed::new().await;
    let failing = bed.probe("a").plan([Plan::Up, Plan::Err]).spec();
    let sup = bed.up(bed.over([failing, bed.child("z")]).policy(intensity(4))).await;
    let cell = sup.cell().expect("it runs");
    bed.exit("a", How::Err).await;
    assert_eq!(bed.happened().await, "died a err, fail a2, fail a3, fail a4, fail a5, stop z shutdown");
    assert_eq!(bed.end_of(&cell).as_deref(), Some("shutdown"));
}

pub(crate) async fn oc_33_children_share_one_counter() {
    let bed = Bed::new().await;
    let sup = bed.up(bed.fixed(Strategy::OneForOne, ["a", "b"]).policy(intensity(1))).await;
    let cell = sup.cell().expect("it runs");
    bed.exit("a", How::Err).await;
    bed.pass(secs(1)).await;
    bed.exit("b", How::Err).await;
    assert_eq!(bed.end_of(&cell).as_deref(), Some("shutdown"));
}

pub(crate) async fn oc_34_a_restarted_supervisor_has_only_its_first_children() {
    let bed = Bed::new().await;
    let inner = SupervisorSpec::new("inner").policy(intensity(0)).child(bed.child("x")).child(bed.child("y"));
    let inner_ref = inner.handle();
    let outer = bed.fixed(Strategy::OneForAll, []).policy(within(4, secs(3600))).child(inner.into_child());
    let outer = bed.up(outer).await;
    inner_ref.start_child(bed.child("d")).await.expect("it starts");
    let before = (bed.journal.actor("x"), bed.journal.actor("y"));
    bed.forget().await;
    bed.exit("x", How::Err).await;
    assert_eq!(bed.happened().await, "died x err, stop d shutdown, stop y shutdown, start x2, start y2");
    assert_eq!(
        bed.reported().await,
        "terminated x err, gave up x, terminated inner shutdown, progress x1, \
         progress y1, progress inner2"
    );
    assert_ne!((bed.journal.actor("x"), bed.journal.actor("y")), before);
    assert_eq!(inner_ref.list().await.len(), 2, "d is gone");
    assert!(outer.cell().is_some());
}

pub(crate) async fn oc_35_a_killed_supervisor_takes_its_children_along() {
    let bed = Bed::new().await;
    let inner = SupervisorSpec::new("inner").policy(intensity(3)).child(bed.child("w"));
    let inner_ref = inner.handle();
    let _outer = bed.up(bed.over([inner.into_child()])).await;
    let old = bed.journal.cell("w");
    inner_ref.cell().expect("it runs").kill();
    bed.until_line("start w2").await;
    assert_eq!(old.get_status(), ractor::ActorStatus::Stopped, "never two at once");
    assert_eq!(bed.happened().await, "died w killed, start w2");
    assert_eq!(inner_ref.list().await, [("w".to_owned(), ChildState::Running)]);

    // The same for a subtree of children that come and go: they are gone with it.
    let dynamic = DynamicSupervisorSpec::new("dynamic").policy(intensity(3));
    let dynamic_ref = dynamic.handle();
    let _outer = bed.up(bed.over([dynamic.into_child()])).await;
    dynamic_ref.start_child(bed.child("d")).await.expect("it starts");
    bed.forget().await;
    dynamic_ref.cell().expect("it runs").kill();
    assert_eq!(bed.happened().await, "died d killed");
    assert_eq!(dynamic_ref.list().await, []);
}

pub(crate) async fn oc_36_one_for_one_leaves_siblings_alone() {
    let bed = Bed::new().await;
    let _sup = bed.up(bed.fixed(Strategy::OneForOne, ["a", "b"])).await;
    let before = (bed.journal.actor("a"), bed.journal.actor("b"));
    bed.exit("a", How::Err).await;
    assert_eq!(bed.happened().await, "died a err, start a2");
    assert_ne!(bed.journal.actor("a"), before.0);
    assert_eq!(bed.journal.actor("b"), before.1);
}
