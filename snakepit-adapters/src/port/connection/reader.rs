//! The task that reads: frames in, reports out. It never waits for anybody but the worker.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ractor::ActorRef;
use snakepit_core::adapter::{AdapterFailure, AdapterReports, Outcome, SendChunkError, WorkerLog};
use snakepit_core::{RequestId, WorkerError};
use tokio::sync::oneshot;

use crate::port::connection::message::ConnectionMessage;
use crate::port::connection::outlet::PortOutlet;
use crate::port::connection::outstanding::{ChunkSize, Outstanding};
use crate::port::connection::wire::FromWorker;
use crate::port::frame::{
    Decoder, Event, Frame, Incoming, Kind, LogLine, ProtocolError, Ready, Recycle, read_json, read_nothing,
    read_payload,
};

/// How long a worker that has closed one pipe may take to close the other: a process that ends closes all that it has,
/// in no order that it promises. Shorter than its wire is waited for once it has ended.
const CLOSING_GRACE: Duration = Duration::from_millis(100);

/// Who waits for the worker to be ready.
pub(super) type ReadyReply = oneshot::Sender<Result<Ready, AdapterFailure>>;

pub(super) struct Reader {
    pub(super) from_worker: FromWorker,
    pub(super) decoder: Decoder,
    pub(super) outstanding: Arc<Outstanding>,
    pub(super) outlet: Arc<PortOutlet>,
    pub(super) reports: AdapterReports,
    /// Whether there has been a large body.
    pub(super) is_wide: bool,
    /// Whether the worker has asked to be replaced: once in its life is enough.
    pub(super) wants_to_go: bool,
    /// Taken when the worker is ready.
    pub(super) ready: Option<ReadyReply>,
}

impl Reader {
    /// Reads until the wire ends, then tells the actor why. `write_failed` says that the worker has closed the other
    /// pipe: what it wrote before is read, and nothing more is waited for.
    pub(super) async fn run(
        mut self,
        actor: ActorRef<ConnectionMessage>,
        write_failed: oneshot::Receiver<()>,
    ) {
        let mut notice = EndNotice { actor, failure: None };
        let failure = self.read_to_end(write_failed).await;
        if let Some(ready) = self.ready.take() {
            // Whoever waited may have given up; the actor's end says the same.
            let _ = ready.send(Err(failure.clone()));
        }
        if matches!(failure, AdapterFailure::Disconnected | AdapterFailure::Torn { .. }) {
            // Somebody who reads on may still read what lies there: then that goes nowhere else.
            let _ = tokio::time::timeout(CLOSING_GRACE, self.outlet.unread_for_good()).await;
        }
        notice.failure = Some(failure);
    }

    async fn read_to_end(&mut self, mut write_failed: oneshot::Receiver<()>) -> AdapterFailure {
        loop {
            let read = tokio::select! {
                biased;
                read = self.from_worker.read(&mut self.decoder) => read,
                _ = &mut write_failed => return self.read_last_words(),
            };
            if let Err(failure) = read.and_then(|len| self.take(len)) {
                return failure;
            }
        }
    }

    /// Reads what is there already: all that a worker wrote before it closed its other end.
    fn read_last_words(&mut self) -> AdapterFailure {
        loop {
            let taken = match self.from_worker.try_read(&mut self.decoder) {
                Ok(None) => return AdapterFailure::Disconnected,
                Ok(Some(len)) => self.take(len),
                Err(failure) => Err(failure),
            };
            if let Err(failure) = taken {
                return failure;
            }
        }
    }

    /// Reports every frame of one read of so many bytes.
    fn take(&mut self, len: usize) -> Result<(), AdapterFailure> {
        if len == 0 {
            // What had not been said whole, Started among it, had not been done.
            self.reports.heard_out();
            self.decoder.finish()?;
            return Err(AdapterFailure::Disconnected);
        }
        let ended_before = self.decoder.frames_ended();
        self.take_frames()?;
        // A frame is said when all of it has come. One of which a byte comes now and then would be a life without end.
        if self.decoder.frames_ended() > ended_before {
            self.reports.alive();
        }
        Ok(())
    }

    fn take_frames(&mut self) -> Result<(), ProtocolError> {
        while let Some(incoming) = self.decoder.next_incoming()? {
            match incoming {
                Incoming::Frame(frame) => self.receive(frame)?,
                Incoming::Begun { kind, id } => {
                    self.expect(kind, id)?;
                    self.widen();
                }
            }
        }
        Ok(())
    }

    /// Makes room in the pipe with the first large body.
    fn widen(&mut self) {
        if !std::mem::replace(&mut self.is_wide, true) {
            self.from_worker.widen();
        }
    }

    /// Refuses a large answer to a request that was never asked before its bytes are kept.
    fn expect(&self, kind: Kind, id: u64) -> Result<(), ProtocolError> {
        match kind {
            Kind::Result | Kind::Error | Kind::Chunk | Kind::End => self.outstanding.expects(kind, id),
            _ => Ok(()),
        }
    }

