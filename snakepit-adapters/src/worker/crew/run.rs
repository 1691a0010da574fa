//! Running a request: its handler, its answer, and what a handler asks of the crew meanwhile.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use snakepit_core::{Payload, Progress, WorkerErrorKind};
use tokio::time::Instant;

use crate::port::frame::{BodyLayout, Event, Kind, LogLine, PayloadLayout, Recycle};
use crate::worker::chunks::Chunks;
use crate::worker::command::{self, Handler};
use crate::worker::context::Context;
use crate::worker::crew::{Crew, Done};
use crate::worker::error::{CommandError, CommandResult};
use crate::worker::requests::{ChunkVerdict, Job};

/// A text for the host is cut to this length: it travels in one frame, whatever is in it.
const TEXT_LIMIT: usize = 128 << 10;

impl Crew {
    /// Runs a request, and answers it whatever happens.
    pub(super) fn run(self: &Arc<Self>, job: Box<Job>) -> Done {
        let id = job.id;
        let began = self.terms.tells_started.then(|| (job.request.command.clone(), Instant::now()));
        let outcome = catch_unwind(AssertUnwindSafe(|| self.call(job)))
            .unwrap_or_else(|panic| Err(CommandError::panicked(&*panic)));
        let sent = match outcome {
            Ok(Some(payload)) => self.send_result(id, &payload),
            Ok(None) => self.output.send(Kind::End, id, &[]),
            Err(error) => self.send_error(id, &error),
        };
        self.or_host_gone(&sent);
        Done { id, took: began.map(|(command, began)| (command, began.elapsed())) }
    }

    /// Calls the handler: its result, or nothing after a stream.
    fn call(self: &Arc<Self>, mut job: Box<Job>) -> CommandResult<Option<Payload>> {
        if job.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            let message = "no time was left when its turn came";
            return Err(CommandError::of(WorkerErrorKind::DeadlineExceeded, "DeadlineExceeded", message));
        }
        let handler = self.commands.find(&job.request.command, job.asked_by)?;
        let context = Context::new(&mut job, Arc::clone(self));
        let payload = job.request.payload;
        match handler {
            Handler::Answer(answer) => answer(&context, payload).map(Some),
            Handler::Stream(stream) => {
                let encoding = command::answer_encoding(&payload);
                stream(&context, payload, &mut Chunks::new(job.id, self, encoding))?;
                if self.is_cancelled(job.id) { Err(CommandError::cancelled()) } else { Ok(None) }
            }
        }
    }

    fn send_result(&self, id: u64, payload: &Payload) -> io::Result<()> {
        match self.lay_out(payload) {
            Ok(layout) => self.output.gather(Kind::Result, id, &layout),
            Err(error) => self.send_error(id, &error),
        }
    }

    pub(super) fn send_error(&self, id: u64, error: &CommandError) -> io::Result<()> {
        let body = serde_json::to_vec(&*error.0).expect("texts, flags and JSON values have a JSON form");
        self.output.send_error(id, body)
    }

    /// Checks that a payload may be sent.
    fn lay_out<'a>(&self, payload: &'a Payload) -> CommandResult<PayloadLayout<'a>> {
        if payload.size() > self.terms.payload_limit {
            let message =
                format!("the answer is {} bytes, limit {}", payload.size(), self.terms.payload_limit);
            return Err(CommandError::of(WorkerErrorKind::PayloadTooLarge, "PayloadTooLarge", message));
        }
        Ok(PayloadLayout::new(payload)?)
    }

    /// Sends a chunk, once there is credit for it.
    pub(in crate::worker) fn chunk(&self, id: u64, payload: &Payload) -> CommandResult<()> {
        let layout = self.lay_out(payload)?;
        self.await_credit(id, layout.body_len())?;
        // A chunk is wanted when it is there, not when the next one is.
        let sent = self.output.gather(Kind::Chunk, id, &layout).and_then(|()| self.output.flush());
        self.or_host_gone(&sent);
        Ok(())
    }

    /// Waits until a chunk with a body of that length may be sent, and takes the credit for it.
    fn await_credit(&self, id: u64, body_len: usize) -> CommandResult<()> {
        let mut shared = self.shared();
        let mut has_read = false;
        let verdict = loop {
            shared = match shared.requests.chunk(id, body_len) {
                ChunkVerdict::AwaitCredit if shared.turns.take_reading() => {
                    // The thread that waits may as well be the one that reads what it waits for.
                    drop(shared);
                    self.flush();
                    self.read(&mut Vec::new());
                    has_read = true;
                    let shared = self.shared();
                    if shared.requests.may_begin() {
                        self.standby.notify_one();
                    }
                    shared
                }
                ChunkVerdict::AwaitCredit => self.await_news(shared, None),
                verdict @ (ChunkVerdict::Send | ChunkVerdict::Cancelled) => break verdict,
            };
        };
        if has_read && shared.turns.leave_unread() {
            self.standby.notify_one();
        }
        if verdict == ChunkVerdict::Send { Ok(()) } else { Err(CommandError::cancelled()) }
    }

    pub(in crate::worker) fn is_cancelled(&self, id: u64) -> bool {
        self.shared().requests.is_cancelled(id)
    }

    pub(in crate::worker) fn cancelled_within(&self, id: u64, timeout: Duration) -> bool {
        self.flush();
        let deadline = Instant::now() + timeout;
        let mut shared = self.shared();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || shared.requests.is_cancelled(id) {
                return shared.requests.is_cancelled(id);
            }
            if shared.turns.want_reading() {
                self.standby.notify_one();
            }
            shared = self.await_news(shared, Some(left));
        }
    }

    pub(in crate::worker) fn log(&self, id: u64, mut line: LogLine) {
        for text in [&mut line.message, &mut line.logger] {
            shorten(text);
        }
        let body = serde_json::to_vec(&line).expect("texts have a JSON form");
        self.send(Kind::Log, id, &body);
    }

    pub(in crate::worker) fn progress(&self, id: u64, mut progress: Progress) {
        shorten(&mut progress.message);
        let event = Event { progress: Some(progress) };
        let body = serde_json::to_vec(&event).expect("texts and numbers have a JSON form");
        self.send(Kind::Event, id, &body);
    }

    /// Asks the host to replace this worker; once is enough.
    pub(in crate::worker) fn recycle(&self, mut reason: String) {
        if self.wants_to_go.swap(true, Ordering::Relaxed) {
            return;
        }
        shorten(&mut reason);
        let body = serde_json::to_vec(&Recycle { reason }).expect("texts have a JSON form");
        self.send(Kind::Recycle, 0, &body);
    }
}

fn shorten(text: &mut String) {
    text.truncate(text.floor_char_boundary(TEXT_LIMIT));
}
