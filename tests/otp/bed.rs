//! The bed that every case lies in: a journal, a monitor, and short ways to say what is done.

use std::time::Duration;

use ractor::{ActorCell, ActorRef};
use snakepit_supervisor::{
    ChildCounts, ChildSpec, ChildState, DynamicSupervisorRef, DynamicSupervisorSpec, RestartIntensity,
    RestartPolicy, StartError, Strategy, SupervisorRef, SupervisorSpec,
};
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::otp::journal::Journal;
use crate::otp::monitor::{Monitor, Seen};
use crate::otp::probe::{How, ProbeSpec};
use crate::otp::settle::settle;

/// A limit that no case comes near.
pub(crate) const FOR_EVER: Duration = Duration::from_hours(1);

/// What a case has in hand.
pub(crate) struct Bed {
    pub(crate) journal: Journal,
    pub(crate) monitor: ActorCell,
    pub(crate) seen: Seen,
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// OTP's rule alone: at most `limit` restarts in 5 s.
pub(crate) fn intensity(limit: u32) -> RestartPolicy {
    RestartPolicy::otp(RestartIntensity { limit, period: secs(5) })
}

/// What both kinds of handles can be asked by a case.
pub(crate) trait Supervisor {
    fn cell(&self) -> Option<ActorCell>;
    fn stop(&self);
    async fn counts(&self) -> ChildCounts;
    async fn list(&self) -> Vec<(String, ChildState)>;
}

macro_rules! supervisor {
    ($handle:ty) => {
        impl Supervisor for $handle {
            fn cell(&self) -> Option<ActorCell> {
                <$handle>::cell(self)
            }

            fn stop(&self) {
                <$handle>::stop(self, Some("shutdown".to_owned()));
            }

            async fn counts(&self) -> ChildCounts {
                self.count_children().await.expect("it runs")
            }

            async fn list(&self) -> Vec<(String, ChildState)> {
                let children = self.which_children().await.expect("it runs");
                children.into_iter().map(|child| (child.id.to_string(), child.state)).collect()
            }
        }
    };
}

supervisor!(SupervisorRef);
supervisor!(DynamicSupervisorRef);

impl Bed {
    pub(crate) async fn new() -> Self {
        let (monitor, seen) = Monitor::spawn().await;
        Self { journal: Journal::default(), monitor, seen }
    }

    pub(crate) fn probe(&self, id: &str) -> ProbeSpec {
        ProbeSpec::new(id, &self.journal)
    }

    /// A probe that comes up at once, as a permanent child.
    pub(crate) fn child(&self, id: &str) -> ChildSpec {
        self.probe(id).spec()
    }

    /// A static supervisor over plain children, 3 restarts in 5 s.
    pub(crate) fn fixed<const N: usize>(&self, strategy: Strategy, ids: [&str; N]) -> SupervisorSpec {
        let spec =
            SupervisorSpec::new("sup").strategy(strategy).policy(intensity(3)).reports(self.journal.sink());
        ids.into_iter().fold(spec, |spec, id| spec.child(self.child(id)))
    }

    /// A static one-for-one supervisor over these children, 3 restarts in 5 s.
    pub(crate) fn over<const N: usize>(&self, children: [ChildSpec; N]) -> SupervisorSpec {
        children.into_iter().fold(self.fixed(Strategy::OneForOne, []), SupervisorSpec::child)
    }

    pub(crate) fn dynamic(&self) -> DynamicSupervisorSpec {
        DynamicSupervisorSpec::new("dyn").policy(intensity(3)).reports(self.journal.sink())
    }

    /// Starts a supervisor under the monitor; what it wrote while starting is not looked at.
    pub(crate) async fn up(&self, spec: SupervisorSpec) -> SupervisorRef {
        let up = self.try_up(spec).await.expect("it starts");
        self.forget().await;
        up
    }

    pub(crate) async fn try_up(&self, spec: SupervisorSpec) -> Result<SupervisorRef, StartError> {
        spec.start_linked(self.monitor.clone()).await
    }

    pub(crate) async fn dynamic_up(&self, spec: DynamicSupervisorSpec) -> DynamicSupervisorRef {
        spec.start_linked(self.monitor.clone()).await.expect("it starts")
    }

    /// Looks away from what has happened so far.
    pub(crate) async fn forget(&self) {
        settle(&self.journal).await;
        self.journal.take();
        self.journal.take_reports();
    }

    /// What has happened by the time that nothing more does.
    pub(crate) async fn happened(&self) -> String {
        settle(&self.journal).await;
        self.journal.take()
    }

    pub(crate) async fn reported(&self) -> String {
        settle(&self.journal).await;
        self.journal.take_reports()
    }

    /// Tells a child to end, and lets all follow that does.
    pub(crate) async fn exit(&self, id: &str, how: How) {
        self.tell(id, how);
        settle(&self.journal).await;
    }

    pub(crate) fn tell(&self, id: &str, how: How) {
        ActorRef::<How>::from(self.journal.cell(id)).cast(how).expect("it is up");
    }

    pub(crate) async fn kill(&self, id: &str) {
        self.journal.cell(id).kill();
        settle(&self.journal).await;
    }

    /// Lets virtual time pass, and all that comes with it.
    pub(crate) async fn pass(&self, time: Duration) {
        sleep(time).await;
        settle(&self.journal).await;
    }

    /// Lets a minute pass, in which nothing may happen.
    pub(crate) async fn nothing_happens(&self) {
        settle(&self.journal).await;
        let so_far = self.journal.take();
        self.pass(secs(60)).await;
        assert_eq!(self.journal.take(), "", "after {so_far}");
    }

    /// Lets things happen until the journal says this, and no further.
    pub(crate) async fn until_line(&self, line: &str) {
        for _ in 0..100_000 {
            if self.journal.says(line) {
                return;
            }
            yield_now().await;
        }
        panic!("{line} never happened, but {}", self.journal.take());
    }

    /// How a supervisor ended, if it has.
    pub(crate) fn end_of(&self, cell: &ActorCell) -> Option<String> {
        self.seen.end_of(cell)
    }

    /// Asserts that all actors that ever came up are gone.
    pub(crate) fn assert_nothing_lives(&self) {
        for (id, cell) in self.journal.all_cells() {
            assert_eq!(cell.get_status(), ractor::ActorStatus::Stopped, "{id} lives");
        }
    }
}

/// Numbers of children: specs, active, supervisors, workers.
pub(crate) fn counted(counts: ChildCounts) -> [usize; 4] {
    [counts.specs, counts.active, counts.supervisors, counts.workers]
}
