//! What the server offers: a stream to the one host that opens it, or calls to anybody who has the token.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use snakepit_core::{Request as Asking, WorkerError, WorkerErrorKind};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_stream::Stream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use crate::grpc::convert;
use crate::grpc::frames::{FrameSink, FrameSource, FrameStream, ServedFrames, frame_queue};
use crate::grpc::generated::worker_server::Worker as WorkerService;
use crate::grpc::generated::{
    CancelRequest, CancelResponse, DrainRequest, DrainResponse, EndSessionRequest, EndSessionResponse,
    ExecuteRequest, ExecuteResponse, ExecuteStreamResponse, Frames,
};
use crate::grpc::status::{status_within, trailers_limit};
use crate::worker::error::CommandError;
use crate::worker::grpc::calls::{Answer, Asked, Call, Calls};

/// How the worker is asked, for the rest of its life: the first to come decides.
pub(super) enum Host {
    Stream(Box<FrameStream>, FrameSink),
    Calls(FrameSource, Arc<Calls>),
}

pub(super) struct Service(Mutex<Door>);

enum Door {
    /// Nobody has come yet.
    Open(oneshot::Sender<Host>),
    Stream,
    Calls(Arc<Calls>),
}

impl Service {
    pub(super) fn new(host: oneshot::Sender<Host>) -> Self {
        Self(Mutex::new(Door::Open(host)))
    }

    /// Opens the door for one way, unless it is open for the other.
    fn enter<T>(&self, enter: impl FnOnce(Door) -> (Door, Result<T, Status>)) -> Result<T, Status> {
        let mut door = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, entered) = enter(std::mem::replace(&mut *door, Door::Stream));
        *door = now;
        entered
    }

    fn take_stream(&self, messages: Streaming<Frames>) -> Result<ServedFrames, Status> {
        self.enter(|door| match door {
            Door::Open(host) => {
                let (sink, source) = frame_queue();
                let arrived = host.send(Host::Stream(Box::new(FrameStream::new(messages)), sink));
                (Door::Stream, arrived.map(|()| ServedFrames(source)).map_err(|_| leaving()))
            }
            taken @ (Door::Stream | Door::Calls(_)) => {
                (taken, Err(Status::failed_precondition("a host is connected already")))
            }
        })
    }

    fn calls(&self) -> Result<Arc<Calls>, Status> {
        self.enter(|door| match door {
            Door::Open(host) => {
                let (sink, source) = frame_queue();
                let calls = Arc::new(Calls::new(sink));
                let arrived = host.send(Host::Calls(source, Arc::clone(&calls)));
                let entered = arrived.map(|()| Arc::clone(&calls)).map_err(|_| leaving());
                (Door::Calls(calls), entered)
            }
            Door::Stream => {
                let status =
                    Status::failed_precondition("a host is connected, and it alone asks this worker");
                (Door::Stream, Err(status))
            }
            Door::Calls(calls) => (Door::Calls(Arc::clone(&calls)), Ok(calls)),
        })
    }

    async fn ask(&self, asked: Request<ExecuteRequest>, is_stream: bool) -> Result<Served, Status> {
        let calls = self.calls()?;
        let (metadata, _, message) = asked.into_parts();
        let number = message.id;
        let (time_left, trailers_limit) = (time_left(&metadata), trailers_limit(&metadata));
        let refused = |error: CommandError| status_within(&error.0, trailers_limit);
        let request = request(message, &metadata).map_err(refused)?;
        let asked = Asked { number, request, time_left, is_stream };
        let call = calls.ask(asked).await.map_err(refused)?;
        let ends = time_left.map(|left| Box::pin(sleep_until(Instant::now() + left)));
        Ok(Served { call: Some(call), ends, trailers_limit })
    }
}

/// What is asked, of a message that anybody may have made.
fn request(message: ExecuteRequest, metadata: &MetadataMap) -> Result<Asking, CommandError> {
    let mut request =
        convert::from_request(message).map_err(|error| CommandError::invalid_argument(error.to_string()))?;
    // A trace context that is no text goes without.
    request.traceparent = metadata.get("traceparent").and_then(|trace| trace.to_str().ok()).map(Into::into);
    Ok(request)
}

fn leaving() -> Status {
    Status::unavailable("the worker is about to leave")
}

/// How long a caller still waits, as gRPC says it: up to eight digits and a unit.
fn time_left(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = number.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number.saturating_mul(3600))),
        "M" => Some(Duration::from_secs(number.saturating_mul(60))),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// A call that is served. Dropping it cancels the request.
