//! A place in the pool that a caller has reserved before it has a request.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::error::ExecuteError;
use crate::pool::handle::PoolRef;
use crate::pool::message::{PoolCommand, PoolMessage, Response};
use crate::pool::reservations::Reservation;
use crate::pool::stream::ResponseStream;
use crate::request::Request;

/// How long a pool's actor may take to be back. Its supervisor counts restarts over as long; one that is not back by then
/// stays down.
const RESTART_PATIENCE: Duration = Duration::from_secs(5);

/// A place for one request, reserved by [`PoolRef::reserve`]: that request is not refused as
/// [`Saturated`](ExecuteError::Saturated). It does not expire, holds no worker, and counts as a request that waits.
///
/// Dropped, it is free again. It outlives a restart of the pool's actor.
#[derive(Debug)]
#[must_use = "a place that is reserved and not used keeps others out"]
pub struct Permit {
    pool: PoolRef,
    reservation: Reservation,
}

impl Permit {
    /// Runs a request in this place. As [`PoolRef::execute`], its deadline counts from here.
    ///
    /// # Errors
    /// # Cancellation
    /// As [`PoolRef::execute`]; a request that cannot be sent gives the place back.
    pub async fn execute(self, request: Request) -> Result<Response, ExecuteError> {
        self.pool.execute_in(request, Some(self.reservation)).await
    }

    /// Runs a request in this place whose answer is a stream.
    ///
    /// # Errors
    /// As [`PoolRef::execute_stream`].
    pub fn execute_stream(self, request: Request) -> Result<ResponseStream, ExecuteError> {
        self.pool.execute_stream_in(request, Some(self.reservation))
    }
}

impl PoolRef {
    /// Reserves a place for one request, and waits while the pool is saturated: back-pressure, where
    /// [`execute`](Self::execute) refuses. Those who wait get places in the order in which they came.
    ///
    /// A place is kept of those that `queue_limit` and the free workers have. Half of them may be held unused at most, so
    /// that permits which lie idle never shut out whoever does not reserve.
    ///
    /// # Errors
    /// [`ExecuteError::ShuttingDown`], [`ExecuteError::PoolFailed`] and [`ExecuteError::PoolDraining`], at once; [`ExecuteError::PoolRestarted`] where
    /// the pool's actor is not back within 5 s; [`ExecuteError::Saturated`] where as many callers wait for a place as
    /// requests may (`queue_limit`, and 1,024 at least).
    ///
    /// # Cancellation
    /// Dropping the future stops waiting, and gives back what had just been granted.
    pub async fn reserve(&self) -> Result<Permit, ExecuteError> {
        let mut lives = self.shared().address.subscribe();
        loop {
            // Seen before the question: a life that comes up in between is not missed.
            lives.mark_unchanged();
            if let Some(permit) = self.try_reserve() {
                return Ok(permit);
            }
            let (reply, answer) = oneshot::channel();
            self.shared().address.cast(PoolMessage::Command(PoolCommand::Reserve { reply }));
            if let Ok(answer) = answer.await {
                return answer.map(|reservation| Permit { pool: self.clone(), reservation });
            }
            // The pool's actor ended: the question is put to its next life.
            let next = timeout(RESTART_PATIENCE, self.shared().next_pool(&mut lives));
            if self.shared().is_stopping() || !matches!(next.await, Ok(Ok(()))) {
                return Err(self.gone());
            }
        }
    }

    /// Reserves a place where one is free and nobody waits for it, without waiting.
    pub fn try_reserve(&self) -> Option<Permit> {
        let reservation = Reservation::take(self.shared())?;
        Some(Permit { pool: self.clone(), reservation })
    }
}
