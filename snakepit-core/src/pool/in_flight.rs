//! Requests under way: the one place that holds the callers' reply ports, and answers through them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::adapter::{AdapterMessage, AdapterRef, ChunkWay};
use crate::config::Affinity;
use crate::error::ExecuteError;
use crate::id::{RequestId, SessionId};
use crate::id_map::IdMap;
use crate::pool::call_spans::CallSpans;
use crate::pool::message::{Life, Reply, Response, Submission, Work};
use crate::pool::retry::RetryHistory;
use crate::pool::waiting_line::Ticket;
use crate::request::Deadline;

/// A request from its admission until its worker is done with it.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) command: Arc<str>,
    pub(super) session: Option<SessionId>,
    /// What the session means for where it runs.
    pub(super) affinity: Affinity,
    pub(super) deadline: Deadline,
    pub(super) timeout: Duration,
    pub(super) accepted: Instant,
    pub(super) binding: Binding,
    pub(super) stage: Stage,
    /// What goes to a worker; `None` once it can go to no other any more.
    pub(super) work: Option<Work>,
    /// Whether running it twice does no harm, as its caller says.
    pub(super) is_idempotent: bool,
    pub(super) history: RetryHistory,
    /// How many bytes its arguments hold.
    pub(super) size: usize,
    pub(super) spans: CallSpans,
    reply: Option<Reply>,
}

/// What the request's session has to do with where it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) stage: BindingStage,
    /// Whether the session has started anew since its caller was last told.
    pub(super) reset: bool,
}

/// How far a request is with its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum BindingStage {
    /// It has no session, or none that matters.
    #[default]
    Free,
    /// The session's worker is being looked up.
    Asked,
    /// The session belongs to this life.
    To(Life),
    /// Whoever runs it becomes its session's worker; others of the session are held until then.
    Binds,
}

impl Binding {
    /// The session's worker, where it has one.
    pub(super) fn prefers(self) -> Option<Life> {
        match self.stage {
            BindingStage::To(life) => Some(life),
            BindingStage::Free | BindingStage::Asked | BindingStage::Binds => None,
        }
    }
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Where it goes is being found out.
    Routing,
    /// It lost its worker, and rests before it is tried again.
    Resting { until: Instant },
    /// No worker was free.
    Waiting(Ticket),
    /// A worker has it.
    Running(Run),
    /// A worker has it, but its caller has been answered or is gone. `stuck_at`: when the worker ought to be done.
    Abandoned { run: Run, stuck_at: Instant },
}

/// Where and since when a request runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) life: Life,
    pub(super) since: Instant,
    pub(super) begun: Begun,
}

/// Whether a worker has begun with a request that was given to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// No worker can have read it: its worker's adapter had ended, or says so.
    Undelivered,
    /// It has not said so, and will before any of it runs.
    NotYet,
    /// Nobody can say that it has not.
    Perhaps,
}

impl Flight {
    /// `affinity` is the pool's, for a request that does not say.
    pub(super) fn new(submission: Submission, affinity: Affinity, now: Instant) -> Self {
        let Submission { work, deadline, timeout, reply, span, .. } = submission;
        Self {
            command: Arc::clone(&work.request.command),
            session: work.request.session.clone(),
            affinity: work.request.affinity.unwrap_or(affinity),
            deadline,
            timeout,
            accepted: now,
            binding: Binding::default(),
            stage: Stage::Routing,
            is_idempotent: work.request.is_idempotent,
            size: work.request.payload.size(),
            spans: CallSpans::new(span),
            work: Some(work),
            history: RetryHistory::default(),
            reply: Some(reply),
        }
    }

    /// When the request next needs attention.
    pub(super) fn due(&self) -> Instant {
        match self.stage {
            Stage::Routing | Stage::Waiting(_) | Stage::Running(_) => self.deadline.at(),
            Stage::Resting { until } => until.min(self.deadline.at()),
            Stage::Abandoned { stuck_at, .. } => stuck_at,
        }
    }

    pub(super) fn run(&self) -> Option<Run> {
        match self.stage {
            Stage::Routing | Stage::Resting { .. } | Stage::Waiting(_) => None,
            Stage::Running(run) | Stage::Abandoned { run, .. } => Some(run),
        }
    }

    /// What a worker is told that is to run it. The work itself stays here, which costs no copy of its bytes: the worker may
    /// say that it takes no more, or be lost. What may run nowhere else does not.
    pub(super) fn order(&mut self, id: RequestId, adapter: &AdapterRef) -> Option<AdapterMessage> {
        let Work { request, chunks } = self.work.as_ref()?;
        let (request, deadline) = (request.clone(), self.deadline);
        let order = match chunks.as_ref().map(|way| way.open_from(adapter)) {
            None => AdapterMessage::Execute { id, request, deadline },
            Some(chunks) => AdapterMessage::ExecuteStream { id, request, deadline, chunks },
        };
        if self.has_state_there() {
            self.work = None;
        }
        Some(order)
    }

