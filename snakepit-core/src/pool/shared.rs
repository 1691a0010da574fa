//! What outlives the pool's actor: its name and options, the way to it, and the counters that must never go back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ractor::{ActorCell, ActorId, ActorRef};
use snakepit_supervisor::StarterRef;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::address::Address;
use crate::config::PoolOptions;
use crate::error::{ExecuteError, PoolFailure, WorkerLoss};
use crate::id::{Incarnation, PoolName, RequestId, Slot, WorkerId, WorkerLife};
use crate::pool::ended_sessions::EndedSessions;
use crate::pool::explanation::GivenUp;
use crate::pool::inbox::Inbox;
use crate::pool::intake::Intake;
use crate::pool::message::{Life, PoolMessage, PoolReporter};
use crate::pool::reservations::Reservations;
use crate::pool::slot_plan::SlotPlan;
use crate::pool::statistics::Counters;
use crate::process::StopOutcome;
use crate::session_affinity::SessionAffinityMessage;
use crate::telemetry::{CallFigures, Event, EventSink};

/// One pool, over all restarts of its actor.
#[derive(Debug)]
pub(crate) struct PoolShared {
    pub(crate) name: PoolName,
    pub(crate) options: PoolOptions,
    pub(crate) address: Address<PoolMessage>,
    /// The gathered part of its mailbox.
    pub(super) inbox: Arc<Inbox>,
    pub(crate) reservations: Reservations,
    pub(crate) intake: Intake,
    pub(super) ended_sessions: Arc<EndedSessions>,
    pub(crate) sessions: Address<SessionAffinityMessage>,
    /// Shared with the other pools, so that a request's number is unique in the whole pit.
    requests: Arc<AtomicU64>,
    events: EventSink,
    figures: CallFigures,
    /// Which slots there are to be; never locked while another actor is waited for.
    plan: Mutex<SlotPlan<ActorCell>>,
    starters_under: Mutex<Option<ActorId>>,
    losses: Mutex<HashMap<Slot, LastLoss>>,
    /// What of each slot's Starter is asked and known by others.
    starters: Mutex<HashMap<Slot, StarterRef>>,
    given_up: Mutex<HashMap<Slot, GivenUp>>,
    /// When a shutdown must be over; `None` while there is none.
    stop_by: watch::Sender<Option<Instant>>,
    stops: StopCounts,
    /// What the earlier lives of the pool's actor have counted.
    counters: Mutex<Counters>,
    /// Why the pool's own actors are not there, and are not about to be; `None` while they are.
    down: watch::Sender<Option<PoolFailure>>,
}

/// The last loss of a slot, and when that was.
#[derive(Clone, Debug)]
pub(crate) struct LastLoss {
    pub(crate) loss: Arc<WorkerLoss>,
    pub(crate) at: Instant,
}

/// How the processes of a pool were stopped, so far.
#[derive(Debug, Default)]
pub(crate) struct StopCounts {
    left: AtomicU32,
    killed: AtomicU32,
    stuck: AtomicU32,
}

impl PoolShared {
    /// `requests` and `events` are the pit's.
    pub(crate) fn new(
        name: PoolName,
        options: PoolOptions,
        requests: Arc<AtomicU64>,
        events: EventSink,
    ) -> Self {
        let address = Address::default();
        let figures = CallFigures::new(name.clone());
        Self {
            name,
            inbox: Arc::new(Inbox::new(address.clone(), options.queue_limit)),
            address,
            reservations: Reservations::default(),
            intake: Intake::default(),
            ended_sessions: Arc::default(),
            sessions: Address::default(),
            requests,
            events,
            figures,
            plan: Mutex::new(SlotPlan::new(options.size)),
            options,
            starters_under: Mutex::new(None),
            losses: Mutex::default(),
            starters: Mutex::default(),
            given_up: Mutex::default(),
            stop_by: watch::Sender::new(None),
            stops: StopCounts::default(),
            counters: Mutex::default(),
            down: watch::Sender::new(None),
        }
    }

