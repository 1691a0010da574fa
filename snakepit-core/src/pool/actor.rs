//! The pool's actor: what it holds, and one call for each message.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use snakepit_supervisor::{ChildSpec, DynamicSupervisorRef};
use tokio::task::yield_now;
use tokio::time::Instant;

use crate::address::Address;
use crate::id::Slot;
use crate::pool::boots::Boots;
use crate::pool::calls::Accounts;
use crate::pool::closing::Closing;
use crate::pool::deadlines::Deadlines;
use crate::pool::draining::DrainReply;
use crate::pool::in_flight::InFlight;
use crate::pool::inbox::{Mail, Reading, more_is_likely};
use crate::pool::lives::Lives;
use crate::pool::message::{
    Life, PoolCommand, PoolMessage, PoolTimer, ReadyReply, SessionReport, SlotReport, Wanted, WorkerReport,
};
use crate::pool::pool_worker::PoolWorker;
use crate::pool::recycling::{RecycleReason, Recyclings};
use crate::pool::replacing::PutOff;
use crate::pool::reservations::Reservers;
use crate::pool::restless::Restless;
use crate::pool::roster::Roster;
use crate::pool::saturation::Saturation;
use crate::pool::shared::PoolShared;
use crate::pool::statistics::Counters;
use crate::pool::waiting_line::WaitingLine;
use crate::pool::watchdog::Watchdog;
use crate::pool::wear::Wear;
use crate::session_affinity::SessionAffinityMessage;
use crate::telemetry::Event;
use crate::timer::Timer;
use crate::worker::WorkerMessage;

/// So many workers are written to by the pool itself for what it has read at once; the others' actors write beside it.
const WRITTEN_HERE: usize = 2;

/// The handler of a pool's actor.
#[derive(Debug)]
pub(crate) struct Pool;

/// What every life of a pool's actor works with.
#[derive(Clone)]
pub(crate) struct PoolArgs {
    pub(crate) shared: Arc<PoolShared>,
    /// Where the Starters of the slots are children.
    pub(crate) starters: DynamicSupervisorRef,
    /// Describes the Starter of a slot.
    pub(crate) starter: Arc<dyn Fn(Slot) -> ChildSpec + Send + Sync>,
    pub(crate) sessions: Address<SessionAffinityMessage>,
}

impl fmt::Debug for PoolArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolArgs").field("pool", &self.shared.name).finish_non_exhaustive()
    }
}

/// A pool at work.
pub(crate) struct PoolState {
    pub(super) args: PoolArgs,
    pub(super) myself: ActorRef<PoolMessage>,
    /// This life's right to read the inbox.
    reading: Option<Reading>,
    /// Holds what is being read from the inbox.
    read: Vec<PoolMessage>,
    /// Workers that have been handed something which nobody has written yet, some more than once.
    pub(super) handed_over: Vec<Life>,
    pub(super) roster: Roster<PoolWorker>,
    pub(super) boots: Boots,
    pub(super) line: WaitingLine,
    /// Who waits for a place in it, without a request.
    pub(super) reservers: Reservers,
    pub(super) in_flight: InFlight,
    /// How many requests wait for their session's worker to be looked up.
    pub(super) routing: usize,
    /// How many requests rest before they are tried again.
    pub(super) resting: usize,
    /// Whether the pool's own actors had failed too often, and no worker has been ready since.
    pub(super) was_down: bool,
    pub(super) deadlines: Deadlines,
    pub(super) deadline_timer: Option<Timer>,
    pub(super) watchdog: Watchdog,
    /// Held, so that it rings; `None` while all is as it should be.
    pub(super) watch_timer: Option<Timer>,
    pub(super) quarantines: HashMap<Slot, Timer>,
    /// The latest life of each slot, and the workers that are not ready yet.
    pub(super) lives: Lives<ActorRef<WorkerMessage>>,
    pub(super) recyclings: Recyclings,
    pub(super) wear: Wear,
    pub(super) restless: Restless,
    /// Workers that want to be replaced and go on for a while; each rings when that is over.
    pub(super) put_off: HashMap<Slot, PutOff>,
    /// Held, so that it rings; `None` where nobody looks how worn the workers are.
    pub(super) wear_timer: Option<Timer>,
    /// Slots that are to take over from others; each rings when its time is over.
    pub(super) substitutes: HashMap<Slot, Timer>,
    /// Slots that are to go, and whose workers have something left to finish.
    pub(super) retiring: BTreeSet<Slot>,
    pub(super) ready_waiters: Vec<(Wanted, ReadyReply)>,
    /// Who waits for the pool to have nothing left to do.
    pub(super) drainers: Vec<DrainReply>,
    pub(super) closing: Option<Closing>,
    pub(super) saturation: Saturation,
    pub(super) counters: Counters,
    pub(super) accounts: Accounts,
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Pool {
    type Msg = PoolMessage;
    type State = PoolState;
    type Arguments = PoolArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        args: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let pool = args.shared.name.clone();
        let was_down = args.shared.comes_up();
        if was_down {
            args.shared.emit(Event::PoolTriedAgain { pool });
        } else if args.shared.address.current().is_some() {
            args.shared.emit(Event::PoolRestarted { pool });
        }
        let mut state = PoolState::new(args, myself);
        state.was_down = was_down;
        // Before anybody can ask for a session's worker: nobody waits for the requests of an earlier life any more.
        state.args.sessions.cast(SessionAffinityMessage::PoolRestarted);
        // Workers that outlived an earlier life of the pool see the new address, and say that they are ready. Before the
        // slots are looked at: a Starter that gives up in between would tell nobody, and its slot would stay empty.
        state.args.shared.address.publish(state.myself.clone());
        state.reading = Some(state.args.shared.inbox.open());
        state.start_slots(Instant::now());
        state.tell_statistics_later();
        state.await_wear();
        Ok(state)
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if matches!(message, PoolMessage::Posted) && state.waits_for_more() {
            yield_now().await;
        }
        let now = Instant::now();
        let is_a_report =
            matches!(message, PoolMessage::Timer(PoolTimer::GaugesDue | PoolTimer::StatisticsDue));
        state.read_inbox(now);
        state.message(message, now);
        state.write_handed_over();
        state.arm_deadline_timer(now);
        state.watch(now);
        state.clear_retired(now);
        state.finish_close_if_empty();
        state.finish_drain();
        state.grant_reservations();
        if !is_a_report {
            state.gauge_soon();
        }
        debug_assert_eq!(state.imbalance(), None);
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<Self::Msg>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        state.refuse_everything();
        state.finish_close_if_empty();
        Ok(())
    }
}

