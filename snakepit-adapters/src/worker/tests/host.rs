//! The host's end, with blocking reads and writes; a watchdog turns a hang into a failure.

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use bytes::BytesMut;
use serde_json::{Value, json};
use snakepit_core::adapter::StreamWindow;
use snakepit_core::{Payload, Request, SessionId};

use crate::port::frame::{
    CutBody, Decoder, Frame, Incoming, Kind, Ready, RequestLayout, Side, credit_body, put_frame, put_layout,
    read_json, read_payload,
};
use crate::worker::Worker;
use crate::worker::builder::Greeted;
use crate::worker::crew::{Crew, End};
use crate::worker::process::StartFailure;
use crate::worker::wire::{FromHost, ToHost};

const HANG_LIMIT: Duration = Duration::from_mins(1);
const PAYLOAD_LIMIT: usize = 16 << 20;

pub(super) struct Host {
    to_worker: Option<PipeWriter>,
    from_worker: PipeReader,
    decoder: Decoder,
    started: Option<std::thread::JoinHandle<Result<Arc<Crew>, StartFailure>>>,
    crew: Option<Arc<Crew>>,
}

impl Host {
    fn over_pipes() -> (Self, FromHost, ToHost) {
        let (from_host, to_worker) = std::io::pipe().unwrap();
        let (from_worker, to_host) = std::io::pipe().unwrap();
        let host = Self {
            to_worker: Some(to_worker),
            from_worker,
            decoder: Decoder::new(Side::Worker, PAYLOAD_LIMIT),
            started: None,
            crew: None,
        };
        let (from_host, to_host) = (OwnedFd::from(from_host), OwnedFd::from(to_host));
        (host, FromHost::Pipe(from_host.into()), ToHost::Pipe(to_host.into()))
    }

    /// Starts a worker that has not been greeted.
    pub(super) fn silent(worker: Worker) -> Self {
        let (mut host, from_host, to_host) = Self::over_pipes();
        host.started = Some(std::thread::spawn(move || worker.start(from_host, to_host)));
        host
    }

    /// Greets a worker that does not begin.
    pub(super) fn greeting(worker: Worker) -> (Self, Greeted) {
        let (mut host, from_host, to_host) = Self::over_pipes();
        host.greet(&[]);
        let greeted = worker.await_greeting(from_host, to_host).unwrap();
        host.crew = Some(Arc::clone(greeted.crew()));
        (host, greeted)
    }

    fn greet(&mut self, features: &[&str]) {
        let hello = json!({"protocol": [1], "features": features, "payload_limit": PAYLOAD_LIMIT});
        self.send_json(Kind::Hello, 0, &hello);
    }

    /// Starts a worker, and greets it.
    pub(super) fn of(worker: Worker) -> Self {
        Self::offering(worker, &[])
    }

    /// Starts a worker, and offers it features.
    pub(super) fn offering(worker: Worker, features: &[&str]) -> Self {
        let mut host = Self::silent(worker);
        host.greet(features);
        host.crew = Some(host.start_result().unwrap());
        host
    }

    pub(super) fn ready_of(worker: Worker) -> (Self, Ready) {
        let mut host = Self::of(worker);
        let ready = host.expect(Kind::Ready, 0);
        (host, read_json(Kind::Ready, &ready.body).unwrap())
    }

    /// A worker that is ready for requests.
    pub(super) fn ready(worker: Worker) -> Self {
        Self::ready_of(worker).0
    }

    pub(super) fn start_result(&mut self) -> Result<Arc<Crew>, StartFailure> {
        self.started.take().unwrap().join().unwrap()
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.to_worker.as_mut().unwrap().write_all(bytes).unwrap();
    }

    pub(super) fn send(&mut self, kind: Kind, id: u64, body: &[u8]) {
        let mut out = BytesMut::new();
        put_frame(&mut out, kind, id, body);
        self.write(&out);
    }

    pub(super) fn send_json(&mut self, kind: Kind, id: u64, json: &Value) {
        self.send(kind, id, json.to_string().as_bytes());
    }

    pub(super) fn execute(&mut self, id: u64, command: &str, args: &Value) {
        self.write(&execute_frame(id, &Request::new(command, Payload::json(args).unwrap())));
    }

    pub(super) fn execute_in(&mut self, session: &str, id: u64, command: &str) {
        let request = Request::new(command, Payload::json(&()).unwrap());
        self.write(&execute_frame(id, &request.session(SessionId::new(session).unwrap())));
    }

    pub(super) fn stream(&mut self, id: u64, command: &str, args: &Value, credit: StreamWindow) {
        let request = Request::new(command, Payload::json(args).unwrap());
        let mut out = BytesMut::new();
        put_layout(
            &mut out,
            Kind::ExecuteStream,
            id,
            &RequestLayout::new(&request, None, Some(credit)).unwrap(),
        );
        self.write(&out);
    }

