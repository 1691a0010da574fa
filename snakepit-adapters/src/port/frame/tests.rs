//! The codec as a whole: any bytes, any split, any order.

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;
use snakepit_core::Payload;

use super::*;

const LIMIT: usize = 1 << 20;

/// Feeds bytes in pieces of the given sizes, over and over, and takes every frame as soon as it is there.
fn decode(from: Side, bytes: &[u8], pieces: &[usize]) -> Result<Vec<Frame>, ProtocolError> {
    let mut decoder = Decoder::new(from, LIMIT);
    let mut frames = Vec::new();
    let mut rest = bytes;
    let mut sizes = pieces.iter().copied().cycle();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(sizes.next().unwrap_or(rest.len()).clamp(1, rest.len()));
        decoder.buffer().extend_from_slice(piece);
        rest = after;
        while let Some(incoming) = decoder.next_incoming()? {
            match incoming {
                Incoming::Frame(frame) => frames.push(frame),
                Incoming::Begun { .. } => {}
            }
        }
    }
    decoder.finish()?;
    Ok(frames)
}

/// The same for a reader that reads to where the decoder wants it, at most so many bytes at once.
fn decode_to_room(from: Side, bytes: &[u8], pieces: &[usize]) -> Result<Vec<Frame>, ProtocolError> {
    let mut decoder = Decoder::new(from, LIMIT);
    let mut frames = Vec::new();
    let mut rest = bytes;
    let mut sizes = pieces.iter().copied().cycle();
    while !rest.is_empty() {
        let mut room = decoder.room();
        let wanted = sizes.next().unwrap_or(usize::MAX).clamp(1, room.remaining_mut());
        let (piece, after) = rest.split_at(wanted.min(rest.len()));
        room.put_slice(piece);
        rest = after;
        while let Some(incoming) = decoder.next_incoming()? {
            match incoming {
                Incoming::Frame(frame) => frames.push(frame),
                Incoming::Begun { .. } => {}
            }
        }
    }
    decoder.finish()?;
    Ok(frames)
}

fn from_worker(bytes: &[u8]) -> Result<Vec<Frame>, ProtocolError> {
    decode(Side::Worker, bytes, &[])
}

fn frame(kind: Kind, id: u64, body: &'static [u8]) -> Frame {
    Frame { kind, id, body: Bytes::from_static(body) }
}

/// One frame as bytes, with every field open to be wrong.
fn raw(code: u8, optional: bool, more: bool, id: u64, body: &[u8]) -> Vec<u8> {
    let header = Header { code, optional, more, id, body_len: body.len() };
    [&header.to_bytes()[..], body].concat()
}

fn part(kind: Kind, id: u64, more: bool, body: &[u8]) -> Vec<u8> {
    raw(kind.code(), false, more, id, body)
}

#[test]
fn parts_are_put_together_while_others_pass_between() {
    let bytes = [
        part(Kind::Result, 1, true, b"one "),
        part(Kind::Result, 2, false, b"whole"),
        part(Kind::Chunk, 3, true, b"a"),
        part(Kind::Part, 1, true, b"and "),
        part(Kind::Log, 1, false, b"{}"),
        part(Kind::Part, 3, false, b"b"),
        part(Kind::Part, 1, false, b"more"),
    ]
    .concat();
    assert_eq!(
        from_worker(&bytes).unwrap(),
        [
            frame(Kind::Result, 2, b"whole"),
            frame(Kind::Log, 1, b"{}"),
            frame(Kind::Chunk, 3, b"ab"),
            frame(Kind::Result, 1, b"one and more"),
        ]
    );
}

#[test]
fn a_large_body_is_announced_before_it_is_kept() {
    let mut decoder = Decoder::new(Side::Worker, LIMIT);
    decoder.buffer().extend_from_slice(&Header::of(Kind::Result, 7, 200_000, false).to_bytes());
    assert_eq!(decoder.next_incoming(), Ok(Some(Incoming::Begun { kind: Kind::Result, id: 7 })));
    assert_eq!(decoder.next_incoming(), Ok(None));
}

/// Each byte would be a sign of life otherwise.
#[test]
fn a_frame_ends_with_its_last_byte_small_or_large_a_part_or_one_that_is_skipped() {
    let frames = [
        raw(Kind::Pong.code(), false, false, 1, b""),
        raw(Kind::Log.code(), false, false, 1, &b" ".repeat(20_000)),
        part(Kind::Result, 7, true, b"half"),
        part(Kind::Part, 7, false, b"end"),
        raw(0x7e, true, false, 1, b"unknown"),
    ];
    let mut decoder = Decoder::new(Side::Worker, LIMIT);
    for (ended, frame) in (0..).zip(frames) {
        for byte in frame {
            assert_eq!(decoder.frames_ended(), ended);
            decoder.buffer().put_u8(byte);
            while decoder.next_incoming().unwrap().is_some() {}
        }
        assert_eq!(decoder.frames_ended(), ended + 1);
    }
}

