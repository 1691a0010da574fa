//! What is to be written, and in which order: small frames together, large bodies one part a turn.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes, BytesMut};
use snakepit_core::SessionId;

use crate::port::connection::position::Position;
use crate::port::frame::{BodyLayout, CUT_AT, CutBody, Kind, put_frame, put_layout};

/// A buffer that a burst has made larger than this is given back when it is empty.
const KEPT_CAPACITY: usize = 1 << 20;

/// How far a turn of writing came.
#[must_use = "what is not written yet must be tried again"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// The outbox is empty.
    All,
    /// More is to be written, after what has been asked meanwhile.
    Part,
    /// The pipe is full.
    Blocked,
}

/// What became of a request that is not wanted any more.
#[must_use = "a request that was withdrawn must be reported by us: the worker never hears of it"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CancelVerdict {
    /// The worker will be told.
    Told,
    /// Nothing of it had left yet.
    Withdrawn,
}

/// Frames on their way out. Its size is bounded by what the pool admits.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Small frames, one behind the other. May begin inside a frame whose start has been written.
    small: BytesMut,
    /// What is left of a part of a large body whose start has been written. Then `small` begins with a frame.
    part: VecDeque<Bytes>,
    /// Large bodies, in turn.
    large: VecDeque<LargeBody>,
    drain_behind_large: bool,
    /// Whether a ping is among the small frames: a worker that does not read needs no second one.
    has_ping: bool,
    /// How far everything is written.
    written: Position,
    /// The large body that has begun since somebody asked, and where.
    begun: Option<(u64, Position)>,
}

#[derive(Debug)]
struct LargeBody {
    body: CutBody,
    session: Option<SessionId>,
    /// Frames that must not overtake it.
    behind: BytesMut,
}

impl Outbox {
    /// Appends a frame that may overtake large bodies.
    pub(super) fn push(&mut self, kind: Kind, id: u64, body: &[u8]) {
        put_frame(&mut self.small, kind, id, body);
    }

    /// Asks whether the worker is there, unless that is about to be asked already.
    pub(super) fn ping(&mut self) {
        if !std::mem::replace(&mut self.has_ping, true) {
            self.push(Kind::Ping, 0, &[]);
        }
    }

    /// How far everything is written.
    pub(super) fn written(&self) -> Position {
        self.written
    }

    /// Where a request will begin that is appended now. `None`: it is large, and begins when its turn comes.
    pub(super) fn begins_at(&self, layout: &impl BodyLayout) -> Option<Position> {
        let before = self.small.len() + self.part.iter().map(Bytes::len).sum::<usize>();
        (layout.body_len() <= CUT_AT).then(|| self.written.plus(before))
    }

    /// Which large body has begun with the last turn, and where. It says so once.
    pub(super) fn take_begun(&mut self) -> Option<(u64, Position)> {
        self.begun.take()
    }

    /// Gives up all that is not written: it never will be.
    pub(super) fn discard(&mut self) {
        *self = Self { written: self.written, ..Self::default() };
    }

    /// Appends a request.
    pub(super) fn push_request(
        &mut self,
        kind: Kind,
        id: u64,
        layout: &impl BodyLayout,
        session: Option<SessionId>,
    ) {
        if layout.body_len() <= CUT_AT {
            put_layout(&mut self.small, kind, id, layout);
        } else {
            let body = CutBody::of_layout(kind, id, layout);
            self.large.push_back(LargeBody { body, session, behind: BytesMut::new() });
        }
    }

    /// Cancels a request: at once if nothing of it has left, otherwise behind its body.
    pub(super) fn cancel(&mut self, id: u64) -> CancelVerdict {
        match self.large.iter().position(|large| large.body.id() == id) {
            Some(at) if !self.large[at].body.has_begun() => {
                let withdrawn = self.large.remove(at);
                // What was to follow it need not wait any longer.
                self.small.extend(withdrawn.map(|large| large.behind).unwrap_or_default());
                CancelVerdict::Withdrawn
            }
            Some(at) => {
                put_frame(&mut self.large[at].behind, Kind::Cancel, id, &[]);
                CancelVerdict::Told
            }
            None => {
                self.push(Kind::Cancel, id, &[]);
                CancelVerdict::Told
            }
        }
    }

    /// Ends a session, behind the last request of that session.
    pub(super) fn end_session(&mut self, session: &SessionId) {
        let last = self.large.iter_mut().rev().find(|large| large.session.as_ref() == Some(session));
        let out = last.map_or(&mut self.small, |large| &mut large.behind);
        put_frame(out, Kind::EndSession, 0, session.as_str().as_bytes());
    }

    /// Says that no more requests come, behind all that have been asked.
    pub(super) fn drain(&mut self) {
        if self.large.is_empty() {
            self.push(Kind::Drain, 0, &[]);
        } else {
            self.drain_behind_large = true;
        }
    }

    /// Writes what a turn may write: all that is small, then one part of a large body.
    ///
    /// # Errors
    /// What `write` said, except that a full pipe is [`Written::Blocked`].
    pub(super) fn write_turn(
        &mut self,
        mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<Written> {
        match self.write_all(&mut write) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Written::Blocked),
            Err(error) => return Err(error),
        }
        if self.small.capacity() > KEPT_CAPACITY {
            self.small = BytesMut::new();
        }
        self.begin_part();
        Ok(if self.part.is_empty() { Written::All } else { Written::Part })
    }

    /// Writes the part that is under way, then all that is small: the order that keeps frames whole.
    fn write_all(&mut self, write: &mut impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>) -> io::Result<()> {
        while !self.part.is_empty() {
            let slices: Vec<IoSlice<'_>> = self.part.iter().map(|piece| IoSlice::new(piece)).collect();
            let written = write(&slices)?;
            self.written = self.written.plus(written);
            self.part_written(written);
        }
        while !self.small.is_empty() {
            let written = write(&[IoSlice::new(&self.small)])?;
            self.written = self.written.plus(written);
            self.small.advance(written);
        }
        self.has_ping = false;
        Ok(())
    }

    fn part_written(&mut self, mut written: usize) {
        while let Some(first) = self.part.front_mut() {
            if first.len() > written {
                first.advance(written);
                return;
            }
            written -= first.len();
            self.part.pop_front();
        }
    }

    /// Takes the next part of the large body whose turn it is. Called when nothing else is left to write.
    fn begin_part(&mut self) {
        let Some(mut large) = self.large.pop_front() else { return };
        if !large.body.has_begun() {
            self.begun = Some((large.body.id(), self.written));
        }
        let part = large.body.next_part();
        self.part = part.pieces;
        if part.last {
            self.small.extend(large.behind);
        } else {
            self.large.push_back(large);
        }
        if self.large.is_empty() && self.drain_behind_large {
            self.drain_behind_large = false;
            self.push(Kind::Drain, 0, &[]);
        }
    }
}

#[cfg(test)]
mod tests;