    fn receive(&mut self, Frame { kind, id, body }: Frame) -> Result<(), ProtocolError> {
        match kind {
            Kind::Result => self.result(id, body),
            Kind::Error => self.error(id, &body),
            Kind::Chunk => self.chunk(id, body),
            Kind::End => self.end(id, &body),
            Kind::Ready => self.become_ready(&body),
            Kind::Log => self.log(id, &body),
            Kind::Recycle => self.recycle(&body),
            Kind::Started => self.started(id, &body),
            Kind::Pong => self.when_ready(kind).and_then(|()| read_nothing(kind, &body)),
            Kind::Event => self.event(id, &body),
            Kind::Hello
            | Kind::Execute
            | Kind::ExecuteStream
            | Kind::Cancel
            | Kind::Credit
            | Kind::EndSession
            | Kind::Ping
            | Kind::Drain
            | Kind::Part
            | Kind::HostCall
            | Kind::HostResult => Err(ProtocolError::UnknownKind { code: kind.code() }),
        }
    }

    fn when_ready(&self, kind: Kind) -> Result<(), ProtocolError> {
        if self.ready.is_none() {
            return Ok(());
        }
        Err(ProtocolError::OutOfOrder { kind, when: "before Ready" })
    }

    fn started(&self, id: u64, body: &[u8]) -> Result<(), ProtocolError> {
        self.when_ready(Kind::Started)?;
        read_nothing(Kind::Started, body)?;
        // A second one says nothing, nor does one that comes behind its answer.
        if self.outstanding.begin(id) {
            self.reports.started(RequestId(id));
        }
        Ok(())
    }

    fn result(&self, id: u64, body: Bytes) -> Result<(), ProtocolError> {
        let payload = read_payload(body)?;
        self.finish(Kind::Result, id, Outcome::Answered(payload))
    }

    fn error(&self, id: u64, body: &[u8]) -> Result<(), ProtocolError> {
        let error: WorkerError = read_json(Kind::Error, body)?;
        self.finish(Kind::Error, id, Outcome::Failed(error))
    }

    fn end(&self, id: u64, body: &[u8]) -> Result<(), ProtocolError> {
        read_nothing(Kind::End, body)?;
        self.finish(Kind::End, id, Outcome::StreamEnded)
    }

    fn finish(&self, kind: Kind, id: u64, outcome: Outcome) -> Result<(), ProtocolError> {
        self.when_ready(kind)?;
        self.outstanding.answer(kind, id)?;
        self.reports.finished(RequestId(id), outcome);
        Ok(())
    }

    fn chunk(&self, id: u64, body: Bytes) -> Result<(), ProtocolError> {
        self.when_ready(Kind::Chunk)?;
        let whole = body.len();
        let payload = read_payload(body)?;
        let chunk = self.outstanding.chunk(id, ChunkSize { body: whole, payload: payload.size() })?;
        match chunk.reader.send(payload) {
            // Nobody reads any more: the pool has cancelled the request, and the worker may not know yet.
            Ok(()) | Err(SendChunkError::ReaderGone) => {}
            Err(SendChunkError::BeyondCredit { .. }) => {
                return Err(ProtocolError::BeyondCredit { id, chunks: 0, bytes: 0 });
            }
        }
        if chunk.has_to_give_back {
            self.outlet.give_back(RequestId(id));
        }
        Ok(())
    }

    fn become_ready(&mut self, body: &[u8]) -> Result<(), ProtocolError> {
        let ready = read_json::<Ready>(Kind::Ready, body)?.check();
        let reply = self
            .ready
            .take()
            .ok_or(ProtocolError::OutOfOrder { kind: Kind::Ready, when: "a second time" })?;
        match ready {
            Ok(ready) => {
                // Whoever waited may have given up; then this actor is about to be ended.
                let _ = reply.send(Ok(ready));
                Ok(())
            }
            Err(error) => {
                self.ready = Some(reply);
                Err(error)
            }
        }
    }

    fn log(&self, id: u64, body: &[u8]) -> Result<(), ProtocolError> {
        let line: LogLine = read_json(Kind::Log, body)?;
        self.reports.log(WorkerLog {
            level: line.level.into(),
            logger: line.logger,
            message: line.message,
            request: (id != 0).then_some(RequestId(id)),
        });
        Ok(())
    }

    fn event(&self, id: u64, body: &[u8]) -> Result<(), ProtocolError> {
        let event: Event = read_json(Kind::Event, body)?;
        // One for a request that is over, or that nobody follows, has crossed its answer or interests nobody.
        if let Some((sender, progress)) = self.outstanding.progress(id).zip(event.progress) {
            sender.send(progress);
        }
        Ok(())
    }

    fn recycle(&mut self, body: &[u8]) -> Result<(), ProtocolError> {
        self.when_ready(Kind::Recycle)?;
        let recycle: Recycle = read_json(Kind::Recycle, body)?;
        // Whoever is told would have to read each of them, however many come.
        if std::mem::replace(&mut self.wants_to_go, true) {
            return Ok(());
        }
        self.reports.log(WorkerLog {
            level: tracing::Level::INFO,
            logger: String::new(),
            message: format!("the worker asks to be replaced: {}", recycle.reason),
            request: None,
        });
        self.reports.recycle(recycle.reason);
        Ok(())
    }
}

/// Tells the actor that nobody reads any more, even if the reader panics: a worker that is not read is a lost one.
struct EndNotice {
    actor: ActorRef<ConnectionMessage>,
    failure: Option<AdapterFailure>,
}

impl Drop for EndNotice {
    fn drop(&mut self) {
        let failure = self
            .failure
            .take()
            .unwrap_or_else(|| AdapterFailure::Failed { what: "the reader ended unexpectedly".into() });
        // An actor that is gone has ended its reader, and this is how.
        let _ = self.actor.cast(ConnectionMessage::WireEnded { failure });
    }
}
