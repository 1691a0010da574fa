//! An adapter without a process: its actor answers the commands that a worker is checked by itself.

use std::collections::HashMap;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde_json::{Value, json};
use snakepit_adapters::adapter::{
    Adapter, AdapterFailure, AdapterMessage, AdapterReports, ChunkSender, Connect, Connected, Connecting,
    Outcome, WorkerContext,
};
use snakepit_adapters::{Payload, ProcessSpec, Request, RequestId, WorkerError, WorkerErrorKind};
use tokio::task::{AbortHandle, JoinSet};

/// Workers that live in this process.
pub(super) struct InProcess;

impl Adapter for InProcess {
    fn name(&self) -> &'static str {
        "in-process"
    }

    fn process_spec(&self, _: &WorkerContext) -> Result<Option<ProcessSpec>, AdapterFailure> {
        Ok(None)
    }

    fn connect(&self, connect: Connect) -> Connecting {
        Box::pin(async move {
            let Connect { reports, payload_limit, wants_started, supervisor, .. } = connect;
            let arguments = State {
                reports,
                payload_limit,
                wants_started,
                sleeps: JoinSet::new(),
                sleepers: HashMap::new(),
                streams: HashMap::new(),
            };
            let (actor, _) = Actor::spawn_linked(None, InProcessActor, arguments, supervisor)
                .await
                .map_err(|error| AdapterFailure::Failed { what: error.to_string() })?;
            Ok(Connected {
                adapter: actor.get_derived().into(),
                capacity: 8,
                tells_started: wants_started,
                agent: "in-process".to_owned(),
            })
        })
    }
}

/// Speaks to nobody: it is the worker, too.
struct InProcessActor;

struct State {
    reports: AdapterReports,
    payload_limit: usize,
    wants_started: bool,
    /// End with the actor.
    sleeps: JoinSet<()>,
    sleepers: HashMap<RequestId, AbortHandle>,
    streams: HashMap<RequestId, Counting>,
}

/// A stream under way.
struct Counting {
    next: u64,
    end: u64,
    credit: u32,
    chunks: ChunkSender,
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for InProcessActor {
    type Msg = AdapterMessage;
    type State = State;
    type Arguments = State;

    async fn pre_start(
        &self,
        _: ActorRef<AdapterMessage>,
        state: State,
    ) -> Result<State, ActorProcessingErr> {
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<AdapterMessage>,
        message: AdapterMessage,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        state.reports.alive();
        match message {
            AdapterMessage::Execute { id, request, .. } => state.execute(id, &request),
            AdapterMessage::ExecuteStream { id, request, chunks, .. } => state.stream(id, &request, chunks),
            AdapterMessage::Cancel { id } => state.cancel(id),
            AdapterMessage::Credit { id, chunks, .. } => state.grant(id, chunks),
            AdapterMessage::EndSession { .. } | AdapterMessage::Ping | AdapterMessage::Drain => {}
        }
        Ok(())
    }
}

impl State {
    fn execute(&mut self, id: RequestId, request: &Request) {
        if self.wants_started {
            self.reports.started(id);
        }
        match request.command.as_ref() {
            _ if request.payload.size() > self.payload_limit => {
                self.fail(id, WorkerErrorKind::PayloadTooLarge, "the request is too large");
            }
            "snakepit.test.echo" => self.reports.finished(id, Outcome::Answered(request.payload.clone())),
            "snakepit.test.fail" => {
                let message = argument(&request.payload, "message");
                self.fail(
                    id,
                    WorkerErrorKind::Error,
                    message.as_ref().and_then(Value::as_str).unwrap_or_default(),
                );
            }
            "snakepit.test.sleep" => {
                match argument(&request.payload, "ms").as_ref().and_then(Value::as_u64) {
                    Some(ms) => self.sleep(id, ms),
                    None => self.fail(id, WorkerErrorKind::InvalidArgument, "ms is no number"),
                }
            }
            "snakepit.test.count" => self.fail(id, WorkerErrorKind::StreamingNotSupported, "it is a stream"),
            unknown => self.fail(id, WorkerErrorKind::UnknownCommand, unknown),
        }
    }

    fn sleep(&mut self, id: RequestId, ms: u64) {
        let reports = self.reports.clone();
        let sleeper = self.sleeps.spawn(async move {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            reports.finished(id, Outcome::Answered(Payload::json(&ms).unwrap()));
        });
        self.sleepers.insert(id, sleeper);
    }

    fn stream(&mut self, id: RequestId, request: &Request, chunks: ChunkSender) {
        match request.command.as_ref() {
            "snakepit.test.count" => {
                let end = argument(&request.payload, "n").as_ref().and_then(Value::as_u64).unwrap_or(0);
                self.streams.insert(id, Counting { next: 0, end, credit: chunks.window().chunks, chunks });
                self.grant(id, 0);
            }
            "snakepit.test.echo" => self.fail(id, WorkerErrorKind::StreamingNotSupported, "it is no stream"),
            unknown => self.fail(id, WorkerErrorKind::UnknownCommand, unknown),
        }
    }

    fn grant(&mut self, id: RequestId, more: u32) {
        let Some(counting) = self.streams.get_mut(&id) else { return };
        counting.credit += more;
        while counting.credit > 0 && counting.next < counting.end {
            // A reader that is gone is followed by a Cancel.
            let _ = counting.chunks.send(Payload::json(&json!({"i": counting.next})).unwrap());
            (counting.next, counting.credit) = (counting.next + 1, counting.credit - 1);
        }
        if counting.next == counting.end {
            // Dropped before the end is told.
            drop(self.streams.remove(&id));
            self.reports.finished(id, Outcome::StreamEnded);
        }
    }

    fn cancel(&mut self, id: RequestId) {
        let slept = self.sleepers.remove(&id).is_some_and(|sleeper| {
            let runs = !sleeper.is_finished();
            sleeper.abort();
            runs
        });
        if slept || self.streams.remove(&id).is_some() {
            self.fail(id, WorkerErrorKind::Cancelled, "it was cancelled");
        }
    }

    fn fail(&self, id: RequestId, kind: WorkerErrorKind, message: &str) {
        let error = WorkerError {
            kind,
            type_name: "InProcess".to_owned(),
            message: message.to_owned(),
            traceback: None,
            retryable: false,
            details: None,
            cause: None,
        };
        self.reports.finished(id, Outcome::Failed(error));
    }
}

/// An argument by its name, or the first.
fn argument(payload: &Payload, name: &str) -> Option<Value> {
    let arguments: Value = payload.decode().ok()?;
    arguments.get(name).or_else(|| arguments.get(0)).cloned()
}
