//! A child for tests: it does what it is told, and writes down its starts and stops.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::child::{ChildId, ChildSpec};
use crate::exit::{DoNotRestart, StoppedWith};
use crate::offspring::Offspring;
use crate::report::{Report, ReportSink};

/// What happened to the probes of a test, in order.
#[derive(Clone, Default)]
pub(super) struct Journal(Arc<JournalInner>);

#[derive(Default)]
struct JournalInner {
    lines: Mutex<Vec<String>>,
    reports: Mutex<Vec<Report>>,
    cells: Mutex<Vec<(ChildId, ActorCell)>>,
    written: Notify,
}

/// What a start of a probe does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Plan {
    Up,
    UpAfter(Duration),
    Fail,
    Ignore,
    CrashAtOnce,
}

/// What a probe can be told.
#[derive(Clone, Copy, Debug)]
pub(super) enum ProbeMessage {
    Err,
    Panic,
    Fatal,
    Stop(Option<&'static str>),
}

#[cfg(feature = "cluster")]
impl ractor::Message for ProbeMessage {}

pub(super) struct Probe {
    id: ChildId,
    nth: u64,
    plan: Plan,
    stop_delay: Duration,
    journal: Journal,
}

impl Journal {
    pub(super) fn note(&self, line: String) {
        self.0.lines.lock().unwrap().push(line);
        self.0.written.notify_waiters();
    }

    /// What was written since last asked.
    pub(super) fn take(&self) -> String {
        std::mem::take(&mut *self.0.lines.lock().unwrap()).join(", ")
    }

    /// Waits until something holds of what was written. A minute of virtual time is for ever.
    pub(super) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let met = async {
            loop {
                let written = self.0.written.notified();
                if holds(self) {
                    return;
                }
                written.await;
            }
        };
        let limit = Duration::from_mins(10);
        assert!(
            tokio::time::timeout(limit, met).await.is_ok(),
            "never: {what}; {:?}",
            self.0.lines.lock().unwrap()
        );
    }

    pub(super) async fn until_line(&self, line: &str) {
        self.until(line, |journal| journal.0.lines.lock().unwrap().iter().any(|written| written == line))
            .await;
    }

    pub(super) async fn until_report(&self, what: &str, is: impl Fn(&Report) -> bool) {
        self.until(what, |journal| journal.0.reports.lock().unwrap().iter().any(&is)).await;
    }

    pub(super) fn reports(&self) -> Vec<Report> {
        self.0.reports.lock().unwrap().clone()
    }

    pub(super) fn sink(&self) -> ReportSink {
        let journal = self.clone();
        ReportSink::new(move |report| {
            journal.0.reports.lock().unwrap().push(report);
            journal.0.written.notify_waiters();
        })
    }

    /// The last actor that came up for a child.
    pub(super) fn cell(&self, id: &str) -> ActorCell {
        let cells = self.0.cells.lock().unwrap();
        let found = cells.iter().rev().find(|(known, _)| known.as_str() == id);
        found.expect("the child has been up").1.clone()
    }

    pub(super) fn tell(&self, id: &str, message: ProbeMessage) {
        ActorRef::<ProbeMessage>::from(self.cell(id)).cast(message).expect("the probe is up");
    }

    pub(super) fn probe(&self, id: &str) -> ChildSpec {
        self.planned(id, vec![Plan::Up])
    }

    pub(super) fn planned(&self, id: &str, plan: Vec<Plan>) -> ChildSpec {
        self.spec(id, plan, Duration::ZERO)
    }

    /// A probe that takes its time to stop.
    pub(super) fn slow_to_stop(&self, id: &str, stop_delay: Duration) -> ChildSpec {
        self.spec(id, vec![Plan::Up], stop_delay)
    }

    fn spec(&self, id: &str, plan: Vec<Plan>, stop_delay: Duration) -> ChildSpec {
        let journal = self.clone();
        let starts = Arc::new(AtomicU64::new(0));
        ChildSpec::worker_with(id, move |context| {
            let nth = starts.fetch_add(1, Ordering::SeqCst) + 1;
            let last = plan.len() - 1;
            let plan = plan[usize::try_from(nth - 1).unwrap().min(last)];
            if matches!(plan, Plan::Ignore) {
                return Ok(Offspring::Ignore);
            }
            let id = context.id().clone();
            Ok(Offspring::new(Probe { id, nth, plan, stop_delay, journal: journal.clone() }, ()))
        })
    }
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Probe {
    type Msg = ProbeMessage;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<ProbeMessage>, (): ()) -> Result<(), ActorProcessingErr> {
        match self.plan {
            Plan::UpAfter(delay) => sleep(delay).await,
            Plan::Fail => {
                self.journal.note(format!("fail {}{}", self.id, self.nth));
                return Err(Box::new(StoppedWith("plan".into())));
            }
            Plan::Up | Plan::Ignore | Plan::CrashAtOnce => {}
        }
        self.journal.0.cells.lock().unwrap().push((self.id.clone(), myself.get_cell()));
        self.journal.note(format!("start {}{}", self.id, self.nth));
        Ok(())
    }

    async fn post_start(&self, _: ActorRef<ProbeMessage>, (): &mut ()) -> Result<(), ActorProcessingErr> {
        match self.plan {
            Plan::CrashAtOnce => Err(Box::new(StoppedWith("crash at once".into()))),
            Plan::Up | Plan::UpAfter(_) | Plan::Fail | Plan::Ignore => Ok(()),
        }
    }

    async fn handle(
        &self,
        myself: ActorRef<ProbeMessage>,
        message: ProbeMessage,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ProbeMessage::Err => Err(Box::new(StoppedWith("err".into()))),
            ProbeMessage::Panic => panic!("told to"),
            ProbeMessage::Fatal => Err(Box::new(DoNotRestart::new(StoppedWith("fatal".into())))),
            ProbeMessage::Stop(reason) => {
                myself.stop(reason.map(str::to_owned));
                Ok(())
            }
        }
    }

    async fn post_stop(&self, _: ActorRef<ProbeMessage>, (): &mut ()) -> Result<(), ActorProcessingErr> {
        if !self.stop_delay.is_zero() {
            self.journal.note(format!("stopping {}", self.id));
            sleep(self.stop_delay).await;
        }
        self.journal.note(format!("stop {}{}", self.id, self.nth));
        Ok(())
    }
}