#[test]
fn what_is_optional_and_unknown_is_skipped() {
    let bytes = [
        raw(0x7f, true, false, 5, &vec![0; 40_000]),
        part(Kind::Pong, 1, false, b""),
        raw(0x7f, true, false, 0, b""),
        raw(Kind::HostCall.code(), true, false, 0, b"later"),
        part(Kind::Pong, 2, false, b""),
    ]
    .concat();
    assert_eq!(from_worker(&bytes).unwrap(), [frame(Kind::Pong, 1, b""), frame(Kind::Pong, 2, b"")]);
}

#[test]
fn every_broken_rule_is_named() {
    let over = vec![0; LIMIT - 1000];
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"HTTP/1.1 200 OK\r\n".to_vec(), "a frame states a length of 1213486160 bytes"),
        (raw(0x7f, false, false, 0, b""), "a frame has the unknown kind 0x7f"),
        (part(Kind::Execute, 1, false, b""), "a frame has the unknown kind 0x02"),
        (part(Kind::HostCall, 1, false, b""), "a frame has the unknown kind 0x31"),
        (part(Kind::Pong, 1, true, b""), "a frame of kind 0x47 says that more follows"),
        (part(Kind::Result, 0, false, b""), "Result carries request id 0"),
        (part(Kind::Part, 4, false, b"x"), "Part for request 4, of which no cut body is under way"),
        (
            [part(Kind::Chunk, 4, true, b"x"), part(Kind::End, 4, false, b"")].concat(),
            "End for request 4 while a cut body of it is under way",
        ),
        (
            [part(Kind::Result, 4, true, b"x"), part(Kind::Result, 4, true, b"x")].concat(),
            "Result for request 4 while a cut body of it is under way",
        ),
        (
            [
                part(Kind::Result, 4, true, &over),
                part(Kind::Part, 4, true, &over),
                part(Kind::Part, 4, true, &over),
            ]
            .concat(),
            "Result for request 4 has a body of more than 2097152 bytes",
        ),
        (
            part(Kind::Result, 4, true, b"x"),
            "the wire ended inside a frame: the rest of Result for request 4",
        ),
        (
            part(Kind::Pong, 4, false, b"")[..9].to_vec(),
            "the wire ended inside a frame: only its first 9 bytes",
        ),
        (
            part(Kind::Result, 4, false, &vec![0; 20_000])[..20_000].to_vec(),
            "the wire ended inside a frame: 16 bytes of a frame for request 4 are missing",
        ),
    ];
    for (bytes, begins) in cases {
        let error = from_worker(&bytes).unwrap_err().to_string();
        assert!(error.starts_with(begins), "{error}\nexpected: {begins}");
    }
}

#[test]
fn no_more_cut_bodies_are_held_than_requests_are_allowed() {
    let bytes: Vec<u8> = (1..=4097).flat_map(|id| part(Kind::Result, id, true, b"x")).collect();
    assert_eq!(from_worker(&bytes), Err(ProtocolError::TooManyRequests { limit: 4096 }));
}

#[test]
fn a_stated_length_allocates_no_more_than_a_piece() {
    let mut decoder = Decoder::new(Side::Worker, 1 << 30);
    decoder.buffer().extend_from_slice(&Header::of(Kind::Result, 7, 1_000_000, true).to_bytes());
    decoder.next_incoming().unwrap();
    decoder.next_incoming().unwrap();
    let held = decoder.room().get_ref().capacity() + decoder.buffer().capacity();
    assert!(held <= 512 << 10, "{held} bytes held for a frame of which only the header came");
}

#[test]
fn the_rest_of_a_large_body_is_read_to_where_it_stays() {
    let mut decoder = Decoder::new(Side::Worker, LIMIT);
    let body: Vec<u8> = (0..CUT_AT).map(|at| at.to_le_bytes()[0]).collect();
    let first = part(Kind::Result, 7, true, &body);
    decoder.buffer().extend_from_slice(&first[..1000]);
    assert!(matches!(decoder.next_incoming(), Ok(Some(Incoming::Begun { .. }))));
    assert_eq!(decoder.next_incoming(), Ok(None));
    let mut room = decoder.room();
    assert_eq!(room.remaining_mut(), first.len() - 1000, "all of the frame, and nothing behind it");
    room.put_slice(&first[1000..]);
    assert_eq!(decoder.next_incoming(), Ok(None));
    let rest = part(Kind::Part, 7, false, b"end");
    decoder.room().put_slice(&rest);
    let Ok(Some(Incoming::Frame(frame))) = decoder.next_incoming() else { panic!("it is whole") };
    assert!(frame.body == [&body[..], b"end"].concat());
}

