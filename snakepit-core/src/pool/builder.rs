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

/// A request that is being put together; made by [`PoolRef::request`]. Without [`args`](Self::args) the command gets none.
#[derive(Debug)]
#[must_use = "a request that is not sent does nothing"]
pub struct RequestBuilder {
    pool: PoolRef,
    request: Request,
    /// What cannot be sent, told when it is.
    problem: Option<ExecuteError>,
}

impl RequestBuilder {
    pub(super) fn new(pool: PoolRef, command: Arc<str>) -> Self {
        let none = Payload { content_type: crate::payload::JSON.into(), ..Payload::bytes(&b"null"[..]) };
        Self { pool, request: Request::new(command, none), problem: None }
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
    /// As [`PoolRef::execute`]; [`ExecuteError::InvalidArgument`] for a session id that is not valid.
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
    /// As [`PoolRef::execute_stream`]; [`ExecuteError::InvalidArgument`] for a session id that is not valid.
    pub fn stream(self) -> Result<ResponseStream, ExecuteError> {
        let (pool, request) = self.ready()?;
        pool.execute_stream(request)
    }

    fn with(mut self, change: impl FnOnce(Request) -> Request) -> Self {
        self.request = change(self.request);
        self
    }

    fn ready(self) -> Result<(PoolRef, Request), ExecuteError> {
        match self.problem {
            Some(problem) => Err(problem),
            None => Ok((self.pool, self.request)),
        }
    }
}
