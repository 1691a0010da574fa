//! Streams, read chunk by chunk.

use serde_json::{Value, json};
use snakepit_core::adapter::{AdapterMessage, ChunkSender, Outcome, StreamWindow};
use snakepit_core::{Payload, Request, RequestId, WorkerErrorKind};
use tokio::sync::mpsc::{self, error::TryRecvError};
use tokio::time::{Instant, sleep_until};

use crate::contract::finding::{Finding, Findings, demand_equal};
use crate::contract::host::Host;

impl Host<'_> {
    pub(in crate::contract) fn ask_stream(
        &mut self,
        request: Request,
        window: StreamWindow,
    ) -> (u64, mpsc::Receiver<Payload>) {
        self.asked += 1;
        let (chunks, taken) = ChunkSender::channel(window);
        let (id, deadline) = (RequestId(self.asked), self.deadline());
        self.tell(AdapterMessage::ExecuteStream { id, request, deadline, chunks });
        (self.asked, taken)
    }

    pub(in crate::contract) fn credit(&self, id: u64, chunks: u32, bytes: u32) {
        self.tell(AdapterMessage::Credit { id: RequestId(id), chunks, bytes });
    }

    /// The next chunk; `None` at the end.
    pub(in crate::contract) async fn chunk(
        &mut self,
        id: u64,
        chunks: &mut mpsc::Receiver<Payload>,
    ) -> Findings<Option<Payload>> {
        if let Some(chunk) = self.chunk_or_end(id, chunks).await? {
            return Ok(Some(chunk));
        }
        match self.outcome(id).await? {
            Outcome::Failed(error) if error.kind == WorkerErrorKind::UnknownCommand => {
                Err(Finding::not_offered(error.message))
            }
            outcome => {
                self.outcomes.insert(id, outcome);
                Ok(None)
            }
        }
    }

    /// Waits for the next chunk, the end of the stream, or that of the worker: an adapter that has ended may still hold the
    /// stream open.
    async fn chunk_or_end(
        &mut self,
        id: u64,
        chunks: &mut mpsc::Receiver<Payload>,
    ) -> Findings<Option<Payload>> {
        let (stream, until) = (format!("stream {id}"), Instant::now() + self.examination.patience);
        while self.ended.is_none() {
            tokio::select! {
                biased;
                chunk = chunks.recv() => return Ok(chunk),
                Some(told) = self.told.recv() => self.keep(told)?,
                () = sleep_until(until) => {
                    return Err(self.waited_in_vain(&stream, "has no further chunk and no end").await);
                }
            }
        }
        match chunks.try_recv() {
            Ok(chunk) => Ok(Some(chunk)),
            Err(TryRecvError::Disconnected) => Ok(None),
            Err(TryRecvError::Empty) => Err(self.lost(&stream).await),
        }
    }

    /// Reads a stream to its end, with credit for each chunk, and checks that it counts from `from` to `to`.
    pub(in crate::contract) async fn count_on(
        &mut self,
        id: u64,
        chunks: &mut mpsc::Receiver<Payload>,
        from: u64,
        to: u64,
    ) -> Findings {
        let mut next = from;
        while let Some(chunk) = self.chunk(id, chunks).await? {
            let item: Value = chunk.decode().map_err(Finding::broken)?;
            demand_equal("a chunk", &item, &json!({"i": next}))?;
            next += 1;
            self.credit(id, 1, u32::try_from(chunk.size()).unwrap_or(u32::MAX));
        }
        demand_equal("chunks", &next, &to)?;
        match self.outcome(id).await? {
            Outcome::StreamEnded => Ok(()),
            other => Err(Finding::broken(format_args!("the stream ends in {other:?}"))),
        }
    }
}
