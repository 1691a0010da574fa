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
/// How many sessions a sweep ends before it lets other messages pass. A share takes some tens of microseconds, and about as
/// long again in the pool, which tells the workers: no request waits for more than that.
const SWEEP_SHARE: usize = 256;

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
    /// Held, so that it rings.
    sweep_timer: Timer,
    /// How many sessions the sweep that is under way has ended; none is while this is 0.
    swept: usize,
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
            sweep_timer: Timer::after(SWEEP_EVERY, &myself, SessionAffinityMessage::SweepDue),
            myself,
            swept: 0,
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
                state.report_expired(expired);
                state.tell(id, verdict);
            }
            SessionAffinityMessage::Rebind { id, session, gone } => {
                let (verdict, expired) = state.table().reroute(id, &session, gone, now);
                state.report_expired(expired);
                state.tell(id, verdict);
            }
            SessionAffinityMessage::Bind { id, session, life } => {
                let (held, evicted) = state.table().bind(id, &session, life, now);
                if let Some(session) = evicted {
                    state.pool.reporter().session(SessionReport::Evicted(session));
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
                if let Some(session) = ended.ended() {
                    state.pool.reporter().session(SessionReport::Ended(session));
                }
            }
            SessionAffinityMessage::GetCounts { reply } => {
                // Whoever asked may have stopped waiting.
                let _ = reply.send(state.table().counts());
            }
            SessionAffinityMessage::SweepDue => state.sweep(now),
            SessionAffinityMessage::ShareTaken => state.share_taken(now),
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

    fn report_expired(&self, expired: Option<EndedSession>) {
        if let Some(session) = expired {
            self.tell_expired(1);
            self.pool.reporter().session(SessionReport::Expired(session));
        }
    }

    fn tell_expired(&self, count: usize) {
        if count > 0 {
            self.pool.emit(Event::SessionsExpired { pool: self.pool.name.clone(), count });
        }
    }

    /// Ends one share of the sessions that have been idle too long. The next share waits until the pool has taken this one:
    /// a sweep is never further ahead of the workers than that.
    fn sweep(&mut self, now: Instant) {
        let (count, sessions) = self.table().sweep(SWEEP_SHARE, now);
        self.swept += count;
        if count < SWEEP_SHARE {
            let swept = std::mem::take(&mut self.swept);
            self.tell_expired(swept);
        }
        if count > 0 {
            self.pool.reporter().session(SessionReport::Swept { sessions });
        }
        // Also while a sweep is under way: a pool that ends with a share in hand never says that it has taken it.
        self.sweep_timer = Timer::after(SWEEP_EVERY, &self.myself, SessionAffinityMessage::SweepDue);
    }

    fn share_taken(&mut self, now: Instant) {
        if self.swept > 0 {
            self.sweep(now);
        }
    }
}

#[cfg(test)]
mod tests;
