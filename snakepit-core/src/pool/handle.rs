//! The pool as its callers hold it.

use std::sync::Arc;
use std::time::Duration;

use ractor::RpcReplyPort;
use ractor::rpc::CallResult;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::adapter::chunk_channel;
use crate::error::{AwaitReadyError, EndSessionError, ExecuteError, ResizeError};
use crate::id::{PoolName, RequestId, SessionId, Slot};
use crate::payload::Payload;
use crate::pool::builder::RequestBuilder;
use crate::pool::call_spans;
use crate::pool::cancel_on_drop::CancelOnDrop;
use crate::pool::explanation::{ExplanationFacts, WorkerExplanation};
use crate::pool::health::{HealthReason, HealthStatus, PoolHealth};
use crate::pool::inbox::NotTaken;
use crate::pool::message::{
    CloseReport, PoolCommand, PoolMessage, Resized, Response, Submission, Wanted, Work,
};
use crate::pool::reservations::Reservation;
use crate::pool::shared::PoolShared;
use crate::pool::statistics::PoolStats;
use crate::pool::stream::ResponseStream;
use crate::request::{Deadline, Request};
use crate::snakepit::open_files;
use crate::telemetry::Events;

/// When a caller may come again that found more requests unread than the pool could have.
const UNREAD_PATIENCE: Duration = Duration::from_millis(100);

/// A pool. Cheap to clone; stays valid over restarts of the pool's actor.
#[derive(Clone, Debug)]
pub struct PoolRef {
    shared: Arc<PoolShared>,
}

/// The result of a request, once it is known.
type Answer = oneshot::Receiver<Result<Response, ExecuteError>>;

impl PoolRef {
    pub(crate) fn new(shared: Arc<PoolShared>) -> Self {
        Self { shared }
    }

    /// The pool's name.
    pub fn name(&self) -> &PoolName {
        &self.shared.name
    }

    /// Begins a request: its arguments and options follow, then [`RequestBuilder::send`].
    ///
    /// ```no_run
    /// # async fn example(pool: &snakepit_core::PoolRef) -> Result<(), snakepit_core::ExecuteError> {
    /// let five_seconds = std::time::Duration::from_secs(5);
    /// let response = pool.request("predict").args(&[1, 2, 3])?.session("user 123").timeout(five_seconds).send().await?;
    /// # let _ = response;
    /// # Ok(())
    /// # }
    /// ```
    pub fn request(&self, command: impl Into<Arc<str>>) -> RequestBuilder {
        RequestBuilder::new(self.clone(), command.into())
    }

    /// Runs a request on a worker and returns its answer.
    ///
    /// # Errors
    /// An [`ExecuteError`] that says why there is no answer. Every request ends in an answer or an error, at its deadline
    /// at the latest.
    ///
    /// # Cancellation
    /// Dropping the future cancels the request: one that waits never runs, one that runs is told to stop. Its worker
    /// takes the next request when it has.
    pub async fn execute(&self, request: Request) -> Result<Response, ExecuteError> {
        self.execute_in(request, None).await
    }

    /// The same, in a place that was reserved for it.
    pub(super) async fn execute_in(
        &self,
        request: Request,
        reservation: Option<Reservation>,
    ) -> Result<Response, ExecuteError> {
        let work = Work { request, chunks: None };
        let (mut cancel, answer) = self.submit(work, self.shared.next_request(), reservation)?;
        let answer = answer.await;
        cancel.disarm();
        answer.unwrap_or_else(|_| Err(self.shared.cut_off()))
    }

    /// Calls a command with arguments that serde writes, and reads the answer as `T`. JSON on the wire.
    ///
    /// # Errors
    /// As [`execute`](Self::execute); [`ExecuteError::InvalidArgument`] for arguments without a JSON form, and
    /// [`ExecuteError::Payload`] for an answer of another shape than `T`.
    ///
    /// # Cancellation
    /// As [`execute`](Self::execute).
    pub async fn call<T, A>(&self, command: &str, args: &A) -> Result<T, ExecuteError>
    where
        T: DeserializeOwned,
        A: Serialize + ?Sized,
    {
        let response = self.execute(Request::new(command, Payload::json(args)?)).await?;
        Ok(response.payload.decode()?)
    }

    /// Runs a request whose answer is a stream. Returns at once; a request that is refused says so as the first item.
    ///
    /// # Errors
    /// [`ExecuteError::PayloadTooLarge`] and the like, for a request that is not even sent.
    pub fn execute_stream(&self, request: Request) -> Result<ResponseStream, ExecuteError> {
        self.execute_stream_in(request, None)
    }

    /// The same, in a place that was reserved for it.
    pub(super) fn execute_stream_in(
        &self,
        request: Request,
        reservation: Option<Reservation>,
    ) -> Result<ResponseStream, ExecuteError> {
        let id = self.shared.next_request();
        let (way, receiver) = chunk_channel(id, self.shared.options.stream_window);
        let (cancel, answer) = self.submit(Work { request, chunks: Some(way) }, id, reservation)?;
        Ok(ResponseStream::new(receiver, answer, self.clone(), cancel))
    }

