//! The way to the worker: what is asked goes into the outbox, and from there into the pipe. Whoever has a message puts it
//! there and may write it; what is large, and what a full pipe did not take, is the actor's to write.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use ractor::ActorRef;
use snakepit_core::adapter::{
    AdapterEnded, AdapterMessage, AdapterReports, ChunkSender, Outcome, Outlet, StreamWindow,
};
use snakepit_core::{Deadline, Request, RequestId, WorkerError, WorkerErrorKind};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::port::connection::message::ConnectionMessage;
use crate::port::connection::outbox::{CancelVerdict, Outbox, Written};
use crate::port::connection::outstanding::{Asked, Outstanding};
use crate::port::connection::wire::ToWorker;
use crate::port::frame::{BESIDE_PAYLOAD, BodyLayout, Hello, Kind, RequestLayout, credit_body};

/// The way to one worker, for as long as its adapter actor lives.
pub(super) struct PortOutlet {
    /// Set when the actor begins; nobody else knows of the outlet before.
    actor: OnceLock<ActorRef<ConnectionMessage>>,
    outstanding: Arc<Outstanding>,
    reports: AdapterReports,
    body_limit: usize,
    /// Locked for as long as it takes to lay out a request, or to write what a pipe takes at once.
    way: Mutex<Way>,
}

struct Way {
    outbox: Outbox,
    /// `None` once the actor has ended, so that the pipe ends with it and not with the last who knows of it.
    to_worker: Option<Arc<ToWorker>>,
    writing: Writing,
    /// Whether there has been a large body.
    is_wide: bool,
    /// Tells the reader that the worker has closed the pipe that we write.
    write_failed: Option<oneshot::Sender<()>>,
}

/// Who will write next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    /// Whoever flushes.
    Idle,
    /// The actor: a Flush is in its mailbox.
    FlushDue,
    /// The actor, when the pipe takes more.
    PipeFull,
    /// Nobody: the pipe is closed. The reader is about to end the actor.
    Over,
}

/// A request that the wire cannot say, answered in the worker's place.
struct Refused {
    id: RequestId,
    kind: WorkerErrorKind,
    why: String,
}

impl PortOutlet {
    pub(super) fn new(
        to_worker: ToWorker,
        outstanding: Arc<Outstanding>,
        reports: AdapterReports,
        payload_limit: usize,
    ) -> Self {
        Self {
            actor: OnceLock::new(),
            outstanding,
            reports,
            body_limit: payload_limit.saturating_add(BESIDE_PAYLOAD),
            way: Mutex::new(Way {
                outbox: Outbox::default(),
                to_worker: Some(Arc::new(to_worker)),
                writing: Writing::Idle,
                is_wide: false,
                write_failed: None,
            }),
        }
    }

    /// The actor begins, with the greeting unless it is on its way already. What comes back is told when the worker has
    /// closed the pipe that we write.
    pub(super) fn open(
        &self,
        actor: ActorRef<ConnectionMessage>,
        hello: Option<Hello>,
    ) -> Result<oneshot::Receiver<()>, serde_json::Error> {
        // The actor begins once.
        let _ = self.actor.set(actor);
        let (write_failed, reader_hears) = oneshot::channel();
        let mut way = self.way();
        way.write_failed = Some(write_failed);
        if let Some(hello) = hello {
            way.outbox.push(Kind::Hello, 0, &serde_json::to_vec(&hello)?);
        }
        drop(way);
        self.flush_soon();
        Ok(reader_hears)
    }

    /// The actor ends: the pipe is closed, and nothing more is taken.
    pub(super) fn end(&self) {
        drop(self.close());
    }

    /// The actor ends because nothing more comes from the worker: it is said first of which requests that read nothing.
    pub(super) fn end_with_wire(&self) {
        let (outbox, Some(to_worker)) = self.close() else { return };
        let unread = if to_worker.has_no_reader() { to_worker.unread() } else { 0 };
        for id in self.outstanding.unread(outbox.written().minus(unread)) {
            self.reports.unread(RequestId(id));
        }
    }

    /// Takes all that this holds, so that nothing more can be asked or written.
    fn close(&self) -> (Outbox, Option<Arc<ToWorker>>) {
        let mut way = self.way();
        (std::mem::take(&mut way.outbox), way.to_worker.take())
    }

    /// Waits until nobody is left who could read what lies in the pipe, where it matters for a request.
    pub(super) async fn unread_for_good(&self) {
        let (to_worker, written) = {
            let way = self.way();
            let Some(to_worker) = way.to_worker.clone() else { return };
            (to_worker, way.outbox.written())
        };
        let unread = to_worker.unread();
        let hangs_on_it =
            || self.outstanding.unread(written.minus(unread)) != self.outstanding.unread(written);
        if unread > 0 && !to_worker.has_no_reader() && hangs_on_it() {
            to_worker.reader_gone().await;
        }
    }

    /// The actor's turn to write.
    pub(super) fn write(&self) {
        self.write_turn(&mut self.way());
    }

