//! The workers of the model: they keep book of what they were given, and of the credit that their streams have.

use serde_json::json;

use crate::adapter::scripted::ScriptedLife;
use crate::adapter::{AdapterFailure, ChunkSender, Outcome, SendChunkError, StreamWindow};
use crate::id::RequestId;
use crate::payload::Payload;
use crate::pool::message::Life;
use crate::pool::tests::declining::decline;
use crate::pool::tests::model::End;

pub(super) struct Worker {
    pub(super) end: ScriptedLife,
    pub(super) has: Vec<Task>,
}

pub(super) struct Task {
    pub(super) id: RequestId,
    pub(super) call: usize,
    pub(super) begun: bool,
    pub(super) is_cancelled: bool,
    pub(super) stream: Option<Production>,
}

/// A request that is a stream.
pub(super) struct StreamTask<'a> {
    pub(super) call: usize,
    pub(super) is_cancelled: bool,
    pub(super) stream: &'a mut Production,
}

/// A stream as its worker sees it.
pub(super) struct Production {
    chunks: ChunkSender,
    credit: Credit,
    sent: u64,
}

/// What may still be sent. Bytes may be overdrawn once.
#[derive(Clone, Copy, Debug)]
struct Credit {
    chunks: u32,
    bytes: i64,
}

/// What came of a worker's wish to send chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// All of them, or as many as there was credit for.
    Taken,
    /// Nobody reads any more.
    NobodyReads,
}

impl Worker {
    pub(super) fn new(end: ScriptedLife) -> Self {
        Self { end, has: Vec::new() }
    }

    pub(super) fn life(&self) -> Life {
        Life::from(&self.end.life)
    }

    /// Takes out one of the requests that it has, and ends it. Returns it.
    pub(super) fn answer(&mut self, which: usize) -> Option<Task> {
        let which = which.checked_rem(self.has.len())?;
        let task = self.has.remove(which);
        match &task.stream {
            None => self.end.answer(task.id, &json!(task.call)),
            Some(_) => self.end.reports.finished(task.id, Outcome::StreamEnded),
        }
        Some(task)
    }

    /// Takes out one of the requests that it has, and declines it, unless it has sent some of it. Returns it.
    pub(super) fn decline(&mut self, which: usize) -> Option<Task> {
        let which = which.checked_rem(self.has.len())?;
        if self.has[which].stream.as_ref().is_some_and(|stream| stream.sent > 0) {
            return None;
        }
        let task = self.has.remove(which);
        decline(&self.end, task.id);
        Some(task)
    }

    pub(super) fn begin(&mut self) {
        if let Some(task) = self.has.iter_mut().find(|task| !task.begun) {
            task.begun = true;
            self.end.reports.started(task.id);
        }
    }

    /// One of the streams that it has.
    pub(super) fn stream(&mut self, which: usize) -> Option<StreamTask<'_>> {
        let mut streams: Vec<_> = self.has.iter_mut().filter_map(Task::as_stream).collect();
        let which = which.checked_rem(streams.len())?;
        Some(streams.swap_remove(which))
    }

    /// Nobody waits any more for a request. Returns whether the worker has it.
    pub(super) fn cancel(&mut self, id: RequestId) -> bool {
        let task = self.has.iter_mut().find(|task| task.id == id);
        task.map(|task| task.is_cancelled = true).is_some()
    }

    /// The reader of a stream has taken some. One that the worker has ended needs none.
    pub(super) fn credit(&mut self, id: RequestId, chunks: u32, bytes: u32) {
        let stream = self.has.iter_mut().find(|task| task.id == id).and_then(|task| task.stream.as_mut());
        if let Some(stream) = stream {
            stream.credit(chunks, bytes);
        }
    }

    /// Dies, and lets go of everything that it had.
    pub(super) fn die(self, end: End) {
        match end {
            End::HeardOut => {
                self.end.reports.heard_out();
                self.end.end(AdapterFailure::Disconnected);
            }
            End::Torn => self.end.end(AdapterFailure::Disconnected),
            End::Unread => {
                for task in self.has.iter().filter(|task| !task.begun) {
                    self.end.reports.unread(task.id);
                }
                self.end.end(AdapterFailure::Disconnected);
            }
            End::Panic => self.end.panic(),
        }
    }
}

impl Task {
    fn as_stream(&mut self) -> Option<StreamTask<'_>> {
        let Self { call, is_cancelled, stream, .. } = self;
        stream.as_mut().map(|stream| StreamTask { call: *call, is_cancelled: *is_cancelled, stream })
    }
}

impl Production {
    pub(super) fn new(chunks: ChunkSender) -> Self {
        let StreamWindow { chunks: window, bytes } = chunks.window();
        Self { chunks, credit: Credit { chunks: window, bytes: bytes.into() }, sent: 0 }
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) fn has_credit(&self) -> bool {
        self.credit.chunks > 0 && self.credit.bytes > 0
    }

    pub(super) fn produce(&mut self, count: u8) -> Sent {
        for _ in 0..count {
            if !self.has_credit() {
                break;
            }
            let chunk = Payload::json(&self.sent).unwrap();
            let size = i64::try_from(chunk.size()).unwrap();
            match self.chunks.send(chunk) {
                Ok(()) => {
                    self.sent += 1;
                    self.credit.chunks -= 1;
                    self.credit.bytes -= size;
                }
                Err(SendChunkError::ReaderGone) => return Sent::NobodyReads,
                Err(beyond @ SendChunkError::BeyondCredit { .. }) => panic!("{beyond}, and there was credit"),
            }
        }
        Sent::Taken
    }

    fn credit(&mut self, chunks: u32, bytes: u32) {
        self.credit.chunks += chunks;
        self.credit.bytes += i64::from(bytes);
        let window = self.chunks.window();
        assert!(self.credit.chunks <= window.chunks, "more than the window: {:?}", self.credit);
        assert!(self.credit.bytes <= window.bytes.into(), "more than the window: {:?}", self.credit);
    }
}

pub(super) fn pick(workers: &mut [Worker], which: usize) -> Option<&mut Worker> {
    let count = workers.len();
    which.checked_rem(count).map(|which| &mut workers[which])
}
