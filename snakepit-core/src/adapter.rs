//! The extension surface: how a pool speaks to its workers.
//!
//! An [`Adapter`] describes the process that a worker runs ([`Adapter::process_spec`]) and, once it runs, starts an
//! *adapter actor* that speaks to it ([`Adapter::connect`]). The adapter never starts or signals a process itself.
//! The adapter actor takes [`AdapterMessage`]s and reports through [`AdapterReports`]; it may be any actor whose
//! message type converts from and into [`AdapterMessage`]. If it ends, its worker is replaced.
//!
//! A panic of an adapter's code costs no more than what it was about. Where an actor's message cannot be made of a request,
//! that request alone fails (`ExecuteError::AdapterFailed`); where its actor or its [`Outlet`] panics, its worker is replaced.

mod chunks;
mod handle;
#[cfg(test)]
pub(crate) mod scripted;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use ractor::ActorCell;

pub(crate) use chunks::{ChunkReceiver, ChunkWay, chunk_channel};
pub use chunks::{ChunkSender, SendChunkError, StreamWindow};
pub use handle::{AdapterEnded, AdapterRef, Outlet};
pub(crate) use handle::{FlushPanicked, NotTaken};

pub use crate::id_map::IdMap;

use crate::error::WorkerError;
use crate::id::{RequestId, SessionId, WorkerLife};
use crate::payload::Payload;
use crate::process::{ProcessSpec, WirePipes};
use crate::request::{Deadline, Request};

/// A way to speak to workers. One value serves every worker of a pool.
pub trait Adapter: Send + Sync + 'static {
    /// What the adapter is called in logs and in the supervision tree, such as `port`.
    fn name(&self) -> &'static str;

    /// Gets ready what every worker of the pool needs, such as files under `data_dir`.
    ///
    /// Called once, before any worker starts, on a thread where blocking is allowed.
    ///
    /// # Errors
    /// An [`AdapterFailure`] refuses the start of the whole pit.
    fn prepare(&self, _data_dir: &Path) -> Result<(), AdapterFailure> {
        Ok(())
    }

    /// Describes the process of one life of a worker, or `None` for a worker inside this process.
    ///
    /// # Errors
    /// An [`AdapterFailure`] is a failed start of that worker; it is retried as the pool's restart policy says.
    fn process_spec(&self, worker: &WorkerContext) -> Result<Option<ProcessSpec>, AdapterFailure>;

    /// Called when a worker's process has been ended by a signal, so that it had no chance to clean up after itself: the
    /// place to undo what was asked of another program on its behalf, such as a container. Nothing is left of the
    /// process by then. The default does nothing.
    ///
    /// Called on a thread where blocking is allowed, also for the processes of an earlier run that the start has found.
    fn on_kill(&self, _worker: &WorkerContext) {}

    /// Called once for every life that [`process_spec`](Self::process_spec) was asked about, however it ended, also where it
    /// never got as far as a process: the place to let go of what was made for it, such as a directory. Nothing is left of
    /// its process by then; after [`on_kill`](Self::on_kill), where that is called, too. Not for a worker without a process.
    /// The default does nothing.
    ///
    /// The next life and the pit's end wait for it as for the process itself: it must be quick.
    fn on_gone(&self, _worker: &WorkerContext) {}

    /// Starts the adapter actor, linked to `connect.supervisor`, and ends when the worker is ready for requests.
    ///
    /// # Errors
    /// An [`AdapterFailure`] is a failed start of that worker.
    ///
    /// # Cancellation
    /// The future is dropped when the worker's `startup_timeout` passes or the worker ends; an actor that was
    /// linked by then is ended by its link.
    fn connect(&self, connect: Connect) -> Connecting;
}

/// The future of [`Adapter::connect`].
pub type Connecting = Pin<Box<dyn Future<Output = Result<Connected, AdapterFailure>> + Send>>;

/// Which worker a process is wanted for.
#[derive(Clone, Debug)]
pub struct WorkerContext {
    /// The life that the process will serve.
    pub life: WorkerLife,
    /// The data directory that [`Adapter::prepare`] was given.
    pub data_dir: PathBuf,
}

/// What an adapter actor is given to work with.
#[derive(Debug)]
pub struct Connect {
    /// The life of the worker that it speaks to.
    pub life: WorkerLife,
    /// The pipes to the process, where its [`ProcessSpec`] asked for them.
    pub pipes: Option<WirePipes>,
    /// Where the adapter actor says what comes from the worker.
    pub reports: AdapterReports,
    /// The most bytes that one request or one answer may hold.
    pub payload_limit: usize,
    /// Whether the pool would like to hear when a request begins, so that it may hand over more than the worker runs.
    pub wants_started: bool,
    /// The actor to link the adapter actor to.
    pub supervisor: ActorCell,
}

/// A worker that is ready for requests.
#[derive(Debug)]
pub struct Connected {
    /// Where its requests go.
    pub adapter: AdapterRef,
    /// How many requests it is willing to run at once; at least 1.
    pub capacity: u16,
    /// Whether it says when a request begins, by [`AdapterReports::started`], before any of it runs. Where it does not,
    /// it is given no more requests than it runs.
    pub tells_started: bool,
    /// What it says it is, such as `snakepit-worker-python 0.1.0`.
    pub agent: String,
}