impl PoolState {
    pub(super) fn new(args: PoolArgs, myself: ActorRef<PoolMessage>) -> Self {
        let wear = Wear::new(args.shared.options.recycle.clone());
        Self {
            roster: Roster::default(),
            boots: Boots::new(args.shared.options.startup_concurrency),
            reservers: Reservers::new(args.shared.options.queue_limit),
            counters: args.shared.counters(),
            accounts: Accounts::new(Arc::clone(&args.shared)),
            args,
            myself,
            reading: None,
            read: Vec::new(),
            handed_over: Vec::new(),
            line: WaitingLine::default(),
            in_flight: InFlight::default(),
            routing: 0,
            resting: 0,
            was_down: false,
            deadlines: Deadlines::default(),
            deadline_timer: None,
            watchdog: Watchdog::default(),
            watch_timer: None,
            quarantines: HashMap::new(),
            lives: Lives::default(),
            recyclings: Recyclings::default(),
            wear,
            restless: Restless::default(),
            put_off: HashMap::new(),
            wear_timer: None,
            substitutes: HashMap::new(),
            retiring: BTreeSet::new(),
            ready_waiters: Vec::new(),
            drainers: Vec::new(),
            closing: None,
            saturation: Saturation::default(),
        }
    }

    /// Whether to let a turn of the runtime pass before the inbox is read. Answers among which there is no request wait for
    /// nothing.
    fn waits_for_more(&self) -> bool {
        more_is_likely(self.in_flight.len(), self.line.len()) && self.args.shared.inbox.asks()
    }

    /// Reads all that was put into the inbox before this message, or beside it.
    fn read_inbox(&mut self, now: Instant) {
        let shared = &self.args.shared;
        let places = shared
            .options
            .queue_limit
            .saturating_add(self.roster.room())
            .saturating_add(self.in_flight.len());
        let Mail { mut messages, refused } = shared.inbox.take(std::mem::take(&mut self.read), places);
        if refused > 0 {
            self.refused_unread(refused, now);
        }
        for message in messages.drain(..) {
            self.message(message, now);
        }
        self.read = messages;
    }

    fn message(&mut self, message: PoolMessage, now: Instant) {
        match message {
            // It has been read.
            PoolMessage::Posted => {}
            PoolMessage::Command(command) => self.command(command, now),
            PoolMessage::Worker(report) => self.worker_report(report, now),
            PoolMessage::Session(report) => self.session_report(report, now),
            PoolMessage::Slot(report) => self.slot_report(report, now),
            PoolMessage::Timer(timer) => self.timer(timer, now),
        }
    }