    pub(super) fn credit(&mut self, id: u64, chunks: u32, bytes: u32) {
        self.send(Kind::Credit, id, &credit_body(StreamWindow { chunks, bytes }));
    }

    /// How many bytes the worker has said that are not read yet.
    pub(super) fn unread(&self) -> u64 {
        rustix::io::ioctl_fionread(&self.from_worker).unwrap()
    }

    /// How many bytes the worker has not read.
    pub(super) fn unread_by_worker(&self) -> u64 {
        rustix::io::ioctl_fionread(self.to_worker.as_ref().unwrap()).unwrap()
    }

    /// The frames that the worker has said by now.
    pub(super) fn said_by_now(&mut self) -> Vec<Frame> {
        let mut said = Vec::new();
        while self.unread() > 0 {
            said.extend(self.next());
        }
        while let Some(incoming) = self.decoder.next_incoming().unwrap() {
            if let Incoming::Frame(frame) = incoming {
                said.push(frame);
            }
        }
        said
    }

    /// The next frame; `None` when the worker has closed its end.
    pub(super) fn next(&mut self) -> Option<Frame> {
        loop {
            match self.next_incoming()? {
                Incoming::Frame(frame) => return Some(frame),
                Incoming::Begun { .. } => {}
            }
        }
    }

    fn next_incoming(&mut self) -> Option<Incoming> {
        loop {
            if let Some(incoming) = self.decoder.next_incoming().unwrap() {
                return Some(incoming);
            }
            let mut bytes = [0; 16 << 10];
            let read = self.from_worker.read(&mut bytes).unwrap();
            if read == 0 {
                return None;
            }
            self.decoder.buffer().extend_from_slice(&bytes[..read]);
        }
    }

    /// The beginning of a large body is next.
    pub(super) fn expect_begun(&mut self, kind: Kind, id: u64) {
        let incoming = self.next_incoming().expect("the worker has closed its end");
        assert_eq!(incoming, Incoming::Begun { kind, id });
    }

    pub(super) fn expect(&mut self, kind: Kind, id: u64) -> Frame {
        let frame = self.next().expect("the worker has closed its end");
        assert_eq!((frame.kind, frame.id), (kind, id), "{:?}", frame.body);
        frame
    }

    pub(super) fn expect_result(&mut self, id: u64, expected: &Value) {
        let frame = self.expect(Kind::Result, id);
        assert_eq!(read_payload(frame.body).unwrap().decode::<Value>().unwrap(), *expected);
    }

    pub(super) fn expect_chunk(&mut self, id: u64, expected: &Value) {
        let frame = self.expect(Kind::Chunk, id);
        assert_eq!(read_payload(frame.body).unwrap().decode::<Value>().unwrap(), *expected);
    }

    /// The Error, whose kind must be this one.
    pub(super) fn expect_error(&mut self, id: u64, kind: &str) -> Value {
        let frame = self.expect(Kind::Error, id);
        let error: Value = serde_json::from_slice(&frame.body).unwrap();
        assert_eq!(error["kind"], kind, "{error}");
        error
    }

    pub(super) fn crew(&self) -> Arc<Crew> {
        Arc::clone(self.crew.as_ref().unwrap())
    }

    /// What SIGTERM does.
    pub(super) fn terminate(&self) {
        self.crew.as_ref().unwrap().terminate();
    }

    /// Closes the pipe, as the death of a host does.
    pub(super) fn die(&mut self) {
        self.to_worker = None;
    }

    pub(super) fn end(&self) -> End {
        self.crew.as_ref().unwrap().await_end()
    }
}

pub(super) fn execute_frame(id: u64, request: &Request) -> BytesMut {
    let mut out = BytesMut::new();
    put_layout(&mut out, Kind::Execute, id, &RequestLayout::new(request, None, None).unwrap());
    out
}

/// The frames of a request that is cut.
pub(super) fn cut_frames(id: u64, request: &Request) -> Vec<Vec<u8>> {
    let mut body = CutBody::of_layout(Kind::Execute, id, &RequestLayout::new(request, None, None).unwrap());
    let mut frames = Vec::new();
    loop {
        let part = body.next_part();
        frames.push(part.pieces.iter().flatten().copied().collect());
        if part.last {
            return frames;
        }
    }
}

/// Runs a test with a limit: a worker that hangs fails it.
pub(super) fn within_limit(test: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    match is_done.recv_timeout(HANG_LIMIT) {
        Err(RecvTimeoutError::Timeout) => panic!("the test hung"),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}