    /// What has been counted so far, for the next life of the pool's actor to go on from.
    pub(super) fn counters(&self) -> Counters {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn keep_counters(&self, counters: Counters) {
        *self.counters.lock().unwrap_or_else(PoisonError::into_inner) = counters;
    }

    /// The pool's own actors failed too often, and rest before they are started again.
    pub(crate) fn goes_down(&self, why: String) {
        self.emit(Event::PoolGaveUp { pool: self.name.clone(), reason: why.clone() });
        self.down.send_replace(Some(PoolFailure::Actors { why }));
    }

    /// The pool's actor is there. Returns whether it had been down.
    pub(super) fn comes_up(&self) -> bool {
        self.down.send_replace(None).is_some()
    }

    /// Why the pool's own actors are not there, and are not about to be, where that is so.
    pub(crate) fn down(&self) -> Option<PoolFailure> {
        self.down.borrow().clone()
    }

    /// Waits for the next life of the pool's actor. `Err`: it has failed too often, and rests before.
    pub(super) async fn next_pool(
        &self,
        lives: &mut watch::Receiver<Option<ActorRef<PoolMessage>>>,
    ) -> Result<(), PoolFailure> {
        let mut down = self.down.subscribe();
        let goes_down = async {
            match down.wait_for(Option::is_some).await {
                Ok(failure) => failure.clone(),
                Err(_) => None,
            }
        };
        tokio::select! {
            biased;
            // Both places outlive the wait.
            Some(failure) = goes_down => Err(failure),
            _ = lives.changed() => Ok(()),
        }
    }

    /// Tells an event to the log and to whoever has subscribed.
    pub(crate) fn emit(&self, event: Event) {
        self.events.emit(event);
    }

    /// Where calls are measured.
    pub(super) fn figures(&self) -> &CallFigures {
        &self.figures
    }

    /// Where events are told.
    pub(crate) fn events(&self) -> &EventSink {
        &self.events
    }

    pub(crate) fn reporter(&self) -> PoolReporter {
        PoolReporter::new(self.address.clone(), Arc::clone(&self.inbox), Arc::clone(&self.ended_sessions))
    }

    pub(crate) fn next_request(&self) -> RequestId {
        RequestId(self.requests.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub(crate) fn worker(&self, slot: Slot) -> WorkerId {
        WorkerId { pool: self.name.clone(), slot }
    }

    /// A life with the worker's full name.
    pub(crate) fn life(&self, Life { slot, incarnation }: Life) -> WorkerLife {
        WorkerLife { worker: self.worker(slot), incarnation }
    }

    /// Which slots there are to be. A panic while it was held leaves a plan that the next life of the pool can follow.
    pub(crate) fn plan(&self) -> MutexGuard<'_, SlotPlan<ActorCell>> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a new life of a slot's worker.
    pub(crate) fn next_life(&self, slot: Slot) -> WorkerLife {
        let incarnation = self.plan().next_life(slot);
        WorkerLife { worker: self.worker(slot), incarnation }
    }

    /// The latest life of a slot's worker; incarnation 0 before the first.
    pub(crate) fn present_life(&self, slot: Slot) -> WorkerLife {
        WorkerLife { worker: self.worker(slot), incarnation: Incarnation(self.lives(slot)) }
    }

    /// How many lives a slot's worker has had.
    pub(crate) fn lives(&self, slot: Slot) -> u64 {
        self.plan().lives(slot)
    }

    /// A slot's worker was lost, or the slot was given up.
    pub(crate) fn lost(&self, loss: &Arc<WorkerLoss>, at: Instant) {
        let last = LastLoss { loss: Arc::clone(loss), at };
        self.losses().insert(loss.life.worker.slot, last);
    }

    /// The last loss of a slot, where it had one. It outlives the pool's actor, also one that came between two of its lives.
    pub(crate) fn last_loss(&self, slot: Slot) -> Option<LastLoss> {
        self.losses().get(&slot).cloned()
    }

    fn losses(&self) -> MutexGuard<'_, HashMap<Slot, LastLoss>> {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slot is about to have this Starter.
    pub(crate) fn starter_is(&self, slot: Slot, starter: StarterRef) {
        self.starters.lock().unwrap_or_else(PoisonError::into_inner).insert(slot, starter);
    }

    /// The latest Starter of a slot, which may have ended.
    pub(crate) fn starter_of(&self, slot: Slot) -> Option<StarterRef> {
        self.starters.lock().unwrap_or_else(PoisonError::into_inner).get(&slot).cloned()
    }

    /// A slot is given up, by this rule, after this loss.
    pub(crate) fn gives_up(&self, slot: Slot, rule: String, loss: &Arc<WorkerLoss>) {
        let now = Instant::now();
        let until = Some(now).filter(|_| !self.options.restart.is_fatal(&loss.cause));
        // Said here and not by the pool's actor, which may be just restarting and must not try this slot again.
        self.lost(loss, now);
        let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        given_up.insert(slot, GivenUp { rule, times: 1, until });
    }

    /// The loss for which a slot was given up for good, where it was.
    pub(super) fn given_up_for_good(&self, slot: Slot) -> Option<Arc<WorkerLoss>> {
        self.given_up(slot).filter(|given_up| given_up.until.is_none())?;
        Some(self.last_loss(slot)?.loss)
    }

    /// How often in a row a slot has been given up, and until when it rests.
    pub(super) fn rests(&self, slot: Slot, times: u32, until: Instant) {
        let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(given_up) = given_up.get_mut(&slot) {
            (given_up.times, given_up.until) = (times, Some(until));
        }
    }

    /// How a slot was last given up, if it ever was.
    pub(super) fn given_up(&self, slot: Slot) -> Option<GivenUp> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner).get(&slot).cloned()
    }

    /// Nothing is known any more of a slot that is no more.
    pub(super) fn forget_slot(&self, slot: Slot) {
        self.ended_sessions.forget(slot);
        self.starters.lock().unwrap_or_else(PoisonError::into_inner).remove(&slot);
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner).remove(&slot);
    }

