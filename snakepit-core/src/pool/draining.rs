//! A pool that takes no requests for a while: those it has are finished, and then it rests until it is resumed.

use std::time::Duration;

use ractor::RpcReplyPort;
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::error::{DrainError, ResumeError};
use crate::id::Incarnation;
use crate::pool::actor::PoolState;
use crate::pool::handle::PoolRef;
use crate::pool::message::{PoolCommand, PoolMessage};
use crate::pool::roster::{Occupant, Place};
use crate::pool::shared::{LastLoss, PoolShared};
use crate::telemetry::Event;

/// What a drain came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Drained {
    /// How many requests were answered by their workers since it began.
    pub finished: usize,
}

/// The answer to whoever waits for a pool to have nothing left to do.
pub(crate) type DrainReply = oneshot::Sender<Result<Drained, DrainError>>;

/// What a pool has not done yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnderWay {
    waiting: usize,
    running: usize,
}

impl PoolState {
    /// Takes no more requests. Whoever asked is answered when none is left, which is looked at after every message.
    pub(super) fn drain(&mut self, reply: DrainReply) {
        let shared = &self.args.shared;
        if self.closing.is_some() {
            // Whoever asked may have stopped waiting.
            let _ = reply.send(Err(DrainError::ShuttingDown { pool: shared.name.clone() }));
            return;
        }
        shared.close_intake(|| self.in_flight.awaited());
        self.drainers.retain(|waiting| !waiting.is_closed());
        self.drainers.push(reply);
    }

    pub(super) fn resume(&mut self, reply: RpcReplyPort<Result<(), ResumeError>>) {
        let shared = &self.args.shared;
        let answer = if self.closing.is_some() {
            Err(ResumeError::ShuttingDown { pool: shared.name.clone() })
        } else {
            shared.open_intake();
            Ok(())
        };
        // Whoever asked may have stopped waiting; the pool takes requests all the same.
        let _ = reply.send(answer);
    }

    pub(super) fn get_under_way(&self, reply: RpcReplyPort<Option<UnderWay>>) {
        // What workers have is counted by their places: requests of an earlier life of the pool are among them.
        let under_way = UnderWay { waiting: self.waiting(), running: self.roster.running() };
        let _ = reply.send(Some(under_way).filter(|_| !self.has_nothing_left()));
    }

    /// Tells those who wait for the pool to be drained that it is, or that it no longer is to be.
    pub(super) fn finish_drain(&mut self) {
        let shared = &self.args.shared;
        if self.drainers.is_empty() && !shared.intake.is_draining() {
            return;
        }
        let answer = if self.closing.is_some() {
            Err(DrainError::ShuttingDown { pool: shared.name.clone() })
        } else if !shared.intake.is_closed() {
            Err(DrainError::Resumed { pool: shared.name.clone() })
        } else if self.has_nothing_left() {
            Ok(shared.drained())
        } else {
            return;
        };
        for waiter in self.drainers.drain(..) {
            let _ = waiter.send(answer.clone());
        }
    }

    fn has_nothing_left(&self) -> bool {
        self.in_flight.is_empty() && self.roster.running() == 0 && !self.awaits_word()
    }

    /// Whether a worker may still run something for an earlier life of the pool, and has not said that it is there.
    fn awaits_word(&self) -> bool {
        let shared = &self.args.shared;
        let is_unheard = |slot| {
            let present = shared.present_life(slot);
            let is_over = |last: LastLoss| last.loss.life == present;
            present.incarnation > Incarnation(0)
                && !self.lives.has_heard_of(slot)
                && !shared.last_loss(slot).is_some_and(is_over)
        };
        let is_starting = |place: &Place<_>| matches!(place.occupant, Occupant::Starting);
        self.roster.slots().any(|(slot, place)| is_starting(place) && is_unheard(slot))
    }
}

impl PoolShared {
    /// Takes no more requests. `under_way`: how many it has.
    fn close_intake(&self, under_way: impl FnOnce() -> usize) {
        if self.intake.close() {
            self.emit(Event::PoolDraining { pool: self.name.clone(), under_way: under_way() });
        }
    }

