//! The pipe to the host: small frames gathered into one write, large bodies cut so that others pass between.

use std::io::{self, IoSlice, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::yield_now;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::time::Instant;

use crate::port::frame::{BodyLayout, CUT_AT, CutBody, Kind, put_frame, put_layout};
use crate::worker::wire::ToHost;

/// So much is gathered at most before it is written.
const GATHER_BYTES: usize = 32 << 10;
/// The first of what is gathered waits no longer than this for the next, as long as commands are short.
const GATHER_TIME: Duration = Duration::from_micros(50);

#[derive(Debug)]
pub(super) struct Output {
    pipe: Mutex<Pipe>,
    /// How many threads wait for the pipe.
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct Pipe {
    to_host: ToHost,
    gathered: BytesMut,
    since: Option<Instant>,
}

impl Output {
    pub(super) fn new(to_host: ToHost) -> Self {
        let pipe = Pipe { to_host, gathered: BytesMut::with_capacity(2 * GATHER_BYTES), since: None };
        Self { pipe: Mutex::new(pipe), waiting: AtomicUsize::new(0) }
    }

    fn pipe(&self) -> MutexGuard<'_, Pipe> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        pipe
    }

    /// Lets those who wait for the pipe have it. The lock alone gives it back to whoever lets go of it and asks again.
    fn let_others_pass(&self) {
        while self.waiting.load(Ordering::Relaxed) > 0 {
            yield_now();
        }
    }

    /// Writes a frame and all that was gathered before it.
    pub(super) fn send(&self, kind: Kind, id: u64, body: &[u8]) -> io::Result<()> {
        let mut pipe = self.pipe();
        put_frame(&mut pipe.gathered, kind, id, body);
        pipe.write()
    }

    /// Writes a frame without a body for each of these, and all that was gathered before them.
    pub(super) fn send_empty(&self, kind: Kind, ids: &[u64]) -> io::Result<()> {
        let mut pipe = self.pipe();
        for id in ids {
            put_frame(&mut pipe.gathered, kind, *id, &[]);
        }
        pipe.write()
    }

    /// Writes an Error, which may be long.
    pub(super) fn send_error(&self, id: u64, body: Vec<u8>) -> io::Result<()> {
        if body.len() <= CUT_AT {
            return self.send(Kind::Error, id, &body);
        }
        self.send_cut(CutBody::of_pieces(Kind::Error, id, [Bytes::from(body)].into()))
    }

    /// Writes a Result or a Chunk, or gathers it: [`flush`](Self::flush) must follow before anybody waits.
    pub(super) fn gather(&self, kind: Kind, id: u64, layout: &impl BodyLayout) -> io::Result<()> {
        if layout.body_len() > CUT_AT {
            return self.send_cut(CutBody::of_layout(kind, id, layout));
        }
        let mut pipe = self.pipe();
        put_layout(&mut pipe.gathered, kind, id, layout);
        let now = Instant::now();
        let since = *pipe.since.get_or_insert(now);
        if pipe.gathered.len() >= GATHER_BYTES || now - since >= GATHER_TIME { pipe.write() } else { Ok(()) }
    }

    /// Writes what was gathered.
    pub(super) fn flush(&self) -> io::Result<()> {
        self.pipe().write()
    }

    /// Ends the way to the host behind what was written.
    #[cfg(feature = "grpc")]
    pub(super) fn end(&self) {
        self.pipe().to_host.end();
    }

    fn send_cut(&self, mut body: CutBody) -> io::Result<()> {
        loop {
            let part = body.next_part();
            let mut pipe = self.pipe();
            pipe.write()?;
            pipe.write_pieces(part.pieces.into())?;
            if part.last {
                return Ok(());
            }
            drop(pipe);
            self.let_others_pass();
        }
    }
}

impl Pipe {
    fn write(&mut self) -> io::Result<()> {
        self.since = None;
        if self.gathered.is_empty() {
            return Ok(());
        }
        let written = self.to_host.write_all(&self.gathered).and_then(|()| self.to_host.flush());
        self.gathered.clear();
        written
    }

    fn write_pieces(&mut self, mut pieces: Vec<Bytes>) -> io::Result<()> {
        while !pieces.is_empty() {
            let slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
            let mut written = match self.to_host.write_vectored(&slices) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                written => written?,
            };
            pieces.retain_mut(|piece| {
                let taken = written.min(piece.len());
                piece.advance(taken);
                written -= taken;
                !piece.is_empty()
            });
        }
        self.to_host.flush()
    }
}
