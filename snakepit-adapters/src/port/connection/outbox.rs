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
mod tests {
    use super::*;
    use crate::port::frame::{Decoder, Frame, Incoming, PayloadLayout, Side};
    use snakepit_core::Payload;

    const LARGE: usize = 3 * CUT_AT;

    /// A pipe that takes `room` bytes before it is full, and at most `at_once` in one write.
    struct Pipe {
        taken: Vec<u8>,
        room: usize,
        at_once: usize,
    }

    impl Pipe {
        fn new() -> Self {
            Self { taken: Vec::new(), room: usize::MAX, at_once: usize::MAX }
        }

        fn turn(&mut self, outbox: &mut Outbox) -> Written {
            let write = |slices: &[IoSlice<'_>]| {
                let wanted: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
                let len = wanted.len().min(self.at_once).min(self.room);
                if len == 0 {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                self.room -= len;
                self.taken.extend(&wanted[..len]);
                Ok(len)
            };
            outbox.write_turn(write).unwrap()
        }

        fn all(mut self, outbox: &mut Outbox) -> Vec<Frame> {
            while self.turn(outbox) != Written::All {}
            self.frames()
        }

        fn frames(&self) -> Vec<Frame> {
            let mut decoder = Decoder::new(Side::Host, 64 << 20);
            decoder.buffer().extend_from_slice(&self.taken);
            let mut frames = Vec::new();
            while let Some(incoming) = decoder.next_incoming().unwrap() {
                if let Incoming::Frame(frame) = incoming {
                    frames.push(frame);
                }
            }
            frames
        }

        fn order(&self) -> Vec<(Kind, u64)> {
            self.frames().iter().map(|frame| (frame.kind, frame.id)).collect()
        }
    }

    fn request(outbox: &mut Outbox, id: u64, size: usize, session: Option<&str>) {
        let payload = Payload::bytes(vec![u8::try_from(id).unwrap(); size]);
        let session = session.map(|session| SessionId::new(session).unwrap());
        outbox.push_request(Kind::Execute, id, &PayloadLayout::new(&payload).unwrap(), session);
    }

    fn order(frames: &[Frame]) -> Vec<(Kind, u64)> {
        frames.iter().map(|frame| (frame.kind, frame.id)).collect()
    }

    #[test]
    fn all_that_is_small_leaves_in_one_write() {
        let mut outbox = Outbox::default();
        (1..=3).for_each(|id| request(&mut outbox, id, 10, None));
        let mut writes = 0;
        let written = outbox.write_turn(|slices| {
            writes += 1;
            Ok(slices.iter().map(|slice| slice.len()).sum())
        });
        assert_eq!((written.unwrap(), writes), (Written::All, 1));
    }

    #[test]
    fn small_frames_pass_between_the_parts_of_a_large_one() {
        let (mut outbox, mut pipe) = (Outbox::default(), Pipe::new());
        request(&mut outbox, 1, LARGE, None);
        assert_eq!(pipe.turn(&mut outbox), Written::Part);
        assert_eq!(pipe.turn(&mut outbox), Written::Part);
        request(&mut outbox, 2, 10, None);
        assert_eq!(pipe.turn(&mut outbox), Written::Part);
        assert_eq!(pipe.order(), [(Kind::Execute, 2)]);
        assert_eq!(order(&pipe.all(&mut outbox)), [(Kind::Execute, 2), (Kind::Execute, 1)]);
    }

    #[test]
    fn large_bodies_take_turns() {
        let (mut outbox, mut pipe) = (Outbox::default(), Pipe::new());
        request(&mut outbox, 1, 10 * CUT_AT, None);
        request(&mut outbox, 2, CUT_AT, None);
        for _ in 0..6 {
            let _ = pipe.turn(&mut outbox);
        }
        assert_eq!(pipe.order(), [(Kind::Execute, 2)], "the shorter one does not wait for the longer one");
    }

    #[test]
    fn a_full_pipe_at_any_byte_keeps_frames_whole() {
        let (mut outbox, mut pipe) = (Outbox::default(), Pipe::new());
        pipe.at_once = 100_001;
        pipe.room = 0;
        request(&mut outbox, 1, LARGE, None);
        request(&mut outbox, 2, 60_000, None);
        let mut id = 3;
        loop {
            pipe.room = 33_333;
            match pipe.turn(&mut outbox) {
                Written::All => break,
                Written::Part | Written::Blocked if id < 20 => request(&mut outbox, id, 5000, None),
                Written::Part | Written::Blocked => {}
            }
            id += 1;
        }
        let mut frames = pipe.frames();
        frames.sort_by_key(|frame| frame.id);
        assert_eq!(frames.iter().map(|frame| frame.id).collect::<Vec<_>>(), (1..20).collect::<Vec<_>>());
        let head = 8 + snakepit_core::OCTET_STREAM.len();
        let whole = |frame: &Frame| frame.body[head..].iter().all(|byte| u64::from(*byte) == frame.id);
        assert!(frames.iter().all(whole));
    }

