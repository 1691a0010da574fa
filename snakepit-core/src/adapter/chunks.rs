//! The data plane of a stream: a bounded channel from the adapter actor straight to the caller.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::adapter::{AdapterMessage, AdapterRef, FlushPanicked, NotTaken};
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
///
/// A stream that its worker did not begin goes to another: what this one sends after that is refused.
#[derive(Debug)]
pub struct ChunkSender {
    chunks: mpsc::Sender<Payload>,
    window: StreamWindow,
    course: Arc<Course>,
    /// In which turn it may send.
    turn: u64,
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
    /// The reader is gone, has been told that the stream is over, or reads another worker's chunks. Not the worker's fault:
    /// drop the chunk.
    #[error("the reader of the stream is gone")]
    ReaderGone,
}

impl ChunkSender {
    /// Makes a channel for one stream, and the end at which its chunks come out: what a pool does for each stream, for
    /// whoever drives an adapter actor without one.
    pub fn channel(window: StreamWindow) -> (Self, mpsc::Receiver<Payload>) {
        let (chunks, taken) = mpsc::channel(window.chunks.max(1) as usize);
        let course = Arc::new(Course::default());
        (Self { chunks, window, turn: course.turn(), course }, taken)
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
        if !self.course.begins(self.turn) {
            return Err(SendChunkError::ReaderGone);
        }
        self.chunks.try_send(chunk).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendChunkError::BeyondCredit { window: self.window.chunks },
            mpsc::error::TrySendError::Closed(_) => SendChunkError::ReaderGone,
        })
    }
}

/// What the ends of a stream know of each other.
#[derive(Debug, Default)]
struct Course {
    /// Twice the number of workers that had the stream before and sent nothing; one more once a chunk has been sent.
    turn: AtomicU64,
    /// The adapter that has it now, where a pool has handed it over.
    adapter: Mutex<Option<AdapterRef>>,
}

impl Course {
    /// The turn of whoever is to send next.
    fn turn(&self) -> u64 {
        self.turn.load(Ordering::Acquire) & !1
    }

    /// Whether a chunk may be sent in this turn. If so, there is no other turn any more.
    fn begins(&self, turn: u64) -> bool {
        let sent = turn | 1;
        match self.turn.compare_exchange(turn, sent, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(present) => present == sent,
        }
    }

    /// Ends the turn of whoever has it, unless a chunk has been sent. Returns whether it did.
    fn end_turn(&self) -> bool {
        let next = |turn: u64| turn.is_multiple_of(2).then_some(turn + 2);
        self.turn.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).is_ok()
    }

    fn adapter(&self) -> MutexGuard<'_, Option<AdapterRef>> {
        self.adapter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a pool keeps of a stream: it makes the sender for the worker that is to run it, and for the next one as long as no
/// chunk has been sent.
#[derive(Clone, Debug)]
pub(crate) struct ChunkWay {
    chunks: mpsc::Sender<Payload>,
    window: StreamWindow,
    course: Arc<Course>,
}

impl ChunkWay {
    /// Opens the way from a worker's adapter to the reader.
    pub(crate) fn open_from(&self, adapter: &AdapterRef) -> ChunkSender {
        *self.course.adapter() = Some(adapter.clone());
        let (chunks, course) = (self.chunks.clone(), Arc::clone(&self.course));
        ChunkSender { chunks, window: self.window, turn: course.turn(), course }
    }

    /// Closes the way again that was opened last, so that it can be opened from elsewhere. Returns whether it is closed: it is
    /// not where a chunk has been sent.
    pub(crate) fn close(&self) -> bool {
        self.course.end_turn()
    }
}

/// The reader's end: takes chunks, and gives the worker credit for what it took.
#[derive(Debug)]
pub(crate) struct ChunkReceiver {
    id: RequestId,
    chunks: mpsc::Receiver<Payload>,
    course: Arc<Course>,
    /// Whom it gives credit, once it has.
    adapter: Option<AdapterRef>,
    window: StreamWindow,
    taken_chunks: u32,
    taken_bytes: u32,
    giving: Giving,
}

/// Whether the worker gets its credit.
#[derive(Debug)]
enum Giving {
    Works,
    /// It did not, and nobody has heard of it yet.
    Fails(NotTaken),
    /// It does not, as is known.
    Failed,
}

/// Makes both ends. No adapter has the stream yet: it may have to wait for a worker.
pub(crate) fn chunk_channel(id: RequestId, window: StreamWindow) -> (ChunkWay, ChunkReceiver) {
    let (ChunkSender { chunks: sender, course, .. }, chunks) = ChunkSender::channel(window);
    let way = ChunkWay { chunks: sender, window, course: Arc::clone(&course) };
    let receiver = ChunkReceiver {
        id,
        chunks,
        course,
        adapter: None,
        window,
        taken_chunks: 0,
        taken_bytes: 0,
        giving: Giving::Works,
    };
    (way, receiver)
}

impl ChunkReceiver {
    /// Of which request.
    pub(crate) fn id(&self) -> RequestId {
        self.id
    }

    /// The next chunk, or `None` when nobody can send any more and all chunks are taken.
    pub(crate) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Payload>> {
        let polled = self.chunks.poll_recv(cx);
        if let Poll::Ready(Some(chunk)) = &polled {
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

    /// The stream has ended: nothing more is taken from whoever sends on.
    pub(crate) fn close(&mut self) {
        self.chunks.close();
    }

    /// What came before its end, and needs no credit. It is not polled for: a task that has had its turn would be told that
    /// there is nothing yet, and its stream would lack its last chunks.
    pub(crate) fn take_rest(&mut self) -> Option<Payload> {
        self.chunks.try_recv().ok()
    }

    /// Why the worker could not be given credit, once: it waits for it, and no chunk will come any more.
    pub(crate) fn fails_to_give(&mut self) -> Option<NotTaken> {
        match std::mem::replace(&mut self.giving, Giving::Failed) {
            Giving::Works => {
                self.giving = Giving::Works;
                None
            }
            Giving::Fails(why) => Some(why),
            Giving::Failed => None,
        }
    }

    fn grant(&mut self) {
        // Whoever has sent a chunk keeps the stream to its end.
        if self.adapter.is_none() {
            self.adapter.clone_from(&self.course.adapter());
        }
        let (Some(adapter), Giving::Works) = (&self.adapter, &self.giving) else { return };
        let credit =
            AdapterMessage::Credit { id: self.id, chunks: self.taken_chunks, bytes: self.taken_bytes };
        (self.taken_chunks, self.taken_bytes) = (0, 0);
        // The reader's task is no place for a panic of the adapter's.
        let given = adapter.try_hand_over(credit).and_then(|()| {
            let written = adapter.try_flush_soon();
            written.map_err(|FlushPanicked { what }| NotTaken::OutletPanicked { what })
        });
        if let Err(why) = given {
            self.giving = Giving::Fails(why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_worker_sends_a_stream_and_for_good_once_it_has_begun() {
        let course = Course::default();
        let first = course.turn();
        assert!(course.end_turn());
        let second = course.turn();
        assert!(!course.begins(first), "another has the turn");
        assert!(course.begins(second) && course.begins(second));
        assert!(!course.end_turn(), "a chunk has been sent");
        assert!(!course.begins(first) && course.begins(second));
    }
}
