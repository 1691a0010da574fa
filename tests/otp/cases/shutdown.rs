//! OC-50 to OC-58: stopping, in order and within its time.

use std::time::Duration;

use ractor::ActorRef;
use snakepit_supervisor::{ChildSpec, Restart, Shutdown, SupervisorSpec};
use tokio::time::Instant;

use crate::otp::bed::{Bed, FOR_EVER, Supervisor, millis, secs};
use crate::otp::probe::How;
use crate::otp::settle::settle;

/// Stops a supervisor, and says how long that took.
async fn stop(bed: &Bed, sup: &impl Supervisor) -> Duration {
    let cell = sup.cell().expect("it runs");
    let began = Instant::now();
    sup.stop();
    cell.wait(Some(FOR_EVER)).await.expect("it ends");
    let took = began.elapsed();
    settle(&bed.journal).await;
    assert_eq!(bed.end_of(&cell).as_deref(), Some("shutdown"));
    took
}

pub(crate) async fn oc_50_children_are_stopped_one_after_the_other_in_reverse() {
    let bed = Bed::new().await;
    let slow = |id: &str| bed.probe(id).stop_delay(millis(300)).spec();
    let sup = bed.up(bed.over(["a", "b", "c", "d", "e"].map(slow))).await;
    assert_eq!(stop(&bed, &sup).await, millis(1500), "the sum");
    assert_eq!(
        bed.happened().await,
        "stopping e, stop e shutdown, stopping d, stop d shutdown, stopping c, stop c shutdown, \
         stopping b, stop b shutdown, stopping a, stop a shutdown"
    );
}

pub(crate) async fn oc_51_a_child_that_does_not_stop_in_time_is_killed() {
    let bed = Bed::new().await;
    let slow = bed.probe("b").stop_delay(secs(10)).spec().shutdown(Shutdown::Timeout(secs(1)));
    let sup = bed.up(bed.over([bed.child("a"), slow, bed.child("c")])).await;
    assert_eq!(stop(&bed, &sup).await, secs(1));
    assert_eq!(bed.happened().await, "stop c shutdown, stopping b, died b killed, stop a shutdown");
    assert_eq!(bed.reported().await, "shutdown error b killed");
}

pub(crate) async fn oc_52_brutal_kill_kills_at_once() {
    let bed = Bed::new().await;
    let brutal = |id: &str| bed.probe(id).stop_delay(secs(10)).spec().shutdown(Shutdown::BrutalKill);
    let sup = bed.up(bed.over([brutal("a"), brutal("b")])).await;
    let began = Instant::now();
    sup.terminate_child("a").await.expect("it is known");
    assert_eq!(began.elapsed(), secs(0));
    assert_eq!(stop(&bed, &sup).await, secs(0));
    assert_eq!(bed.happened().await, "died a killed, died b killed");
    assert_eq!(bed.reported().await, "");
}

pub(crate) async fn oc_53_infinity_waits() {
    let bed = Bed::new().await;
    let patient = |id: &str| bed.probe(id).stop_delay(secs(60)).spec().shutdown(Shutdown::Infinity);
    let inner = SupervisorSpec::new("inner").child(patient("w")).into_child();
    let sup = bed.up(bed.over([patient("a"), inner])).await;
    assert_eq!(stop(&bed, &sup).await, secs(120));
    assert_eq!(bed.happened().await, "stopping w, stop w shutdown, stopping a, stop a shutdown");
    assert_eq!(bed.reported().await, "");
}

pub(crate) async fn oc_54_stop_returns_when_all_is_gone() {
    let bed = Bed::new().await;
    let inner = SupervisorSpec::new("inner").child(bed.probe("w").stop_delay(millis(300)).spec());
    let spec = bed.over([bed.child("a"), inner.into_child()]).registered_as("oc_54");
    let sup = bed.up(spec.clone()).await;
    let cell = sup.cell().expect("it runs");
    assert_eq!(ractor::registry::where_is("oc_54"), Some(cell.clone()));
    snakepit_supervisor::SupervisorRef::stop(&sup, Some("shutdown:done".to_owned()));
    sup.wait(None).await.expect("no limit");
    bed.assert_nothing_lives();
    settle(&bed.journal).await;
    assert_eq!(bed.end_of(&cell).as_deref(), Some("shutdown:done"));
    assert_eq!(ractor::registry::where_is("oc_54"), None);
    bed.up(spec).await;
    assert!(sup.cell().is_some(), "the name and the handle serve the next one");
}

pub(crate) async fn oc_55_a_child_that_unlinked_itself_is_stopped_all_the_same() {
    let bed = Bed::new().await;
    let sup = bed.up(bed.over([bed.child("a"), bed.child("b")])).await;
    for id in ["a", "b"] {
        bed.journal.cell(id).unlink(sup.cell().expect("it runs"));
    }
    sup.terminate_child("a").await.expect("it is known");
    stop(&bed, &sup).await;
    assert_eq!(bed.happened().await, "stop a shutdown, stop b shutdown");
    bed.assert_nothing_lives();
}

