//! The adapter actor of one worker: what is asked goes into the outbox, and from there into the pipe.

use std::any::Any;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use snakepit_core::adapter::{
    AdapterFailure, AdapterMessage, AdapterReports, ChunkSender, Outcome, StreamWindow,
};
use snakepit_core::{Deadline, Request, RequestId, WorkerError, WorkerErrorKind};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, yield_now};
use tokio::time::Instant;

use crate::port::connection::message::ConnectionMessage;
use crate::port::connection::outbox::{CancelVerdict, Outbox, Written};
use crate::port::connection::outstanding::{Asked, Outstanding};
use crate::port::connection::reader::{Reader, ReadyReply};
use crate::port::connection::wire::{FromWorker, ToWorker};
use crate::port::frame::{
    BESIDE_PAYLOAD, BodyLayout, Decoder, Hello, Kind, RequestLayout, Side, credit_body,
};

/// Up to so many requests under way each is written at once; beyond it, one write takes what comes together.
const FEW: usize = 2;

/// Holds the pipe and the tasks, so that both end with the actor and not when somebody has read its last state.
pub(super) struct PortConnection {
    to_worker: Arc<ToWorker>,
    tasks: Mutex<JoinSet<()>>,
    /// What is to be kept for as long as the connection lasts.
    _keeps: Option<Box<dyn Any + Send + Sync>>,
}

pub(super) struct ConnectionArguments {
    /// The greeting, unless it is on its way already.
    pub(super) hello: Option<Hello>,
    pub(super) from_worker: FromWorker,
    pub(super) reports: AdapterReports,
    pub(super) payload_limit: usize,
    pub(super) ready: ReadyReply,
}

pub(super) struct ConnectionState {
    outbox: Outbox,
    outstanding: Arc<Outstanding>,
    reports: AdapterReports,
    body_limit: usize,
    writing: Writing,
    /// Tells the reader that the worker has closed the pipe that we write.
    write_failed: Option<oneshot::Sender<()>>,
}

/// What will write next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    /// The next message that has something to write.
    Idle,
    /// A Flush that is in the mailbox.
    FlushDue,
    /// The task that waits until the pipe takes more.
    PipeFull,
    /// Nothing: the pipe is closed. The reader is about to end this actor.
    Over,
}

impl PortConnection {
    pub(super) fn new(to_worker: ToWorker, keeps: Option<Box<dyn Any + Send + Sync>>) -> Self {
        Self { to_worker: Arc::new(to_worker), tasks: Mutex::new(JoinSet::new()), _keeps: keeps }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Writes one turn, and sees to it that the next one comes.
    fn write(&self, myself: &ActorRef<ConnectionMessage>, state: &mut ConnectionState) {
        if state.writing == Writing::Over {
            return;
        }
        state.writing = match state.outbox.write_turn(|slices| self.to_worker.try_write_vectored(slices)) {
            Ok(Written::All) => Writing::Idle,
            Ok(Written::Part) => flush_soon(myself),
            Ok(Written::Blocked) => {
                let (to_worker, myself) = (Arc::clone(&self.to_worker), myself.clone());
                self.spawn(async move {
                    to_worker.writable().await;
                    let _ = myself.cast(ConnectionMessage::WireWritable);
                });
                Writing::PipeFull
            }
            Err(_closed) => {
                state.outbox = Outbox::default();
                // The worker's last words may still lie in the other pipe: the reader ends this actor behind them.
                let _ = state.write_failed.take().map(|reader| reader.send(()));
                Writing::Over
            }
        }
    }
}

/// When what was just asked leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WhenToWrite {
    /// At once: nobody else is likely to ask in the same moment.
    Now,
    /// With what others are about to ask.
    Gathered,
    /// A write is under way, or due.
    InItsTurn,
}

/// Asks for a write behind what is about to be asked.
fn gather(myself: &ActorRef<ConnectionMessage>) -> Writing {
    // An actor that cannot be cast to is past writing.
    let _ = myself.cast(ConnectionMessage::Gather);
    Writing::FlushDue
}

