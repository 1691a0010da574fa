//! OC-76 to OC-80: counts, lists, reports, and what is not to be minded.

use ractor::{ActorCell, ActorRef};
use snakepit_supervisor::{
    ChildState, DynamicSupervisorSpec, Report, Restart, Shutdown, StartedBy, Strategy, SupervisorSpec,
};

use crate::otp::bed::{Bed, Supervisor, counted, intensity, secs};
use crate::otp::cases::threads::{Elsewhere, Standstill, block, blocker, elsewhere_says};
use crate::otp::monitor::Monitor;
use crate::otp::probe::{How, Plan};

pub(crate) async fn oc_76_children_are_counted_by_what_they_are() {
    let bed = Bed::new().await;
    let inner = |id: &str| SupervisorSpec::new(id).into_child();
    let failing = bed.probe("r").plan([Plan::Up, Plan::Err]).spec();
    let spec = bed.over([bed.child("up"), bed.child("down"), failing, inner("s_up"), inner("s_down")]);
    let sup = bed.up(spec.policy(intensity(1_000_000))).await;
    sup.terminate_child("down").await.expect("it is known");
    sup.terminate_child("s_down").await.expect("it is known");
    bed.tell("r", How::Err);
    bed.until_line("fail r2").await;
    assert_eq!(counted(sup.counts().await), [5, 2, 2, 3], "only those that are up are active");
    sup.terminate_child("r").await.expect("it is known");
}

pub(crate) async fn oc_77_children_are_listed_as_they_live() {
    let bed = Bed::new().await;
    let failing = bed.probe("c").plan([Plan::Up, Plan::Err]).spec();
    let inner = DynamicSupervisorSpec::new("b").into_child();
    let sup = bed.up(bed.over([bed.child("a"), inner, failing]).policy(intensity(1_000_000))).await;
    let ids = async || sup.list().await.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(ids().await, ["c", "b", "a"], "newest first");
    let a = sup.which_child("a").await.expect("it runs").expect("it is known");
    assert_eq!((a.state, a.cell), (ChildState::Running, Some(bed.journal.cell("a"))));
    let by_cell = sup.which_child(bed.journal.cell("c")).await.expect("it runs").expect("it is known");
    assert_eq!(by_cell.id.as_str(), "c");

    sup.terminate_child("a").await.expect("it is known");
    let a = sup.which_child("a").await.expect("it runs").expect("it is kept");
    assert!(a.state == ChildState::Stopped && a.cell.is_none());
    sup.delete_child("a").await.expect("it is stopped");
    assert_eq!(ids().await, ["c", "b"]);

    bed.tell("c", How::Err);
    bed.until_line("fail c2").await;
    let c = sup.which_child("c").await.expect("it runs").expect("it is known");
    assert!(matches!(c.state, ChildState::Restarting { .. } | ChildState::Starting), "{c:?}");
    sup.terminate_child("c").await.expect("it is known");
}

pub(crate) async fn oc_78_trouble_is_reported_in_order() {
    let bed = Bed::new().await;
    let hangs = bed.probe("h").stop_delay(secs(60)).spec().shutdown(Shutdown::Timeout(secs(1)));
    let failing = bed.probe("a").plan([Plan::Up, Plan::Up, Plan::Err, Plan::Up]).spec();
    let sup = bed.try_up(bed.over([failing, hangs])).await.expect("it starts");
    assert_eq!(bed.reported().await, "progress a1, progress h1");
    bed.exit("a", How::Err).await;
    assert_eq!(bed.reported().await, "terminated a err, progress a2");
    bed.exit("a", How::Err).await;
    assert_eq!(bed.reported().await, "terminated a err, start failed a, progress a4");
    bed.forget().await;
    bed.tell("a", How::Err);
    bed.until_line("stopping h").await;
    assert_eq!(bed.journal.take_reports(), "terminated a err, gave up a", "before anything is stopped");
    bed.pass(secs(2)).await;
    assert_eq!(bed.reported().await, "shutdown error h killed");
    assert!(sup.cell().is_none());

    let failing = Bed::new().await;
    let spec = failing.over([failing.child("a"), failing.probe("b").plan([Plan::Err]).spec()]);
    assert!(failing.try_up(spec).await.is_err());
    assert_eq!(failing.reported().await, "progress a1, start failed b");
}

pub(crate) async fn oc_79_ordinary_life_gives_no_warning() {
    let bed = Bed::new().await;
    let sup = bed.up(bed.over([bed.child("t").restart(Restart::Transient), bed.child("p")])).await;
    sup.start_child(bed.child("api")).await.expect("it starts");
    let reports = bed.journal.reports();
    assert!(
        matches!(reports[..], [Report::Progress { by: StartedBy::Request, .. }]),
        "progress of a call is told apart, for the log at a lower level: {reports:?}"
    );
    bed.journal.take_reports();
    bed.exit("t", How::Normal).await;
    assert_eq!(bed.reported().await, "");
    bed.exit("p", How::Normal).await;
    assert_eq!(bed.reported().await, "terminated p normal, progress p2");
}

pub(crate) async fn oc_80_strangers_and_former_lives_change_nothing() {
    let bed = Bed::new().await;
    let elsewhere = Elsewhere::new();
    let (b, open) = blocker(&bed, &elsewhere);
    let spec = bed.fixed(Strategy::OneForAll, ["a"]).policy(intensity(0)).kill_grace(secs(1));
    let sup = elsewhere.up(&bed, spec.child(b)).await;
    let cell = sup.cell().expect("it runs");

    // A stranger, linked to the supervisor, dies; and one sends a message that it does not know.
    let (stranger, _) = Monitor::spawn().await;
    stranger.link(cell.clone());
    stranger.kill();
    assert!(ActorRef::<String>::from(cell.clone()).cast("what?".to_owned()).is_err());
    unchanged(&bed, &cell).await;

    // A former life, no longer waited for, is linked again and dies when its successor is up.
    let former = bed.journal.cell("b");
    block(&bed).await;
    sup.terminate_child("b").await.expect("it is known");
    assert_eq!(bed.reported().await, "unstoppable b");
    {
        let _standstill = Standstill::begin();
        sup.restart_child("b").await.expect("it is stopped");
    }
    bed.forget().await;
    former.link(cell.clone());
    open.send(()).expect("it still waits");
    elsewhere_says(&bed, "died b").await;
    bed.forget().await;
    unchanged(&bed, &cell).await;
    assert_ne!(bed.journal.cell("b"), former);
    assert_eq!(counted(sup.counts().await), [2, 2, 0, 2]);
}

async fn unchanged(bed: &Bed, supervisor: &ActorCell) {
    bed.nothing_happens().await;
    assert_eq!(bed.reported().await, "");
    assert!(bed.end_of(supervisor).is_none(), "with a budget of none, any count would have ended it");
}
