//! OC-65 to OC-75: children that come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use snakepit_supervisor::{
    ChildSpec, ChildState, DynamicSupervisorRef, Offspring, Restart, StartChildError, Strategy,
    TerminateChildError,
};

use crate::otp::bed::{Bed, FOR_EVER, Supervisor, counted, intensity};
use crate::otp::journal::Journal;
use crate::otp::probe::{How, Plan, holders};

async fn up(bed: &Bed) -> DynamicSupervisorRef {
    bed.dynamic_up(bed.dynamic().policy(intensity(1000))).await
}

pub(crate) async fn oc_65_dynamic_children_are_restarted_or_removed() {
    let bed = Bed::new().await;
    let sup = up(&bed).await;
    let ends = [How::Normal, How::Shutdown, How::ShutdownWith("x"), How::Err, How::Panic];
    for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
        for how in ends.into_iter().map(Some).chain([None]) {
            sup.start_child(bed.child("a").restart(restart)).await.expect("it starts");
            let before = bed.journal.actor("a");
            match how {
                Some(how) => bed.exit("a", how).await,
                None => bed.kill("a").await,
            }
            let clean = matches!(how, Some(How::Normal | How::Shutdown | How::ShutdownWith(_)));
            let restarted = match restart {
                Restart::Permanent => true,
                Restart::Transient => !clean,
                Restart::Temporary => false,
            };
            assert_eq!(bed.journal.actor("a") != before, restarted, "{restart:?} {how:?}");
            let present = usize::from(restarted);
            assert_eq!(counted(sup.counts().await), [present, present, 0, present]);
            if restarted {
                sup.terminate_child("a").await.expect("it is known");
            }
        }
    }
}

pub(crate) async fn oc_66_dynamic_start_child_returns_what_happened() {
    let bed = Bed::new().await;
    let sup = bed.dynamic_up(bed.dynamic().policy(intensity(0))).await;
    assert!(sup.start_child(bed.child("ok")).await.expect("it starts").is_some());
    let journal = bed.journal.clone();
    let informing = ChildSpec::worker_with("info", move |_| {
        let quiet = Quiet { id: "info", journal: journal.clone(), seen: String::new() };
        Ok(Offspring::with_info(quiet, (), Arc::new(7_u8)))
    });
    let informed = sup.start_child(informing).await.expect("it starts").expect("it is not declined");
    assert_eq!(informed.info.expect("there is info").downcast_ref::<u8>(), Some(&7));
    let before = (bed.journal.actor("ok"), bed.journal.actor("info"));
    assert!(sup.start_child(bed.probe("i").plan([Plan::Ignore]).spec()).await.expect("no failure").is_none());
    for plan in [Plan::Err, Plan::Panic, Plan::BadFactory] {
        let failed = sup.start_child(bed.probe("e").plan([plan]).spec()).await;
        assert!(matches!(failed, Err(StartChildError::Failed(_))), "{failed:?}");
    }
    bed.nothing_happens().await;
    assert_eq!((bed.journal.actor("ok"), bed.journal.actor("info")), before);
    assert_eq!(counted(sup.counts().await), [2, 2, 0, 2]);
}

pub(crate) async fn oc_67_dynamic_terminate_child_is_graceful_and_final() {
    let bed = Bed::new().await;
    let (sup, other) = (up(&bed).await, up(&bed).await);
    let child = sup.start_child(bed.child("a")).await.expect("it starts").expect("it is not declined").cell;
    let foreign =
        other.start_child(bed.child("f")).await.expect("it starts").expect("it is not declined").cell;
    bed.forget().await;
    sup.terminate_child(&child).await.expect("it is a child");
    assert_eq!(bed.journal.take(), "stop a shutdown");
    assert_eq!(sup.terminate_child(&child).await, Err(TerminateChildError::NotFound));
    assert_eq!(sup.terminate_child(&foreign).await, Err(TerminateChildError::NotFound));
    bed.nothing_happens().await;
    assert_eq!(counted(other.counts().await), [1, 1, 0, 1]);
}