    #[test]
    fn a_cancel_never_overtakes_what_it_cancels() {
        let (mut outbox, mut pipe) = (Outbox::default(), Pipe::new());
        request(&mut outbox, 1, LARGE, None);
        request(&mut outbox, 2, LARGE, None);
        assert_eq!(pipe.turn(&mut outbox), Written::Part);
        assert_eq!(outbox.cancel(1), CancelVerdict::Told);
        assert_eq!(outbox.cancel(2), CancelVerdict::Withdrawn);
        request(&mut outbox, 3, 10, None);
        assert_eq!(outbox.cancel(3), CancelVerdict::Told);
        let expected = [(Kind::Execute, 3), (Kind::Cancel, 3), (Kind::Execute, 1), (Kind::Cancel, 1)];
        assert_eq!(order(&pipe.all(&mut outbox)), expected);
    }

    #[test]
    fn the_end_of_a_session_waits_for_its_requests_and_drain_for_all() {
        let mut outbox = Outbox::default();
        let (mine, other) = (SessionId::new("mine").unwrap(), SessionId::new("other").unwrap());
        request(&mut outbox, 1, LARGE, Some("mine"));
        outbox.drain();
        outbox.end_session(&mine);
        outbox.end_session(&other);
        let frames = Pipe::new().all(&mut outbox);
        let expected = [(Kind::EndSession, 0), (Kind::Execute, 1), (Kind::EndSession, 0), (Kind::Drain, 0)];
        assert_eq!(order(&frames), expected);
        assert_eq!((&frames[0].body[..], &frames[2].body[..]), (&b"other"[..], &b"mine"[..]));
        outbox.drain();
        assert_eq!(order(&Pipe::new().all(&mut outbox)), [(Kind::Drain, 0)]);
    }

    #[test]
    fn a_worker_that_does_not_read_is_not_pinged_again_before_it_does() {
        let (mut outbox, mut pipe) = (Outbox::default(), Pipe::new());
        pipe.room = 0;
        for _ in 0..1000 {
            outbox.ping();
            assert_eq!(pipe.turn(&mut outbox), Written::Blocked);
        }
        pipe.room = usize::MAX;
        assert_eq!(pipe.turn(&mut outbox), Written::All);
        outbox.ping();
        assert_eq!(pipe.turn(&mut outbox), Written::All);
        assert_eq!(pipe.order(), [(Kind::Ping, 0), (Kind::Ping, 0)]);
    }

    #[test]
    fn a_request_begins_where_it_was_said_to() {
        let (mut outbox, mut pipe) = (Outbox::default(), Pipe::new());
        pipe.at_once = CUT_AT / 3;
        let mut begins = Vec::new();
        for id in 1..=6 {
            let size = if id % 2 == 0 { LARGE } else { 1000 };
            let payload = Payload::bytes(vec![0; size]);
            begins.extend(outbox.begins_at(&PayloadLayout::new(&payload).unwrap()).map(|at| (id, at)));
            request(&mut outbox, id, size, None);
            // The next one comes inside a frame.
            pipe.room = CUT_AT / 2;
            let _ = pipe.turn(&mut outbox);
            begins.extend(outbox.take_begun());
        }
        pipe.room = usize::MAX;
        while pipe.turn(&mut outbox) != Written::All {
            begins.extend(outbox.take_begun());
        }
        begins.sort_unstable();
        assert_eq!(begins.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
        for (id, at) in begins {
            let before = (0..pipe.taken.len()).find(|bytes| Position::default().plus(*bytes) == at).unwrap();
            let mut decoder = Decoder::new(Side::Host, 64 << 20);
            decoder.buffer().extend_from_slice(&pipe.taken[before..]);
            let (Incoming::Frame(Frame { kind, id: begun, .. }) | Incoming::Begun { kind, id: begun }) =
                decoder.next_incoming().unwrap().unwrap();
            assert_eq!((kind, begun), (Kind::Execute, id));
        }
        assert_eq!(outbox.written(), Position::default().plus(pipe.taken.len()));
    }
}
