//! Calls as the words of one host: each becomes the frames that it would be on a stream, and its answer a message again.
//!
//! So a command knows nothing of how it was asked, and one crew serves both ways.

use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use snakepit_core::adapter::{IdMap, StreamWindow};
use snakepit_core::{Payload, Request, WorkerError, WorkerErrorKind};
use tokio::sync::{mpsc, watch};

use crate::grpc::frames::FrameSink;
use crate::port::frame::{
    BESIDE_PAYLOAD, BodyLayout, CutBody, Decoder, Frame, Hello, Incoming, Kind, LogLine, PROTOCOL,
    ProtocolError, REQUESTS_LIMIT, RequestLayout, Side, credit_body, put_frame, read_json, read_payload,
};
use crate::worker::error::CommandError;

/// The most bytes that one request or one answer may hold, as where a Hello says nothing else.
pub(super) const PAYLOAD_LIMIT: usize = 64 << 20;
/// The most bytes of a message: beside the payload it holds names, metadata, and lengths.
pub(super) const CALL_LIMIT: usize = PAYLOAD_LIMIT + BESIDE_PAYLOAD;
/// How far a stream may run ahead of what HTTP/2 has taken of it.
const WINDOW: StreamWindow = StreamWindow { chunks: 16, bytes: 1 << 20 };

/// All calls of a worker's life.
#[derive(Debug)]
pub(in crate::worker) struct Calls {
    to_worker: FrameSink,
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    decoder: Decoder,
    under_way: IdMap<u64, UnderWay>,
    last_id: u64,
}

/// A call that the worker has not answered to its end.
#[derive(Debug)]
struct UnderWay {
    /// The caller's own number for it, for Cancel; 0: none.
    number: u64,
    answers: mpsc::UnboundedSender<Answer>,
    /// Dropped when the worker is done with it.
    ends: watch::Sender<()>,
}

/// What a worker says of a call.
#[derive(Debug)]
pub(super) enum Answer {
    Result(Payload),
    /// With the credit that it has cost.
    Chunk(Payload, StreamWindow),
    End,
    Failed(WorkerError),
}

/// What is asked.
pub(super) struct Asked {
    pub(super) number: u64,
    pub(super) request: Request,
    pub(super) time_left: Option<Duration>,
    pub(super) is_stream: bool,
}

/// One call. Dropping it is a cancel, unless the worker is done with it.
#[derive(Debug)]
pub(super) struct Call {
    id: u64,
    calls: Arc<Calls>,
    answers: mpsc::UnboundedReceiver<Answer>,
}

