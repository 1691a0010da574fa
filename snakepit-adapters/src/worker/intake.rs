//! Reading what the host sends, and what each frame means to the worker. One thread at a time does.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use snakepit_core::adapter::{IdMap, StreamWindow};
use tokio::time::Instant;

use crate::port::frame::{
    Decoder, Frame, Hello, Incoming, Kind, ProtocolError, Side, read_credit, read_json, read_nothing,
    read_request, read_session, take_credit,
};
use crate::worker::requests::Job;
use crate::worker::session::Sessions;
use crate::worker::wire::FromHost;

/// What the host asks, read and checked.
#[derive(Debug)]
pub(super) enum Asked {
    Request {
        job: Box<Job>,
        credit: Option<StreamWindow>,
    },
    /// A request that was cancelled before it was complete.
    CancelledOnArrival {
        id: u64,
    },
    Cancel {
        id: u64,
    },
    Credit {
        id: u64,
        more: StreamWindow,
    },
    Ping {
        id: u64,
    },
    Drain,
}

/// Why nothing more can be read.
#[derive(Debug)]
pub(super) enum ReadEnd {
    /// The host is gone.
    HostGone,
    /// The host broke the contract.
    Breach(ProtocolError),
}

impl From<ProtocolError> for ReadEnd {
    fn from(error: ProtocolError) -> Self {
        Self::Breach(error)
    }
}

/// Had by who reads, from before anything is read until all of it is seen to. Who leaves takes it, too, and says that it is over:
/// so whatever was read is answered, and the rest stays in the pipe, from where it can go elsewhere.
#[derive(Debug, Default)]
pub(super) struct ReadingTurn(Mutex<Reading>);

pub(super) type ReadingGuard<'turn> = MutexGuard<'turn, Reading>;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Reading {
    #[default]
    GoesOn,
    IsOver,
}

impl ReadingTurn {
    pub(super) fn take(&self) -> ReadingGuard<'_> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(super) struct Intake {
    from_host: FromHost,
    decoder: Decoder,
    /// When the last bytes arrived, and with them every request in them.
    arrived: Instant,
    sessions: Sessions,
    /// Requests of which a part has come, and whether they are cancelled already.
    arriving: IdMap<u64, bool>,
}

impl Intake {
    pub(super) fn new(from_host: FromHost) -> Self {
        Self {
            from_host,
            // The limit is in the first frame; until then the smallest one holds.
            decoder: Decoder::new(Side::Host, 0),
            arrived: Instant::now(),
            sessions: Sessions::default(),
            arriving: IdMap::default(),
        }
    }

    /// Waits for the host's greeting.
    pub(super) fn hello(&mut self) -> Result<Hello, ReadEnd> {
        loop {
            match self.decoder.next_incoming()? {
                Some(Incoming::Frame(Frame { kind: Kind::Hello, body, .. })) => {
                    let hello: Hello = read_json(Kind::Hello, &body)?;
                    self.decoder
                        .set_payload_limit(usize::try_from(hello.payload_limit).unwrap_or(usize::MAX));
                    return Ok(hello);
                }
                Some(Incoming::Begun { kind: Kind::Hello, .. }) => {}
                Some(Incoming::Frame(Frame { kind, .. }) | Incoming::Begun { kind, .. }) => {
                    return Err(ProtocolError::OutOfOrder { kind, when: "before Hello" }.into());
                }
                None => {
                    let waited_for = self.wait()?;
                    self.read(waited_for)?;
                }
            }
        }
    }

    /// Everything that is there, or waits until something is, or until nothing more is to be read. Who has the turn then has
    /// had it since before any of it was read.
    pub(super) fn next<'turn>(
        &mut self,
        asked: &mut Vec<Asked>,
        turn: &'turn ReadingTurn,
    ) -> (ReadingGuard<'turn>, Result<(), ReadEnd>) {
        let mut guard = turn.take();
        let mut read = self.take(asked);
        while read.is_ok() && asked.is_empty() && *guard == Reading::GoesOn {
            drop(guard);
            let waited_for = self.wait();
            guard = turn.take();
            if *guard == Reading::GoesOn {
                read =
                    waited_for.and_then(|waited_for| self.read(waited_for)).and_then(|()| self.take(asked));
            }
        }
        (guard, read)
    }

    fn wait(&mut self) -> Result<Option<usize>, ReadEnd> {
        loop {
            match self.from_host.wait(&mut self.decoder) {
                Ok(waited_for) => return Ok(waited_for),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(ReadEnd::HostGone),
            }
        }
    }

    fn read(&mut self, waited_for: Option<usize>) -> Result<(), ReadEnd> {
        loop {
            match self.from_host.read(waited_for, &mut self.decoder) {
                Ok(len) if len > 0 => {
                    self.arrived = Instant::now();
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Also inside a frame: whoever was writing it is dead.
                Ok(_) | Err(_) => return Err(ReadEnd::HostGone),
            }
        }
    }

    fn take(&mut self, asked: &mut Vec<Asked>) -> Result<(), ReadEnd> {
        while let Some(incoming) = self.decoder.next_incoming()? {
            match incoming {
                Incoming::Frame(frame) => asked.extend(self.frame(frame)?),
                Incoming::Begun { id, .. } => {
                    self.arriving.insert(id, false);
                }
            }
        }
        Ok(())
    }

    fn frame(&mut self, Frame { kind, id, mut body }: Frame) -> Result<Option<Asked>, ProtocolError> {
        Ok(match kind {
            Kind::Execute => Some(self.request(kind, id, None, body)?),
            Kind::ExecuteStream => {
                let credit = take_credit(&mut body)?;
                Some(self.request(kind, id, Some(credit), body)?)
            }
            Kind::Cancel => {
                read_nothing(kind, &body)?;
                self.cancel(id)
            }
            Kind::Credit => Some(Asked::Credit { id, more: read_credit(body)? }),
            Kind::EndSession => {
                self.sessions.end(read_session(&body)?);
                None
            }
            Kind::Ping => {
                read_nothing(kind, &body)?;
                Some(Asked::Ping { id })
            }
            Kind::Drain => {
                read_nothing(kind, &body)?;
                Some(Asked::Drain)
            }
            Kind::Hello => return Err(ProtocolError::OutOfOrder { kind, when: "a second time" }),
            Kind::Part
            | Kind::HostCall
            | Kind::HostResult
            | Kind::Ready
            | Kind::Started
            | Kind::Result
            | Kind::Error
            | Kind::Chunk
            | Kind::End
            | Kind::Pong
            | Kind::Log
            | Kind::Event
            | Kind::Recycle => return Err(ProtocolError::UnknownKind { code: kind.code() }),
        })
    }

    fn request(
        &mut self,
        kind: Kind,
        id: u64,
        credit: Option<StreamWindow>,
        body: Bytes,
    ) -> Result<Asked, ProtocolError> {
        let request = read_request(body)?;
        if self.arriving.remove(&id) == Some(true) {
            return Ok(Asked::CancelledOnArrival { id });
        }
        let session = request.session.as_deref().map(|session| self.sessions.of(session));
        let deadline = request.time_left.map(|left: Duration| self.arrived + left);
        let job = Box::new(Job { id, asked_by: kind, request, deadline, session, told: false });
        Ok(Asked::Request { job, credit })
    }

    fn cancel(&mut self, id: u64) -> Option<Asked> {
        match self.arriving.get_mut(&id) {
            Some(cancelled) => {
                *cancelled = true;
                None
            }
            None => Some(Asked::Cancel { id }),
        }
    }
}
