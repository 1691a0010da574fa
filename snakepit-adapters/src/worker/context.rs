//! What a handler may know about its request, and do beside answering it.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use snakepit_core::Progress;
use tokio::time::Instant;

use crate::port::frame::{LogLevel, LogLine};
use crate::worker::crew::Crew;
use crate::worker::error::{CommandError, CommandResult};
use crate::worker::requests::Job;
use crate::worker::session::SessionState;

/// The request that a handler answers.
pub struct Context {
    id: u64,
    command: String,
    session: Option<(String, Arc<SessionState>)>,
    traceparent: Option<String>,
    metadata: Vec<(String, String)>,
    attachments: Vec<Bytes>,
    deadline: Option<Instant>,
    crew: Arc<Crew>,
}

impl Context {
    pub(super) fn new(job: &mut Job, crew: Arc<Crew>) -> Self {
        let request = &mut job.request;
        Self {
            id: job.id,
            command: std::mem::take(&mut request.command),
            session: request.session.take().zip(job.session.take()),
            traceparent: request.traceparent.take(),
            metadata: std::mem::take(&mut request.metadata),
            attachments: request.payload.attachments.clone(),
            deadline: job.deadline,
            crew,
        }
    }

    /// The number that the host has given the request.
    pub fn request_id(&self) -> u64 {
        self.id
    }

    /// The name that the command was called by.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// The session that the request belongs to.
    pub fn session(&self) -> Option<&str> {
        self.session.as_ref().map(|(session, _)| session.as_str())
    }

    /// Lets `visit` use what the worker keeps for the session: one value of each type, which begins as its default
    /// and ends with the session. Other requests of the session wait meanwhile.
    ///
    /// # Errors
    /// An `invalid_argument` where the request belongs to no session.
    pub fn session_state<T: Any + Default + Send, R>(
        &self,
        visit: impl FnOnce(&mut T) -> R,
    ) -> CommandResult<R> {
        let no_session = || CommandError::invalid_argument(format!("{} needs a session", self.command));
        let (_, state) = self.session.as_ref().ok_or_else(no_session)?;
        Ok(state.with(visit))
    }

    /// W3C `traceparent` of the caller's span.
    pub fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_deref()
    }

    /// The caller's pairs, in order.
    pub fn metadata(&self) -> &[(String, String)] {
        &self.metadata
    }

    /// Binary parts that the caller sent beside the arguments.
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// How long the caller still waits; `None`: for as long as it takes.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Whether nobody waits for the answer any more. A command that computes for long asks now and then.
    pub fn cancelled(&self) -> bool {
        self.crew.is_cancelled(self.id)
    }

    /// Waits until the request is cancelled, at most for `timeout`, and says whether it is: the sleep of a command
    /// that can be cancelled.
    pub fn cancelled_within(&self, timeout: Duration) -> bool {
        self.crew.cancelled_within(self.id, timeout)
    }

    /// Writes a line to the host's log, marked with the request.
    pub fn log(&self, level: LogLevel, message: impl Into<String>) {
        let line = LogLine { level, logger: self.command.clone(), message: message.into() };
        self.crew.log(self.id, line);
    }

    /// Tells the caller how far the command is: `done` of `total`, where that is known. A number that JSON cannot say
    /// (NaN, an infinity) is told as nothing.
    pub fn progress(&self, done: f64, total: Option<f64>, message: impl Into<String>) {
        if !done.is_finite() {
            return;
        }
        let total = total.filter(|total| total.is_finite());
        self.crew.progress(self.id, Progress { done, total, message: message.into() });
    }

    /// Asks the host to replace this worker: it leaks, or has worn out. It serves on until the host is ready for that.
    pub fn recycle(&self, reason: impl Into<String>) {
        self.crew.recycle(reason.into());
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("id", &self.id)
            .field("command", &self.command)
            .finish_non_exhaustive()
    }
}
