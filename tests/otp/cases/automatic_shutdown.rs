//! OC-59 to OC-64: significant children, and the shutdown that follows their end.

use snakepit_supervisor::{AutoShutdown, ChildSpec, Restart, Strategy, SupervisorSpec};

use crate::otp::bed::Bed;
use crate::otp::probe::How;

const MODES: [AutoShutdown; 2] = [AutoShutdown::AnySignificant, AutoShutdown::AllSignificant];

fn significant(bed: &Bed, id: &str, restart: Restart) -> ChildSpec {
    bed.child(id).restart(restart).significant(true)
}

pub(crate) async fn oc_59_any_significant_ends_with_a_clean_transient_child() {
    for (how, log) in
        [(How::Normal, "stop s normal, stop z shutdown, stop a shutdown"), (How::Err, "died s err, start s2")]
    {
        let bed = Bed::new().await;
        let spec = bed.over([bed.child("a"), significant(&bed, "s", Restart::Transient), bed.child("z")]);
        let sup = bed.up(spec.auto_shutdown(AutoShutdown::AnySignificant)).await;
        let cell = sup.cell().expect("it runs");
        bed.exit("s", how).await;
        assert_eq!(bed.happened().await, log);
        assert_eq!(bed.end_of(&cell).as_deref(), (how == How::Normal).then_some("shutdown"));
    }
}

pub(crate) async fn oc_60_any_significant_ends_with_any_temporary_child() {
    for how in [Some(How::Normal), Some(How::Err), None] {
        let bed = Bed::new().await;
        let spec = bed.over([bed.child("a"), significant(&bed, "s", Restart::Temporary)]);
        let sup = bed.up(spec.auto_shutdown(AutoShutdown::AnySignificant)).await;
        let cell = sup.cell().expect("it runs");
        match how {
            Some(how) => bed.exit("s", how).await,
            None => bed.kill("s").await,
        }
        assert_eq!(bed.end_of(&cell).as_deref(), Some("shutdown"), "{how:?}");
        bed.assert_nothing_lives();
    }
}

pub(crate) async fn oc_61_insignificant_children_never_end_their_supervisor() {
    for mode in [AutoShutdown::Never, AutoShutdown::AnySignificant, AutoShutdown::AllSignificant] {
        let bed = Bed::new().await;
        let spec = bed.over([
            bed.child("p"),
            bed.child("r").restart(Restart::Transient),
            bed.child("t").restart(Restart::Temporary),
        ]);
        let sup = bed.up(spec.auto_shutdown(mode)).await;
        bed.exit("p", How::Err).await;
        bed.exit("r", How::Err).await;
        bed.exit("r", How::Normal).await;
        bed.exit("t", How::Err).await;
        bed.nothing_happens().await;
        assert!(sup.cell().is_some(), "{mode:?}");
    }
}

pub(crate) async fn oc_62_all_significant_ends_with_the_last() {
    let up = async |bed: &Bed| {
        let pair = [significant(bed, "s1", Restart::Transient), significant(bed, "s2", Restart::Transient)];
        bed.up(bed.over(pair).auto_shutdown(AutoShutdown::AllSignificant)).await
    };
    let bed = Bed::new().await;
    let sup = up(&bed).await;
    bed.exit("s1", How::Normal).await;
    bed.nothing_happens().await;
    assert!(sup.cell().is_some());
    bed.exit("s2", How::Normal).await;
    assert!(sup.cell().is_none(), "the last one ended");

    let bed = Bed::new().await;
    let sup = up(&bed).await;
    sup.terminate_child("s1").await.expect("it is known");
    assert!(sup.cell().is_some(), "a call never ends it");
    bed.exit("s2", How::Normal).await;
    assert!(sup.cell().is_none(), "the one stopped by a call counts as gone");

    let bed = Bed::new().await;
    let sup = up(&bed).await;
    bed.exit("s1", How::Normal).await;
    sup.terminate_child("s2").await.expect("it is known");
    bed.nothing_happens().await;
    assert!(sup.cell().is_some(), "not even the last one, stopped by a call");
}

pub(crate) async fn oc_63_stops_by_strategy_never_end_a_supervisor() {
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        for mode in MODES {
            let bed = Bed::new().await;
            let spec = bed
                .fixed(strategy, [])
                .child(significant(&bed, "s1", Restart::Transient))
                .child(bed.child("b"))
                .child(significant(&bed, "s2", Restart::Transient));
            let sup = bed.up(spec.auto_shutdown(mode)).await;
            bed.exit("b", How::Err).await;
            let log = match strategy {
                Strategy::OneForOne => "died b err, start b2",
                Strategy::OneForAll => {
                    "died b err, stop s2 shutdown, stop s1 shutdown, start s12, start b2, start s22"
                }
                Strategy::RestForOne => "died b err, stop s2 shutdown, start b2, start s22",
            };
            assert_eq!(bed.happened().await, log, "{strategy:?} {mode:?}");
            bed.nothing_happens().await;
            assert!(sup.cell().is_some());
        }
    }
}

pub(crate) async fn oc_64_an_automatic_shutdown_moves_up_only_through_significant_children() {
    for is_significant in [true, false] {
        let bed = Bed::new().await;
        let inner = SupervisorSpec::new("B").auto_shutdown(AutoShutdown::AnySignificant);
        let inner = inner.child(significant(&bed, "c", Restart::Transient));
        let inner_ref = inner.handle();
        let inner = inner.into_child().restart(Restart::Transient).significant(is_significant);
        let sup = bed.up(bed.over([bed.child("a"), inner]).auto_shutdown(AutoShutdown::AnySignificant)).await;
        let cell = sup.cell().expect("it runs");
        bed.exit("c", How::Normal).await;
        assert!(inner_ref.cell().is_none(), "B ends");
        let log = if is_significant { "stop c normal, stop a shutdown" } else { "stop c normal" };
        assert_eq!(bed.happened().await, log);
        assert_eq!(bed.end_of(&cell).as_deref(), is_significant.then_some("shutdown"));
        bed.nothing_happens().await;
    }
}
