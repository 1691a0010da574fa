//! A request as its caller puts it together: option after option, then sent.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::Affinity;
use crate::error::ExecuteError;
use crate::id::SessionId;
use crate::payload::Payload;
use crate::pool::handle::PoolRef;
use crate::pool::message::Response;
use crate::pool::stream::ResponseStream;
use crate::progress::ProgressSender;
use crate::request::Request;
use crate::snakepit::Snakepit;

/// A request that is being put together; made by [`PoolRef::request`] or [`Snakepit::request`]. Without [`args`](Self::args)
/// the command gets none.
#[derive(Debug)]
#[must_use = "a request that is not sent does nothing"]
pub struct RequestBuilder {
    to: To,
    request: Request,
    /// What cannot be sent, told when it is.
    problem: Option<ExecuteError>,
}

/// Where the request goes.
#[derive(Debug)]
enum To {
    Pool(PoolRef),
    /// To one of the pit's pools, by default its default pool.
    Pit {
        pit: Snakepit,
        pool: Option<String>,
    },
}

impl RequestBuilder {
    pub(super) fn new(pool: PoolRef, command: Arc<str>) -> Self {
        Self::to(To::Pool(pool), command)
    }

    pub(crate) fn of_pit(pit: Snakepit, command: Arc<str>) -> Self {
        Self::to(To::Pit { pit, pool: None }, command)
    }

    fn to(to: To, command: Arc<str>) -> Self {
        let none = Payload { content_type: crate::payload::JSON.into(), ..Payload::bytes(&b"null"[..]) };
        Self { to, request: Request::new(command, none), problem: None }
    }

    /// Names the pool for a request that began at the [pit](Snakepit::request). One that began at a [pool](PoolRef::request)
    /// knows no other. A pool that is not known is refused when the request is sent.
    pub fn pool(mut self, name: &str) -> Self {
        match &mut self.to {
            To::Pit { pool, .. } => *pool = Some(name.to_owned()),
            To::Pool(pool) if pool.name().as_str() == name => {}
            To::Pool(_) => self.problem = Some(ExecuteError::PoolNotFound { pool: name.to_owned() }),
        }
        self
    }

    /// Sets the arguments, written as JSON.
    ///
    /// # Errors
    /// [`ExecuteError::InvalidArgument`] for a value without a JSON form.
    pub fn args<A: Serialize + ?Sized>(self, args: &A) -> Result<Self, ExecuteError> {
        Ok(self.payload(Payload::json(args)?))
    }

    /// Sets the arguments as they are.
    pub fn payload(mut self, payload: Payload) -> Self {
        self.request.payload = payload;
        self
    }

    /// Puts the request into a session. An id that is not valid is refused when the request is sent.
    pub fn session(mut self, session: &str) -> Self {
        match SessionId::new(session) {
            Ok(session) => self.request.session = Some(session),
            Err(error) => self.problem = Some(ExecuteError::InvalidArgument { message: error.to_string() }),
        }
        self
    }

    /// As [`Request::timeout`].
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|request| request.timeout(timeout))
    }

    /// As [`Request::affinity`].
    pub fn affinity(self, affinity: Affinity) -> Self {
        self.with(|request| request.affinity(affinity))
    }

    /// As [`Request::idempotent`].
    pub fn idempotent(self) -> Self {
        self.with(Request::idempotent)
    }

    /// As [`Request::traceparent`].
    pub fn traceparent(self, traceparent: impl Into<Arc<str>>) -> Self {
        self.with(|request| request.traceparent(traceparent))
    }

    /// As [`Request::metadata`].
    pub fn metadata(self, key: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        self.with(|request| request.metadata(key, value))
    }

    /// As [`Request::progress`].
    pub fn progress(self, sender: ProgressSender) -> Self {
        self.with(|request| request.progress(sender))
    }

    /// Runs the request and returns its answer.
    ///
    /// # Errors
    /// As [`PoolRef::execute`]; [`ExecuteError::InvalidArgument`] for a session id that is not valid, and
    /// [`ExecuteError::PoolNotFound`].
    ///
    /// # Cancellation
    /// As [`PoolRef::execute`].
    pub async fn send(self) -> Result<Response, ExecuteError> {
        let (pool, request) = self.ready()?;
        pool.execute(request).await
    }

    /// Runs the request and reads its answer as `T`.
    ///
    /// # Errors
    /// As [`send`](Self::send); [`ExecuteError::Payload`] for an answer of another shape than `T`.
    ///
    /// # Cancellation
    /// As [`PoolRef::execute`].
    pub async fn call<T: DeserializeOwned>(self) -> Result<T, ExecuteError> {
        Ok(self.send().await?.payload.decode()?)
    }

    /// Runs the request, whose answer is a stream.
    ///
    /// # Errors
    /// As [`PoolRef::execute_stream`]; [`ExecuteError::InvalidArgument`] for a session id that is not valid, and
    /// [`ExecuteError::PoolNotFound`].
    pub fn stream(self) -> Result<ResponseStream, ExecuteError> {
        let (pool, request) = self.ready()?;
        pool.execute_stream(request)
    }

    fn with(mut self, change: impl FnOnce(Request) -> Request) -> Self {
        self.request = change(self.request);
        self
    }

    fn ready(self) -> Result<(PoolRef, Request), ExecuteError> {
        let pool = match (self.problem, self.to) {
            (Some(problem), _) => return Err(problem),
            (None, To::Pool(pool)) => pool,
            (None, To::Pit { pit, pool: Some(name) }) => pit.pool(&name)?.clone(),
            (None, To::Pit { pit, pool: None }) => pit.default_pool()?.clone(),
        };
        Ok((pool, self.request))
    }
}