    /// Says which actor the Starters are children of. Where that is another than before, all Starters went with it.
    pub(crate) fn starters_are_under(&self, parent: Option<ActorId>) {
        let mut known = self.starters_under.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != parent {
            *known = parent;
            self.plan().all_gone();
        }
    }

    /// How many workers are replaced at once.
    pub(crate) fn replacements_at_once(&self) -> usize {
        usize::from(self.options.recycle.at_once)
    }

    /// Says when everything must be over. A later call may only bring it forward.
    pub(crate) fn stop_by(&self, at: Instant) {
        self.stop_by.send_modify(|present| *present = Some(present.map_or(at, |present| present.min(at))));
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stop_by.borrow().is_some()
    }

    /// What a new request hears where no actor is there to take it: it has ended for good, or is started again, at once or
    /// after a rest.
    pub(crate) fn gone(&self) -> ExecuteError {
        match self.down() {
            Some(reason) if !self.is_stopping() => {
                ExecuteError::PoolFailed { pool: self.name.clone(), reason }
            }
            Some(_) | None => self.cut_off(),
        }
    }

    /// What a request hears that the pool's actor had when it ended. It may have run.
    pub(crate) fn cut_off(&self) -> ExecuteError {
        let pool = self.name.clone();
        if self.is_stopping() {
            ExecuteError::ShuttingDown { pool }
        } else {
            ExecuteError::PoolRestarted { pool }
        }
    }

    pub(crate) fn stop_by_changes(&self) -> watch::Receiver<Option<Instant>> {
        self.stop_by.subscribe()
    }

    pub(crate) fn stopped(&self, outcome: StopOutcome) {
        let counter = match outcome {
            StopOutcome::Left => &self.stops.left,
            StopOutcome::Killed => &self.stops.killed,
            StopOutcome::Stuck => &self.stops.stuck,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// How many processes left when asked, were killed, and did not go.
    pub(crate) fn stops(&self) -> (u32, u32, u32) {
        let read = |counter: &AtomicU32| counter.load(Ordering::Relaxed);
        (read(&self.stops.left), read(&self.stops.killed), read(&self.stops.stuck))
    }
}