    fn open_intake(&self) {
        if self.intake.open() {
            self.emit(Event::PoolResumed { pool: self.name.clone() });
        }
    }

    /// None is left of the requests that there were when the intake was closed.
    fn drained(&self) -> Drained {
        let finished = self.intake.finished();
        if self.intake.emptied() {
            self.emit(Event::PoolDrained { pool: self.name.clone(), finished, abandoned: 0 });
        }
        Drained { finished }
    }
}

impl PoolRef {
    /// Takes no more requests until [`resume`](Self::resume), and waits until those under way are done: what waits runs,
    /// what runs is finished, a worker that was told to stop has stopped. New ones are refused as
    /// [`PoolDraining`](crate::ExecuteError::PoolDraining), also those with a [`Permit`](crate::Permit), which stays good
    /// for later.
    ///
    /// Everything else goes on: workers live and are replaced, `resize`, `recycle` and `rolling_restart` do their work,
    /// sessions are kept and can be ended, [`await_ready`](Self::await_ready) tells of the workers. A drained pool stays so
    /// over restarts of its actor, and not over those of the program.
    ///
    /// # Errors
    /// [`DrainError`]: after `patience`, with what is left; nothing is cut short, and the pool takes no requests all the
    /// same. Drained again, it waits on.
    ///
    /// # Cancellation
    /// Dropping the future stops waiting; the pool takes no requests all the same.
    pub async fn drain(&self, patience: Duration) -> Result<Drained, DrainError> {
        match timeout(patience, self.until_drained()).await {
            Ok(answer) => answer,
            Err(_) => self.not_drained(patience).await,
        }
    }

    /// Takes requests again. For a pool that is not drained it changes nothing.
    ///
    /// # Errors
    /// [`ResumeError`].
    ///
    /// # Cancellation
    /// Dropping the future stops waiting; the pool may take requests all the same.
    pub async fn resume(&self) -> Result<(), ResumeError> {
        if let Ok(answer) = self.ask(|reply| PoolCommand::Resume { reply }).await {
            return answer;
        }
        let shared = self.shared();
        if shared.is_stopping() {
            return Err(ResumeError::ShuttingDown { pool: self.name().clone() });
        }
        // Nobody was there to be told; the next life finds it so.
        shared.open_intake();
        Ok(())
    }

    async fn until_drained(&self) -> Result<Drained, DrainError> {
        let shared = self.shared();
        let mut lives = shared.address.subscribe();
        loop {
            // Seen before the question: a life that comes up in between is not missed.
            lives.mark_unchanged();
            let (reply, answer) = oneshot::channel();
            shared.address.cast(PoolMessage::Command(PoolCommand::Drain { reply }));
            if let Ok(answer) = answer.await {
                return answer;
            }
            if shared.is_stopping() {
                return Err(DrainError::ShuttingDown { pool: self.name().clone() });
            }
            // Nobody was there to be told, or it ended before it answered; the next life finds it so, and is asked.
            shared.close_intake(|| 0);
            if shared.next_pool(&mut lives).await.is_err() {
                // Its workers went with it, and whatever they had.
                return Ok(shared.drained());
            }
        }
    }

    /// Time is up: says what is left.
    async fn not_drained(&self, patience: Duration) -> Result<Drained, DrainError> {
        let (shared, pool) = (self.shared(), self.name().clone());
        match self.ask(|reply| PoolCommand::GetUnderWay { reply }).await {
            Ok(Some(UnderWay { waiting, running })) => {
                Err(DrainError::TimedOut { pool, timeout: patience, waiting, running })
            }
            // The question came behind the order, at the latest moment.
            Ok(None) => Ok(shared.drained()),
            Err(_) if shared.is_stopping() => Err(DrainError::ShuttingDown { pool }),
            Err(_) if shared.down().is_some() => Ok(shared.drained()),
            Err(_) => Err(DrainError::PoolRestarted { pool }),
        }
    }
}
