//! What is said to the pool, grouped by who says it.

use std::slice;
use std::sync::Arc;
use std::time::Duration;

use ractor::{ActorRef, RpcReplyPort};
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::Span;

use crate::adapter::{AdapterRef, ChunkWay, NotTaken, Outcome};
use crate::address::Address;
use crate::error::{AwaitReadyError, ExecuteError, ResizeError, ResumeError, WorkerLoss};
use crate::id::{Incarnation, RequestId, SessionId, Slot, WorkerLife};
use crate::payload::Payload;
use crate::pool::draining::{DrainReply, UnderWay};
use crate::pool::ended_sessions::EndedSessions;
use crate::pool::health::PoolHealth;
use crate::pool::inbox::Inbox;
use crate::pool::recycling::RecycleReply;
use crate::pool::reservations::{Reservation, ReservationReply};
use crate::pool::slot_plan::Duty;
use crate::pool::statistics::PoolStats;
use crate::pool::vitals::Vitals;
use crate::request::{Deadline, Request};
use crate::session_affinity::EndedSession;
use crate::worker::WorkerMessage;

/// What a request came to, and where.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Response {
    /// The worker's answer; empty for a stream, whose chunks came before.
    pub payload: Payload,
    /// Which life of which worker answered.
    pub worker: WorkerLife,
    /// Whether the request's session had lost its worker, and with it what that worker remembered.
    pub session_reset: bool,
    /// How long the request waited for a worker.
    pub waited: Duration,
    /// How long the worker had it.
    pub ran: Duration,
}

/// What a change of a pool's size changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Resized {
    /// How many workers the pool was to have before.
    pub from: u16,
    /// How many it is to have now.
    pub to: u16,
}

/// One life of a worker, where the pool goes without saying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Life {
    pub(crate) slot: Slot,
    pub(crate) incarnation: Incarnation,
}

impl From<&WorkerLife> for Life {
    fn from(life: &WorkerLife) -> Self {
        Self { slot: life.worker.slot, incarnation: life.incarnation }
    }
}

/// The one answer that a request gets.
pub(crate) type Reply = oneshot::Sender<Result<Response, ExecuteError>>;

/// The answer to whoever waits for workers.
pub(crate) type ReadyReply = oneshot::Sender<Result<(), AwaitReadyError>>;

/// How many workers somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Any one.
    One,
    /// As many as the pool is to have.
    All,
}

/// A request on its way to a worker.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) request: Request,
    /// For a stream: the way of its chunks.
    pub(crate) chunks: Option<ChunkWay>,
}

/// A request as it comes to the pool.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) id: RequestId,
    pub(crate) work: Work,
    pub(crate) deadline: Deadline,
    pub(crate) timeout: Duration,
    /// The place that its caller had reserved for it.
    pub(crate) reservation: Option<Reservation>,
    pub(crate) reply: Reply,
    /// The span of the call.
    pub(crate) span: Span,
}

/// Everything that is said to the pool.
#[derive(Debug)]
pub(crate) enum PoolMessage {
    /// Something lies in the inbox, which is read before every message.
    Posted,
    Command(PoolCommand),
    Worker(WorkerReport),
    Session(SessionReport),
    Slot(SlotReport),
    Timer(PoolTimer),
}

/// What callers ask.
#[derive(Debug)]
pub(crate) enum PoolCommand {
    /// Boxed: every other message is small.
    Execute(Box<Submission>),
    /// The caller no longer waits.
    Cancel {
        id: RequestId,
    },
    /// A stream's worker could not be told what its reader took.
    CreditNotTaken {
        id: RequestId,
        why: NotTaken,
    },
    /// Answered when a place is free, or when it is clear that none will be.
    Reserve {
        reply: ReservationReply,
    },
    /// A place that was reserved is no longer wanted.
    ReservationDropped,
    EndSession {
        session: SessionId,
        reply: RpcReplyPort<bool>,
    },
    /// Answered when the workers that are wanted are ready, or when it is clear that none will be.
    AwaitReady {
        wanted: Wanted,
        reply: ReadyReply,
    },
    /// Answered as soon as the pool has made up its mind; workers come and go after that.
    Resize {
        size: u16,
        reply: RpcReplyPort<Result<Resized, ResizeError>>,
    },
    /// Takes no more requests until `Resume`; answered when none is left.
    Drain {
        reply: DrainReply,
    },
    Resume {
        reply: RpcReplyPort<Result<(), ResumeError>>,
    },
    /// What a drain has not done yet; `None`: nothing.
    GetUnderWay {
        reply: RpcReplyPort<Option<UnderWay>>,
    },
    GetHealth {
        reply: RpcReplyPort<PoolHealth>,
    },
    /// Answered when the worker has been replaced and has left, or when it is clear that it stays.
    Recycle {
        slot: Slot,
        reply: RecycleReply,
    },
    GetStats {
        reply: RpcReplyPort<PoolStats>,
    },
    GetRoster {
        reply: RpcReplyPort<Vec<RosterRow>>,
    },
    /// Takes no more requests for good; answered when none is left, at `until` at the latest.
    Close {
        until: Instant,
        reply: RpcReplyPort<CloseReport>,
    },
}

