//! The actor of the session affinity.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::time::Instant;

use crate::address::Address;
use crate::id::RequestId;
use crate::pool::{PoolShared, SessionReport};
use crate::session_affinity::message::SessionAffinityMessage;
use crate::session_affinity::table::{EndVerdict, EndedSession, RouteVerdict, SessionTable};
use crate::telemetry::Event;
use crate::timer::Timer;

/// How often idle sessions are looked for. A session that is asked for expires to the moment; the sweep frees the rest.
const SWEEP_EVERY: Duration = Duration::from_mins(5);
/// How many sessions one sweep ends before it lets other messages pass.
const SWEEP_SHARE: usize = 1000;

/// The handler of the session affinity's actor.
#[derive(Debug)]
pub(crate) struct SessionAffinity;

/// What every life of the actor works with.
#[derive(Clone, Debug)]
pub(crate) struct SessionAffinityArgs {
    address: Address<SessionAffinityMessage>,
    pool: Arc<PoolShared>,
    /// Outlives the actor: a session whose binding was forgotten would start anew without anybody being told.
    table: Arc<Mutex<SessionTable>>,
}

/// The session affinity at work.
pub(crate) struct SessionAffinityState {
    pool: Arc<PoolShared>,
    table: Arc<Mutex<SessionTable>>,
    myself: ActorRef<SessionAffinityMessage>,
    sweep: Timer,
}

impl SessionAffinityArgs {
    pub(crate) fn new(address: Address<SessionAffinityMessage>, pool: Arc<PoolShared>) -> Self {
        let (ttl, limit) = (pool.options.session_ttl, pool.options.session_limit);
        let table = SessionTable::new(ttl, limit, Instant::now());
        Self { address, pool, table: Arc::new(Mutex::new(table)) }
    }
}

impl fmt::Debug for SessionAffinityState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionAffinityState").finish_non_exhaustive()
    }
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for SessionAffinity {
    type Msg = SessionAffinityMessage;
    type State = SessionAffinityState;
    type Arguments = SessionAffinityArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        args: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        if args.address.current().is_some() {
            args.pool.emit(Event::SessionAffinityRestarted { pool: args.pool.name.clone() });
        }
        args.address.publish(myself.clone());
        Ok(SessionAffinityState {
            pool: args.pool,
            table: args.table,
            sweep: Timer::after(SWEEP_EVERY, &myself, SessionAffinityMessage::SweepDue),
            myself,
        })
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let now = Instant::now();
        match message {
            SessionAffinityMessage::Route { id, session } => {
                let (verdict, expired) = state.table().route(id, &session, now);
                state.tell_expired(usize::from(expired.is_some()));
                state.report_ended(expired);
                state.tell(id, verdict);
            }
            SessionAffinityMessage::Rebind { id, session, gone } => {
                let (verdict, expired) = state.table().reroute(id, &session, gone, now);
                state.tell_expired(usize::from(expired.is_some()));
                state.report_ended(expired);
                state.tell(id, verdict);
            }
            SessionAffinityMessage::Bind { id, session, life } => {
                let (held, evicted) = state.table().bind(id, &session, life, now);
                if let Some(EndedSession { session, life }) = evicted {
                    state.pool.reporter().session(SessionReport::Evicted { session, life });
                }
                for (id, verdict) in held {
                    state.tell(id, verdict);
                }
            }
            SessionAffinityMessage::Over { id, session, parting } => {
                let turn = state.table().over(id, &session, parting, now);
                if let Some((next, verdict)) = turn {
                    state.tell(next, verdict);
                }
            }
            SessionAffinityMessage::PoolRestarted => state.table().pool_restarted(),
            SessionAffinityMessage::End { session, reply } => {
                let ended = state.table().end(&session);
                // Whoever asked may have stopped waiting.
                let _ = reply.send(ended != EndVerdict::NotFound);
                state.report_ended(ended.ended());
            }
            SessionAffinityMessage::GetCounts { reply } => {
                // Whoever asked may have stopped waiting.
                let _ = reply.send(state.table().counts());
            }
            SessionAffinityMessage::SweepDue => state.sweep(now),
        }
        Ok(())
    }
}

impl SessionAffinityState {
    /// The table. Only one life of the actor uses it at a time; a life that panicked left every session but the one in
    /// its hand as it was.
    fn table(&self) -> MutexGuard<'_, SessionTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, id: RequestId, verdict: RouteVerdict) {
        match verdict {
            RouteVerdict::Bound { life, reset } => {
                self.pool.reporter().session(SessionReport::Bound { id, life, reset });
            }
            RouteVerdict::Bind { lost } => self.pool.reporter().session(SessionReport::Unbound { id, lost }),
            // It is told when the binder has bound.
            RouteVerdict::Hold => {}
        }
    }

    fn report_ended(&self, ended: impl IntoIterator<Item = EndedSession>) {
        for EndedSession { session, life } in ended {
            self.pool.reporter().session(SessionReport::Ended { session, life });
        }
    }

    fn tell_expired(&self, count: usize) {
        if count > 0 {
            self.pool.emit(Event::SessionsExpired { pool: self.pool.name.clone(), count });
        }
    }

    fn sweep(&mut self, now: Instant) {
        let (count, ended) = self.table().sweep(SWEEP_SHARE, now);
        let next = if count < SWEEP_SHARE { SWEEP_EVERY } else { Duration::ZERO };
        self.tell_expired(count);
        self.report_ended(ended);
        self.sweep = Timer::after(next, &self.myself, SessionAffinityMessage::SweepDue);
    }
}
