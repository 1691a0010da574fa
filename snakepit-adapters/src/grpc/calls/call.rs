//! One call from its request to its end, and what the end says.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use snakepit_core::adapter::{AdapterFailure, AdapterReports, ChunkSender, Outcome, StreamWindow};
use snakepit_core::{Payload, WorkerError};
use tokio::sync::Notify;
use tonic::{Code, Request, Status};

use crate::grpc::convert;
use crate::grpc::generated::worker_client::WorkerClient;
use crate::grpc::generated::{ExecuteRequest, ExecuteStreamResponse};
use crate::grpc::open::GuardedChannel;
use crate::port::credit::Credit;

/// What the end of a call says of the worker.
#[derive(Debug, PartialEq)]
pub(in crate::grpc) enum CallEnd {
    /// It is done with the request.
    Done(Outcome),
    /// Nothing: the call was given up on the way, and a handler may still run.
    NoWord,
    /// It cannot be spoken to any more.
    Over(AdapterFailure),
}

/// Judges the status with which a call ended.
pub(super) fn judge(status: &Status, is_given_up: bool) -> CallEnd {
    if convert::detail(status).is_some() {
        return CallEnd::Done(Outcome::Failed(convert::worker_error(status)));
    }
    match status.code() {
        // tonic's own word for a deadline that has passed at our end (`Request::set_timeout`).
        Code::Cancelled if status.message() == "Timeout expired" => CallEnd::NoWord,
        // A server says these for its handler, which may know nothing of it: grpcio's run on to their end.
        Code::Cancelled | Code::DeadlineExceeded if is_given_up => CallEnd::NoWord,
        Code::Internal if status.message().starts_with("failed to decode") => {
            let what = format!("an answer is no message of the contract: {}", status.message());
            CallEnd::Over(AdapterFailure::Protocol { what })
        }
        // Without a source the status is what the worker said; with one, what happened to the connection.
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal if status.source().is_some() => {
            CallEnd::Over(AdapterFailure::Disconnected)
        }
        _ => CallEnd::Done(Outcome::Failed(convert::worker_error(status))),
    }
}

/// What a stream may still hand to its reader.
#[derive(Debug)]
pub(super) struct OpenCredit {
    credit: Mutex<Credit>,
    /// Whether somebody reads.
    is_read: std::sync::atomic::AtomicBool,
    news: Notify,
}

impl OpenCredit {
    pub(super) fn new(window: StreamWindow) -> Self {
        Self { credit: Mutex::new(Credit::new(window)), is_read: true.into(), news: Notify::new() }
    }

    pub(super) fn give(&self, more: StreamWindow) {
        self.credit.lock().unwrap_or_else(PoisonError::into_inner).give(more);
        self.news.notify_one();
    }

    /// Nobody reads any more: what comes is thrown away.
    pub(super) fn abandon(&self) {
        self.is_read.store(false, std::sync::atomic::Ordering::Relaxed);
        self.news.notify_one();
    }

    /// Waits for credit and takes it; says whether anybody reads.
    async fn take(&self, len: usize) -> bool {
        loop {
            if !self.is_read.load(std::sync::atomic::Ordering::Relaxed) {
                return false;
            }
            if self.credit.lock().unwrap_or_else(PoisonError::into_inner).take(len).is_ok() {
                return true;
            }
            self.news.notified().await;
        }
    }
}

pub(super) async fn execute(
    mut client: WorkerClient<GuardedChannel>,
    request: Request<ExecuteRequest>,
    payload_limit: usize,
) -> Result<Outcome, Status> {
    let answer = client.execute(request).await?;
    let payload = convert::from_message(answer.into_inner().payload);
    Ok(match too_large(&payload, payload_limit) {
        None => Outcome::Answered(payload),
        Some(error) => Outcome::Failed(error),
    })
}

/// What is over the limit of the pool, of which a worker that is asked by calls has not heard.
fn too_large(payload: &Payload, limit: usize) -> Option<WorkerError> {
    let size = payload.size();
    (size > limit).then(|| convert::too_large(size, limit))
}