impl Calls {
    /// Greets the worker.
    pub(super) fn new(to_worker: FrameSink) -> Self {
        let hello = Hello {
            protocol: vec![PROTOCOL],
            features: Vec::new(),
            pool: String::new(),
            slot: 0,
            incarnation: 0,
            payload_limit: PAYLOAD_LIMIT as u64,
        };
        let body = serde_json::to_vec(&hello).expect("texts and numbers have a JSON form");
        let decoder = Decoder::new(Side::Worker, PAYLOAD_LIMIT);
        let table = Mutex::new(Table { decoder, under_way: IdMap::default(), last_id: 0 });
        let calls = Self { to_worker, table };
        calls.say(Kind::Hello, 0, &body);
        calls
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says something short, which waits for nobody: each call has a few such words to say, and no more.
    fn say(&self, kind: Kind, id: u64, body: &[u8]) {
        let mut frame = BytesMut::new();
        put_frame(&mut frame, kind, id, body);
        self.to_worker.push([&*frame]);
    }

    /// Asks the worker, once it has taken what was asked before.
    ///
    /// # Errors
    /// Why it cannot be asked.
    pub(super) async fn ask(self: &Arc<Self>, asked: Asked) -> Result<Call, CommandError> {
        let Asked { number, request, time_left, is_stream } = asked;
        let (kind, credit) =
            if is_stream { (Kind::ExecuteStream, Some(WINDOW)) } else { (Kind::Execute, None) };
        let layout = RequestLayout::new(&request, time_left, credit)
            .map_err(|error| CommandError::invalid_argument(error.to_string()))?;
        if request.payload.size() > PAYLOAD_LIMIT || layout.body_len() > CALL_LIMIT {
            return Err(too_large(layout.body_len()));
        }
        let call = self.begin(number)?;
        self.to_worker.writable().await;
        let mut body = CutBody::of_layout(kind, call.id, &layout);
        // In one go: a caller that goes away in between would leave a body that never ends.
        loop {
            let part = body.next_part();
            self.to_worker.push(part.pieces.iter().map(|piece| &**piece));
            if part.last {
                return Ok(call);
            }
        }
    }

    fn begin(self: &Arc<Self>, number: u64) -> Result<Call, CommandError> {
        let mut table = self.table();
        if table.under_way.len() >= usize::from(REQUESTS_LIMIT) {
            let message = format!("{REQUESTS_LIMIT} calls are not answered yet");
            return Err(CommandError::of(WorkerErrorKind::Error, "Busy", message).retryable());
        }
        table.last_id += 1;
        let id = table.last_id;
        let (sender, answers) = mpsc::unbounded_channel();
        table.under_way.insert(id, UnderWay { number, answers: sender, ends: watch::Sender::new(()) });
        drop(table);
        Ok(Call { id, calls: Arc::clone(self), answers })
    }

    /// Cancels every call of that number, and waits until the worker is done with them.
    pub(super) async fn cancel(&self, number: u64) {
        let asked: Vec<_> = {
            let table = self.table();
            let of_number = table.under_way.iter().filter(|(_, call)| number != 0 && call.number == number);
            of_number.map(|(id, call)| (*id, call.ends.subscribe())).collect()
        };
        for (id, _) in &asked {
            self.say(Kind::Cancel, *id, &[]);
        }
        for (_, mut ends) in asked {
            // Nothing is ever sent: its end is that it is dropped.
            let _ = ends.changed().await;
        }
    }

    pub(super) fn end_session(&self, session: &str) {
        self.say(Kind::EndSession, 0, session.as_bytes());
    }

    pub(super) fn drain(&self) {
        self.say(Kind::Drain, 0, &[]);
    }

    /// Hears what the worker says, which is as much as it likes: answers wait for their callers, and credit bounds chunks.
    pub(in crate::worker) fn hear(&self, said: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut table = self.table();
        for slice in said {
            table.decoder.buffer().extend_from_slice(slice);
        }
        table.take_frames().map_err(io::Error::other)?;
        Ok(said.iter().map(|slice| slice.len()).sum())
    }

    /// The worker leaves: whoever still waits hears that.
    pub(in crate::worker) fn end(&self) {
        self.table().under_way.clear();
    }
}

impl Table {
    fn take_frames(&mut self) -> Result<(), ProtocolError> {
        while let Some(incoming) = self.decoder.next_incoming()? {
            if let Incoming::Frame(frame) = incoming {
                self.take(frame)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, Frame { kind, id, body }: Frame) -> Result<(), ProtocolError> {
        match kind {
            Kind::Result => self.finish(id, Answer::Result(read_payload(body)?)),
            Kind::Error => self.finish(id, Answer::Failed(read_json(kind, &body)?)),
            Kind::End => self.finish(id, Answer::End),
            Kind::Chunk => {
                let bytes = u32::try_from(body.len()).unwrap_or(u32::MAX);
                let chunk = Answer::Chunk(read_payload(body)?, StreamWindow { chunks: 1, bytes });
                if let Some(call) = self.under_way.get(&id) {
                    // A caller that is gone has cancelled.
                    let _ = call.answers.send(chunk);
                }
            }
            Kind::Log => {
                let LogLine { message, logger, level } = read_json(kind, &body)?;
                eprintln!("{level:?} {logger}: {message}");
            }
            // A call has no way to say these.
            Kind::Ready | Kind::Started | Kind::Event | Kind::Recycle | Kind::Pong => {}
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
            | Kind::HostResult => return Err(ProtocolError::UnknownKind { code: kind.code() }),
        }
        Ok(())
    }

    /// The last word of a call.
    fn finish(&mut self, id: u64, answer: Answer) {
        if let Some(call) = self.under_way.remove(&id) {
            let _ = call.answers.send(answer);
        }
    }
}

impl Call {
    /// What the worker says next; an error where it leaves without saying it. Whoever takes a chunk gives credit for the next.
    pub(super) fn poll_answer(&mut self, context: &mut std::task::Context<'_>) -> std::task::Poll<Answer> {
        self.answers.poll_recv(context).map(|answer| {
            let answer = answer.unwrap_or_else(|| Answer::Failed(left()));
            if let Answer::Chunk(_, cost) = &answer {
                self.calls.say(Kind::Credit, self.id, &credit_body(*cost));
            }
            answer
        })
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.calls.table().under_way.contains_key(&self.id) {
            self.calls.say(Kind::Cancel, self.id, &[]);
        }
    }
}

fn left() -> WorkerError {
    *CommandError::of(WorkerErrorKind::Error, "Left", "the worker has left").retryable().0
}

fn too_large(size: usize) -> CommandError {
    let message = format!("the request is {size} bytes, limit {PAYLOAD_LIMIT}");
    CommandError::of(WorkerErrorKind::PayloadTooLarge, "PayloadTooLarge", message)
}
