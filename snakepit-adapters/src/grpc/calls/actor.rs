//! The actor: what is asked becomes calls, and what they end with is reported.

use std::any::Any;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use snakepit_core::adapter::{
    AdapterFailure, AdapterMessage, AdapterReports, ChunkSender, IdMap, Outcome, StreamWindow,
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
use crate::grpc::convert;
use crate::grpc::generated::worker_client::WorkerClient;
use crate::grpc::generated::{CancelRequest, DrainRequest, EndSessionRequest, ExecuteRequest};
use crate::grpc::open::GuardedChannel;

const TRACEPARENT: &str = "traceparent";
/// How long after its deadline a request may still be answered by a worker that does not serve Cancel. Its server would give
/// up the call at the deadline, whatever the handler does, and nothing could say any more when that is done.
const LAST_WORD: Duration = Duration::from_secs(5);

/// Holds the tasks, so that they end with the actor and not when somebody has read its last state.
pub(in crate::grpc) struct UnaryCalls {
    channel: GuardedChannel,
    client: WorkerClient<GuardedChannel>,
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

pub(in crate::grpc) struct CallsState {
    reports: AdapterReports,
    under_way: IdMap<u64, UnderWay>,
    serves_cancel: bool,
    draining: Draining,
    /// Its process has closed its pipe: nothing is waited for but the ends of calls.
    is_gone: bool,
}

/// Calls travel side by side: a Drain could overtake the requests before it, which would then be refused. So it is kept
/// until they are answered; meanwhile nothing more is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Draining {
    NotAsked,
    Kept,
    Told,
}

/// A request that the worker has not said it is done with.
struct UnderWay {
    credit: Option<Arc<OpenCredit>>,
}

impl UnaryCalls {
    pub(in crate::grpc) fn new(
        channel: GuardedChannel,
        payload_limit: usize,
        keeps: Box<dyn Any + Send + Sync>,
    ) -> Self {
        // Beside the payload a message holds names, metadata, and lengths.
        let limit = payload_limit.saturating_add(1 << 20);
        let client = WorkerClient::new(channel.clone())
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit);
        Self { channel, client, payload_limit, tasks: Mutex::default(), _keeps: keeps }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    fn ask(&self, myself: &ActorRef<CallsMessage>, state: &mut CallsState, asked: Asked) {
        let Asked { id, request, deadline, chunks } = asked;
        if state.draining != Draining::NotAsked {
            state.reports.finished(id, Outcome::Failed(convert::draining()));
            return;
        }
        let credit = chunks.as_ref().map(|chunks| Arc::new(OpenCredit::new(chunks.window())));
        state.under_way.insert(id.0, UnderWay { credit: credit.clone() });
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
        let Some(call) = state.under_way.get(&id.0) else { return };
        if let Some(credit) = &call.credit {
            credit.abandon();
        }
        if state.serves_cancel {
            self.ask_cancel(myself, id);
        }
    }

    fn ask_cancel(&self, myself: &ActorRef<CallsMessage>, id: RequestId) {
        let (mut client, myself) = (self.client.clone(), myself.clone());
        self.spawn(async move {
            // Where this fails the call itself ends as well, or the worker is replaced.
            if client.cancel(CancelRequest { id: id.0 }).await.is_ok() {
                let _ = myself.cast(CallsMessage::CancelAnswered { id });
            }
        });
    }

    fn ping(&self, reports: &AdapterReports) {
        let (mut health, reports) = (HealthClient::new(self.channel.clone()), reports.clone());
        self.spawn(async move {
            let answer = health.check(HealthCheckRequest::default()).await;
            // That it lacks the service is a sign of life as well.
            if answer.is_ok() || answer.is_err_and(|status| status.code() == Code::Unimplemented) {
                reports.alive();
            }
        });
    }

    fn end_session(&self, session: &SessionId) {
        let (mut client, session) = (self.client.clone(), session.as_str().to_owned());
        // A worker that keeps no sessions has nothing to forget.
        self.spawn(async move { drop(client.end_session(EndSessionRequest { session }).await) });
    }

    fn drain(&self) {
        let mut client = self.client.clone();
        // Whoever does not know it is told by SIGTERM.
        self.spawn(async move { drop(client.drain(DrainRequest {}).await) });
    }
}

struct Asked {
    id: RequestId,
    request: Request,
    deadline: Deadline,
    chunks: Option<ChunkSender>,
}

/// The request as a call carries it.
fn message(id: RequestId, request: &Request, deadline: Deadline) -> tonic::Request<ExecuteRequest> {
    let mut message = tonic::Request::new(convert::request(id, request));
    message.set_timeout(deadline.remaining(Instant::now()));
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
        Ok(CallsState {
            reports,
            under_way: IdMap::default(),
            serves_cancel,
            draining: Draining::NotAsked,
            is_gone: false,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<CallsMessage>,
        message: CallsMessage,
        state: &mut CallsState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            CallsMessage::Asked(asked) => self.take(&myself, state, asked),
            CallsMessage::CallEnded { id, end } => state.ended(id, end)?,
            CallsMessage::CancelAnswered { id } => state.cancelled(id),
            CallsMessage::WorkerGone => state.is_gone = true,
        }
        if state.draining == Draining::Kept && state.under_way.is_empty() {
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
            AdapterMessage::EndSession { session } => self.end_session(&session),
            AdapterMessage::Ping => self.ping(&state.reports),
            AdapterMessage::Drain => {
                if state.draining == Draining::NotAsked {
                    state.draining = Draining::Kept;
                }
            }
        }
    }
}

impl CallsState {
    /// Reports what the worker said of a request. A place is free when it said something, and not before.
    fn ended(&mut self, id: RequestId, end: CallEnd) -> Result<(), AdapterFailure> {
        match end {
            CallEnd::Done(outcome) => {
                self.reports.alive();
                if self.under_way.remove(&id.0).is_some() {
                    self.reports.finished(id, outcome);
                }
                Ok(())
            }
            // The pool has the worker asked to cancel it, and replaces it where that takes too long.
            CallEnd::NoWord if self.serves_cancel => Ok(()),
            CallEnd::NoWord => {
                let what =
                    format!("the worker has not said that it is done with request {id}, and cannot be asked");
                Err(AdapterFailure::Failed { what })
            }
            CallEnd::Over(failure) => Err(failure),
        }
    }

    fn cancelled(&mut self, id: RequestId) {
        if self.under_way.remove(&id.0).is_some() {
            self.reports.finished(id, Outcome::Failed(convert::cancelled()));
        }
    }

    fn grant(&self, id: RequestId, more: StreamWindow) {
        if let Some(credit) = self.under_way.get(&id.0).and_then(|call| call.credit.as_ref()) {
            credit.give(more);
        }
    }
}
