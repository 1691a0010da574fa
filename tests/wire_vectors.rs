//! The codec against `proto/vectors.json`, which is made from the contract by a script that uses no codec.

use std::path::Path;

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::{Value, json};
use snakepit_adapters::adapter::StreamWindow;
use snakepit_adapters::port::frame::{
    CutBody, Decoder, Frame, Hello, Incoming, Kind, LogLine, PayloadLayout, ProtocolError, Ready, Recycle,
    RequestLayout, Side, credit_body, put_frame, put_layout, read_credit, read_json, read_nothing,
    read_payload, read_request, read_session, take_credit,
};
use snakepit_adapters::{Payload, Request, SessionId, WorkerError, WorkerErrorKind};

const PAYLOAD_LIMIT: usize = 64 << 20;

#[derive(Deserialize)]
struct Vectors {
    frames: Vec<FrameVector>,
    sequences: Vec<SequenceVector>,
    bad: Vec<BadVector>,
}

#[derive(Deserialize)]
struct FrameVector {
    name: String,
    frame_hex: String,
    kind: u8,
    kind_name: Option<String>,
    request_id: u64,
    decoded: Value,
}

#[derive(Deserialize)]
struct SequenceVector {
    name: String,
    from: String,
    frames_hex: Vec<String>,
    messages: Vec<MessageVector>,
}

#[derive(Deserialize)]
struct MessageVector {
    kind_name: String,
    request_id: u64,
    decoded: Value,
}

#[derive(Deserialize)]
struct BadVector {
    name: String,
    from: String,
    bytes_hex: String,
    error: String,
}

fn vectors() -> Vectors {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/vectors.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn unhex(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2));
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn sides(from: &str) -> &'static [Side] {
    match from {
        "host" => &[Side::Host],
        "worker" => &[Side::Worker],
        "both" => &[Side::Host, Side::Worker],
        other => panic!("from {other}"),
    }
}

/// Takes frames from bytes that arrive in pieces of `piece` bytes, and reads their bodies.
fn read_all(side: Side, bytes: &[u8], piece: usize) -> Result<Vec<(Frame, Value)>, ProtocolError> {
    let mut decoder = Decoder::new(side, PAYLOAD_LIMIT);
    let mut read = Vec::new();
    for piece in bytes.chunks(piece) {
        decoder.buffer().extend_from_slice(piece);
        while let Some(incoming) = decoder.next_incoming()? {
            if let Incoming::Frame(frame) = incoming {
                let body = read_body(&frame)?;
                read.push((frame, body));
            }
        }
    }
    decoder.finish()?;
    Ok(read)
}

/// Reads a body as its receiver does, into the form that the vectors have.
fn read_body(frame: &Frame) -> Result<Value, ProtocolError> {
    let (kind, mut body) = (frame.kind, frame.body.clone());
    Ok(match kind {
        Kind::Execute => request_json(body, None)?,
        Kind::ExecuteStream => {
            let credit = take_credit(&mut body)?;
            request_json(body, Some(credit))?
        }
        Kind::Result | Kind::Chunk => payload_json(&read_payload(body)?),
        Kind::Credit => {
            let credit = read_credit(body)?;
            json!({"chunks": credit.chunks, "bytes": credit.bytes})
        }
        Kind::EndSession => json!({"session": read_session(&body)?}),
        Kind::Hello => read_json::<Hello>(kind, &body).and_then(|_| raw_json(frame))?,
        Kind::Ready => read_json::<Ready>(kind, &body).and_then(|_| raw_json(frame))?,
        Kind::Error => read_json::<WorkerError>(kind, &body).and_then(|_| raw_json(frame))?,
        Kind::Log => read_json::<LogLine>(kind, &body).and_then(|_| raw_json(frame))?,
        Kind::Recycle => read_json::<Recycle>(kind, &body).and_then(|_| raw_json(frame))?,
        Kind::Event => raw_json(frame)?,
        _ => {
            read_nothing(kind, &body)?;
            json!({})
        }
    })
}

fn raw_json(frame: &Frame) -> Result<Value, ProtocolError> {
    Ok(json!({"json": read_json::<Value>(frame.kind, &frame.body)?}))
}

fn payload_json(payload: &Payload) -> Value {
    let attachments: Vec<String> = payload.attachments.iter().map(|attachment| hex(attachment)).collect();
    json!({"content_type": payload.content_type, "data_hex": hex(&payload.data), "attachments_hex": attachments})
}

fn request_json(body: Bytes, credit: Option<StreamWindow>) -> Result<Value, ProtocolError> {
    let request = read_request(body)?;
    let mut decoded = payload_json(&request.payload);
    let fields = json!({
        "time_left_ms": request.time_left.map(|left| u64::try_from(left.as_millis()).unwrap()),
        "command": request.command,
        "session": request.session,
        "traceparent": request.traceparent,
        "metadata": request.metadata,
    });
    let all = decoded.as_object_mut().unwrap();
    all.extend(fields.as_object().unwrap().clone());
    if let Some(credit) = credit {
        all.insert("credit".into(), json!({"chunks": credit.chunks, "bytes": credit.bytes}));
    }
    Ok(decoded)
}

