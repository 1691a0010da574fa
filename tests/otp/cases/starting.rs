//! OC-01 to OC-12: starting a supervisor, and starting its children.

use snakepit_supervisor::{
    AutoShutdown, ChildState, DynamicSupervisorSpec, Restart, RestartIntensity, RestartPolicy, Shutdown,
    SpecError, StartChildError, StartError, Strategy, SupervisorInit, SupervisorSpec,
};
use tokio::time::Instant;

use crate::otp::bed::{Bed, Supervisor, counted, millis, secs};
use crate::otp::probe::{How, Plan};
use crate::otp::settle::begin;

pub(crate) async fn oc_01_start_returns_when_all_are_up_in_order() {
    let bed = Bed::new().await;
    let spec =
        bed.over([bed.child("a"), bed.probe("b").plan([Plan::Slow(millis(100))]).spec(), bed.child("c")]);
    let began = Instant::now();
    let sup = bed.try_up(spec).await.expect("it starts");
    assert_eq!(bed.journal.take(), "start a1, start b1, start c1");
    assert_eq!(began.elapsed(), millis(100));
    assert_eq!(counted(sup.counts().await), [3, 3, 0, 3]);
}

pub(crate) async fn oc_02_a_failed_start_is_rolled_back() {
    for plan in [Plan::Err, Plan::Panic, Plan::BadFactory] {
        let bed = Bed::new().await;
        let failing = bed.probe("c").plan([plan]).spec();
        let spec = bed.over([bed.child("a"), bed.child("b"), failing, bed.child("d")]);
        let handle = spec.handle();
        match bed.try_up(spec).await {
            Err(StartError::Child { child, .. }) => assert_eq!(child.as_str(), "c"),
            other => panic!("{other:?}"),
        }
        let log = bed.happened().await;
        assert_eq!(log, "start a1, start b1, fail c1, stop b shutdown, stop a shutdown", "{plan:?}");
        bed.nothing_happens().await;
        bed.assert_nothing_lives();
        assert!(handle.cell().is_none());
    }
}

pub(crate) async fn oc_03_a_supervisor_may_decline_to_start() {
    let bed = Bed::new().await;
    let init = SupervisorInit::new("sup", || Ok(None));
    let started = init.start_linked(bed.monitor.clone()).await.expect("no failure");
    assert!(started.is_none() && init.handle().cell().is_none());
    bed.nothing_happens().await;
    assert!(bed.seen.is_empty(), "no failure is told to the caller");
}

pub(crate) async fn oc_04_an_ignored_child_keeps_its_spec_unless_temporary() {
    let bed = Bed::new().await;
    let ignoring = |id: &str| bed.probe(id).plan([Plan::Ignore]).spec();
    let spec = bed.over([ignoring("p"), ignoring("t").restart(Restart::Temporary)]);
    let sup = bed.try_up(spec).await.expect("it starts");
    assert_eq!(sup.list().await, [("p".to_owned(), ChildState::Stopped)]);
    assert!(sup.start_child(ignoring("p2")).await.expect("no failure").is_none());
    assert!(sup.start_child(ignoring("t2").restart(Restart::Temporary)).await.expect("no failure").is_none());
    assert_eq!(sup.list().await.len(), 2);
    assert!(sup.which_child("p2").await.expect("it runs").is_some_and(|child| child.cell.is_none()));
    assert!(sup.which_child("t2").await.expect("it runs").is_none());
    assert_eq!(counted(sup.counts().await), [2, 0, 0, 2]);
}

pub(crate) async fn oc_05_equal_ids_are_refused_before_anything_starts() {
    let bed = Bed::new().await;
    let spec = bed.over([bed.child("a"), bed.child("b"), bed.child("a")]);
    match bed.try_up(spec).await {
        Err(StartError::Invalid(SpecError::DuplicateId { id })) => assert_eq!(id.as_str(), "a"),
        other => panic!("{other:?}"),
    }
    assert_eq!(bed.happened().await, "");
}

pub(crate) async fn oc_06_specs_that_cannot_be_right_are_refused() {
    let bed = Bed::new().await;
    let significant = |restart| bed.child("x").restart(restart).significant(true);
    let permanent = significant(Restart::Permanent);
    let invalid = |spec: SupervisorSpec| spec.child(bed.child("a"));

    // Both rules are broken: the first one wins.
    let never = invalid(bed.over([permanent.clone()]));
    assert!(matches!(never.check(), Err(SpecError::SignificantWithoutAutoShutdown { .. })));
    let any = invalid(bed.over([permanent.clone()]).auto_shutdown(AutoShutdown::AnySignificant));
    assert!(matches!(any.check(), Err(SpecError::SignificantPermanent { .. })));
    let zero = RestartPolicy::otp(RestartIntensity { limit: 1, period: secs(0) });
    let zero = invalid(bed.over([]).policy(zero));
    assert!(matches!(zero.check(), Err(SpecError::ZeroPeriod { .. })));
    for (spec, below) in [(never, false), (any, true), (zero.clone(), false), (zero, true)] {
        let spec = if below { bed.over([bed.child("b"), spec.into_child()]) } else { spec };
        assert!(matches!(bed.try_up(spec).await, Err(StartError::Invalid(_))));
    }
    assert_eq!(bed.happened().await, "", "nothing is started");

    let sup = bed.up(bed.over([bed.child("a")])).await;
    let refused = sup.start_child(significant(Restart::Transient)).await;
    assert!(matches!(
        refused,
        Err(StartChildError::Invalid(SpecError::SignificantWithoutAutoShutdown { .. }))
    ));
    let dynamic = bed.dynamic_up(bed.dynamic()).await;
    let refused = dynamic.start_child(significant(Restart::Temporary)).await;
    assert!(matches!(
        refused,
        Err(StartChildError::Invalid(SpecError::SignificantWithoutAutoShutdown { .. }))
    ));
    bed.nothing_happens().await;
    assert_eq!((counted(sup.counts().await), counted(dynamic.counts().await)), ([1, 1, 0, 1], [0; 4]));
}

