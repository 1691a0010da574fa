//! What is asked of one of the pit's pools by its name. [`Snakepit::pool`] finds a pool once, for whoever asks often.

use std::time::Duration;

use crate::error::{
    AwaitReadyError, DrainError, EndSessionError, ExecuteError, RecycleError, ResizeError, ResumeError,
};
use crate::id::{SessionId, WorkerId};
use crate::pool::{
    Drained, PoolRef, PoolStats, Recycled, RequestBuilder, Resized, RollingReport, WorkerExplanation,
};
use crate::snakepit::handle::Snakepit;
use crate::worker::WorkerStatus;

impl Snakepit {
    /// Begins a request: its pool, arguments and options follow, then [`RequestBuilder::send`]. Without
    /// [`RequestBuilder::pool`] it goes to the [default pool](Self::default_pool).
    ///
    /// ```no_run
    /// # async fn example(pit: &snakepit_core::Snakepit) -> Result<(), snakepit_core::ExecuteError> {
    /// let response = pit.request("predict").args(&[1, 2, 3])?.pool("compute").session("user 123").send().await?;
    /// # let _ = response;
    /// # Ok(())
    /// # }
    /// ```
    pub fn request(&self, command: &str) -> RequestBuilder {
        RequestBuilder::of_pit(self.clone(), command.into())
    }

    /// Waits until a worker of a pool is ready.
    ///
    /// # Errors
    /// As [`PoolRef::await_ready`]; [`AwaitReadyError::PoolNotFound`].
    ///
    /// # Cancellation
    /// As [`PoolRef::await_ready`].
    pub async fn await_ready(&self, pool: &str, patience: Duration) -> Result<(), AwaitReadyError> {
        let unknown = |pool| AwaitReadyError::PoolNotFound { pool };
        self.named(pool, unknown)?.await_ready(patience).await
    }

    /// Waits until all workers of a pool are ready.
    ///
    /// # Errors
    /// As [`PoolRef::await_full`]; [`AwaitReadyError::PoolNotFound`].
    ///
    /// # Cancellation
    /// As [`PoolRef::await_full`].
    pub async fn await_full(&self, pool: &str, patience: Duration) -> Result<(), AwaitReadyError> {
        let unknown = |pool| AwaitReadyError::PoolNotFound { pool };
        self.named(pool, unknown)?.await_full(patience).await
    }

    /// What a pool has done so far.
    ///
    /// # Errors
    /// As [`PoolRef::stats`]; [`ExecuteError::PoolNotFound`].
    ///
    /// # Cancellation
    /// As [`PoolRef::stats`].
    pub async fn stats(&self, pool: &str) -> Result<PoolStats, ExecuteError> {
        self.pool(pool)?.stats().await
    }

    /// The workers of a pool, one for each slot.
    ///
    /// # Errors
    /// As [`PoolRef::workers`]; [`ExecuteError::PoolNotFound`].
    ///
    /// # Cancellation
    /// As [`PoolRef::workers`].
    pub async fn workers(&self, pool: &str) -> Result<Vec<WorkerStatus>, ExecuteError> {
        self.pool(pool)?.workers().await
    }

    /// Why a worker is in its present life, and what comes next, as [`PoolRef::explain`] says it. `None` where its pool has
    /// no such slot.
    ///
    /// # Errors
    /// [`ExecuteError::PoolNotFound`].
    ///
    /// # Cancellation
    /// As [`PoolRef::explain`].
    pub async fn explain(&self, worker: &WorkerId) -> Result<Option<WorkerExplanation>, ExecuteError> {
        Ok(self.pool(worker.pool.as_str())?.explain(worker.slot).await)
    }

    /// Changes how many workers a pool has, as [`PoolRef::resize`] does.
    ///
    /// # Errors
    /// As [`PoolRef::resize`]; [`ResizeError::PoolNotFound`].
    ///
    /// # Cancellation
    /// As [`PoolRef::resize`].
    pub async fn resize(&self, pool: &str, size: u16) -> Result<Resized, ResizeError> {
        self.named(pool, |pool| ResizeError::PoolNotFound { pool })?.resize(size).await
    }

    /// Has a pool take no more requests until [`resume`](Self::resume), as [`PoolRef::drain`] does.
    ///
    /// # Errors
    /// As [`PoolRef::drain`]; [`DrainError::PoolNotFound`].
    ///
    /// # Cancellation
    /// As [`PoolRef::drain`].
    pub async fn drain(&self, pool: &str, patience: Duration) -> Result<Drained, DrainError> {
        self.named(pool, |pool| DrainError::PoolNotFound { pool })?.drain(patience).await
    }

    /// Has a pool take requests again, as [`PoolRef::resume`] does.
    ///
    /// # Errors
    /// As [`PoolRef::resume`]; [`ResumeError::PoolNotFound`].
    ///
    /// # Cancellation
    /// As [`PoolRef::resume`].
    pub async fn resume(&self, pool: &str) -> Result<(), ResumeError> {
        self.named(pool, |pool| ResumeError::PoolNotFound { pool })?.resume().await
    }

    /// Replaces a worker while its pool serves, as [`PoolRef::recycle`] does.
    ///
    /// # Errors
    /// As [`PoolRef::recycle`]; [`RecycleError::PoolNotFound`].
    ///
    /// # Cancellation
    /// As [`PoolRef::recycle`].
    pub async fn recycle(&self, worker: &WorkerId) -> Result<Recycled, RecycleError> {
        let unknown = |pool| RecycleError::PoolNotFound { pool };
        self.named(worker.pool.as_str(), unknown)?.recycle(worker.slot).await
    }

    /// Replaces every worker of a pool while it serves, as [`PoolRef::rolling_restart`] does.
    ///
    /// # Errors
    /// As [`PoolRef::rolling_restart`]; [`RecycleError::PoolNotFound`].
    ///
    /// # Cancellation
    /// As [`PoolRef::rolling_restart`].
    pub async fn rolling_restart(&self, pool: &str) -> Result<RollingReport, RecycleError> {
        self.named(pool, |pool| RecycleError::PoolNotFound { pool })?.rolling_restart().await
    }

    /// Ends a session of the [default pool](Self::default_pool), as [`PoolRef::end_session`] does: what
    /// [`execute_in_session`](Self::execute_in_session) began.
    ///
    /// # Errors
    /// As [`PoolRef::end_session`]; [`EndSessionError::PoolNotFound`] where there is no default pool, and
    /// [`EndSessionError::InvalidArgument`] for a session id of no or too many bytes.
    ///
    /// # Cancellation
    /// As [`PoolRef::end_session`].
    pub async fn end_session(&self, session: &str) -> Result<(), EndSessionError> {
        let session = SessionId::new(session)
            .map_err(|error| EndSessionError::InvalidArgument { message: error.to_string() })?;
        let unknown = |pool: &str| EndSessionError::PoolNotFound { pool: pool.to_owned() };
        let pool = self.default_pool().map_err(|_| unknown(Self::DEFAULT_POOL))?;
        pool.end_session(&session).await
    }

    fn named<E>(&self, pool: &str, unknown: impl FnOnce(String) -> E) -> Result<&PoolRef, E> {
        self.pool(pool).map_err(|_| unknown(pool.to_owned()))
    }
}

#[cfg(test)]
mod tests;