/// Writes the frame again from what was read of it. JSON has many forms, so those bodies are only carried.
fn written_again(frame: &Frame) -> BytesMut {
    let mut out = BytesMut::new();
    let (kind, id, mut body) = (frame.kind, frame.id, frame.body.clone());
    match kind {
        Kind::Execute | Kind::ExecuteStream => {
            let credit = (kind == Kind::ExecuteStream).then(|| take_credit(&mut body).unwrap());
            let received = read_request(body).unwrap();
            let mut request = Request::new(received.command, received.payload);
            request.session = received.session.map(|session| SessionId::new(&session).unwrap());
            request.traceparent = received.traceparent.map(Into::into);
            request.metadata =
                received.metadata.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
            let layout = RequestLayout::new(&request, received.time_left, credit).unwrap();
            put_layout(&mut out, kind, id, &layout);
        }
        Kind::Result | Kind::Chunk => {
            let payload = read_payload(body).unwrap();
            put_layout(&mut out, kind, id, &PayloadLayout::new(&payload).unwrap());
        }
        Kind::Credit => put_frame(&mut out, kind, id, &credit_body(read_credit(body).unwrap())),
        _ => put_frame(&mut out, kind, id, &body),
    }
    out
}

#[test]
fn every_frame_is_read_as_the_contract_says() {
    for vector in vectors().frames {
        let name = &vector.name;
        let bytes = unhex(&vector.frame_hex);
        let Some(kind) = Kind::from_code(vector.kind) else {
            assert_eq!(vector.decoded, json!({"skipped": true}), "{name}");
            for side in [Side::Host, Side::Worker] {
                assert_eq!(read_all(side, &bytes, 1), Ok(vec![]), "{name}");
            }
            continue;
        };
        assert_eq!(Some(kind.name()), vector.kind_name.as_deref(), "{name}");
        let side = if kind.may_come_from(Side::Host) { Side::Host } else { Side::Worker };
        let read = read_all(side, &bytes, bytes.len()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let [(frame, decoded)] = &read[..] else { panic!("{name}: {} frames", read.len()) };
        assert_eq!((frame.kind, frame.id), (kind, vector.request_id), "{name}");
        assert_eq!(*decoded, vector.decoded, "{name}");
        assert_eq!(read_all(side, &bytes, 1).unwrap(), read, "{name}, byte by byte");
    }
}

#[test]
fn every_frame_is_written_as_the_contract_says() {
    // We never set OPTIONAL, and always leave the content type of JSON out.
    let written_otherwise = ["event", "execute_with_the_largest_request_id"];
    for vector in vectors().frames.into_iter().filter(|vector| !written_otherwise.contains(&&*vector.name)) {
        let bytes = unhex(&vector.frame_hex);
        for side in [Side::Host, Side::Worker] {
            for (frame, _) in read_all(side, &bytes, bytes.len()).unwrap_or_default() {
                assert_eq!(hex(&written_again(&frame)), vector.frame_hex, "{}", vector.name);
            }
        }
    }
}

#[test]
fn every_sequence_ends_in_its_messages_however_it_arrives() {
    for vector in vectors().sequences {
        let name = &vector.name;
        let bytes: Vec<u8> = vector.frames_hex.iter().flat_map(|frame| unhex(frame)).collect();
        for side in sides(&vector.from) {
            for piece in [bytes.len(), 1, 7, 1000] {
                let read = read_all(*side, &bytes, piece).unwrap_or_else(|error| panic!("{name}: {error}"));
                let messages: Vec<_> =
                    read.iter().map(|(frame, decoded)| (frame.kind.name(), frame.id, decoded)).collect();
                let expected: Vec<_> = vector
                    .messages
                    .iter()
                    .map(|message| (message.kind_name.as_str(), message.request_id, &message.decoded))
                    .collect();
                assert_eq!(messages, expected, "{name}");
            }
        }
    }
}

#[test]
fn every_breach_has_its_name() {
    for vector in vectors().bad {
        let bytes = unhex(&vector.bytes_hex);
        for side in sides(&vector.from) {
            for piece in [bytes.len(), 1] {
                let error = read_all(*side, &bytes, piece).unwrap_err();
                assert_eq!(error.word(), vector.error, "{} from {side:?}: {error}", vector.name);
            }
        }
    }
}

#[test]
fn a_body_is_cut_where_the_contract_says() {
    let payload = Payload::bytes(vec![5; 600_000]);
    let mut body = CutBody::of_layout(Kind::Result, 1, &PayloadLayout::new(&payload).unwrap());
    let mut lengths = Vec::new();
    loop {
        let part = body.next_part();
        lengths.push(part.pieces.iter().map(Bytes::len).sum::<usize>() - 16);
        if part.last {
            break;
        }
    }
    assert_eq!(lengths, [262_144, 262_144, 600_000 + 8 + 24 - 2 * 262_144]);
}

#[test]
fn the_contract_has_a_row_for_every_kind_of_error() {
    let contract = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/README.md");
    let contract = std::fs::read_to_string(contract).unwrap();
    for kind in WorkerErrorKind::KNOWN {
        let word = serde_json::to_value(kind).unwrap();
        let row = format!("\n| `{}` | ", word.as_str().unwrap());
        assert!(contract.contains(&row), "{kind:?} is not in section 5");
    }
}