    /// Waits until a worker is ready.
    ///
    /// # Errors
    /// [`AwaitReadyError`]: at once where the pool has failed, with the reason; after `patience` otherwise.
    ///
    /// # Cancellation
    /// Dropping the future stops waiting and nothing else.
    pub async fn await_ready(&self, patience: Duration) -> Result<(), AwaitReadyError> {
        self.await_workers(Wanted::One, patience).await
    }

    /// Waits until as many workers are ready as the pool is to have. Workers that are about to leave do not count, and are
    /// not waited for.
    ///
    /// # Errors
    /// # Cancellation
    /// As [`await_ready`](Self::await_ready).
    pub async fn await_full(&self, patience: Duration) -> Result<(), AwaitReadyError> {
        self.await_workers(Wanted::All, patience).await
    }

    async fn await_workers(&self, wanted: Wanted, patience: Duration) -> Result<(), AwaitReadyError> {
        let pool = || self.shared.name.clone();
        let waits_until_asked_again = async {
            loop {
                let (reply, answer) = oneshot::channel();
                let mut changes = self.shared.address.subscribe();
                self.shared.address.cast(PoolMessage::Command(PoolCommand::AwaitReady { wanted, reply }));
                if let Ok(answer) = answer.await {
                    return answer;
                }
                if self.shared.is_stopping() {
                    return Err(AwaitReadyError::ShuttingDown { pool: pool() });
                }
                // The pool's actor ended: the question is put to its next life.
                if let Err(reason) = self.shared.next_pool(&mut changes).await {
                    return Err(AwaitReadyError::PoolFailed { pool: pool(), reason });
                }
            }
        };
        let in_time = timeout(patience, waits_until_asked_again).await;
        in_time.unwrap_or_else(|_| Err(AwaitReadyError::TimedOut { pool: pool(), timeout: patience }))
    }

    /// Changes how many workers the pool has, at least 1, and returns at once: new ones boot after that
    /// ([`await_full`](Self::await_full) waits for them), and those that are too many take no more requests, finish those
    /// they have, and leave. What serves the pool least goes first: slots that gave up, workers that boot, idle ones.
    ///
    /// Sessions of a worker that leaves go on as after its loss: with affinity `hint` on another worker, which the answer
    /// tells by `session_reset`; a strict one ends in `SessionLost`, once. The size lasts over restarts of the pool's
    /// actor, and not over those of the program.
    ///
    /// # Errors
    /// [`ResizeError`].
    ///
    /// # Cancellation
    /// Dropping the future stops waiting; the size may have been changed.
    pub async fn resize(&self, size: u16) -> Result<Resized, ResizeError> {
        let pool = || self.shared.name.clone();
        if size == 0 {
            return Err(ResizeError::NoWorkers { pool: pool() });
        }
        let more = size.saturating_sub(self.shared.plan().size());
        if let Some((need, limit)) = open_files::lacking(u64::from(more)) {
            return Err(ResizeError::OpenFilesLimit { pool: pool(), need, limit });
        }
        match self.ask(|reply| PoolCommand::Resize { size, reply }).await {
            Ok(answer) => answer,
            Err(ExecuteError::ShuttingDown { pool }) => Err(ResizeError::ShuttingDown { pool }),
            Err(ExecuteError::PoolFailed { pool, reason }) => Err(ResizeError::PoolFailed { pool, reason }),
            Err(_) => Err(ResizeError::PoolRestarted { pool: pool() }),
        }
    }

    /// Whether the pool can do its work, and if not, why.
    ///
    /// # Cancellation
    /// Dropping the future stops waiting and nothing else.
    pub async fn health(&self) -> PoolHealth {
        if let Ok(health) = self.ask(|reply| PoolCommand::GetHealth { reply }).await {
            return health;
        }
        let (status, reason) = if self.shared.is_stopping() {
            (HealthStatus::NotReady, HealthReason::ShuttingDown)
        } else if let Some(failure) = self.shared.down() {
            (HealthStatus::Failed, HealthReason::Failed { failure })
        } else {
            (HealthStatus::NotReady, HealthReason::Restarting)
        };
        PoolHealth { pool: self.shared.name.clone(), status, reason: Some(reason) }
    }

    /// Why a slot's worker is in its present life: what ended the one before, what the restart policy made of that, and what
    /// comes next. Printed, it is some lines for people. `None` where the pool has no such slot.
    ///
    /// # Cancellation
    /// Dropping the future stops waiting and nothing else.
    pub async fn explain(&self, slot: Slot) -> Option<WorkerExplanation> {
        let shared = &self.shared;
        self.shared.plan().duty(slot)?;
        let worker = shared.worker(slot);
        let starter = match shared.starter_of(slot) {
            // One that has ended has nothing to say.
            Some(starter) => starter.explain(worker.to_string()).await.ok().flatten(),
            None => None,
        };
        let facts = ExplanationFacts {
            worker,
            lives: shared.lives(slot),
            starter,
            given_up: shared.given_up(slot),
            last_loss: shared.last_loss(slot),
            now: Instant::now(),
        };
        Some(facts.join(&shared.options.restart))
    }