fn any_frame() -> impl Strategy<Value = (Kind, u64, Vec<u8>)> {
    const KINDS: &[Kind] =
        &[Kind::Result, Kind::Error, Kind::Chunk, Kind::End, Kind::Pong, Kind::Log, Kind::Event];
    let body = prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..200),
        1 => (15_000_usize..18_000).prop_map(|len| vec![7; len]),
        1 => (CUT_AT - 20..3 * CUT_AT).prop_map(|len| vec![9; len]),
    ];
    (prop::sample::select(KINDS), 1..u64::MAX, body)
}

/// Writes frames as a sender does, the large ones cut, a part of each in turn.
fn encode(frames: &[(Kind, u64, Vec<u8>)]) -> (Vec<u8>, Vec<Frame>) {
    let mut out = BytesMut::new();
    let (mut cut, mut order) = (Vec::new(), Vec::new());
    for (kind, id, body) in frames {
        let whole = Frame { kind: *kind, id: *id, body: body.clone().into() };
        if body.len() > CUT_AT && kind.may_be_cut() {
            cut.push((CutBody::of_pieces(*kind, *id, [whole.body.clone()].into()), whole));
        } else {
            put_frame(&mut out, *kind, *id, body);
            order.push(whole);
        }
    }
    while !cut.is_empty() {
        cut.retain_mut(|(body, whole)| {
            let part = body.next_part();
            part.pieces.iter().for_each(|piece| out.put_slice(piece));
            if part.last {
                order.push(whole.clone());
            }
            !part.last
        });
    }
    (out.to_vec(), order)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn frames_come_back_as_they_went_however_they_are_split(
        frames in prop::collection::vec(any_frame(), 0..12),
        pieces in prop::collection::vec(1_usize..70_000, 1..8),
    ) {
        let mut seen = std::collections::HashSet::new();
        let frames: Vec<_> = frames.into_iter().filter(|(_, id, _)| seen.insert(*id)).collect();
        let (bytes, order) = encode(&frames);
        prop_assert_eq!(decode(Side::Worker, &bytes, &[]).unwrap(), order.clone());
        prop_assert_eq!(decode(Side::Worker, &bytes, &pieces).unwrap(), order.clone());
        prop_assert_eq!(decode_to_room(Side::Worker, &bytes, &[]).unwrap(), order.clone());
        prop_assert_eq!(decode_to_room(Side::Worker, &bytes, &pieces).unwrap(), order);
    }
}

/// Bytes that are nearly frames reach deeper into the decoder than noise does.
fn nearly_frames() -> impl Strategy<Value = Vec<u8>> {
    let one = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64),
        (any::<u8>(), 0_u8..4, 0_u64..4, prop::collection::vec(any::<u8>(), 0..64))
            .prop_map(|(code, flags, id, body)| raw(code, flags & 1 != 0, flags & 2 != 0, id, &body)),
        (prop::sample::select(Kind::ALL), any::<bool>(), 0_u64..4, prop::collection::vec(any::<u8>(), 0..64))
            .prop_map(|(kind, more, id, body)| part(kind, id, more, &body)),
    ];
    prop::collection::vec(one, 0..12).prop_map(|frames| frames.concat())
}

proptest! {
    #[test]
    fn any_bytes_end_in_frames_or_an_error_and_the_split_does_not_matter(
        bytes in nearly_frames(),
        pieces in prop::collection::vec(1_usize..40, 1..8),
        side in prop::sample::select(&[Side::Host, Side::Worker][..]),
    ) {
        let whole = decode(side, &bytes, &[]);
        prop_assert_eq!(&decode(side, &bytes, &pieces), &whole);
        prop_assert_eq!(&decode_to_room(side, &bytes, &pieces), &whole);
    }

    #[test]
    fn any_body_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let body = Bytes::from(bytes);
        let _ = read_payload(body.clone());
        let _ = read_request(body.clone());
        let _ = take_credit(&mut body.clone());
        let _ = read_credit(body.clone());
        let _ = read_session(&body);
        let _ = read_json::<Ready>(Kind::Ready, &body);
        let _ = read_json::<LogLine>(Kind::Log, &body);
    }

    #[test]
    fn any_payload_comes_back_as_it_went(
        content_type in "[a-z/]{0,30}",
        data in prop::collection::vec(any::<u8>(), 0..300),
        attachments in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..5),
    ) {
        let content_type = if content_type.is_empty() { snakepit_core::JSON.to_owned() } else { content_type };
        let payload = Payload {
            content_type: content_type.into(),
            data: data.into(),
            attachments: attachments.into_iter().map(Bytes::from).collect(),
        };
        let mut out = BytesMut::new();
        put_layout(&mut out, Kind::Result, 1, &PayloadLayout::new(&payload).unwrap());
        let frames = from_worker(&out).unwrap();
        prop_assert_eq!(read_payload(frames[0].body.clone()), Ok(payload));
    }
}
