//! What an outbox writes, and in which order.

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