pub(super) struct Served {
    /// None behind the last word.
    call: Option<Call>,
    ends: Option<Pin<Box<Sleep>>>,
    /// How much of an error the caller takes.
    trailers_limit: usize,
}

impl Served {
    /// The worker's next word, or an error when no time is left.
    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Option<Answer>> {
        let Some(call) = &mut self.call else { return Poll::Ready(None) };
        let answer = match call.poll_answer(context) {
            Poll::Ready(answer) => answer,
            Poll::Pending => {
                let ends = self.ends.as_mut().map(|ends| ends.as_mut().poll(context));
                if ends.is_none_or(|ends| ends.is_pending()) {
                    return Poll::Pending;
                }
                Answer::Failed(no_time())
            }
        };
        if !matches!(answer, Answer::Chunk(..)) {
            self.call = None;
        }
        Poll::Ready(Some(answer))
    }
}

fn no_time() -> WorkerError {
    let message = "the deadline has passed";
    *CommandError::of(WorkerErrorKind::DeadlineExceeded, "DeadlineExceeded", message).0
}

/// A command that is found to answer in the other way says so itself.
fn unexpected() -> Status {
    Status::internal("the worker answers in a way that it was not asked in")
}

/// As a server sends it.
impl Stream for Served {
    type Item = Result<ExecuteStreamResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_answer(context).map(|answer| match answer? {
            Answer::Chunk(payload, _) => {
                Some(Ok(ExecuteStreamResponse { payload: Some(convert::to_message(&payload)) }))
            }
            Answer::End => None,
            Answer::Failed(error) => Some(Err(status_within(&error, self.trailers_limit))),
            Answer::Result(_) => Some(Err(unexpected())),
        })
    }
}

#[tonic::async_trait]
impl WorkerService for Service {
    type ExecuteStreamStream = Served;
    type ConnectStream = ServedFrames;

    async fn connect(&self, request: Request<Streaming<Frames>>) -> Result<Response<ServedFrames>, Status> {
        self.take_stream(request.into_inner()).map(Response::new)
    }

    async fn execute(&self, request: Request<ExecuteRequest>) -> Result<Response<ExecuteResponse>, Status> {
        let mut served = self.ask(request, false).await?;
        match std::future::poll_fn(|context| served.poll_answer(context)).await {
            Some(Answer::Result(payload)) => {
                Ok(Response::new(ExecuteResponse { payload: Some(convert::to_message(&payload)) }))
            }
            Some(Answer::Failed(error)) => Err(status_within(&error, served.trailers_limit)),
            Some(Answer::Chunk(..) | Answer::End) | None => Err(unexpected()),
        }
    }

    async fn execute_stream(&self, request: Request<ExecuteRequest>) -> Result<Response<Served>, Status> {
        self.ask(request, true).await.map(Response::new)
    }

    async fn cancel(&self, request: Request<CancelRequest>) -> Result<Response<CancelResponse>, Status> {
        self.calls()?.cancel(request.into_inner().id).await;
        Ok(Response::new(CancelResponse {}))
    }

    async fn end_session(
        &self,
        request: Request<EndSessionRequest>,
    ) -> Result<Response<EndSessionResponse>, Status> {
        self.calls()?.end_session(&request.into_inner().session);
        Ok(Response::new(EndSessionResponse {}))
    }

    async fn drain(&self, _: Request<DrainRequest>) -> Result<Response<DrainResponse>, Status> {
        self.calls()?.drain();
        Ok(Response::new(DrainResponse {}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_read_in_every_unit_and_rubbish_is_no_limit() {
        let read = |text: &str| {
            let mut metadata = MetadataMap::new();
            metadata.insert("grpc-timeout", text.parse().unwrap());
            time_left(&metadata)
        };
        let table = [
            ("2H", Duration::from_hours(2)),
            ("3M", Duration::from_mins(3)),
            ("4S", Duration::from_secs(4)),
            ("5m", Duration::from_millis(5)),
            ("6u", Duration::from_micros(6)),
            ("7n", Duration::from_nanos(7)),
        ];
        for (text, expected) in table {
            assert_eq!(read(text), Some(expected), "{text}");
        }
        for rubbish in ["", "5", "m", "-1S", "5x", "1.5S"] {
            assert_eq!(read(rubbish), None, "{rubbish:?}");
        }
    }
}