pub(crate) async fn oc_07_defaults_are_those_of_otp() {
    let bed = Bed::new().await;
    let inner = SupervisorSpec::new("s").into_child();
    let dynamic = DynamicSupervisorSpec::new("d").into_child();
    let sup = bed.up(bed.over([bed.child("w"), inner, dynamic])).await;
    let settings = async |id: &str| sup.get_childspec(id).await.expect("it runs").expect("it is known");
    let worker = settings("w").await;
    assert_eq!((worker.restart, worker.significant), (Restart::Permanent, false));
    assert_eq!(worker.shutdown, Shutdown::Timeout(secs(5)));
    for id in ["s", "d"] {
        let supervisor = settings(id).await;
        assert_eq!((supervisor.restart, supervisor.significant), (Restart::Permanent, false));
        assert_eq!(supervisor.shutdown, Shutdown::Infinity);
        assert_ne!(supervisor.kind, worker.kind);
    }
    assert!(sup.get_childspec("unknown").await.expect("it runs").is_none());
}

pub(crate) async fn oc_08_started_children_are_appended_in_order() {
    let bed = Bed::new().await;
    let sup = bed.up(bed.fixed(Strategy::OneForOne, [])).await;
    for id in ["a", "b"] {
        let started = sup.start_child(bed.child(id)).await.expect("it starts").expect("it is not declined");
        assert_eq!(started.cell, bed.journal.cell(id));
    }
    assert_eq!(counted(sup.counts().await), [2, 2, 0, 2]);
    let ids: Vec<String> = sup.list().await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["b", "a"], "newest first");
}

pub(crate) async fn oc_09_a_running_id_is_already_started() {
    let bed = Bed::new().await;
    let sup = bed.up(bed.fixed(Strategy::OneForOne, ["a"])).await;
    match sup.start_child(bed.child("a")).await {
        Err(StartChildError::AlreadyStarted { running }) => assert_eq!(running, bed.journal.cell("a")),
        other => panic!("{other:?}"),
    }
    assert_eq!(bed.happened().await, "", "the factory is not called");
}

pub(crate) async fn oc_10_a_failed_start_child_is_not_kept_and_not_retried() {
    let bed = Bed::new().await;
    let sup = bed.up(bed.fixed(Strategy::OneForOne, ["z"])).await;
    for plan in [Plan::Err, Plan::Panic, Plan::BadFactory, Plan::Err, Plan::Panic] {
        let refused = sup.start_child(bed.probe("a").plan([plan]).spec()).await;
        assert!(matches!(refused, Err(StartChildError::Failed(_))), "{refused:?}");
        assert!(sup.which_child("a").await.expect("it runs").is_none());
        assert_eq!(bed.happened().await, "fail a1");
    }
    bed.nothing_happens().await;
    // The budget is untouched: it still allows its three restarts.
    for _ in 0..3 {
        bed.exit("z", How::Err).await;
    }
    assert!(sup.cell().is_some());
}

pub(crate) async fn oc_11_a_taken_name_is_passed_through() {
    let bed = Bed::new().await;
    let foreign = bed.up(bed.over([bed.child("f").registered_as("oc_11")])).await;
    let holder = bed.journal.cell("f");
    let sup = bed.up(bed.fixed(Strategy::OneForOne, [])).await;
    match sup.start_child(bed.child("a").registered_as("oc_11")).await {
        Err(StartChildError::AlreadyStarted { running }) => assert_eq!(running, holder),
        other => panic!("{other:?}"),
    }
    assert!(sup.which_child("a").await.expect("it runs").is_none());
    bed.nothing_happens().await;
    assert_eq!((bed.journal.cell("f"), counted(foreign.counts().await)), (holder, [1, 1, 0, 1]));
}

pub(crate) async fn oc_12_a_slow_start_blocks_no_question() {
    let bed = Bed::new().await;
    let sup = bed.up(bed.fixed(Strategy::OneForAll, ["a"])).await;
    let began = Instant::now();
    let slow = bed.probe("slow").plan([Plan::Slow(millis(300))]).spec();
    let mut starting = Box::pin(sup.start_child(slow));
    assert!(begin(starting.as_mut()).await.is_none());
    let mut terminating = Box::pin(sup.terminate_child("slow"));
    assert!(begin(terminating.as_mut()).await.is_none());
    let mut again = Box::pin(sup.restart_child("slow"));
    assert!(begin(again.as_mut()).await.is_none());
    let list = sup.list().await;
    assert_eq!(list[0], ("slow".to_owned(), ChildState::Starting));
    assert_eq!(began.elapsed(), millis(0), "the question did not wait");
    starting.await.expect("it starts");
    terminating.await.expect("it is known");
    again.await.expect("it was stopped");
    assert_eq!(bed.happened().await, "start slow1, stop slow shutdown, start slow2", "in arrival order");
    assert_eq!(began.elapsed(), millis(600));
}