    /// Waits until the pipe takes more.
    pub(super) fn writable(&self) -> Option<impl Future<Output = ()> + Send + 'static> {
        let to_worker = self.way().to_worker.clone()?;
        Some(async move { to_worker.writable().await })
    }

    /// Gives a stream credit for what its chunks held beside their payload, of which its reader does not know.
    pub(super) fn give_back(&self, id: RequestId) {
        // Once the wire has ended nobody waits for credit.
        let _ = self.take(AdapterMessage::Credit { id, chunks: 0, bytes: 0 });
        self.flush_soon();
    }

    fn way(&self) -> MutexGuard<'_, Way> {
        // A panic under this lock ends the worker, and what it left is written as far as it goes.
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes one turn, and sees to it that the next one comes.
    fn write_turn(&self, way: &mut Way) {
        let (Some(to_worker), false) = (&way.to_worker, way.writing == Writing::Over) else { return };
        let written = way.outbox.write_turn(|slices| to_worker.try_write_vectored(slices));
        if let Some((id, at)) = way.outbox.take_begun() {
            self.outstanding.begins(id, at);
        }
        way.writing = match written {
            Ok(Written::All) => Writing::Idle,
            Ok(Written::Part) => {
                if !std::mem::replace(&mut way.is_wide, true) {
                    to_worker.widen();
                }
                self.ask(ConnectionMessage::Flush, Writing::FlushDue)
            }
            Ok(Written::Blocked) => self.ask(ConnectionMessage::PipeFull, Writing::PipeFull),
            Err(_closed) => {
                way.outbox.discard();
                // The worker's last words may still lie in the other pipe: the reader ends the actor behind them.
                let _ = way.write_failed.take().map(|reader| reader.send(()));
                Writing::Over
            }
        };
    }

    /// Leaves the writing to the actor.
    fn ask(&self, message: ConnectionMessage, writing: Writing) -> Writing {
        if let Some(actor) = self.actor.get() {
            // An actor that cannot be cast to is past writing.
            let _ = actor.cast(message);
        }
        writing
    }

    /// Turns what is asked into frames.
    fn put(&self, way: &mut Way, asked: AdapterMessage) -> Result<(), Refused> {
        match asked {
            AdapterMessage::Execute { id, request, deadline } => {
                return self.put_request(way, id, &request, deadline, None);
            }
            AdapterMessage::ExecuteStream { id, request, deadline, chunks } => {
                return self.put_request(way, id, &request, deadline, Some(chunks));
            }
            AdapterMessage::Cancel { id } => return self.cancel(way, id),
            AdapterMessage::Credit { id, chunks, bytes } => {
                if let Some(credit) = self.outstanding.grant(id.0, chunks, bytes) {
                    way.outbox.push(Kind::Credit, id.0, &credit_body(credit));
                }
            }
            AdapterMessage::EndSession { session } => way.outbox.end_session(&session),
            AdapterMessage::Ping => way.outbox.ping(),
            AdapterMessage::Drain => way.outbox.drain(),
        }
        Ok(())
    }

    fn put_request(
        &self,
        way: &mut Way,
        id: RequestId,
        request: &Request,
        deadline: Deadline,
        chunks: Option<ChunkSender>,
    ) -> Result<(), Refused> {
        let credit = chunks.as_ref().map(ChunkSender::window);
        let layout = self.lay_out(id, request, deadline, credit).map_err(|why| Refused {
            id,
            kind: WorkerErrorKind::InvalidArgument,
            why,
        })?;
        let (kind, asked) = match chunks {
            None => (Kind::Execute, Asked::Execute),
            Some(chunks) => (Kind::ExecuteStream, Asked::stream(chunks)),
        };
        if !self.outstanding.ask(id.0, asked, way.outbox.begins_at(&layout)) {
            self.ask(ConnectionMessage::AskedTwice { id }, way.writing);
            return Ok(());
        }
        if let Some(progress) = &request.progress {
            self.outstanding.follow(id.0, progress.clone());
        }
        way.outbox.push_request(kind, id.0, &layout, request.session.clone());
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

    fn cancel(&self, way: &mut Way, id: RequestId) -> Result<(), Refused> {
        // What is answered already needs no cancel: the answer and the cancel have crossed.
        if !self.outstanding.contains(id.0) {
            return Ok(());
        }
        match way.outbox.cancel(id.0) {
            CancelVerdict::Told => Ok(()),
            CancelVerdict::Withdrawn => {
                self.outstanding.withdraw(id.0);
                let why = "cancelled before it was sent".into();
                Err(Refused { id, kind: WorkerErrorKind::Cancelled, why })
            }
        }
    }
}

impl Outlet for PortOutlet {
    fn take(&self, message: AdapterMessage) -> Result<(), AdapterEnded> {
        let mut way = self.way();
        if way.to_worker.is_none() {
            return Err(AdapterEnded { message: Some(Box::new(message)) });
        }
        let put = self.put(&mut way, message);
        drop(way);
        if let Err(Refused { id, kind, why }) = put {
            self.reports.finished(id, Outcome::Failed(host_error(kind, why)));
        }
        Ok(())
    }

    fn flush(&self) {
        let mut way = self.way();
        if way.writing == Writing::Idle {
            self.write_turn(&mut way);
        }
    }

    fn flush_soon(&self) {
        let mut way = self.way();
        if way.writing == Writing::Idle {
            way.writing = self.ask(ConnectionMessage::Flush, Writing::FlushDue);
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