/// What a pool or a worker asks of an adapter actor.
#[derive(Debug)]
pub enum AdapterMessage {
    /// Run a request; report [`AdapterReports::finished`] exactly once.
    Execute {
        /// The number under which it is reported.
        id: RequestId,
        /// What to run.
        request: Request,
        /// When its caller stops waiting.
        deadline: Deadline,
    },
    /// Run a request whose answer is a stream; report [`AdapterReports::finished`] exactly once, after the last chunk.
    ExecuteStream {
        /// The number under which it is reported.
        id: RequestId,
        /// What to run.
        request: Request,
        /// When its caller stops waiting.
        deadline: Deadline,
        /// Where the chunks go, and how many may be under way.
        chunks: ChunkSender,
    },
    /// Tell the worker that nobody waits for this request any more. It is still reported as finished.
    Cancel {
        /// Which request.
        id: RequestId,
    },
    /// The reader of a stream took some chunks: that many more may be sent.
    Credit {
        /// Which stream.
        id: RequestId,
        /// How many chunks were taken.
        chunks: u32,
        /// How many bytes of payload they held. Where a wire counts more than that, its adapter gives it back by itself: the
        /// reader gives credit when it has taken half a window of payload, or of chunks.
        bytes: u32,
    },
    /// Tell the worker that a session ended, so that it can free the session's state.
    EndSession {
        /// Which session.
        session: SessionId,
    },
    /// Ask the worker for a sign of life; any sign is reported by [`AdapterReports::alive`].
    Ping,
    /// Tell the worker that no more requests come and that it will be asked to leave.
    Drain,
}

#[cfg(feature = "cluster")]
impl ractor::Message for AdapterMessage {}

/// How a request ended at the worker.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A request was answered.
    Answered(Payload),
    /// A stream came to its end; every chunk has been sent.
    StreamEnded,
    /// The worker said why it could not.
    Failed(WorkerError),
}

/// A line that a worker logged or printed.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerLog {
    /// How grave the worker says it is.
    pub level: tracing::Level,
    /// The worker's logger, such as `myapp.db`; empty where there is none.
    pub logger: String,
    /// The text.
    pub message: String,
    /// The request that was running, where the worker says so.
    pub request: Option<RequestId>,
}

/// Who hears what an adapter actor reports. The pool and the worker do; a test may.
pub trait ReportSink: Send + Sync + 'static {
    /// See [`AdapterReports::finished`].
    fn finished(&self, id: RequestId, outcome: Outcome);
    /// See [`AdapterReports::started`].
    fn started(&self, _id: RequestId) {}
    /// See [`AdapterReports::unread`].
    fn unread(&self, _id: RequestId) {}
    /// See [`AdapterReports::heard_out`].
    fn heard_out(&self) {}
    /// See [`AdapterReports::recycle`].
    fn recycle(&self, _why: String) {}
    /// See [`AdapterReports::alive`].
    fn alive(&self);
    /// See [`AdapterReports::log`].
    fn log(&self, log: WorkerLog);
}

/// The way up for an adapter actor. Cheap to clone; never blocks.
#[derive(Clone)]
pub struct AdapterReports(Arc<dyn ReportSink>);

impl AdapterReports {
    /// Reports to `sink`.
    pub fn new(sink: Arc<dyn ReportSink>) -> Self {
        Self(sink)
    }

    /// The worker is done with a request, whether its caller still waits or not: the place it held is free.
    pub fn finished(&self, id: RequestId, outcome: Outcome) {
        self.0.finished(id, outcome);
    }

    /// The worker begins with a request; nothing of it has run before. Said only where [`Connect::wants_started`] asked
    /// for it and [`Connected::tells_started`] promised it.
    pub fn started(&self, id: RequestId) {
        self.0.started(id);
    }

    /// The adapter is about to end, and the worker has read nothing of a request, nor ever will: once the worker is lost, the
    /// request goes elsewhere, whatever it is. What this is not said of may have been read.
    pub fn unread(&self, id: RequestId) {
        self.0.unread(id);
    }

    /// All that the worker has ever said has been reported: a request that has not started by now never will. Without
    /// this the pool takes every request that a lost worker had for one that may have run.
    pub fn heard_out(&self) {
        self.0.heard_out();
    }

    /// The worker asks to be replaced, and says why. It goes on answering until it is.
    pub fn recycle(&self, why: String) {
        self.0.recycle(why);
    }

    /// The worker has said something, so it lives. Called for whatever it has said whole: one that gets no further with a word than
    /// a byte now and then is none to wait for.
    pub fn alive(&self) {
        self.0.alive();
    }

    /// The worker logged something.
    pub fn log(&self, log: WorkerLog) {
        self.0.log(log);
    }
}

impl std::fmt::Debug for AdapterReports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdapterReports")
    }
}

/// Why an adapter could not start, or why its actor ended. An adapter actor ends with `Err(AdapterFailure)` in a box,
/// so that its worker, and the callers, learn the cause.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterFailure {
    /// The worker broke the rules of the wire: what it sent cannot be trusted any further.
    #[error("the worker broke the protocol: {what}")]
    Protocol {
        /// Which rule, and what was sent instead.
        what: String,
    },
    /// The wire ended in the middle of something. What it means is said by how the process ended: a worker that was
    /// killed, or failed, while it wrote is lost; one that left with code 0, or stays, has broken the rules.
    #[error("the wire ended too early: {what}")]
    Torn {
        /// What had not come to its end.
        what: String,
    },
    /// The worker closed its end of the wire.
    #[error("the worker closed the wire")]
    Disconnected,
    /// The adapter's own trouble.
    #[error("the adapter failed: {what}")]
    Failed {
        /// What happened.
        what: String,
    },
}