    /// Takes the work back from the worker that has it, for another to run. Returns whether that may be: of a stream some may
    /// have come.
    #[must_use = "what was not taken back goes nowhere else"]
    pub(super) fn take_back(&self) -> bool {
        self.work.as_ref().is_some_and(|work| work.chunks.as_ref().is_none_or(ChunkWay::close))
    }

    /// Whether it may run on its session's worker only, which alone has the session's state.
    pub(super) fn has_state_there(&self) -> bool {
        self.session.is_some() && self.affinity.is_strict()
    }

    /// Whether somebody still waits for the answer.
    pub(super) fn is_awaited(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| !reply.is_closed())
    }

    /// Answers the caller, if that has not been done. A caller that is gone by now is nobody's failure.
    pub(super) fn answer(&mut self, result: Result<Response, ExecuteError>) {
        if let Some(reply) = self.reply.take() {
            let _ = reply.send(result);
        }
    }
}

/// All requests under way, by their number.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    flights: IdMap<RequestId, Flight>,
}

impl InFlight {
    pub(super) fn insert(&mut self, id: RequestId, flight: Flight) {
        self.flights.insert(id, flight);
    }

    pub(super) fn len(&self) -> usize {
        self.flights.len()
    }

    pub(super) fn get(&self, id: RequestId) -> Option<&Flight> {
        self.flights.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: RequestId) -> Option<&mut Flight> {
        self.flights.get_mut(&id)
    }

    pub(super) fn remove(&mut self, id: RequestId) -> Option<Flight> {
        self.flights.remove(&id)
    }

    /// Takes out a request that a worker is done with, if it is that worker's.
    pub(super) fn finish(&mut self, id: RequestId, life: Life) -> Option<(Flight, Run)> {
        let run = self.flights.get(&id)?.run()?;
        if run.life != life {
            return None;
        }
        Some((self.flights.remove(&id)?, run))
    }

    /// A worker begins with a request: should it be lost, the request no longer goes elsewhere. It may still say that it
    /// takes no more work, and has not begun after all.
    pub(super) fn started(&mut self, id: RequestId, life: Life, now: Instant) {
        if let Some(run) = self.run_on(id, life) {
            (run.begun, run.since) = (Begun::Perhaps, now);
        }
    }

    /// A worker has read nothing of a request, and never will.
    pub(super) fn unread(&mut self, id: RequestId, life: Life) {
        if let Some(run) = self.run_on(id, life) {
            run.begun = Begun::Undelivered;
        }
    }

    /// The run of a request, if it is that worker's.
    fn run_on(&mut self, id: RequestId, life: Life) -> Option<&mut Run> {
        match &mut self.flights.get_mut(&id)?.stage {
            Stage::Running(run) | Stage::Abandoned { run, .. } => Some(run).filter(|run| run.life == life),
            Stage::Routing | Stage::Resting { .. } | Stage::Waiting(_) => None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.flights.is_empty()
    }

    /// The requests that a life of a worker has.
    pub(super) fn on_worker(&self, life: Life) -> Vec<RequestId> {
        let runs_there = |run: Run| run.life == life;
        self.flights
            .iter()
            .filter(|(_, flight)| flight.run().is_some_and(runs_there))
            .map(|(id, _)| *id)
            .collect()
    }

    /// The requests that workers have, and where.
    pub(super) fn runs(&self) -> impl Iterator<Item = (RequestId, Run)> {
        self.flights.iter().filter_map(|(id, flight)| Some((*id, flight.run()?)))
    }

    /// The requests that no worker has yet.
    pub(super) fn not_running(&self) -> Vec<RequestId> {
        self.flights.iter().filter(|(_, flight)| flight.run().is_none()).map(|(id, _)| *id).collect()
    }

    pub(super) fn ids(&self) -> Vec<RequestId> {
        self.flights.keys().copied().collect()
    }

    pub(super) fn flights(&self) -> impl Iterator<Item = &Flight> {
        self.flights.values()
    }

    /// Requests whose caller still waits.
    pub(super) fn awaited(&self) -> usize {
        self.flights.values().filter(|flight| flight.is_awaited()).count()
    }

    /// Requests that a worker has.
    pub(super) fn running(&self) -> usize {
        self.flights.values().filter(|flight| flight.run().is_some()).count()
    }
}
