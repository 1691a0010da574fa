//! A worker made of frames, so that it can send any: echoes every request, except for its one breach.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use bytes::BytesMut;
use nix::sys::signal::{SigSet, Signal, raise};
use serde_json::{Value, json};
use snakepit_adapters::port::frame::{
    Decoder, Frame, Header, Hello, Incoming, Kind, PayloadLayout, ReceivedRequest, Side, put_frame,
    put_layout, read_json, read_request, take_credit,
};
use snakepit_adapters::{OCTET_STREAM, Payload};

use crate::stub_worker::flags::Breach;

/// How long a worker stays that ignores the end of its host: long enough for any test, not for ever.
pub(crate) const STAYS: Duration = Duration::from_mins(5);
/// Larger than any window that a test opens, small enough to end if nobody stops it.
const CHUNKS: u32 = 100_000;

/// How long the answer is of which a byte comes now and then: there is always more to come.
const DRIPPED: usize = 1 << 19;
/// Far more often than anybody asks for a sign of life, and seldom enough to use no processor time to speak of.
const DRIPS_EVERY: Duration = Duration::from_millis(50);

const READY: &[u8] = br#"{"protocol": 1, "capacity": 1, "agent": "stub-worker"}"#;

/// Both ends of the wire as the worker has them.
pub(crate) struct Wire {
    from_host: File,
    to_host: File,
    decoder: Decoder,
}

/// Serves until the breach, and beyond. `on_demand`: it is in the answer to `misbehave`, and not in the first one.
pub(crate) fn serve(breach: Breach, on_demand: bool) -> ExitCode {
    if breach == Breach::IgnoreTerm {
        let mut term = SigSet::empty();
        term.add(Signal::SIGTERM);
        if term.thread_block().is_err() {
            return ExitCode::FAILURE;
        }
    }
    // A host that is gone ends the wire with an error or with nothing, and the worker well.
    let ended = Wire::open().and_then(|mut wire| wire.serve(breach, on_demand));
    if breach == Breach::IgnoreEof {
        crate::stub_worker::sleep(STAYS);
    }
    match ended {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("stub-worker: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

impl Wire {
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self {
            from_host: File::open("/dev/fd/3")?,
            to_host: OpenOptions::new().write(true).open("/dev/fd/4")?,
            decoder: Decoder::new(Side::Host, 1 << 30),
        })
    }

    fn serve(&mut self, breach: Breach, on_demand: bool) -> io::Result<()> {
        let mut first = true;
        while let Some(frame) = self.next()? {
            match frame.kind {
                Kind::Hello if breach == Breach::NeverReady => {}
                Kind::Hello if matches!(breach, Breach::LatestVersion | Breach::FeatureUnasked) => {
                    self.frame(Kind::Ready, 0, ready(breach, &frame.body)?.as_bytes())?;
                }
                Kind::Hello if breach == Breach::HalfReady => self.half(Kind::Ready, 0, READY)?,
                Kind::Hello => self.ready()?,
                Kind::Execute | Kind::ExecuteStream => {
                    let (id, stream) = (frame.id, frame.kind == Kind::ExecuteStream);
                    let request = request(frame)?;
                    let is_due = if on_demand { &*request.command == "misbehave" } else { first };
                    self.answer(id, stream, &echoed(request.payload), breach, is_due)?;
                    first = false;
                }
                Kind::Ping => self.frame(Kind::Pong, frame.id, b"")?,
                Kind::Drain if breach != Breach::IgnoreTerm => return Ok(()),
                _ => {}
            }
        }
        Ok(())
    }

    pub(crate) fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            match self.decoder.next_incoming().map_err(io::Error::other)? {
                Some(Incoming::Frame(frame)) => return Ok(Some(frame)),
                Some(Incoming::Begun { .. }) => {}
                None => {
                    let mut bytes = [0; 8192];
                    let read = self.from_host.read(&mut bytes)?;
                    if read == 0 {
                        return Ok(None);
                    }
                    self.decoder.buffer().extend_from_slice(&bytes[..read]);
                }
            }
        }
    }

    pub(crate) fn ready(&mut self) -> io::Result<()> {
        self.frame(Kind::Ready, 0, READY)
    }

    fn answer(
        &mut self,
        id: u64,
        stream: bool,
        payload: &Payload,
        breach: Breach,
        is_due: bool,
    ) -> io::Result<()> {
        match breach {
            Breach::DieWriting | Breach::LeaveWriting if is_due => {
                let whole = payload_frame(Kind::Result, id, payload)?;
                self.to_host.write_all(&whole[..whole.len() / 2])?;
                if breach == Breach::LeaveWriting {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                raise(Signal::SIGKILL).map_err(io::Error::from)
            }
            Breach::HalfFrame if is_due => {
                let whole = payload_frame(Kind::Result, id, payload)?;
                self.half_of(&whole)
            }
            Breach::HalfPong if is_due => {
                self.echo(id, stream, payload)?;
                self.half(Kind::Pong, 1, b"")
            }
            Breach::Drip if is_due => {
                let header =
                    Header { code: Kind::Result.code(), optional: false, more: false, id, body_len: DRIPPED };
                self.to_host.write_all(&header.to_bytes())?;
                loop {
                    crate::stub_worker::sleep(DRIPS_EVERY);
                    self.to_host.write_all(b"x")?;
                }
            }
            Breach::ChunksBeyondCredit if stream && is_due => {
                (0..CHUNKS).try_for_each(|_| self.payload(Kind::Chunk, id, payload))
            }
            Breach::AnswerTwice if is_due => {
                self.echo(id, stream, payload)?;
                self.echo(id, stream, payload)
            }
            _ if is_due => {
                self.to_host.write_all(&wrong_bytes(breach, id, payload)?)?;
                self.echo(id, stream, payload)
            }
            _ => self.echo(id, stream, payload),
        }
    }

    /// Half of a frame, and then nothing as long as there is a host: not even a Pong may follow, which would be taken for the other
    /// half.
    fn half(&mut self, kind: Kind, id: u64, body: &[u8]) -> io::Result<()> {
        let mut whole = BytesMut::new();
        put_frame(&mut whole, kind, id, body);
        self.half_of(&whole)
    }

    fn half_of(&mut self, frame: &[u8]) -> io::Result<()> {
        self.to_host.write_all(&frame[..frame.len() / 2])?;
        while self.next()?.is_some() {}
        Ok(())
    }

    /// One Result, or an empty stream.
    pub(crate) fn echo(&mut self, id: u64, stream: bool, payload: &Payload) -> io::Result<()> {
        if stream { self.frame(Kind::End, id, b"") } else { self.payload(Kind::Result, id, payload) }
    }

    fn payload(&mut self, kind: Kind, id: u64, payload: &Payload) -> io::Result<()> {
        self.to_host.write_all(&payload_frame(kind, id, payload)?)
    }

    pub(crate) fn frame(&mut self, kind: Kind, id: u64, body: &[u8]) -> io::Result<()> {
        let mut out = BytesMut::new();
        put_frame(&mut out, kind, id, body);
        self.to_host.write_all(&out)
    }
}

