//! The actor: what is asked becomes calls, and what they end with is reported.

use std::any::Any;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use snakepit_core::adapter::{
    AdapterFailure, AdapterMessage, AdapterReports, ChunkSender, Outcome, StreamWindow,
};
use snakepit_core::{Deadline, Request, RequestId, SessionId};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::grpc::calls::call::{self, CallEnd, OpenCredit, ReadBy};
use crate::grpc::calls::message::CallsMessage;
use crate::grpc::calls::state::{CallsState, CancelVerdict, Draining, UnderWay};
use crate::grpc::calls::turns::Turn;
use crate::grpc::convert;
use crate::grpc::generated::worker_client::WorkerClient;
use crate::grpc::generated::{CancelRequest, DrainRequest, EndSessionRequest, ExecuteRequest};
use crate::grpc::open::GuardedChannel;
use crate::grpc::status::{TRAILERS_SAID, TRAILERS_TAKEN};

const TRACEPARENT: &str = "traceparent";
/// How soon a worker that has answered a Cancel and goes on with the request is asked again: a large request may still have been
/// on its way, and the Cancel of one that is unknown is answered as well.
const CANCEL_AGAIN: Duration = Duration::from_millis(100);
/// How long a worker may take to forget a session, before those who ask it anew go on.
const FORGET: Duration = Duration::from_secs(5);
/// How long after its deadline a request may still be answered by a worker that does not serve Cancel. Its server would give
/// up the call at the deadline, whatever the handler does, and nothing could say any more when that is done.
const LAST_WORD: Duration = Duration::from_secs(5);

/// Holds the tasks, so that they end with the actor and not when somebody has read its last state.
pub(in crate::grpc) struct UnaryCalls {
    client: WorkerClient<GuardedChannel>,
    /// A connection of its own for all but requests.
    control: GuardedChannel,
    payload_limit: usize,
    tasks: Mutex<JoinSet<()>>,
    /// What is to be kept for as long as the worker is spoken to.
    _keeps: Box<dyn Any + Send + Sync>,
}

pub(in crate::grpc) struct CallsArguments {
    pub(in crate::grpc) reports: AdapterReports,
    /// Whether the worker serves Cancel, and says by its answer when it is done with a request.
    pub(in crate::grpc) serves_cancel: bool,
    /// Ends with the worker's process.
    pub(in crate::grpc) worker: pipe::Receiver,
}