pub(crate) async fn oc_68_a_dynamic_child_in_a_restart_loop_is_restarting() {
    let bed = Bed::new().await;
    let sup = bed.dynamic_up(bed.dynamic().policy(intensity(1_000_000))).await;
    let failing = bed.probe("a").plan([Plan::Up, Plan::Err]).spec();
    let old = sup.start_child(failing).await.expect("it starts").expect("it is not declined").cell;
    bed.tell("a", How::Err);
    bed.until_line("fail a2").await;
    let children = sup.which_children().await.expect("it runs");
    let states = (children.len(), children[0].state);
    assert!(matches!(states, (1, ChildState::Restarting { .. } | ChildState::Starting)), "{states:?}");
    let counts = counted(sup.counts().await);
    assert_eq!(counts, [1, 0, 0, 1]);
    sup.terminate_child(&old).await.expect("by the actor that it was");
    bed.nothing_happens().await;
    assert_eq!(counted(sup.counts().await), [0; 4]);
}

pub(crate) async fn oc_69_dynamic_children_share_one_counter() {
    for (crashes, lives) in [(3, true), (4, false)] {
        let bed = Bed::new().await;
        let sup = bed.dynamic_up(bed.dynamic()).await;
        let cell = sup.cell().expect("it runs");
        let ids: Vec<String> = (0..10).map(|nth| format!("c{nth}_")).collect();
        for id in &ids {
            sup.start_child(bed.child(id)).await.expect("it starts");
        }
        for id in &ids[..crashes] {
            bed.exit(id, How::Err).await;
        }
        assert_eq!(sup.cell().is_some(), lives, "{crashes} different children");
        if !lives {
            assert_eq!(bed.end_of(&cell).as_deref(), Some("shutdown"));
            bed.assert_nothing_lives();
        }
    }
}

pub(crate) async fn oc_70_ignore_at_a_dynamic_restart_removes_the_child() {
    let bed = Bed::new().await;
    let sup = up(&bed).await;
    let cell = sup.cell().expect("it runs");
    sup.start_child(bed.child("z")).await.expect("it starts");
    sup.start_child(bed.probe("a").plan([Plan::Up, Plan::Ignore]).spec()).await.expect("it starts");
    bed.exit("a", How::Err).await;
    assert_eq!(counted(sup.counts().await), [1, 1, 0, 1]);
    bed.forget().await;
    Supervisor::stop(&sup);
    cell.wait(Some(FOR_EVER)).await.expect("it ends");
    assert_eq!(bed.happened().await, "stop z shutdown");
    assert_eq!(bed.reported().await, "");
}

pub(crate) async fn oc_71_max_children_counts_restarting_children_once() {
    let bed = Bed::new().await;
    let sup = bed.dynamic_up(bed.dynamic().policy(intensity(1_000_000)).max_children(1)).await;
    let full = async || {
        let refused = sup.start_child(bed.child("second")).await;
        assert!(matches!(refused, Err(StartChildError::MaxChildren { limit: 1 })), "{refused:?}");
    };
    sup.start_child(bed.child("a")).await.expect("there is room");
    full().await;
    for _ in 0..100 {
        bed.exit("a", How::Err).await;
    }
    full().await;
    assert_eq!(counted(sup.counts().await), [1, 1, 0, 1]);
    sup.terminate_child("a").await.expect("it is known");
    sup.start_child(bed.probe("b").plan([Plan::Up, Plan::Err]).spec()).await.expect("there is room again");
    bed.tell("b", How::Err);
    bed.until_line("fail b2").await;
    full().await;
    sup.terminate_child("b").await.expect("it is known");
    assert_eq!(bed.journal.times_up("second"), 0, "its factory was never called");
    sup.start_child(bed.child("c")).await.expect("there is room again");
}

/// An actor that only comes up, and says what it was given.
struct Quiet {
    id: &'static str,
    journal: Journal,
    seen: String,
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Quiet {
    type Msg = How;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<How>, (): ()) -> Result<(), ActorProcessingErr> {
        self.journal.introduce(self.id, myself.get_cell());
        self.journal.note(format!("{} {}", self.id, self.seen));
        Ok(())
    }
}