    /// What the pool has done so far.
    ///
    /// # Errors
    /// [`ExecuteError::PoolRestarted`], [`ExecuteError::PoolFailed`] or [`ExecuteError::ShuttingDown`] where nobody is there
    /// to answer.
    ///
    /// # Cancellation
    /// Dropping the future stops waiting and nothing else.
    pub async fn stats(&self) -> Result<PoolStats, ExecuteError> {
        self.ask(|reply| PoolCommand::GetStats { reply }).await
    }

    /// Ends a session: its worker is told to forget it, and the next request of that name starts anew.
    ///
    /// # Errors
    /// [`EndSessionError::SessionNotFound`] where there is none; [`EndSessionError::PoolRestarted`],
    /// [`EndSessionError::PoolFailed`] or [`EndSessionError::ShuttingDown`] where nobody is there to answer.
    ///
    /// # Cancellation
    /// Dropping the future stops waiting; the session may be ended all the same.
    pub async fn end_session(&self, session: &SessionId) -> Result<(), EndSessionError> {
        let known = self.ask(|reply| PoolCommand::EndSession { session: session.clone(), reply }).await;
        match known {
            Ok(true) => Ok(()),
            Ok(false) => Err(EndSessionError::SessionNotFound { session: session.clone() }),
            Err(ExecuteError::ShuttingDown { pool }) => Err(EndSessionError::ShuttingDown { pool }),
            Err(ExecuteError::PoolFailed { pool, reason }) => {
                Err(EndSessionError::PoolFailed { pool, reason })
            }
            Err(_) => Err(EndSessionError::PoolRestarted { pool: self.name().clone() }),
        }
    }

    /// What happens in the pool from now on, typed. See [`Event`](crate::Event).
    pub fn events(&self) -> Events {
        self.shared.events().subscribe(Some(self.shared.name.clone()))
    }

    /// Takes no more requests for good, and waits for those under way until `until`.
    pub(crate) async fn close(&self, until: Instant) -> CloseReport {
        self.ask(|reply| PoolCommand::Close { until, reply }).await.unwrap_or_default()
    }

    pub(crate) fn shared(&self) -> &Arc<PoolShared> {
        &self.shared
    }

    /// Why the pool's actor does not answer.
    pub(super) fn gone(&self) -> ExecuteError {
        self.shared.gone()
    }

    fn submit(
        &self,
        work: Work,
        id: RequestId,
        reservation: Option<Reservation>,
    ) -> Result<(CancelOnDrop, Answer), ExecuteError> {
        let command = Arc::clone(&work.request.command);
        self.send(work, id, reservation).inspect_err(|refusal| self.refused(&command, refusal))
    }

    /// A request was refused before the pool saw it.
    pub(super) fn refused(&self, command: &str, refusal: &ExecuteError) {
        self.shared.figures().refused(command, refusal.code());
    }

    fn send(
        &self,
        work: Work,
        id: RequestId,
        reservation: Option<Reservation>,
    ) -> Result<(CancelOnDrop, Answer), ExecuteError> {
        work.request.check()?;
        let (size, limit) = (work.request.payload.size(), self.shared.options.payload_limit);
        if size > limit {
            return Err(ExecuteError::PayloadTooLarge { what: "the request", size, limit });
        }
        let timeout = work.request.timeout.unwrap_or(self.shared.options.timeout);
        let deadline = Deadline::after(Instant::now(), timeout);
        let (reply, answer) = oneshot::channel();
        let span = call_spans::call(&self.shared.name, id, &work.request.command);
        let submission = Submission { id, work, deadline, timeout, reservation, reply, span };
        match self.shared.inbox.submit(Box::new(submission)) {
            Ok(()) => Ok((CancelOnDrop::new(&self.shared, id), answer)),
            Err(NotTaken::NobodyReads) => Err(self.gone()),
            Err(NotTaken::Full { unread }) => Err(ExecuteError::Saturated {
                pool: self.name().clone(),
                queued: unread,
                limit: self.shared.options.queue_limit,
                retry_after: UNREAD_PATIENCE,
            }),
        }
    }

    pub(super) async fn ask<R: Send + 'static>(
        &self,
        question: impl FnOnce(RpcReplyPort<R>) -> PoolCommand,
    ) -> Result<R, ExecuteError> {
        let actor = self.shared.address.current().ok_or_else(|| self.gone())?;
        match actor.call(|reply| PoolMessage::Command(question(reply)), None).await {
            Ok(CallResult::Success(answer)) => Ok(answer),
            Ok(CallResult::Timeout | CallResult::SenderError) | Err(_) => Err(self.gone()),
        }
    }
}
