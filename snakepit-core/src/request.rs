//! A request: what is asked of a worker, for whom, and until when.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Affinity;
use crate::error::ExecuteError;
use crate::id::SessionId;
use crate::payload::Payload;
use crate::progress::ProgressSender;

/// The longest text that a worker can be handed, in bytes: the wire counts them in 16 bits.
const TEXT_LIMIT: usize = 65_535;

/// What is asked of a worker.
///
/// Built by [`Request::new`] and the methods that follow it; sent by
/// [`PoolRef::execute`](crate::PoolRef::execute) or [`PoolRef::execute_stream`](crate::PoolRef::execute_stream).
#[derive(Clone, Debug)]
pub struct Request {
    /// The command's name, as the worker knows it: at most 65,535 bytes.
    pub command: Arc<str>,
    /// Its arguments.
    pub payload: Payload,
    /// The session it belongs to: later requests of the session prefer the same worker.
    pub session: Option<SessionId>,
    /// How long the caller waits, queueing and running together. `None`: the pool's `timeout`.
    pub timeout: Option<Duration>,
    /// What its session means for where it runs. `None`: the pool's `affinity`.
    pub affinity: Option<Affinity>,
    /// Whether running it twice does no harm. Only then is it tried again when its worker is lost.
    pub is_idempotent: bool,
    /// W3C `traceparent` of the caller's span, handed to the worker untouched.
    pub traceparent: Option<Arc<str>>,
    /// Pairs handed to the worker untouched.
    pub metadata: Vec<(Arc<str>, Arc<str>)>,
    /// Where the worker's word goes of how far it is. `None`: nobody wants to know.
    pub progress: Option<ProgressSender>,
}

impl Request {
    /// Asks for `command` with the arguments in `payload`.
    pub fn new(command: impl Into<Arc<str>>, payload: Payload) -> Self {
        Self {
            command: command.into(),
            payload,
            session: None,
            timeout: None,
            affinity: None,
            is_idempotent: false,
            traceparent: None,
            metadata: Vec::new(),
            progress: None,
        }
    }

    /// Puts the request into a session.
    pub fn session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// Sets how long the caller waits, queueing and running together.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets what the request's session means for where it runs.
    pub fn affinity(mut self, affinity: Affinity) -> Self {
        self.affinity = Some(affinity);
        self
    }

    /// Says that running the request twice does no harm: when its worker is lost it is tried again on another, as the
    /// pool's `max_retries` and `poison_limit` allow, and never beyond its deadline. A stream is so until its first chunk has
    /// come, since its reader may have seen it. A request of a strict session is not, whose state went with the worker.
    pub fn idempotent(mut self) -> Self {
        self.is_idempotent = true;
        self
    }

    /// Hands the worker the caller's trace context.
    pub fn traceparent(mut self, traceparent: impl Into<Arc<str>>) -> Self {
        self.traceparent = Some(traceparent.into());
        self
    }

    /// Adds a pair that the worker sees.
    pub fn metadata(mut self, key: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        self.metadata.push((key.into(), value.into()));
        self
    }

    /// Lets whoever holds the other end of [`Progress::channel`](crate::Progress::channel) see how far the request is.
    pub fn progress(mut self, sender: ProgressSender) -> Self {
        self.progress = Some(sender);
        self
    }

    /// Refuses what no worker could be asked, before anybody waits for it.
    pub(crate) fn check(&self) -> Result<(), ExecuteError> {
        let refuse = |message: String| Err(ExecuteError::InvalidArgument { message });
        if self.command.is_empty() {
            return refuse("the command has no name".to_owned());
        }
        let pairs =
            self.metadata.iter().flat_map(|(key, value)| [("metadata key", key), ("metadata value", value)]);
        let texts = [("command", &self.command)].into_iter();
        for (what, text) in
            texts.chain(self.traceparent.iter().map(|text| ("traceparent", text))).chain(pairs)
        {
            if text.len() > TEXT_LIMIT {
                return refuse(format!("the {what} is {} bytes, limit {TEXT_LIMIT}", text.len()));
            }
        }
        match (&self.session, self.affinity) {
            (None, Some(affinity)) if affinity != Affinity::Off => {
                refuse(format!("affinity {} needs a session", affinity.name()))
            }
            (None | Some(_), _) => Ok(()),
        }
    }
}

/// The moment at which a request's caller stops waiting. Absolute, made once at the edge of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// `timeout` from `now`. A timeout beyond what the clock can say counts as 100 years.
    pub fn after(now: Instant, timeout: Duration) -> Self {
        const CENTURY: Duration = Duration::from_hours(100 * 365 * 24);
        Self(now + timeout.min(CENTURY))
    }

    /// The moment itself.
    pub fn at(self) -> Instant {
        self.0
    }

    /// What is left at `now`: zero once it has passed.
    pub fn remaining(self, now: Instant) -> Duration {
        self.0.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_counts_down_to_zero_and_no_further() {
        let now = Instant::now();
        let deadline = Deadline::after(now, Duration::from_secs(2));
        assert_eq!(deadline.remaining(now + Duration::from_millis(500)), Duration::from_millis(1500));
        assert_eq!(deadline.remaining(now + Duration::from_secs(3)), Duration::ZERO);
    }

    #[test]
    fn what_no_worker_could_be_asked_is_refused() {
        let request = |command: &str| Request::new(command, Payload::bytes(Vec::new()));
        let long = "x".repeat(65_536);
        let table = [
            ("no name", request("")),
            ("command is 65536 bytes", request(&long)),
            ("traceparent is 65536 bytes", request("c").traceparent(&*long)),
            ("metadata key is 65536 bytes", request("c").metadata(&*long, "")),
            ("metadata value is 65536 bytes", request("c").metadata("k", &*long)),
            ("affinity hint needs a session", request("c").affinity(Affinity::Hint)),
        ];
        for (expected, request) in table {
            let error = request.check().unwrap_err();
            assert_eq!(error.code(), "invalid_argument");
            assert!(error.to_string().contains(expected), "{error}");
        }
        assert!(request(&long[1..]).affinity(Affinity::Off).check().is_ok());
        assert!(request("c").session(SessionId::new("s").unwrap()).affinity(Affinity::Hint).check().is_ok());
    }

    #[test]
    fn an_endless_timeout_does_not_overflow() {
        let now = Instant::now();
        assert!(Deadline::after(now, Duration::MAX).remaining(now) > Duration::from_secs(1 << 30));
    }
}
