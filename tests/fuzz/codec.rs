//! The codec: frames of either side, however they arrive, and every reader of a body.

use bytes::BufMut;
use snakepit_adapters::WorkerError;
use snakepit_adapters::port::frame::{
    Decoder, Event, Frame, Hello, Incoming, Kind, LogLine, ProtocolError, Ready, Recycle, Side, read_credit,
    read_json, read_nothing, read_payload, read_request, read_session, take_credit,
};

use crate::fuzz::input::Input;

const PAYLOAD_LIMIT: usize = 1 << 16;
/// No input here is near this, whatever lengths it states.
const ROOM_LIMIT: usize = 1 << 20;

pub(super) fn bears(input: &mut Input) -> Result<(), String> {
    let side = if input.one_in(2) { Side::Host } else { Side::Worker };
    let bytes = input.bytes(side);
    let whole = decode(side, [&bytes[..]])?;
    let in_pieces = decode(side, input.pieces(&bytes))?;
    if whole != in_pieces {
        return Err(format!("codec: {whole:?} at once, {in_pieces:?} in pieces"));
    }
    let to_room = decode_to_room(side, &bytes, &input.pieces(&bytes))?;
    if whole != to_room {
        return Err(format!("codec: {whole:?} at once, {to_room:?} read to where it stays"));
    }
    if let (Ok(frames), _) = whole {
        frames.into_iter().for_each(read);
    }
    Ok(())
}

/// The frames, or the error that ended them, and whether the end came in the middle of one.
type Decoded = (Result<Vec<Frame>, ProtocolError>, Result<(), ProtocolError>);

fn decode<'a>(side: Side, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Decoded, String> {
    let mut decoder = Decoder::new(side, PAYLOAD_LIMIT);
    let mut frames = Vec::new();
    for piece in pieces {
        decoder.buffer().extend_from_slice(piece);
        if let Err(error) = take(&mut decoder, &mut frames) {
            return Ok((Err(error), Ok(())));
        }
        let room = decoder.buffer().capacity();
        if room > ROOM_LIMIT {
            return Err(format!("codec: {room} bytes of room for {} that came", piece.len()));
        }
    }
    let end = decoder.finish();
    Ok((Ok(frames), end))
}

/// The same for a reader that puts what it reads where the decoder wants it. The pieces are what there is to read at once.
fn decode_to_room(side: Side, mut bytes: &[u8], pieces: &[&[u8]]) -> Result<Decoded, String> {
    let mut decoder = Decoder::new(side, PAYLOAD_LIMIT);
    let mut frames = Vec::new();
    let mut lengths = pieces.iter().map(|piece| piece.len()).cycle();
    while !bytes.is_empty() {
        let mut room = decoder.room();
        if room.remaining_mut() == 0 {
            return Err("codec: there is no room for what is to come".into());
        }
        let len = lengths.next().unwrap_or(1).clamp(1, room.remaining_mut()).min(bytes.len());
        room.put_slice(&bytes[..len]);
        bytes = &bytes[len..];
        if let Err(error) = take(&mut decoder, &mut frames) {
            return Ok((Err(error), Ok(())));
        }
    }
    let end = decoder.finish();
    Ok((Ok(frames), end))
}

fn take(decoder: &mut Decoder, frames: &mut Vec<Frame>) -> Result<(), ProtocolError> {
    while let Some(incoming) = decoder.next_incoming()? {
        match incoming {
            Incoming::Frame(frame) => frames.push(frame),
            Incoming::Begun { .. } => {}
        }
    }
    Ok(())
}

/// Reads a body in every way: each gives a value or an error.
fn read(frame: Frame) {
    let Frame { kind, body, .. } = frame;
    let _ = read_payload(body.clone());
    let _ = read_request(body.clone());
    let _ = take_credit(&mut body.clone());
    let _ = read_credit(body.clone());
    let _ = read_session(&body);
    let _ = read_nothing(kind, &body);
    let _ = read_json::<Hello>(Kind::Hello, &body);
    let _ = read_json::<Ready>(Kind::Ready, &body).and_then(Ready::check);
    let _ = read_json::<WorkerError>(Kind::Error, &body);
    let _ = read_json::<LogLine>(Kind::Log, &body);
    let _ = read_json::<Event>(Kind::Event, &body);
    let _ = read_json::<Recycle>(Kind::Recycle, &body);
}
