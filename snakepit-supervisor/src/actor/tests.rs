//! Supervisors with real actors, in virtual time.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::probe::{Journal, Plan, ProbeMessage};
use crate::error::{StartChildError, StartError, StartFailure};
use crate::exit::StoppedWith;
use crate::{
    Backoff, ChildExit, ChildState, DynamicSupervisorRef, DynamicSupervisorSpec, GaveUpReason, Report,
    Restart, RestartIntensity, RestartPolicy, Shutdown, StarterSpec, Strategy, SupervisorInit,
    SupervisorSpec,
};

const LONG: Duration = Duration::from_mins(1);

fn generous() -> RestartIntensity {
    RestartIntensity { limit: 1000, period: Duration::from_secs(5) }
}

async fn dynamic(journal: &Journal) -> DynamicSupervisorRef {
    DynamicSupervisorSpec::new("dyn")
        .reports(journal.sink())
        .start()
        .await
        .expect("an empty supervisor starts")
}

#[tokio::test(start_paused = true)]
async fn start_returns_when_all_children_are_up_in_order() {
    let journal = Journal::default();
    let spec = SupervisorSpec::new("sup")
        .child(journal.probe("a"))
        .child(journal.planned("b", vec![Plan::UpAfter(Duration::from_millis(100))]))
        .child(journal.probe("c"));
    let handle = spec.handle();
    assert!(handle.cell().is_none());
    let sup = spec.start().await.expect("starts");
    assert_eq!(journal.take(), "start a1, start b1, start c1");
    assert_eq!(handle.cell(), sup.cell());
    let counts = sup.count_children().await.expect("runs");
    assert_eq!((counts.specs, counts.active, counts.workers), (3, 3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_leaves_nothing_and_says_which_child() {
    let journal = Journal::default();
    let spec = SupervisorSpec::new("sup")
        .child(journal.probe("a"))
        .child(journal.probe("b"))
        .child(journal.planned("c", vec![Plan::Fail]))
        .child(journal.probe("d"));
    let handle = spec.handle();
    match spec.start().await {
        Err(StartError::Child { child, failure }) => {
            assert_eq!(child.as_str(), "c");
            assert!(failure.downcast_ref::<StoppedWith>().is_some());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(journal.take(), "start a1, start b1, fail c1, stop b1, stop a1");
    assert!(handle.cell().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_permanent_worker_is_restarted_whatever_the_reason() {
    let journal = Journal::default();
    let sup = SupervisorSpec::new("sup").intensity(generous()).child(journal.probe("a"));
    let sup = sup.start().await.expect("starts");
    let ends: [&dyn Fn(); 6] = [
        &|| journal.tell("a", ProbeMessage::Stop(None)),
        &|| journal.tell("a", ProbeMessage::Stop(Some("shutdown"))),
        &|| journal.tell("a", ProbeMessage::Stop(Some("shutdown:x"))),
        &|| journal.tell("a", ProbeMessage::Err),
        &|| journal.tell("a", ProbeMessage::Panic),
        &|| journal.cell("a").kill(),
    ];
    for (nth, end) in (2..).zip(ends) {
        let before = journal.cell("a").get_id();
        end();
        journal.until_line(&format!("start a{nth}")).await;
        assert_ne!(journal.cell("a").get_id(), before);
    }
    let tree = sup.snapshot().await.expect("runs");
    assert_eq!(tree.find("a").expect("drawn").restarts, 6);
}

#[tokio::test(start_paused = true)]
async fn a_starter_gives_up_and_is_gone_and_its_siblings_stay() {
    let journal = Journal::default();
    let sup = dynamic(&journal).await;
    let policy = RestartPolicy { backoff: None, ..RestartPolicy::default() };
    let starter = |id: &str, worker| StarterSpec::new(id, worker, policy.clone()).into_child();
    sup.start_child(starter("good", journal.probe("g"))).await.expect("starts");
    let good = journal.cell("g").get_id();
    sup.start_child(starter("bad", journal.planned("b", vec![Plan::CrashAtOnce]))).await.expect("starts");
    journal.until_report("bad gives up", |report| matches!(report, Report::GaveUp(_))).await;
    let gave_up = journal.reports().into_iter().find_map(|report| match report {
        Report::GaveUp(gave_up) => Some(gave_up),
        _ => None,
    });
    let gave_up = gave_up.expect("reported");
    assert_eq!((gave_up.supervisor.as_str(), gave_up.child.as_str()), ("bad", "b"));
    assert!(matches!(gave_up.reason, GaveUpReason::Intensity { limit: 3, .. }));
    assert_eq!((gave_up.restarts, gave_up.history.len()), (3, 4));
    assert!(gave_up.last.downcast_ref::<StoppedWith>().is_some());
    while sup.count_children().await.expect("runs").specs > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(journal.cell("g").get_id(), good);
}

#[tokio::test(start_paused = true)]
async fn a_worker_under_a_starter_is_restarted_also_after_a_clean_end() {
    let journal = Journal::default();
    let sup = dynamic(&journal).await;
    let worker = journal.probe("w").restart(Restart::Temporary);
    sup.start_child(StarterSpec::new("s", worker, RestartPolicy::default()).into_child())
        .await
        .expect("starts");
    journal.tell("w", ProbeMessage::Stop(Some("shutdown:recycled")));
    journal.until_line("start w2").await;
    sup.terminate_child("s").await.expect("known");
    assert_eq!(journal.take(), "start w1, stop w1, start w2, stop w2");
    assert_eq!(sup.count_children().await.expect("runs").specs, 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_start_holds_up_no_call() {
    let journal = Journal::default();
    let sup = dynamic(&journal).await;
    let slow = journal.planned("slow", vec![Plan::UpAfter(LONG)]).start_timeout(LONG * 2);
    let began = Instant::now();
    let starting = tokio::spawn({
        let sup = sup.clone();
        async move { sup.start_child(slow).await }
    });
    tokio::task::yield_now().await;
    sup.start_child(journal.probe("quick")).await.expect("starts");
    let tree = sup.snapshot().await.expect("runs");
    assert_eq!(tree.find("slow").expect("drawn").state, ChildState::Starting);
    assert_eq!(tree.find("quick").expect("drawn").state, ChildState::Running);
    sup.terminate_child("quick").await.expect("known");
    assert_eq!(began.elapsed(), Duration::ZERO);
    starting.await.expect("no panic").expect("starts");
    assert_eq!(began.elapsed(), LONG);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_hangs_is_given_up() {
    let journal = Journal::default();
    let sup = dynamic(&journal).await;
    let hangs = journal.planned("h", vec![Plan::UpAfter(LONG)]).start_timeout(Duration::from_secs(5));
    let began = Instant::now();
    match sup.start_child(hangs).await {
        Err(StartChildError::Failed(StartFailure::Timeout { limit })) => {
            assert_eq!(limit, Duration::from_secs(5));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    assert_eq!(sup.count_children().await.expect("runs").specs, 0);
    assert_eq!(journal.take(), "");
}

#[tokio::test(start_paused = true)]
async fn a_starting_child_dies_with_its_supervisor() {
    let journal = Journal::default();
    let sup = dynamic(&journal).await;
    let slow = journal.planned("slow", vec![Plan::UpAfter(LONG)]);
    let starting = tokio::spawn({
        let sup = sup.clone();
        async move { sup.start_child(slow).await }
    });
    tokio::task::yield_now().await;
    sup.cell().expect("runs").kill();
    assert!(matches!(starting.await.expect("no panic"), Err(StartChildError::Gone(_))));
    sleep(LONG * 2).await;
    assert_eq!(journal.take(), "");
}

#[tokio::test(start_paused = true)]
async fn a_static_supervisor_stops_one_after_the_other() {
    let journal = Journal::default();
    let delay = Duration::from_millis(300);
    let sup = SupervisorSpec::new("sup")
        .child(journal.slow_to_stop("a", delay))
        .child(journal.slow_to_stop("b", delay))
        .child(journal.slow_to_stop("c", delay));
    let sup = sup.start().await.expect("starts");
    journal.take();
    let began = Instant::now();
    sup.stop(Some("shutdown".into()));
    sup.wait(Some(LONG)).await.expect("ends");
    assert_eq!(journal.take(), "stopping c, stop c1, stopping b, stop b1, stopping a, stop a1");
    assert_eq!(began.elapsed(), delay * 3);
}

#[tokio::test(start_paused = true)]
async fn a_dynamic_supervisor_stops_all_at_once_each_within_its_own_time() {
    let journal = Journal::default();
    let sup = dynamic(&journal).await;
    let millis = Duration::from_millis;
    sup.start_child(journal.slow_to_stop("slow", millis(300))).await.expect("starts");
    let hangs = journal.slow_to_stop("hangs", LONG).shutdown(Shutdown::Timeout(millis(200)));
    sup.start_child(hangs).await.expect("starts");
    let patient = journal.slow_to_stop("patient", millis(400)).shutdown(Shutdown::Infinity);
    sup.start_child(patient).await.expect("starts");
    let brutal = journal.slow_to_stop("brutal", LONG).shutdown(Shutdown::BrutalKill);
    sup.start_child(brutal).await.expect("starts");
    journal.take();
    let began = Instant::now();
    sup.stop(None);
    sup.wait(Some(LONG)).await.expect("ends");
    assert_eq!(journal.take(), "stopping slow, stopping hangs, stopping patient, stop slow1, stop patient1");
    assert_eq!(began.elapsed(), millis(400));
}

#[tokio::test(start_paused = true)]
async fn a_bare_stop_is_as_orderly_as_a_polite_one() {
    let journal = Journal::default();
    let inner = SupervisorSpec::new("inner").child(journal.probe("x")).child(journal.probe("y")).into_child();
    let hangs = journal.slow_to_stop("b", LONG).shutdown(Shutdown::Timeout(Duration::from_secs(1)));
    let sup = SupervisorSpec::new("sup")
        .reports(journal.sink())
        .child(journal.probe("a"))
        .child(inner)
        .child(hangs);
    let sup = sup.start().await.expect("starts");
    journal.take();
    let began = Instant::now();
    let cell = sup.cell().expect("runs");
    cell.stop(None);
    cell.wait(Some(LONG)).await.expect("ends");
    assert_eq!(journal.take(), "stopping b, stop y1, stop x1, stop a1");
    assert_eq!(began.elapsed(), Duration::from_secs(1));
    assert!(journal.reports().iter().any(|report| matches!(report, Report::ShutdownError { .. })));
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_restarts_what_came_after() {
    let journal = Journal::default();
    let sup = SupervisorSpec::new("sup")
        .strategy(Strategy::RestForOne)
        .child(journal.probe("a"))
        .child(journal.probe("b"))
        .child(journal.probe("c"))
        .child(journal.probe("d"));
    let _sup = sup.start().await.expect("starts");
    let a = journal.cell("a").get_id();
    journal.take();
    journal.tell("b", ProbeMessage::Panic);
    journal.until_line("start d2").await;
    assert_eq!(journal.take(), "stop d1, stop c1, start b2, start c2, start d2");
    assert_eq!(journal.cell("a").get_id(), a);
}

#[tokio::test(start_paused = true)]
async fn a_restarted_subtree_waits_for_the_last_of_the_old_one() {
    let journal = Journal::default();
    let inner = SupervisorSpec::new("inner").child(journal.probe("w"));
    let inner_ref = inner.handle();
    let sup = SupervisorSpec::new("outer").child(inner.into_child()).start().await.expect("starts");
    let old = journal.cell("w");
    inner_ref.cell().expect("runs").kill();
    journal.until_line("start w2").await;
    assert_eq!(old.get_status(), ractor::ActorStatus::Stopped);
    let tree = sup.snapshot().await.expect("runs");
    assert_eq!(tree.find("inner").expect("drawn").restarts, 1);
    assert_eq!(tree.find("w").expect("drawn below inner").incarnation, 1);
    assert_eq!(inner_ref.snapshot().await.expect("the handle found the new one").children.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_exit_hook_is_done_before_the_successor_starts() {
    let journal = Journal::default();
    let notes = journal.clone();
    let spec = journal.probe("a").on_exit(move |exit: ChildExit| {
        let notes = notes.clone();
        async move {
            sleep(Duration::from_secs(1)).await;
            notes.note(format!("cleared {}{} {}", exit.id, exit.incarnation, exit.reason));
        }
    });
    let sup = SupervisorSpec::new("sup").child(spec).start().await.expect("starts");
    journal.tell("a", ProbeMessage::Stop(Some("shutdown:x")));
    journal.until_line("start a2").await;
    sup.stop(None);
    sup.wait(Some(LONG)).await.expect("ends");
    assert_eq!(
        journal.take(),
        "start a1, stop a1, cleared a1 shutdown:x, start a2, stop a2, cleared a2 shutdown"
    );
}

#[tokio::test(start_paused = true)]
async fn a_child_that_unlinked_itself_is_still_followed() {
    let journal = Journal::default();
    let sup = SupervisorSpec::new("sup").child(journal.probe("a")).start().await.expect("starts");
    let a = journal.cell("a");
    a.unlink(sup.cell().expect("runs"));
    a.kill();
    journal.until_line("start a2").await;
    journal.cell("a").unlink(sup.cell().expect("runs"));
    sup.terminate_child("a").await.expect("known");
    assert_eq!(journal.take(), "start a1, start a2, stop a2");
}

#[tokio::test(start_paused = true)]
async fn a_fatal_exit_makes_the_starter_give_up_at_once() {
    let journal = Journal::default();
    let sup = dynamic(&journal).await;
    sup.start_child(StarterSpec::new("s", journal.probe("w"), RestartPolicy::default()).into_child())
        .await
        .expect("starts");
    journal.tell("w", ProbeMessage::Fatal);
    journal
        .until_report(
            "fatal",
            |report| matches!(report, Report::GaveUp(gave_up) if gave_up.reason == GaveUpReason::Fatal),
        )
        .await;
    assert_eq!(journal.take(), "start w1");
}

#[tokio::test(start_paused = true)]
async fn a_stop_overtakes_a_delayed_restart() {
    let journal = Journal::default();
    let backoff = Backoff { immediate_first: false, base: LONG, ..Backoff::default() };
    let policy = RestartPolicy { backoff: Some(backoff), ..RestartPolicy::default() };
    let sup = SupervisorSpec::new("sup").policy(policy).reports(journal.sink()).child(journal.probe("a"));
    let sup = sup.start().await.expect("starts");
    journal.cell("a").kill();
    journal.until_report("delayed", |report| matches!(report, Report::RestartDelayed { .. })).await;
    let began = Instant::now();
    sup.stop(None);
    sup.wait(Some(LONG)).await.expect("ends");
    assert_eq!(began.elapsed(), Duration::ZERO);
    sleep(LONG * 3).await;
    assert_eq!(journal.take(), "start a1");
}

#[tokio::test(start_paused = true)]
async fn dropping_a_start_half_way_stops_what_was_started() {
    let journal = Journal::default();
    let spec = SupervisorSpec::new("sup")
        .child(journal.probe("a"))
        .child(journal.planned("slow", vec![Plan::UpAfter(LONG)]));
    let handle = spec.handle();
    assert!(timeout(Duration::from_secs(1), spec.start()).await.is_err());
    handle.wait(Some(LONG)).await.expect("ends");
    assert_eq!(journal.take(), "start a1, stop a1");
}

#[tokio::test(start_paused = true)]
async fn a_factory_may_decline() {
    let journal = Journal::default();
    let sup = dynamic(&journal).await;
    assert!(sup.start_child(journal.planned("i", vec![Plan::Ignore])).await.expect("no failure").is_none());
    assert_eq!(sup.count_children().await.expect("runs").specs, 0);
}

#[tokio::test(start_paused = true)]
async fn a_handle_finds_a_child_over_its_restarts() {
    let journal = Journal::default();
    let spec = journal.probe("a");
    let mut handle = spec.handle();
    assert!(handle.cell().is_none());
    let sup = SupervisorSpec::new("sup").child(spec).start().await.expect("starts");
    assert_eq!(handle.up().await, Some(journal.cell("a")));
    let message = handle.actor::<ProbeMessage>().expect("it takes these");
    assert!(handle.actor::<String>().is_none());
    message.cast(ProbeMessage::Panic).expect("up");
    journal.until_line("start a2").await;
    while handle.cell().is_none_or(|cell| cell.get_id() == message.get_id()) {
        handle.changed().await;
    }
    assert_eq!(handle.cell(), Some(journal.cell("a")));
    sup.terminate_child("a").await.expect("known");
    assert!(handle.cell().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_child_can_be_explained() {
    let journal = Journal::default();
    let policy = RestartPolicy {
        backoff: Some(Backoff { immediate_first: false, jitter: 0.0, ..Backoff::default() }),
        ..RestartPolicy::default()
    };
    let sup = SupervisorSpec::new("sup").policy(policy).strategy(Strategy::RestForOne);
    let sup = sup.child(journal.probe("a")).child(journal.planned("b", vec![Plan::Up, Plan::Fail, Plan::Up]));
    let sup = sup.start().await.expect("starts");
    sleep(Duration::from_secs(2)).await;
    journal.tell("a", ProbeMessage::Err);
    journal.until_line("start b3").await;
    let a = sup.explain("a").await.expect("runs").expect("known").to_string();
    assert_eq!(
        a,
        "a: running, 1 restarts\n  \
         life 1 at 0.0ns: started with its supervisor; ended after 2.0s: stopped with reason \"err\"\n  \
         life 2 at 2.1s: restart because a failed (stopped with reason \"err\"), failure 1 in a row, put off 100.0ms, \
         2 more allowed; up"
    );
    let b = sup.explain("b").await.expect("runs").expect("known").to_string();
    assert_eq!(
        b,
        "b: running, 2 restarts\n  \
         life 1 at 0.0ns: started with its supervisor; stopped: shutdown\n  \
         life 2 at 2.1s: restart because a failed (stopped with reason \"err\"), failure 1 in a row, put off 100.0ms, \
         2 more allowed; not started: stopped with reason \"plan\"\n  \
         life 3 at 2.2s: restart because b failed (stopped with reason \"plan\"), failure 1 in a row, put off 100.0ms, \
         1 more allowed; up"
    );
    assert!(sup.explain("c").await.expect("runs").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_may_decline_to_start() {
    let ignore = SupervisorInit::new("sup", || Ok(None));
    assert!(ignore.start().await.expect("no failure").is_none());
    let journal = Journal::default();
    let top = SupervisorSpec::new("top").child(ignore.into_child()).child(journal.probe("a"));
    let top = top.start().await.expect("starts without it");
    assert_eq!(top.count_children().await.expect("runs").active, 1);
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_is_described_anew_for_every_start() {
    let journal = Journal::default();
    let (probes, starts) = (journal.clone(), std::sync::atomic::AtomicU32::new(0));
    let init = SupervisorInit::new("inner", move || {
        let nth = starts.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Ok(Some(SupervisorSpec::new("ignored").child(probes.probe(&format!("w{nth}")))))
    });
    let inner = init.handle();
    let _top = SupervisorSpec::new("top").child(init.into_child()).start().await.expect("starts");
    inner.cell().expect("up").kill();
    journal.until_line("start w11").await;
    let tree = inner.snapshot().await.expect("runs");
    assert_eq!((tree.id.as_str(), tree.children[0].id.as_str()), ("inner", "w1"));
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_panics_costs_no_child() {
    let journal = Journal::default();
    let sup = SupervisorSpec::new("sup").child(journal.probe("a"));
    let sup =
        sup.reports(crate::ReportSink::new(|_| panic!("a bug of its owner"))).start().await.expect("starts");
    journal.tell("a", ProbeMessage::Err);
    journal.until_line("start a2").await;
    assert!(sup.cell().is_some());
}

#[tokio::test(start_paused = true)]
async fn an_orderly_shutdown_within_a_time_ends_in_a_kill() {
    let journal = Journal::default();
    let hangs = journal.slow_to_stop("a", LONG * 60).shutdown(Shutdown::Infinity);
    let sup = SupervisorSpec::new("sup").child(hangs).start().await.expect("starts");
    assert!(sup.shut_down(LONG).await.is_err());
    sup.wait(Some(LONG)).await.expect("killed");
    journal.cell("a").wait(Some(LONG)).await.expect("killed with it");
}