/// Asks for a write behind everything that is in the mailbox already.
fn flush_soon(myself: &ActorRef<ConnectionMessage>) -> Writing {
    // An actor that cannot be cast to is past writing.
    let _ = myself.cast(ConnectionMessage::Flush);
    Writing::FlushDue
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for PortConnection {
    type Msg = ConnectionMessage;
    type State = ConnectionState;
    type Arguments = ConnectionArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<ConnectionMessage>,
        arguments: ConnectionArguments,
    ) -> Result<ConnectionState, ActorProcessingErr> {
        let ConnectionArguments { hello, from_worker, reports, payload_limit, ready } = arguments;
        let outstanding = Arc::new(Outstanding::default());
        let (write_failed, reader_hears) = oneshot::channel();
        let reader = Reader {
            from_worker,
            decoder: Decoder::new(Side::Worker, payload_limit),
            outstanding: Arc::clone(&outstanding),
            reports: reports.clone(),
            ready: Some(ready),
        };
        self.spawn(reader.run(myself.clone(), reader_hears));
        let mut outbox = Outbox::default();
        if let Some(hello) = hello {
            outbox.push(Kind::Hello, 0, &serde_json::to_vec(&hello)?);
        }
        Ok(ConnectionState {
            outbox,
            outstanding,
            reports,
            body_limit: payload_limit.saturating_add(BESIDE_PAYLOAD),
            writing: flush_soon(&myself),
            write_failed: Some(write_failed),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<ConnectionMessage>,
        message: ConnectionMessage,
        state: &mut ConnectionState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ConnectionMessage::Asked(asked) => {
                state.take(asked)?;
                match state.when_to_write() {
                    WhenToWrite::Now => self.write(&myself, state),
                    WhenToWrite::Gathered => state.writing = gather(&myself),
                    WhenToWrite::InItsTurn => {}
                }
            }
            ConnectionMessage::Gather => {
                // Answers wake their callers together, and each caller asks again: one turn of the runtime later all
                // of them stand in the mailbox.
                yield_now().await;
                state.writing = flush_soon(&myself);
            }
            ConnectionMessage::Flush | ConnectionMessage::WireWritable => self.write(&myself, state),
            ConnectionMessage::WireEnded { failure } => return Err(Box::new(failure)),
        }
        Ok(())
    }
}

impl ConnectionState {
    /// Judges when to write, by how many requests are under way.
    fn when_to_write(&self) -> WhenToWrite {
        match self.writing {
            Writing::Idle if self.outstanding.len() <= FEW => WhenToWrite::Now,
            Writing::Idle => WhenToWrite::Gathered,
            Writing::FlushDue | Writing::PipeFull | Writing::Over => WhenToWrite::InItsTurn,
        }
    }

    /// Turns what is asked into frames.
    fn take(&mut self, asked: AdapterMessage) -> Result<(), AdapterFailure> {
        match asked {
            AdapterMessage::Execute { id, request, deadline } => {
                return self.ask(id, &request, deadline, None);
            }
            AdapterMessage::ExecuteStream { id, request, deadline, chunks } => {
                return self.ask(id, &request, deadline, Some(chunks));
            }
            AdapterMessage::Cancel { id } => self.cancel(id),
            AdapterMessage::Credit { id, chunks, bytes } => self.grant(id, chunks, bytes),
            AdapterMessage::EndSession { session } => self.outbox.end_session(&session),
            AdapterMessage::Ping => self.outbox.push(Kind::Ping, 0, &[]),
            AdapterMessage::Drain => self.outbox.drain(),
        }
        Ok(())
    }

    fn ask(
        &mut self,
        id: RequestId,
        request: &Request,
        deadline: Deadline,
        chunks: Option<ChunkSender>,
    ) -> Result<(), AdapterFailure> {
        let credit = chunks.as_ref().map(ChunkSender::window);
        let layout = match self.lay_out(id, request, deadline, credit) {
            Ok(layout) => layout,
            Err(why) => {
                self.refuse(id, chunks, why);
                return Ok(());
            }
        };
        let (kind, asked) = match chunks {
            None => (Kind::Execute, Asked::Execute),
            Some(chunks) => (Kind::ExecuteStream, Asked::stream(chunks)),
        };
        if !self.outstanding.ask(id.0, asked) {
            return Err(AdapterFailure::Failed { what: format!("request {id} was asked twice") });
        }
        if let Some(progress) = &request.progress {
            self.outstanding.follow(id.0, progress.clone());
        }
        self.outbox.push_request(kind, id.0, &layout, request.session.clone());
        Ok(())
    }

    /// Checks that the wire can say the request, or says why not.
    fn lay_out<'a>(
        &self,
        id: RequestId,
        request: &'a Request,
        deadline: Deadline,
        credit: Option<StreamWindow>,
    ) -> Result<RequestLayout<'a>, String> {
        let time_left = deadline.remaining(Instant::now());
        let layout =
            RequestLayout::new(request, Some(time_left), credit).map_err(|too_long| too_long.to_string())?;
        if layout.body_len() > self.body_limit {
            return Err(format!(
                "the request is {} bytes, the wire allows {}",
                layout.body_len(),
                self.body_limit
            ));
        }
        if id.0 == 0 {
            return Err("request id 0 stands for the connection".into());
        }
        Ok(layout)
    }

    /// Answers a request that cannot be written to the wire.
    fn refuse(&self, id: RequestId, chunks: Option<ChunkSender>, message: String) {
        drop(chunks);
        self.reports.finished(id, Outcome::Failed(host_error(WorkerErrorKind::InvalidArgument, message)));
    }

    fn cancel(&mut self, id: RequestId) {
        // What is answered already needs no cancel: the answer and the cancel have crossed.
        if !self.outstanding.contains(id.0) {
            return;
        }
        match self.outbox.cancel(id.0) {
            CancelVerdict::Told => {}
            CancelVerdict::Withdrawn => {
                self.outstanding.withdraw(id.0);
                let error = host_error(WorkerErrorKind::Cancelled, "cancelled before it was sent".into());
                self.reports.finished(id, Outcome::Failed(error));
            }
        }
    }

    fn grant(&mut self, id: RequestId, chunks: u32, bytes: u32) {
        if let Some(credit) = self.outstanding.grant(id.0, chunks, bytes) {
            self.outbox.push(Kind::Credit, id.0, &credit_body(credit));
        }
    }
}

/// An answer that the host gives in the worker's place.
fn host_error(kind: WorkerErrorKind, message: String) -> WorkerError {
    WorkerError {
        kind,
        type_name: "PortAdapter".into(),
        message,
        traceback: None,
        retryable: false,
        details: None,
        cause: None,
    }
}