impl UnaryCalls {
    pub(in crate::grpc) fn new(
        channel: GuardedChannel,
        control: GuardedChannel,
        payload_limit: usize,
        keeps: Box<dyn Any + Send + Sync>,
    ) -> Self {
        // Beside the payload a message holds names, metadata, and lengths.
        let limit = payload_limit.saturating_add(1 << 20);
        let client =
            WorkerClient::new(channel).max_decoding_message_size(limit).max_encoding_message_size(limit);
        Self { client, control, payload_limit, tasks: Mutex::default(), _keeps: keeps }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    fn ask(&self, myself: &ActorRef<CallsMessage>, state: &mut CallsState, asked: Asked) {
        if state.draining != Draining::NotAsked {
            let id = asked.id;
            // Its chunks' end comes before its own.
            drop(asked);
            state.reports.finished(id, Outcome::Failed(convert::draining()));
            return;
        }
        match asked.request.session.clone() {
            None => self.call(myself, state, asked),
            Some(session) => {
                let turns = state.turns.request_came(&session, asked.id, asked);
                self.go_on(myself, state, (&session, turns));
            }
        }
    }

    /// Asks what has its turn in a session.
    fn go_on(
        &self,
        myself: &ActorRef<CallsMessage>,
        state: &mut CallsState,
        (session, turns): (&SessionId, Vec<Turn<Asked>>),
    ) {
        for turn in turns {
            match turn {
                Turn::Request(asked) => self.call(myself, state, asked),
                Turn::End => self.end_session(myself, session.clone()),
            }
        }
    }

    /// The worker is done with a request.
    fn free(&self, myself: &ActorRef<CallsMessage>, state: &mut CallsState, done: Option<UnderWay>) {
        if let Some(session) = done.and_then(|done| done.session) {
            let turns = state.turns.request_done(&session);
            self.go_on(myself, state, (&session, turns));
        }
    }

    fn call(&self, myself: &ActorRef<CallsMessage>, state: &mut CallsState, asked: Asked) {
        let Asked { id, request, deadline, chunks } = asked;
        let credit = chunks.as_ref().map(|chunks| Arc::new(OpenCredit::new(chunks.window())));
        let session = request.session.clone();
        state.under_way.insert(id.0, UnderWay { credit: credit.clone(), session, is_given_up: false });
        let until = if state.serves_cancel { deadline } else { Deadline::after(deadline.at(), LAST_WORD) };
        let message = message(id, &request, until);
        let (client, reports, myself) = (self.client.clone(), state.reports.clone(), myself.clone());
        let payload_limit = self.payload_limit;
        self.spawn(async move {
            let ended = match chunks.zip(credit) {
                None => call::execute(client, message, payload_limit).await,
                Some((chunks, credit)) => {
                    let read_by = ReadBy { chunks, credit, reports, payload_limit };
                    call::execute_stream(client, message, read_by).await
                }
            };
            // An actor that has ended needs no more ends.
            let _ = myself.cast(CallsMessage::CallEnded { id, end: end_of(ended, until) });
        });
    }

    /// Tells the worker that nobody waits any more. The call itself stays open, since its end is the worker's word: giving it
    /// up would stop no handler that a server runs on a thread, and would say nothing of when it is done.
    fn cancel(&self, myself: &ActorRef<CallsMessage>, state: &mut CallsState, id: RequestId) {
        let Some(call) = state.under_way.get(&id.0) else {
            if state.turns.withdraw(id) {
                state.reports.finished(id, Outcome::Failed(convert::cancelled()));
            }
            return;
        };
        if let Some(credit) = &call.credit {
            credit.abandon();
        }
        if state.serves_cancel {
            self.ask_cancel(myself, id);
        }
    }

    fn ask_cancel(&self, myself: &ActorRef<CallsMessage>, id: RequestId) {
        let (mut client, myself) = (WorkerClient::new(self.control.clone()), myself.clone());
        self.spawn(async move {
            // Where this fails the call itself ends as well, or the worker is replaced.
            if client.cancel(CancelRequest { id: id.0 }).await.is_ok() {
                let _ = myself.cast(CallsMessage::CancelAnswered { id });
            }
        });
    }

    fn ping(&self, reports: &AdapterReports) {
        let (mut health, reports) = (HealthClient::new(self.control.clone()), reports.clone());
        self.spawn(async move {
            let answer = health.check(HealthCheckRequest::default()).await;
            // That it lacks the service is a sign of life as well.
            if answer.is_ok() || answer.is_err_and(|status| status.code() == Code::Unimplemented) {
                reports.alive();
            }
        });
    }

    fn ask_cancel_again(&self, myself: &ActorRef<CallsMessage>, id: RequestId) {
        let myself = myself.clone();
        self.spawn(async move {
            tokio::time::sleep(CANCEL_AGAIN).await;
            let _ = myself.cast(CallsMessage::CancelDue { id });
        });
    }

    fn end_session(&self, myself: &ActorRef<CallsMessage>, session: SessionId) {
        let (mut client, myself) = (WorkerClient::new(self.control.clone()), myself.clone());
        let mut message = tonic::Request::new(EndSessionRequest { session: session.as_str().to_owned() });
        message.set_timeout(FORGET);
        self.spawn(async move {
            // A worker that keeps no sessions has nothing to forget.
            drop(client.end_session(message).await);
            let _ = myself.cast(CallsMessage::SessionEnded { session });
        });
    }

    fn drain(&self) {
        let mut client = WorkerClient::new(self.control.clone());
        // Whoever does not know it is told by SIGTERM.
        self.spawn(async move { drop(client.drain(DrainRequest {}).await) });
    }
}

/// One request, as the pool asks it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) id: RequestId,
    request: Request,
    deadline: Deadline,
    chunks: Option<ChunkSender>,
}

