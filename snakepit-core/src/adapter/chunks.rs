//! The data plane of a stream: a bounded channel from the adapter actor straight to the caller.

use std::sync::Arc;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::adapter::{AdapterMessage, AdapterRef};
use crate::config::size;
use crate::id::RequestId;
use crate::payload::Payload;

/// How much of a stream may be under way before its reader takes some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamWindow {
    /// In chunks; at least 1. Default 16: deep enough to keep a pipe busy.
    pub chunks: u32,
    /// In bytes; a chunk may be sent while some are left, and may overdraw them once. Default 1 MiB: small enough for
    /// thousands of streams.
    #[serde(with = "size")]
    pub bytes: u32,
}

impl Default for StreamWindow {
    fn default() -> Self {
        Self { chunks: 16, bytes: 1 << 20 }
    }
}

/// Where an adapter actor puts the chunks of one stream. Dropping it ends the stream's data.
#[derive(Debug)]
pub struct ChunkSender {
    chunks: mpsc::Sender<Payload>,
    window: StreamWindow,
}

/// Why a chunk was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendChunkError {
    /// The worker sent more chunks than it had credit for.
    #[error("chunk beyond credit: the window is {window} chunks")]
    BeyondCredit {
        /// How many chunks may be under way.
        window: u32,
    },
    /// The reader is gone. Not the worker's fault: drop the chunk.
    #[error("the reader of the stream is gone")]
    ReaderGone,
}

impl ChunkSender {
    /// Makes a channel for one stream, and the end at which its chunks come out: what a pool does for each stream, for
    /// whoever drives an adapter actor without one.
    pub fn channel(window: StreamWindow) -> (Self, mpsc::Receiver<Payload>) {
        let (chunks, taken) = mpsc::channel(window.chunks.max(1) as usize);
        (Self { chunks, window }, taken)
    }

    /// The credit that the worker starts with.
    pub fn window(&self) -> StreamWindow {
        self.window
    }

    /// Hands a chunk to the reader. Never waits: credit says that there is room.
    ///
    /// # Errors
    /// [`SendChunkError::BeyondCredit`] where there is none, [`SendChunkError::ReaderGone`] where nobody reads.
    pub fn send(&self, chunk: Payload) -> Result<(), SendChunkError> {
        self.chunks.try_send(chunk).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendChunkError::BeyondCredit { window: self.window.chunks },
            mpsc::error::TrySendError::Closed(_) => SendChunkError::ReaderGone,
        })
    }
}

/// The reader's end: takes chunks, and gives the worker credit for what it took.
#[derive(Debug)]
pub(crate) struct ChunkReceiver {
    id: RequestId,
    chunks: mpsc::Receiver<Payload>,
    /// Filled by the pool when the stream is dispatched.
    adapter: Arc<OnceLock<AdapterRef>>,
    window: StreamWindow,
    taken_chunks: u32,
    taken_bytes: u32,
}

/// Makes both ends. The adapter is not known yet: the stream may have to wait for a worker.
pub(crate) fn chunk_channel(
    id: RequestId,
    window: StreamWindow,
) -> (ChunkSender, ChunkReceiver, Arc<OnceLock<AdapterRef>>) {
    let (sender, chunks) = ChunkSender::channel(window);
    let adapter = Arc::new(OnceLock::new());
    let receiver =
        ChunkReceiver { id, chunks, adapter: Arc::clone(&adapter), window, taken_chunks: 0, taken_bytes: 0 };
    (sender, receiver, adapter)
}

impl ChunkReceiver {
    /// The next chunk, or `None` when the adapter has dropped its end and all chunks are taken.
    pub(crate) fn poll_recv(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Option<Payload>> {
        let polled = self.chunks.poll_recv(cx);
        if let std::task::Poll::Ready(Some(chunk)) = &polled {
            self.taken_chunks += 1;
            self.taken_bytes =
                self.taken_bytes.saturating_add(u32::try_from(chunk.size()).unwrap_or(u32::MAX));
            // Credit travels in halves of the window: a frame for every chunk would double the traffic.
            let due =
                self.taken_chunks * 2 >= self.window.chunks || self.taken_bytes >= self.window.bytes / 2;
            if due {
                self.grant();
            }
        }
        polled
    }

    fn grant(&mut self) {
        if let Some(adapter) = self.adapter.get() {
            let credit =
                AdapterMessage::Credit { id: self.id, chunks: self.taken_chunks, bytes: self.taken_bytes };
            // An adapter that is gone needs no credit; the stream ends through its reply. The reader's task is no place
            // for a panic of the adapter's.
            adapter.tell(credit);
            self.taken_chunks = 0;
            self.taken_bytes = 0;
        }
    }
}