pub(crate) async fn oc_72_extra_arguments_are_seen_once_by_every_start() {
    let bed = Bed::new().await;
    let sup = bed.dynamic_up(bed.dynamic().extra_arguments("x".to_owned())).await;
    let journal = bed.journal.clone();
    let child = ChildSpec::worker_with("a", move |context| {
        let extra = context.extra::<String>().cloned().unwrap_or_default();
        Ok(Offspring::new(Quiet { id: "a", journal: journal.clone(), seen: extra + "own" }, ()))
    });
    sup.start_child(child).await.expect("it starts");
    bed.kill("a").await;
    assert_eq!(bed.happened().await, "a xown, a xown");
}

pub(crate) async fn oc_73_arguments_of_a_temporary_child_are_dropped() {
    let bed = Bed::new().await;
    let (dynamic, fixed) = (up(&bed).await, bed.up(bed.fixed(Strategy::OneForOne, [])).await);
    for (restart, kept) in [(Restart::Temporary, false), (Restart::Permanent, true)] {
        for is_dynamic in [true, false] {
            let held = Arc::new(());
            let (argument, journal) = (Arc::clone(&held), bed.journal.clone());
            let child = ChildSpec::worker(format!("{restart:?}"), move || {
                let seen = format!("{argument:?}");
                (Quiet { id: "a", journal: journal.clone(), seen }, ())
            });
            let child = child.restart(restart);
            if is_dynamic {
                dynamic.start_child(child).await.expect("it starts");
            } else {
                fixed.start_child(child).await.expect("it starts");
            }
            assert_eq!(holders(&held), 1 + usize::from(kept), "{restart:?}");
        }
    }
}

pub(crate) async fn oc_74_equal_ids_run_side_by_side_when_dynamic() {
    let bed = Bed::new().await;
    let sup = up(&bed).await;
    let first = sup.start_child(bed.child("a")).await.expect("it starts").expect("it is not declined").cell;
    let second = sup.start_child(bed.child("a")).await.expect("it starts").expect("it is not declined").cell;
    assert_ne!(first, second);
    assert_eq!(counted(sup.counts().await), [2, 2, 0, 2]);
    sup.terminate_child(&second).await.expect("it is a child");
    assert_eq!(sup.which_children().await.expect("it runs")[0].cell, Some(first));
}

pub(crate) async fn oc_75_the_cost_of_many_children_grows_linearly() {
    for is_dynamic in [true, false] {
        let few = effort_of(1_000, is_dynamic).await;
        let many = effort_of(10_000, is_dynamic).await;
        assert!(few > 1_000, "the effort is counted");
        // Ten times the children may cost a little over ten times the effort, never a hundred times.
        assert!(many <= few * 11, "dynamic {is_dynamic}: {few} for a thousand, {many} for ten thousand");
    }
}

async fn effort_of(children: usize, is_dynamic: bool) -> u64 {
    let bed = Bed::new().await;
    let starts = Arc::new(AtomicUsize::new(0));
    let child = |nth: usize| {
        let (journal, starts) = (Journal::default(), Arc::clone(&starts));
        ChildSpec::worker(format!("c{nth}"), move || {
            starts.fetch_add(1, Ordering::SeqCst);
            (Quiet { id: "c", journal: journal.clone(), seen: String::new() }, ())
        })
    };
    let effort = if is_dynamic {
        let sup = up(&bed).await;
        for nth in 0..children {
            sup.start_child(child(nth)).await.expect("it starts");
        }
        for nth in 0..children {
            sup.terminate_child(format!("c{nth}").as_str()).await.expect("it is known");
        }
        sup.effort().await
    } else {
        let mut spec = bed.fixed(Strategy::OneForAll, []);
        for nth in 0..children {
            spec = spec.child(child(nth));
        }
        let sup = bed.up(spec).await;
        for nth in 0..children {
            sup.terminate_child(format!("c{nth}").as_str()).await.expect("it is known");
        }
        sup.effort().await
    };
    assert_eq!(starts.load(Ordering::SeqCst), children);
    effort.expect("it runs")
}
