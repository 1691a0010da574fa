//! The child that cases are made of: each start does what a plan says, each end is written down.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use snakepit_supervisor::{ChildSpec, DoNotRestart, Offspring, StoppedWith};
use tokio::time::sleep;

use crate::otp::journal::Journal;

/// What one start of a probe does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Plan {
    Up,
    /// Up after this time.
    Slow(Duration),
    Ignore,
    Err,
    /// Fails after this time.
    SlowErr(Duration),
    Panic,
    /// The factory itself panics.
    BadFactory,
    /// Up, and dead at once.
    Crash,
    /// Up after this time, and dead at once.
    SlowCrash(Duration),
}

/// What a probe can be told to end with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Normal,
    Shutdown,
    ShutdownWith(&'static str),
    Err,
    Panic,
    Fatal,
}

impl How {
    fn word(self) -> String {
        match self {
            Self::Normal => "normal".to_owned(),
            Self::Shutdown => "shutdown".to_owned(),
            Self::ShutdownWith(word) => format!("shutdown:{word}"),
            Self::Err => "err".to_owned(),
            Self::Panic => "panic".to_owned(),
            Self::Fatal => "fatal".to_owned(),
        }
    }
}

#[cfg(feature = "cluster")]
impl ractor::Message for How {}

/// A probe before it lives. Each start counts up.
#[derive(Clone)]
pub(crate) struct ProbeSpec {
    id: String,
    plans: Vec<Plan>,
    stop_delay: Duration,
    stop_fails: bool,
    journal: Journal,
}

impl ProbeSpec {
    pub(crate) fn new(id: &str, journal: &Journal) -> Self {
        Self {
            id: id.to_owned(),
            plans: vec![Plan::Up],
            stop_delay: Duration::ZERO,
            stop_fails: false,
            journal: journal.clone(),
        }
    }

    /// What the nth start does; the last plan repeats.
    pub(crate) fn plan<const N: usize>(mut self, plans: [Plan; N]) -> Self {
        self.plans = plans.to_vec();
        self
    }

    /// How long it takes to stop.
    pub(crate) fn stop_delay(mut self, delay: Duration) -> Self {
        self.stop_delay = delay;
        self
    }

    /// Its `post_stop` returns an error.
    pub(crate) fn stop_fails(mut self) -> Self {
        self.stop_fails = true;
        self
    }

    /// As a child: permanent, 5 s to stop.
    pub(crate) fn spec(self) -> ChildSpec {
        let starts = AtomicUsize::new(0);
        ChildSpec::worker_with(self.id.clone(), move |_| {
            let nth = starts.fetch_add(1, Ordering::SeqCst);
            let plan = self.plans[nth.min(self.plans.len() - 1)];
            let nth = nth + 1;
            match plan {
                Plan::Ignore => {
                    self.journal.note(format!("ignore {}{nth}", self.id));
                    Ok(Offspring::Ignore)
                }
                Plan::BadFactory => {
                    self.journal.note(format!("fail {}{nth}", self.id));
                    panic!("a bad factory")
                }
                Plan::Up
                | Plan::Slow(_)
                | Plan::Err
                | Plan::SlowErr(_)
                | Plan::Panic
                | Plan::Crash
                | Plan::SlowCrash(_) => Ok(Offspring::new(
                    Probe { nth, plan, ending: Ending::new(&self), spec: self.clone() },
                    (),
                )),
            }
        })
    }
}

/// A probe's handler.
pub(crate) struct Probe {
    nth: usize,
    plan: Plan,
    spec: ProbeSpec,
    /// Dropped with the handler, and then writes down an end that nothing else has.
    ending: Ending,
}

struct Ending {
    id: String,
    journal: Journal,
    told: Mutex<Option<How>>,
    /// It was up, and its end is not written yet.
    open: AtomicBool,
}

impl Ending {
    fn new(spec: &ProbeSpec) -> Self {
        let (id, journal) = (spec.id.clone(), spec.journal.clone());
        Self { id, journal, told: Mutex::new(None), open: AtomicBool::new(false) }
    }

    fn told(&self) -> Option<How> {
        *self.told.lock().expect("nobody panics while holding it")
    }

    fn tell(&self, how: How) {
        *self.told.lock().expect("nobody panics while holding it") = Some(how);
    }

    fn close(&self) -> bool {
        self.open.swap(false, Ordering::SeqCst)
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if self.close() {
            let how = self.told().map_or("killed".to_owned(), How::word);
            self.journal.note(format!("died {} {how}", self.id));
        }
    }
}

impl Probe {
    fn come_up(&self, myself: &ActorRef<How>) {
        self.spec.journal.introduce(&self.spec.id, myself.get_cell());
        self.spec.journal.note(format!("start {}{}", self.spec.id, self.nth));
        self.ending.open.store(true, Ordering::SeqCst);
    }

    fn fail(&self) -> ActorProcessingErr {
        self.spec.journal.note(format!("fail {}{}", self.spec.id, self.nth));
        Box::new(StoppedWith("plan".into()))
    }
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Probe {
    type Msg = How;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<How>, (): ()) -> Result<(), ActorProcessingErr> {
        match self.plan {
            Plan::Err => return Err(self.fail()),
            Plan::SlowErr(time) => {
                sleep(time).await;
                return Err(self.fail());
            }
            Plan::Panic => panic!("{}", self.fail()),
            Plan::Slow(time) | Plan::SlowCrash(time) => sleep(time).await,
            Plan::Up | Plan::Crash | Plan::Ignore | Plan::BadFactory => {}
        }
        self.come_up(&myself);
        Ok(())
    }

    async fn post_start(&self, _: ActorRef<How>, (): &mut ()) -> Result<(), ActorProcessingErr> {
        match self.plan {
            Plan::Crash | Plan::SlowCrash(_) => {
                self.ending.tell(How::Err);
                Err(Box::new(StoppedWith("crash".into())))
            }
            Plan::Up
            | Plan::Slow(_)
            | Plan::Ignore
            | Plan::Err
            | Plan::SlowErr(_)
            | Plan::Panic
            | Plan::BadFactory => Ok(()),
        }
    }

    async fn handle(&self, myself: ActorRef<How>, how: How, (): &mut ()) -> Result<(), ActorProcessingErr> {
        self.ending.tell(how);
        match how {
            How::Normal => myself.stop(None),
            How::Shutdown | How::ShutdownWith(_) => myself.stop(Some(how.word())),
            How::Err => return Err(Box::new(StoppedWith("err".into()))),
            How::Panic => panic!("told to"),
            How::Fatal => return Err(Box::new(DoNotRestart::new(StoppedWith("fatal".into())))),
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<How>, (): &mut ()) -> Result<(), ActorProcessingErr> {
        if !self.spec.stop_delay.is_zero() {
            self.spec.journal.note(format!("stopping {}", self.spec.id));
            sleep(self.spec.stop_delay).await;
        }
        if self.spec.stop_fails {
            self.ending.tell(How::Err);
            return Err(Box::new(StoppedWith("stop".into())));
        }
        self.ending.close();
        let how = self.ending.told().unwrap_or(How::Shutdown).word();
        self.spec.journal.note(format!("stop {} {how}", self.spec.id));
        Ok(())
    }
}

/// A handle to what an [`Arc`] argument of a child is held by.
pub(crate) fn holders<T>(held: &Arc<T>) -> usize {
    Arc::strong_count(held)
}