/// What workers and their adapter actors report.
#[derive(Debug)]
pub(crate) enum WorkerReport {
    Booting {
        life: WorkerLife,
        worker: ActorRef<WorkerMessage>,
    },
    Ready {
        life: WorkerLife,
        worker: ActorRef<WorkerMessage>,
        adapter: AdapterRef,
        capacity: u16,
        tells_started: bool,
        vitals: Arc<Vitals>,
    },
    /// The worker has begun with a request.
    RequestStarted {
        life: Life,
        id: RequestId,
    },
    /// The worker has read nothing of a request, and never will; it is about to be lost.
    RequestUnread {
        life: Life,
        id: RequestId,
    },
    /// Nothing more will be heard of what the worker began with.
    HeardOut {
        life: Life,
    },
    RequestFinished {
        life: Life,
        id: RequestId,
        outcome: Outcome,
    },
    /// The worker asks to be replaced, and goes on until it is.
    RecycleAsked {
        life: Life,
        why: String,
    },
    Lost {
        loss: Arc<WorkerLoss>,
    },
}

/// What the session affinity answers and reports.
#[derive(Debug)]
pub(crate) enum SessionReport {
    /// The session's worker. `reset`: the session started anew there, and nobody has been told.
    Bound { id: RequestId, life: Life, reset: bool },
    /// The session has no worker: whoever runs this request becomes it. `lost`: which it had, where nobody has been told
    /// that it is gone.
    Unbound { id: RequestId, lost: Option<Life> },
    /// The caller ended a session; its worker may forget it.
    Ended(EndedSession),
    /// A session that nobody used has expired; its worker may forget it.
    Expired(EndedSession),
    /// The same for many. The session affinity waits to hear that they were taken.
    Swept { sessions: Vec<EndedSession> },
    /// A session that nobody used for longest had to make room; its worker may forget it.
    Evicted(EndedSession),
}

impl SessionReport {
    /// The sessions that it says have ended.
    fn ended(&self) -> &[EndedSession] {
        match self {
            Self::Bound { .. } | Self::Unbound { .. } => &[],
            Self::Ended(session) | Self::Expired(session) | Self::Evicted(session) => {
                slice::from_ref(session)
            }
            Self::Swept { sessions } => sessions,
        }
    }
}

/// What becomes of the Starters that the pool asked for.
#[derive(Debug)]
pub(crate) enum SlotReport {
    /// The Starter's budget is spent, or it could not be started.
    GaveUp { loss: Arc<WorkerLoss> },
    /// The Starter that was asked for is up.
    StarterUp,
    /// The Starter of a slot that retires is gone, and its worker with it.
    Cleared { slot: Slot },
}

/// What the pool reminded itself of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PoolTimer {
    DeadlineDue,
    WatchDue,
    /// The gauges are to be brought up to date.
    GaugesDue,
    /// The statistics are to be told.
    StatisticsDue,
    QuarantineOver {
        slot: Slot,
    },
    SubstituteDue {
        slot: Slot,
    },
    /// A worker that wants to be replaced has gone on for long enough.
    PutOffOver {
        slot: Slot,
    },
    /// Time to look how worn the workers are.
    WearDue,
    CloseOver,
}

/// One slot as the pool sees it.
#[derive(Debug)]
pub(crate) struct RosterRow {
    pub(crate) slot: Slot,
    pub(crate) duty: Duty,
    /// Whether its worker takes no more requests.
    pub(crate) is_leaving: bool,
    pub(crate) quarantined: Option<Arc<WorkerLoss>>,
    /// The worker that boots or is ready, where there is one.
    pub(crate) worker: Option<ActorRef<WorkerMessage>>,
    pub(crate) running: u16,
}

/// How the end of a pool's work went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CloseReport {
    /// Requests that were under way when it began and were answered by their workers.
    pub(crate) finished: usize,
    /// Requests that were told "shutting down" because time was up.
    pub(crate) abandoned: usize,
}

#[cfg(feature = "cluster")]
impl ractor::Message for PoolMessage {}

/// The pool as workers, adapters and sessions know it: they can say their own part and nothing else.
#[derive(Clone, Debug)]
pub(crate) struct PoolReporter {
    pool: Address<PoolMessage>,
    inbox: Arc<Inbox>,
    ended_sessions: Arc<EndedSessions>,
}

impl PoolReporter {
    pub(super) fn new(
        pool: Address<PoolMessage>,
        inbox: Arc<Inbox>,
        ended_sessions: Arc<EndedSessions>,
    ) -> Self {
        Self { pool, inbox, ended_sessions }
    }

    /// Reports what every request brings: all of it that comes together costs one message. It is never read later than what
    /// is reported after it.
    pub(crate) fn request(&self, report: WorkerReport) {
        self.inbox.put(PoolMessage::Worker(report));
    }

    /// Reports that a worker is done with a request, which it has no longer from now on. Whoever is restarting hears nothing,
    /// and its next life asks the vitals.
    pub(crate) fn finished(&self, life: Life, id: RequestId, outcome: Outcome, vitals: &Vitals) {
        self.inbox.put_end(life, (id, outcome), vitals);
    }

    /// Reports to the pool's present life. A pool that is restarting hears nothing, and asks anew when it is up.
    pub(crate) fn worker(&self, report: WorkerReport) {
        self.pool.cast(PoolMessage::Worker(report));
    }

    /// The same. Sessions that have ended are kept until their workers have been told, by whatever life of the pool.
    pub(crate) fn session(&self, report: SessionReport) {
        report.ended().iter().for_each(|session| self.ended_sessions.add(session));
        self.pool.cast(PoolMessage::Session(report));
    }

    pub(crate) fn slot(&self, report: SlotReport) {
        self.pool.cast(PoolMessage::Slot(report));
    }

    /// Resolves whenever a new life of the pool is up.
    pub(crate) fn pool_changes(&self) -> tokio::sync::watch::Receiver<Option<ActorRef<PoolMessage>>> {
        self.pool.subscribe()
    }
}
