//! A worker made of frames, so that it can send any: echoes every request, except for its one breach.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use bytes::BytesMut;
use nix::sys::signal::{SigSet, Signal, raise};
use snakepit_adapters::port::frame::{
    Decoder, Frame, Header, Incoming, Kind, PayloadLayout, Side, put_frame, put_layout, read_request,
    take_credit,
};
use snakepit_adapters::{OCTET_STREAM, Payload};

use crate::stub_worker::flags::Breach;

/// How long a worker stays that ignores the end of its host: long enough for any test, not for ever.
pub(crate) const STAYS: Duration = Duration::from_mins(5);
/// Larger than any window that a test opens, small enough to end if nobody stops it.
const CHUNKS: u32 = 100_000;

/// Both ends of the wire as the worker has them.
pub(crate) struct Wire {
    from_host: File,
    to_host: File,
    decoder: Decoder,
}

pub(crate) fn serve(breach: Breach) -> ExitCode {
    if breach == Breach::IgnoreTerm {
        let mut term = SigSet::empty();
        term.add(Signal::SIGTERM);
        if term.thread_block().is_err() {
            return ExitCode::FAILURE;
        }
    }
    // A host that is gone ends the wire with an error or with nothing, and the worker well.
    let ended = Wire::open().and_then(|mut wire| wire.serve(breach));
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

    fn serve(&mut self, breach: Breach) -> io::Result<()> {
        let mut first = true;
        while let Some(frame) = self.next()? {
            match frame.kind {
                Kind::Hello if breach == Breach::NeverReady => {}
                Kind::Hello => self.ready()?,
                Kind::Execute | Kind::ExecuteStream => {
                    self.answer(frame, breach, first)?;
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
        self.frame(Kind::Ready, 0, br#"{"protocol": 1, "capacity": 1, "agent": "stub-worker"}"#)
    }

    fn answer(&mut self, frame: Frame, breach: Breach, first: bool) -> io::Result<()> {
        let (id, stream) = (frame.id, frame.kind == Kind::ExecuteStream);
        let payload = arguments(frame)?;
        match breach {
            Breach::Rubbish if first => self.to_host.write_all(b"Segmentation fault (core dumped)\n"),
            Breach::OversizeLength if first => {
                let header = Header::whole(Kind::Result, id, 0).to_bytes();
                self.to_host.write_all(&[&u32::MAX.to_be_bytes(), &header[4..]].concat())
            }
            Breach::HalfFrame if first => {
                let whole = payload_frame(Kind::Result, id, &payload)?;
                self.to_host.write_all(&whole[..whole.len() / 2])?;
                // Not even a Pong may follow: it would be taken for the other half.
                while self.next()?.is_some() {}
                Ok(())
            }
            Breach::DieWriting | Breach::LeaveWriting if first => {
                let whole = payload_frame(Kind::Result, id, &payload)?;
                self.to_host.write_all(&whole[..whole.len() / 2])?;
                if breach == Breach::LeaveWriting {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                raise(Signal::SIGKILL).map_err(io::Error::from)
            }
            Breach::ChunksBeyondCredit if stream => {
                (0..CHUNKS).try_for_each(|_| self.payload(Kind::Chunk, id, &payload))
            }
            _ => {
                if first && breach == Breach::ReadyTwice {
                    self.ready()?;
                }
                if first && breach == Breach::AnswerUnasked {
                    self.payload(Kind::Result, id + 1_000_000, &payload)?;
                }
                self.echo(id, stream, &payload)?;
                if breach == Breach::AnswerTwice { self.echo(id, stream, &payload) } else { Ok(()) }
            }
        }
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

/// What is echoed: the arguments, or their length where they do not fit in one frame.
fn arguments(frame: Frame) -> io::Result<Payload> {
    let mut body = frame.body;
    if frame.kind == Kind::ExecuteStream {
        take_credit(&mut body).map_err(io::Error::other)?;
    }
    let payload = read_request(body).map_err(io::Error::other)?.payload;
    if payload.size() < 100_000 {
        return Ok(payload);
    }
    Ok(Payload { content_type: OCTET_STREAM.into(), ..Payload::bytes(payload.size().to_string()) })
}

fn payload_frame(kind: Kind, id: u64, payload: &Payload) -> io::Result<BytesMut> {
    let mut out = BytesMut::new();
    put_layout(&mut out, kind, id, &PayloadLayout::new(payload).map_err(io::Error::other)?);
    Ok(out)
}
