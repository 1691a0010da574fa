//! The actor of the session affinity.

use std::fmt;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::time::Instant;

use crate::address::Address;
use crate::id::RequestId;
use crate::pool::{PoolReporter, SessionReport};
use crate::session_affinity::message::SessionAffinityMessage;
use crate::session_affinity::table::{EndedSession, RouteVerdict, SessionTable};
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
    pub(crate) address: Address<SessionAffinityMessage>,
    pub(crate) pool: PoolReporter,
    pub(crate) ttl: Duration,
    pub(crate) limit: usize,
}

/// The session affinity at work.
pub(crate) struct SessionAffinityState {
    pool: PoolReporter,
    table: SessionTable,
    myself: ActorRef<SessionAffinityMessage>,
    sweep: Timer,
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
        args.address.publish(myself.clone());
        Ok(SessionAffinityState {
            pool: args.pool,
            table: SessionTable::new(args.ttl, args.limit),
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
                let (verdict, expired) = state.table.route(id, &session, now);
                state.report_ended(expired);
                state.tell(id, verdict);
            }
            SessionAffinityMessage::Rebind { id, session, gone } => {
                let (verdict, expired) = state.table.reroute(id, &session, gone, now);
                state.report_ended(expired);
                state.tell(id, verdict);
            }
            SessionAffinityMessage::Bind { id, session, life } => {
                let (held, evicted) = state.table.bind(id, &session, life, now);
                state.report_ended(evicted);
                for id in held {
                    state.tell(id, RouteVerdict::Bound(life));
                }
            }
            SessionAffinityMessage::Forgo { id, session } => {
                if let Some((next, verdict)) = state.table.forgo(id, &session) {
                    state.tell(next, verdict);
                }
            }
            SessionAffinityMessage::End { session, reply } => {
                let ended = state.table.end(&session);
                // Whoever asked may have stopped waiting.
                let _ = reply.send(ended.is_some());
                state.report_ended(ended);
            }
            SessionAffinityMessage::SweepDue => state.sweep(now),
        }
        Ok(())
    }
}

impl SessionAffinityState {
    fn tell(&self, id: RequestId, verdict: RouteVerdict) {
        match verdict {
            RouteVerdict::Bound(life) => self.pool.session(SessionReport::Bound { id, life }),
            RouteVerdict::Bind { reset } => self.pool.session(SessionReport::Unbound { id, reset }),
            // It is told when the binder has bound.
            RouteVerdict::Hold => {}
        }
    }

    fn report_ended(&self, ended: impl IntoIterator<Item = EndedSession>) {
        for EndedSession { session, life } in ended {
            self.pool.session(SessionReport::Ended { session, life });
        }
    }

    fn sweep(&mut self, now: Instant) {
        let ended = self.table.sweep(SWEEP_SHARE, now);
        let next = if ended.len() < SWEEP_SHARE { SWEEP_EVERY } else { Duration::ZERO };
        self.report_ended(ended);
        self.sweep = Timer::after(next, &self.myself, SessionAffinityMessage::SweepDue);
    }
}