/// Who reads a stream, and how much of it.
pub(super) struct ReadBy {
    pub(super) chunks: ChunkSender,
    pub(super) credit: Arc<OpenCredit>,
    pub(super) reports: AdapterReports,
    pub(super) payload_limit: usize,
}

/// Passes a stream on, as far as there is credit. While there is none nothing is read, and HTTP/2 stops the worker.
pub(super) async fn execute_stream(
    mut client: WorkerClient<GuardedChannel>,
    request: Request<ExecuteRequest>,
    ReadBy { chunks, credit, reports, payload_limit }: ReadBy,
) -> Result<Outcome, Status> {
    let mut stream = client.execute_stream(request).await?.into_inner();
    let mut failed = None;
    // Credit is waited for with a chunk in hand: thus the end needs none.
    while let Some(ExecuteStreamResponse { payload }) = stream.message().await? {
        reports.alive();
        let payload = convert::from_message(payload);
        failed = failed.or_else(|| too_large(&payload, payload_limit));
        // The worker is heard to its end all the same: until then it is not done.
        if failed.is_none() && credit.take(payload.size()).await {
            // There is room as long as there is credit; a reader that is gone needs nothing.
            let _ = chunks.send(payload);
        }
    }
    Ok(failed.map_or(Outcome::StreamEnded, Outcome::Failed))
}

#[cfg(test)]
mod tests {
    use snakepit_core::WorkerErrorKind;

    use super::*;

    fn failed(status: &Status) -> CallEnd {
        CallEnd::Done(Outcome::Failed(convert::worker_error(status)))
    }

    #[test]
    fn what_the_worker_says_frees_its_place() {
        for code in [Code::Unknown, Code::Unavailable, Code::Internal, Code::InvalidArgument, Code::Cancelled]
        {
            let status = Status::new(code, "why");
            assert_eq!(judge(&status, false), failed(&status), "{code:?}");
        }
    }

    #[test]
    fn what_a_server_says_for_a_call_that_was_given_up_does_not() {
        for code in [Code::Cancelled, Code::DeadlineExceeded] {
            assert_eq!(judge(&Status::new(code, "given up"), true), CallEnd::NoWord, "{code:?}");
        }
        assert_eq!(judge(&Status::cancelled("Timeout expired"), false), CallEnd::NoWord);
        let said = crate::grpc::error_status(&WorkerError {
            kind: WorkerErrorKind::Cancelled,
            type_name: "Cancelled".into(),
            message: "stopped".into(),
            traceback: None,
            retryable: false,
            details: None,
            cause: None,
        });
        assert_eq!(judge(&said, true), failed(&said), "a handler that says so itself is done");
    }

    #[test]
    fn a_connection_that_broke_and_rubbish_end_the_worker() {
        let mut broken = Status::unknown("broken pipe");
        broken.set_source(Arc::new(std::io::Error::from(std::io::ErrorKind::BrokenPipe)));
        assert_eq!(judge(&broken, false), CallEnd::Over(AdapterFailure::Disconnected));
        let rubbish = judge(&Status::internal("failed to decode Protobuf message: x"), false);
        assert!(matches!(rubbish, CallEnd::Over(AdapterFailure::Protocol { .. })), "{rubbish:?}");
    }

    #[tokio::test]
    async fn a_stream_waits_for_credit_until_nobody_reads() {
        let credit = Arc::new(OpenCredit::new(StreamWindow { chunks: 1, bytes: 10 }));
        assert!(credit.take(50).await);
        let waits = tokio::spawn({
            let credit = Arc::clone(&credit);
            async move { (credit.take(1).await, credit.take(1).await) }
        });
        credit.give(StreamWindow { chunks: 1, bytes: 50 });
        tokio::task::yield_now().await;
        credit.abandon();
        assert!(!waits.await.unwrap().1);
    }
}