    /// Has all that was handed to workers leave: one write for each.
    fn write_handed_over(&mut self) {
        if self.handed_over.len() > 1 {
            self.handed_over.sort_unstable();
            self.handed_over.dedup();
        }
        for (place, life) in self.handed_over.drain(..).enumerate() {
            // A worker that was lost meanwhile needs nothing any more.
            let Some(ready) = self.roster.get(life) else { continue };
            let adapter = &ready.worker.adapter;
            let written = if place < WRITTEN_HERE { adapter.try_flush() } else { adapter.try_flush_soon() };
            ready.worker.has_written(written);
        }
    }

    fn command(&mut self, command: PoolCommand, now: Instant) {
        match command {
            PoolCommand::Execute(submission) => self.execute(*submission, now),
            PoolCommand::Cancel { id } => self.cancel(id, now),
            PoolCommand::CreditNotTaken { id, why } => self.credit_not_taken(id, why, now),
            PoolCommand::Reserve { reply } => self.reserve(reply),
            // Who waits for it gets it after every message.
            PoolCommand::ReservationDropped => {}
            PoolCommand::EndSession { session, reply } => self.end_session(session, reply),
            PoolCommand::AwaitReady { wanted, reply } => self.await_ready(wanted, reply),
            PoolCommand::Recycle { slot, reply } => {
                self.recycle(slot, RecycleReason::Asked, Some(reply), now);
            }
            PoolCommand::Resize { size, reply } => self.resize(size, reply),
            PoolCommand::Drain { reply } => self.drain(reply),
            PoolCommand::Resume { reply } => self.resume(reply),
            PoolCommand::GetUnderWay { reply } => self.get_under_way(reply),
            PoolCommand::GetHealth { reply } => self.get_health(reply),
            PoolCommand::GetStats { reply } => self.get_stats(reply),
            PoolCommand::GetRoster { reply } => self.get_roster(reply),
            PoolCommand::Close { until, reply } => self.begin_close(until, reply, now),
        }
    }

    fn worker_report(&mut self, report: WorkerReport, now: Instant) {
        match report {
            WorkerReport::Booting { life, worker } => self.worker_booting(Life::from(&life), worker),
            WorkerReport::Ready { life, worker, adapter, capacity, tells_started, vitals } => {
                let worker = PoolWorker { actor: worker, adapter, vitals, tells_started };
                self.worker_ready(Life::from(&life), capacity, worker, now);
            }
            WorkerReport::RequestStarted { life, id } => self.in_flight.started(id, life, now),
            WorkerReport::RequestUnread { life, id } => self.in_flight.unread(id, life),
            WorkerReport::HeardOut { life } => self.lives.heard_out(life),
            WorkerReport::RequestFinished { life, id, outcome } => {
                self.request_finished(id, life, outcome, now);
            }
            WorkerReport::RecycleAsked { life, why } => self.recycle_asked(life, why, now),
            WorkerReport::Lost { loss } => self.worker_lost(&loss, now),
        }
    }

    fn session_report(&mut self, report: SessionReport, now: Instant) {
        match report {
            SessionReport::Bound { id, life, reset } => self.session_bound(id, life, reset, now),
            SessionReport::Unbound { id, lost } => self.session_unbound(id, lost, now),
            SessionReport::Ended(session) => self.session_ended(session, now),
            SessionReport::Expired(session) => self.let_forget(session),
            SessionReport::Swept { sessions } => self.sessions_swept(sessions),
            SessionReport::Evicted(session) => self.session_evicted(session),
        }
    }

    fn slot_report(&mut self, report: SlotReport, now: Instant) {
        match report {
            SlotReport::GaveUp { loss } => self.slot_gave_up(loss, now),
            // The look at those that retire, which follows every message, finds what there is to find.
            SlotReport::StarterUp => {}
            SlotReport::Cleared { slot } => self.slot_cleared(slot, now),
        }
    }

    fn timer(&mut self, timer: PoolTimer, now: Instant) {
        match timer {
            PoolTimer::DeadlineDue => self.deadlines_due(now),
            // The look that follows every message finds what there is to find.
            PoolTimer::WatchDue => {}
            PoolTimer::GaugesDue => self.gauges_due(),
            PoolTimer::StatisticsDue => self.statistics_due(),
            PoolTimer::QuarantineOver { slot } => self.quarantine_over(slot),
            PoolTimer::SubstituteDue { slot } => self.substitute_due(slot, now),
            PoolTimer::PutOffOver { slot } => self.put_off_over(slot, now),
            PoolTimer::WearDue => self.wear_due(now),
            PoolTimer::CloseOver => self.refuse_everything(),
        }
    }
}

impl Drop for PoolState {
    /// However this life ends, panics included: whoever waited hears it by a closed channel, and the workers hear it here.
    fn drop(&mut self) {
        if let Some(reading) = self.reading {
            self.args.shared.inbox.close(reading);
        }
        self.cancel_everything();
        self.close_reservations();
        self.close_accounts();
    }
}