/// A Ready that takes up what was not offered.
fn ready(breach: Breach, hello: &[u8]) -> io::Result<String> {
    let hello: Hello = read_json(Kind::Hello, hello).map_err(io::Error::other)?;
    let mut ready: Value = serde_json::from_slice(READY)?;
    if breach == Breach::LatestVersion {
        ready["protocol"] = hello.protocol.iter().max().copied().into();
    } else {
        ready["features"] = json!(["started"]);
    }
    Ok(ready.to_string())
}

/// What is wrong with the bytes before an answer; nothing, where the breach is of another kind.
fn wrong_bytes(breach: Breach, id: u64, payload: &Payload) -> io::Result<Vec<u8>> {
    let raw = |kind: Kind, more: bool, body: &[u8]| {
        let header = Header { code: kind.code(), optional: false, more, id, body_len: body.len() };
        [&header.to_bytes()[..], body].concat()
    };
    Ok(match breach {
        Breach::Rubbish => b"Segmentation fault (core dumped)\n".to_vec(),
        Breach::OversizeLength => [&u32::MAX.to_be_bytes(), &raw(Kind::Result, false, b"")[4..]].concat(),
        Breach::HalfBody | Breach::BeginTwice => raw(Kind::Result, true, b"half"),
        Breach::PartFirst => raw(Kind::Part, false, b"part"),
        Breach::UnknownFlag => {
            let mut bytes = raw(Kind::Result, false, b"");
            bytes[5] = 0x80;
            bytes
        }
        Breach::UnknownKind => {
            let mut bytes = raw(Kind::Result, false, b"");
            bytes[4] = 0x7e;
            bytes
        }
        Breach::WrongLengths => raw(Kind::Result, false, b"\0\0\0\0\0\0\0\x09short"),
        Breach::NoText => raw(Kind::Result, false, b"\0\x01\0\0\0\0\0\0\xff"),
        Breach::NoJson => raw(Kind::Error, false, b"Traceback (most recent call last)"),
        Breach::WrongAnswer => raw(Kind::End, false, b""),
        Breach::ReadyTwice => {
            let mut out = BytesMut::new();
            put_frame(&mut out, Kind::Ready, 0, READY);
            out.to_vec()
        }
        Breach::AnswerUnasked => payload_frame(Kind::Result, id + 1_000_000, payload)?.to_vec(),
        Breach::StartedUnasked => raw(Kind::Started, false, b""),
        Breach::IgnoreTerm
        | Breach::NeverReady
        | Breach::LatestVersion
        | Breach::FeatureUnasked
        | Breach::HalfReady
        | Breach::HalfPong
        | Breach::Drip
        | Breach::HalfFrame
        | Breach::DieWriting
        | Breach::LeaveWriting
        | Breach::AnswerTwice
        | Breach::ChunksBeyondCredit
        | Breach::IgnoreEof => Vec::new(),
    })
}

fn request(frame: Frame) -> io::Result<ReceivedRequest> {
    let mut body = frame.body;
    if frame.kind == Kind::ExecuteStream {
        take_credit(&mut body).map_err(io::Error::other)?;
    }
    read_request(body).map_err(io::Error::other)
}

/// The arguments, or their length where they do not fit in one frame.
fn echoed(payload: Payload) -> Payload {
    if payload.size() < 100_000 {
        return payload;
    }
    Payload { content_type: OCTET_STREAM.into(), ..Payload::bytes(payload.size().to_string()) }
}

fn payload_frame(kind: Kind, id: u64, payload: &Payload) -> io::Result<BytesMut> {
    let mut out = BytesMut::new();
    put_layout(&mut out, kind, id, &PayloadLayout::new(payload).map_err(io::Error::other)?);
    Ok(out)
}
