//! A host made of frames, so that it can send any: for the rules about single frames.

use std::ffi::OsStr;

use bytes::BytesMut;
use serde_json::{Value, json};
use snakepit_core::testkit::TestProcess;
use snakepit_core::{Payload, ProcessExit, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::time::timeout;

use crate::contract::examination::Examination;
use crate::contract::finding::{Finding, Findings};
use crate::contract::host::last_words;
use crate::port::frame::{
    Decoder, Frame, Incoming, Kind, PROTOCOL, RequestLayout, Side, put_frame, put_layout,
};

const PAYLOAD_LIMIT: usize = 64 << 20;
/// One that no version so far has given a meaning.
pub(super) const A_LATER_FEATURE: &str = "a later one";

/// One life of a worker on the port wire.
pub(super) struct RawHost<'a> {
    examination: &'a Examination,
    process: TestProcess,
    to_worker: Option<pipe::Sender>,
    from_worker: pipe::Receiver,
    decoder: Decoder,
}

impl<'a> RawHost<'a> {
    /// A worker that has not been greeted.
    pub(super) async fn start(examination: &'a Examination) -> Findings<Self> {
        let no_pipes = || Finding::not_offered("its wire is not `port`");
        let context = examination.next_life()?;
        let spec =
            examination.adapter.process_spec(&context).map_err(Finding::broken)?.ok_or_else(no_pipes)?;
        // Other wires may have pipes, too, for what is theirs.
        let wire = spec.env.get(OsStr::new("SNAKEPIT_WIRE"));
        if !wire.is_some_and(|wire| wire == "port" || wire == "stdio") {
            return Err(no_pipes());
        }
        let started = examination.launchpad.start(spec, &context.life).await;
        let (process, pipes) = started.map_err(Finding::broken)?;
        let pipes = pipes.ok_or_else(no_pipes)?;
        Ok(Self {
            examination,
            process,
            to_worker: Some(pipe::Sender::from_owned_fd(pipes.to_worker).map_err(Finding::broken)?),
            from_worker: pipe::Receiver::from_owned_fd(pipes.from_worker).map_err(Finding::broken)?,
            decoder: Decoder::new(Side::Worker, PAYLOAD_LIMIT),
        })
    }

    /// A worker that has said that it is ready.
    pub(super) async fn greeted(examination: &'a Examination) -> Findings<Self> {
        let mut host = Self::start(examination).await?;
        host.write(&hello(&json!([PROTOCOL]))).await?;
        host.expect(Kind::Ready, 0).await?;
        Ok(host)
    }

    /// Writes bytes. A worker that has closed its end is judged by what it does next.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Findings {
        let Some(to_worker) = &mut self.to_worker else { return Ok(()) };
        match timeout(self.examination.patience, to_worker.write_all(bytes)).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Finding::broken("it does not read")),
        }
    }

    /// Closes the pipe, as the death of a host does.
    pub(super) fn die(&mut self) {
        self.to_worker = None;
    }

    /// The next frame that is about more than the worker's log.
    pub(super) async fn next(&mut self) -> Findings<Frame> {
        loop {
            match self.decoder.next_incoming().map_err(Finding::broken)? {
                Some(
                    Incoming::Frame(Frame { kind: Kind::Log | Kind::Event, .. }) | Incoming::Begun { .. },
                ) => {}
                Some(Incoming::Frame(frame)) => return Ok(frame),
                None => {
                    let read = self.from_worker.read_buf(self.decoder.buffer());
                    match timeout(self.examination.patience, read).await {
                        Ok(Ok(0)) => {
                            // Its last words travel beside the wire.
                            self.process.ended(self.examination.patience).await;
                            let words = last_words(Some(&self.process));
                            return Err(Finding::broken(format_args!("it has closed the wire{words}")));
                        }
                        Ok(Ok(_)) => {}
                        Ok(Err(error)) => return Err(Finding::broken(error)),
                        Err(_) => return Err(Finding::broken("it says nothing")),
                    }
                }
            }
        }
    }

    pub(super) async fn expect(&mut self, kind: Kind, id: u64) -> Findings<Frame> {
        let frame = self.next().await?;
        if (frame.kind, frame.id) == (kind, id) {
            return Ok(frame);
        }
        let (got, about) = (frame.kind, frame.id);
        Err(Finding::broken(format_args!("{got} for {about} where {kind} for {id} belongs")))
    }

    /// The worker answers a Ping: whatever came before has done no harm.
    pub(super) async fn pongs(&mut self, number: u64) -> Findings {
        self.write(&frame(Kind::Ping, number, b"")).await?;
        self.expect(Kind::Pong, number).await.map(drop)
    }

    /// Waits for the process to leave with this code.
    pub(super) async fn leaves_with(&mut self, code: i32) -> Findings {
        match self.process.ended(self.examination.patience).await {
            Some(ProcessExit::Code(left)) if left == code => Ok(()),
            Some(exit) => {
                let words = last_words(Some(&self.process));
                Err(Finding::broken(format_args!("its process {exit}, and not with code {code}{words}")))
            }
            None => Err(Finding::broken(format_args!("its process does not leave with code {code}"))),
        }
    }
}

/// The greeting of a host that speaks these versions.
pub(super) fn hello(versions: &Value) -> Vec<u8> {
    greeting(versions, &[A_LATER_FEATURE])
}

/// The greeting of a host that speaks these versions, and offers these features.
pub(super) fn greeting(versions: &Value, features: &[&str]) -> Vec<u8> {
    let hello = json!({
        "protocol": versions, "features": features, "pool": "contract", "slot": 0, "incarnation": 1,
        "payload_limit": PAYLOAD_LIMIT, "a later key": {},
    });
    frame(Kind::Hello, 0, hello.to_string().as_bytes())
}

/// A whole frame as bytes.
pub(super) fn frame(kind: Kind, id: u64, body: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    put_frame(&mut out, kind, id, body);
    out.to_vec()
}

/// An Execute as bytes.
pub(super) fn execute(id: u64, command: &str, payload: Payload) -> Findings<Vec<u8>> {
    let mut out = BytesMut::new();
    let request = Request::new(command, payload);
    let layout = RequestLayout::new(&request, None, None).map_err(Finding::broken)?;
    put_layout(&mut out, Kind::Execute, id, &layout);
    Ok(out.to_vec())
}