/// The request as a call carries it.
fn message(id: RequestId, request: &Request, deadline: Deadline) -> tonic::Request<ExecuteRequest> {
    let mut message = tonic::Request::new(convert::request(id, request));
    message.set_timeout(deadline.remaining(Instant::now()));
    message.metadata_mut().insert(TRAILERS_SAID, TRAILERS_TAKEN.into());
    // A trace context that is no header goes without.
    if let Some(trace) = request.traceparent.as_ref().and_then(|trace| trace.parse().ok()) {
        message.metadata_mut().insert(TRACEPARENT, trace);
    }
    message
}

fn end_of(ended: Result<Outcome, Status>, deadline: Deadline) -> CallEnd {
    match ended {
        Ok(outcome) => CallEnd::Done(outcome),
        Err(status) => call::judge(&status, deadline.remaining(Instant::now()).is_zero()),
    }
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for UnaryCalls {
    type Msg = CallsMessage;
    type State = CallsState;
    type Arguments = CallsArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<CallsMessage>,
        arguments: CallsArguments,
    ) -> Result<CallsState, ActorProcessingErr> {
        let CallsArguments { reports, serves_cancel, mut worker } = arguments;
        self.spawn(async move {
            let mut bytes = [0; 256];
            while worker.read(&mut bytes).await.is_ok_and(|len| len > 0) {}
            let _ = myself.cast(CallsMessage::WorkerGone);
        });
        Ok(CallsState::new(reports, serves_cancel))
    }

    async fn handle(
        &self,
        myself: ActorRef<CallsMessage>,
        message: CallsMessage,
        state: &mut CallsState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            CallsMessage::Asked(asked) => self.take(&myself, state, asked),
            CallsMessage::CallEnded { id, end } => {
                let done = state.ended(id, end)?;
                self.free(&myself, state, done);
            }
            CallsMessage::CancelAnswered { id } => match state.cancel_answered(id) {
                CancelVerdict::Done(done) => self.free(&myself, state, Some(done)),
                CancelVerdict::AskAgain => self.ask_cancel_again(&myself, id),
                CancelVerdict::Nothing => {}
            },
            CallsMessage::CancelDue { id } => self.cancel(&myself, state, id),
            CallsMessage::SessionEnded { session } => {
                let turns = state.turns.end_done(&session);
                self.go_on(&myself, state, (&session, turns));
            }
            CallsMessage::WorkerGone => state.is_gone = true,
        }
        if state.draining == Draining::Kept && state.under_way.is_empty() && state.turns.is_empty() {
            state.draining = Draining::Told;
            self.drain();
        }
        if state.is_gone && state.under_way.is_empty() {
            return Err(Box::new(AdapterFailure::Disconnected));
        }
        Ok(())
    }
}

impl UnaryCalls {
    fn take(&self, myself: &ActorRef<CallsMessage>, state: &mut CallsState, asked: AdapterMessage) {
        match asked {
            AdapterMessage::Execute { id, request, deadline } => {
                self.ask(myself, state, Asked { id, request, deadline, chunks: None });
            }
            AdapterMessage::ExecuteStream { id, request, deadline, chunks } => {
                self.ask(myself, state, Asked { id, request, deadline, chunks: Some(chunks) });
            }
            AdapterMessage::Cancel { id } => self.cancel(myself, state, id),
            AdapterMessage::Credit { id, chunks, bytes } => state.grant(id, StreamWindow { chunks, bytes }),
            AdapterMessage::EndSession { session } => {
                let turns = state.turns.end_came(&session);
                self.go_on(myself, state, (&session, turns));
            }
            AdapterMessage::Ping => self.ping(&state.reports),
            AdapterMessage::Drain => {
                if state.draining == Draining::NotAsked {
                    state.draining = Draining::Kept;
                }
            }
        }
    }
}
