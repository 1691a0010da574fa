//! A stream of chunks, as its caller holds it.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::sync::oneshot;

use crate::adapter::ChunkReceiver;
use crate::error::ExecuteError;
use crate::payload::Payload;
use crate::pool::cancel_on_drop::CancelOnDrop;
use crate::pool::handle::PoolRef;
use crate::pool::message::{PoolCommand, PoolMessage, Response};

/// The chunks of one streamed answer, in order. After an error, or the end, there is nothing more.
///
/// At most the pool's `stream_window` is under way: a slow reader slows the worker, and nothing else.
///
/// # Cancellation
/// Dropping the stream tells the worker to stop. The worker takes its next request when it has.
#[derive(Debug)]
pub struct ResponseStream {
    chunks: ChunkReceiver,
    ending: Ending,
    pool: PoolRef,
    cancel: CancelOnDrop,
}

#[derive(Debug)]
enum Ending {
    Awaited(oneshot::Receiver<Result<Response, ExecuteError>>),
    /// Known, while chunks that came before may still have to be handed out.
    Known(Result<Response, ExecuteError>),
    /// The reader knows it, too: by the end, with this, or by an error.
    Told(Option<Response>),
}

impl ResponseStream {
    pub(super) fn new(
        chunks: ChunkReceiver,
        reply: oneshot::Receiver<Result<Response, ExecuteError>>,
        pool: PoolRef,
        cancel: CancelOnDrop,
    ) -> Self {
        Self { chunks, ending: Ending::Awaited(reply), pool, cancel }
    }

    /// The next chunk; `None` at the end.
    ///
    /// # Errors
    /// What ended the stream before its end; nothing follows.
    ///
    /// # Cancellation
    /// Dropping the future loses no chunk.
    pub async fn next(&mut self) -> Option<Result<Payload, ExecuteError>> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// How the request went: which worker answered, whether its session had lost what an earlier worker remembered, how long
    /// it waited and ran. Known when the stream has come to its end; `None` before, and where it ended in an error.
    pub fn response(&self) -> Option<&Response> {
        match &self.ending {
            Ending::Told(response) => response.as_ref(),
            Ending::Awaited(_) | Ending::Known(_) => None,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Payload, ExecuteError>>> {
        if let Ending::Awaited(reply) = &mut self.ending {
            // Looked for first: behind chunks it would not be found for as long as a worker sends on that has been told to stop.
            let Poll::Ready(result) = Pin::new(reply).poll(cx) else {
                return match next_chunk(&mut self.chunks, &self.pool, cx) {
                    Poll::Ready(Some(chunk)) => Poll::Ready(Some(Ok(chunk))),
                    Poll::Ready(None) | Poll::Pending => Poll::Pending,
                };
            };
            self.cancel.disarm();
            let result = result.unwrap_or_else(|_| Err(self.pool.shared().cut_off()));
            self.ending = Ending::Known(result);
            self.chunks.close();
        }
        if let Ending::Known(_) = &self.ending {
            if let Some(chunk) = self.chunks.take_rest() {
                return Poll::Ready(Some(Ok(chunk)));
            }
            if let Ending::Known(result) = std::mem::replace(&mut self.ending, Ending::Told(None)) {
                return match result {
                    Ok(response) => {
                        self.ending = Ending::Told(Some(response));
                        Poll::Ready(None)
                    }
                    Err(error) => Poll::Ready(Some(Err(error))),
                };
            }
        }
        Poll::Ready(None)
    }
}

/// The next chunk. What became of a worker that cannot be given credit for it is the pool's to judge.
fn next_chunk(chunks: &mut ChunkReceiver, pool: &PoolRef, cx: &mut Context<'_>) -> Poll<Option<Payload>> {
    let polled = chunks.poll_recv(cx);
    if let Some(why) = chunks.fails_to_give() {
        let not_taken = PoolCommand::CreditNotTaken { id: chunks.id(), why };
        // Where no life of the pool is there to read it, the stream has ended with the last one.
        pool.shared().inbox.put(PoolMessage::Command(not_taken));
    }
    polled
}

impl Stream for ResponseStream {
    type Item = Result<Payload, ExecuteError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}
