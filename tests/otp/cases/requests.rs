//! OC-13 to OC-22: terminating, restarting and deleting children.

use std::sync::Arc;

use snakepit_supervisor::{
    ChildSpec, ChildState, DeleteChildError, Offspring, Restart, RestartChildError, StartChildError,
    Strategy, TerminateChildError,
};

use crate::otp::bed::{Bed, Supervisor, counted, intensity};
use crate::otp::probe::{How, Plan};

pub(crate) async fn oc_13_a_terminated_child_keeps_its_spec_and_is_not_restarted() {
    let bed = Bed::new().await;
    let sup = bed.up(bed.fixed(Strategy::OneForOne, ["a"])).await;
    sup.terminate_child("a").await.expect("it is known");
    assert_eq!(bed.journal.take(), "stop a shutdown", "gone when the call returns");
    assert_eq!(counted(sup.counts().await), [1, 0, 0, 1]);
    bed.nothing_happens().await;
    assert_eq!(sup.list().await, [("a".to_owned(), ChildState::Stopped)]);
}

pub(crate) async fn oc_14_terminating_twice_is_fine() {
    let bed = Bed::new().await;
    let sup = bed.up(bed.fixed(Strategy::OneForOne, ["a"])).await;
    sup.terminate_child("a").await.expect("it is known");
    sup.terminate_child("a").await.expect("it is still known");
    assert_eq!(bed.happened().await, "stop a shutdown");
}

pub(crate) async fn oc_15_unknown_ids_are_not_found() {
    let bed = Bed::new().await;
    let sup = bed.up(bed.fixed(Strategy::OneForAll, ["a"])).await;
    assert_eq!(sup.terminate_child("x").await, Err(TerminateChildError::NotFound));
    assert!(matches!(sup.restart_child("x").await, Err(RestartChildError::NotFound)));
    assert_eq!(sup.delete_child("x").await, Err(DeleteChildError::NotFound));
    assert!(sup.which_child("x").await.expect("it runs").is_none());
    assert!(sup.get_childspec("x").await.expect("it runs").is_none());
    assert_eq!(bed.happened().await, "");
}

pub(crate) async fn oc_16_a_restarting_child_is_present_and_restarting() {
    let bed = Bed::new().await;
    let failing = bed.probe("a").plan([Plan::Up, Plan::Err]).spec();
    let sup = bed.up(bed.over([failing]).policy(intensity(1000))).await;
    bed.tell("a", How::Err);
    // The calls arrive in the middle of the loop, between two attempts.
    bed.until_line("fail a2").await;
    let start = sup.start_child(bed.child("a")).await;
    assert!(matches!(start, Err(StartChildError::AlreadyPresent)), "{start:?}");
    let restart = sup.restart_child("a").await;
    assert!(matches!(restart, Err(RestartChildError::Restarting)), "{restart:?}");
    let delete = sup.delete_child("a").await;
    assert_eq!(delete, Err(DeleteChildError::Restarting));
}

pub(crate) async fn oc_17_restart_child_starts_a_stopped_child_in_its_place() {
    let bed = Bed::new().await;
    let sup = bed.up(bed.fixed(Strategy::OneForOne, ["a", "b"])).await;
    let before = bed.journal.actor("a");
    assert!(matches!(sup.restart_child("a").await, Err(RestartChildError::Running)));
    sup.terminate_child("a").await.expect("it is known");
    let started = sup.restart_child("a").await.expect("it is stopped").expect("it is not declined");
    assert_ne!(started.cell.get_id(), before);
    let ids: Vec<String> = sup.list().await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["b", "a"]);
}

pub(crate) async fn oc_18_a_failed_restart_child_leaves_it_stopped() {
    let bed = Bed::new().await;
    let failing = bed.probe("a").plan([Plan::Up, Plan::Err]).spec();
    let sup = bed.up(bed.over([failing]).policy(intensity(0))).await;
    sup.terminate_child("a").await.expect("it is known");
    for _ in 0..3 {
        assert!(matches!(sup.restart_child("a").await, Err(RestartChildError::Failed(_))));
    }
    assert_eq!(bed.happened().await, "stop a shutdown, fail a2, fail a3, fail a4");
    bed.nothing_happens().await;
    assert_eq!(sup.list().await, [("a".to_owned(), ChildState::Stopped)]);
}

pub(crate) async fn oc_19_delete_child_forgets_a_stopped_child() {
    let bed = Bed::new().await;
    let sup = bed.up(bed.fixed(Strategy::OneForOne, ["a"])).await;
    assert_eq!(sup.delete_child("a").await, Err(DeleteChildError::Running));
    sup.terminate_child("a").await.expect("it is known");
    sup.delete_child("a").await.expect("it is stopped");
    assert_eq!(sup.delete_child("a").await, Err(DeleteChildError::NotFound));
    assert_eq!(counted(sup.counts().await), [0; 4]);
}

pub(crate) async fn oc_20_a_temporary_spec_goes_with_its_child() {
    let bed = Bed::new().await;
    let temporary = || bed.child("t").restart(Restart::Temporary);
    let sup = bed.up(bed.over([temporary()])).await;
    sup.terminate_child("t").await.expect("it is known");
    assert!(sup.which_child("t").await.expect("it runs").is_none());
    assert!(matches!(sup.restart_child("t").await, Err(RestartChildError::NotFound)));
    assert!(sup.start_child(temporary()).await.expect("the id is free").is_some());
}

pub(crate) async fn oc_21_a_child_added_again_is_the_last() {
    let bed = Bed::new().await;
    let sup = bed.up(bed.fixed(Strategy::RestForOne, ["a", "b"])).await;
    sup.terminate_child("a").await.expect("it is known");
    sup.delete_child("a").await.expect("it is stopped");
    sup.start_child(bed.child("a")).await.expect("the id is free");
    bed.forget().await;
    bed.exit("b", How::Err).await;
    assert_eq!(bed.happened().await, "died b err, stop a shutdown, start b2, start a2");
}

pub(crate) async fn oc_22_start_info_is_handed_back_by_calls() {
    let bed = Bed::new().await;
    let journal = bed.journal.clone();
    let informing = ChildSpec::worker_with("a", move |context| {
        let nth = context.incarnation();
        let probe = Informer { nth, journal: journal.clone() };
        Ok(Offspring::with_info(probe, (), Arc::new(format!("info {nth}"))))
    });
    let sup = bed.up(bed.fixed(Strategy::OneForOne, [])).await;
    let told = |started: Option<snakepit_supervisor::StartedChild>| {
        let info = started.and_then(|started| started.info).expect("there is info");
        info.downcast_ref::<String>().expect("a text").clone()
    };
    assert_eq!(told(sup.start_child(informing).await.expect("it starts")), "info 1");
    sup.terminate_child("a").await.expect("it is known");
    assert_eq!(told(sup.restart_child("a").await.expect("it is stopped")), "info 2");
    bed.journal.cell("a").kill();
    bed.happened().await;
    assert_eq!(bed.journal.times_up("a"), 3, "restarted without anybody to tell");
}

/// An actor that only comes up.
struct Informer {
    nth: u64,
    journal: crate::otp::journal::Journal,
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl ractor::Actor for Informer {
    type Msg = How;
    type State = ();
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ractor::ActorRef<How>,
        (): (),
    ) -> Result<(), ractor::ActorProcessingErr> {
        self.journal.introduce("a", myself.get_cell());
        self.journal.note(format!("start a{}", self.nth));
        Ok(())
    }
}