const ENDS: [How; 4] = [How::Normal, How::Shutdown, How::ShutdownWith("x"), How::Err];
const RESTARTS: [Restart; 3] = [Restart::Permanent, Restart::Transient, Restart::Temporary];

pub(crate) async fn oc_56_ends_during_a_stop_are_no_trouble() {
    let bed = Bed::new().await;
    let combined = RESTARTS.into_iter().flat_map(|restart| ENDS.map(|how| (restart, how)));
    let many: Vec<(String, Restart, How)> =
        combined.enumerate().map(|(nth, (restart, how))| (format!("c{nth}_"), restart, how)).collect();
    let mut spec = bed.over([bed.child("first")]);
    for (id, restart, _) in &many {
        spec = spec.child(bed.child(id).restart(*restart));
    }
    let sup = bed.up(spec.child(bed.probe("last").stop_delay(secs(2)).spec())).await;
    let cell = sup.cell().expect("it runs");
    Supervisor::stop(&sup);
    settle(&bed.journal).await;
    for (id, _, how) in &many {
        bed.exit(id, *how).await;
    }
    let ended = bed.happened().await;
    assert!(ended.starts_with("stopping last, stop c0_ normal, stop c1_ shutdown"), "{ended}");
    assert_eq!(ended.split(", ").count(), 13, "each ended once, none was started again: {ended}");
    cell.wait(Some(FOR_EVER)).await.expect("it ends");
    assert_eq!(bed.happened().await, "stop last shutdown, stop first shutdown");
    // A permanent child may end only as it was told; the others may end in any order, not in error.
    let errors = "shutdown error c11_ err, shutdown error c7_ err, shutdown error c3_ err, \
                  shutdown error c2_ shutdown:x, shutdown error c0_ normal";
    assert_eq!(bed.reported().await, errors);
}

pub(crate) async fn oc_57_a_dynamic_supervisor_stops_all_at_once() {
    let bed = Bed::new().await;
    let sup = bed.dynamic_up(bed.dynamic()).await;
    let slow = |id: &str, delay| bed.probe(id).stop_delay(millis(delay)).spec();
    let children = [
        slow("slow", 300),
        slow("hangs", 60_000).shutdown(Shutdown::Timeout(millis(200))),
        slow("patient", 400).shutdown(Shutdown::Infinity),
        slow("brutal", 60_000).shutdown(Shutdown::BrutalKill),
    ];
    for child in children {
        sup.start_child(child).await.expect("it starts");
    }
    bed.forget().await;
    assert_eq!(stop(&bed, &sup).await, millis(400));
    assert_eq!(
        bed.happened().await,
        "stopping slow, stopping hangs, stopping patient, died brutal killed, \
         died hangs killed, stop slow shutdown, stop patient shutdown"
    );
    assert_eq!(bed.reported().await, "shutdown error hangs killed");
}

pub(crate) async fn oc_58_a_dynamic_stop_takes_every_kind_of_end() {
    let bed = Bed::new().await;
    let sup = bed.dynamic_up(bed.dynamic()).await;
    let shutdowns =
        [("k", Shutdown::BrutalKill), ("t", Shutdown::Timeout(millis(200))), ("i", Shutdown::Infinity)];
    let mut expected = [0; 2];
    for nth in 0..10 {
        for (kind, shutdown) in shutdowns {
            let start =
                async |child: ChildSpec| sup.start_child(child.shutdown(shutdown)).await.expect("it starts");
            start(bed.probe(&format!("{kind}{nth}_")).stop_delay(millis(100)).spec()).await;
            // These end by themselves just as they are told to; the last ones fail in their `post_stop`.
            for (how, word) in [(How::Normal, "n"), (How::ShutdownWith("x"), "s")] {
                let id = format!("{kind}{word}{nth}_");
                start(bed.probe(&id).spec().restart(Restart::Temporary)).await;
                ActorRef::<How>::from(bed.journal.cell(&id)).cast(how).expect("it is up");
            }
            start(bed.probe(&format!("{kind}e{nth}_")).stop_fails().spec()).await;
            // Killed before it could fail.
            expected[usize::from(shutdown == Shutdown::BrutalKill)] += 1;
        }
    }
    assert_eq!(stop(&bed, &sup).await, millis(100));
    bed.assert_nothing_lives();
    let reported = bed.reported().await;
    let errors = reported.split(", ").filter(|report| report.starts_with("shutdown error")).count();
    assert_eq!(errors, expected[0], "those whose post_stop failed, and no other: {reported}");
}
