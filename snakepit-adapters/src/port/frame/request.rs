//! The body of an Execute or an `ExecuteStream`.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use snakepit_core::adapter::StreamWindow;
use snakepit_core::{Payload, Request};

use crate::port::frame::error::ProtocolError;
use crate::port::frame::payload::{
    BodyLayout, FieldTooLong, Fields, content_type_on_wire, long, put_lengths, read_content_type,
    read_lengths, read_text, short, split_payload, take,
};

const FIXED: usize = 24;
/// What the field for the time left says where there is no limit.
const NO_LIMIT: u32 = u32::MAX;

/// The body of an Execute or an `ExecuteStream`, ready to be written.
#[derive(Debug)]
pub struct RequestLayout<'a> {
    request: &'a Request,
    credit: Option<StreamWindow>,
    time_left: u32,
    command: u16,
    session: u16,
    content_type: u16,
    traceparent: u16,
    metadata: u32,
    attachments: u16,
    data: u32,
}

impl<'a> RequestLayout<'a> {
    /// Checks that every length can be said. `credit` is what a stream begins with; `None` writes an Execute.
    ///
    /// # Errors
    /// [`FieldTooLong`] names the field.
    pub fn new(
        request: &'a Request,
        time_left: Option<Duration>,
        credit: Option<StreamWindow>,
    ) -> Result<Self, FieldTooLong> {
        let mut metadata = 0;
        for (key, value) in &request.metadata {
            short("a metadata key", key.len())?;
            short("a metadata value", value.len())?;
            metadata += 4 + key.len() + value.len();
        }
        for attachment in &request.payload.attachments {
            long("an attachment", attachment.len())?;
        }
        Ok(Self {
            time_left: time_left.map_or(NO_LIMIT, whole_millis),
            command: short("the command", request.command.len())?,
            session: short(
                "the session id",
                request.session.as_ref().map_or(0, |session| session.as_str().len()),
            )?,
            content_type: short("the content type", content_type_on_wire(&request.payload).len())?,
            traceparent: short("the traceparent", request.traceparent.as_ref().map_or(0, |text| text.len()))?,
            metadata: long("the metadata", metadata)?,
            attachments: short("the list of attachments", request.payload.attachments.len())?,
            data: long("the data", request.payload.data.len())?,
            request,
            credit,
        })
    }
}

/// Whole milliseconds, rounded up: a request with half a millisecond left is not over yet.
fn whole_millis(time_left: Duration) -> u32 {
    u32::try_from(time_left.as_nanos().div_ceil(1_000_000)).unwrap_or(NO_LIMIT)
}

impl BodyLayout for RequestLayout<'_> {
    fn head_len(&self) -> usize {
        let texts = [self.command, self.session, self.content_type, self.traceparent];
        let credit = if self.credit.is_some() { 8 } else { 0 };
        credit
            + FIXED
            + 4 * usize::from(self.attachments)
            + texts.into_iter().map(usize::from).sum::<usize>()
            + self.metadata as usize
    }

    fn put_head(&self, out: &mut BytesMut) {
        if let Some(credit) = self.credit {
            out.put_u32(credit.chunks);
            out.put_u32(credit.bytes);
        }
        out.put_u32(self.time_left);
        out.put_u16(self.command);
        out.put_u16(self.session);
        out.put_u16(self.content_type);
        out.put_u16(self.traceparent);
        out.put_u32(self.metadata);
        out.put_u16(self.attachments);
        out.put_u16(0);
        out.put_u32(self.data);
        put_lengths(out, &self.request.payload.attachments);
        out.put_slice(self.request.command.as_bytes());
        if let Some(session) = &self.request.session {
            out.put_slice(session.as_str().as_bytes());
        }
        out.put_slice(content_type_on_wire(&self.request.payload).as_bytes());
        if let Some(traceparent) = &self.request.traceparent {
            out.put_slice(traceparent.as_bytes());
        }
        for (key, value) in &self.request.metadata {
            for text in [key, value] {
                out.put_u16(u16::try_from(text.len()).expect("a layout checks its metadata when it is made"));
            }
            out.put_slice(key.as_bytes());
            out.put_slice(value.as_bytes());
        }
    }

    fn payload(&self) -> &Payload {
        &self.request.payload
    }
}

/// A request as a worker reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedRequest {
    /// How long the caller still waits; `None`: no limit.
    pub time_left: Option<Duration>,
    /// What to run.
    pub command: String,
    /// The session that it belongs to.
    pub session: Option<String>,
    /// W3C `traceparent` of the caller's span.
    pub traceparent: Option<String>,
    /// The caller's pairs.
    pub metadata: Vec<(String, String)>,
    /// The arguments.
    pub payload: Payload,
}

/// Reads the credit that stands before the request in an `ExecuteStream`.
///
/// # Errors
/// [`ProtocolError::BodyLength`] where the body is too short.
pub fn take_credit(body: &mut Bytes) -> Result<StreamWindow, ProtocolError> {
    let mut fields = Fields::<8>::take("the credit", body)?;
    Ok(StreamWindow { chunks: fields.u32(), bytes: fields.u32() })
}

/// Reads a request body.
///
/// # Errors
/// A [`ProtocolError`] where the lengths do not add up to the body's exactly, or a text is not UTF-8.
pub fn read_request(mut body: Bytes) -> Result<ReceivedRequest, ProtocolError> {
    const WHAT: &str = "a request body";
    let actual = body.len() as u64;
    let mut fields = Fields::<FIXED>::take(WHAT, &mut body)?;
    let time_left = fields.u32();
    let [command, session, content_type, traceparent] = std::array::from_fn(|_| fields.u16());
    let metadata = fields.u32();
    let attachments = fields.u16();
    let reserved = fields.u16();
    let data = fields.u32();
    if reserved != 0 {
        return Err(ProtocolError::BodyReserved { what: WHAT, value: reserved });
    }
    let lengths = read_lengths(WHAT, attachments, &mut body)?;
    let stated = FIXED as u64
        + 4 * u64::from(attachments)
        + [command, session, content_type, traceparent].into_iter().map(u64::from).sum::<u64>()
        + u64::from(metadata)
        + u64::from(data)
        + lengths.iter().copied().map(u64::from).sum::<u64>();
    if stated != actual {
        return Err(ProtocolError::BodyLength { what: WHAT, stated, actual });
    }
    let command = read_text("the command", &take(&mut body, command.into()))?.to_owned();
    let session = optional_text("the session id", &take(&mut body, session.into()))?;
    let content_type = read_content_type(&take(&mut body, content_type.into()))?;
    let traceparent = optional_text("the traceparent", &take(&mut body, traceparent.into()))?;
    let metadata = read_metadata(take(&mut body, metadata as usize))?;
    Ok(ReceivedRequest {
        time_left: (time_left != NO_LIMIT).then(|| Duration::from_millis(time_left.into())),
        command,
        session,
        traceparent,
        metadata,
        payload: split_payload(content_type, data, &lengths, body),
    })
}

fn optional_text(what: &'static str, bytes: &[u8]) -> Result<Option<String>, ProtocolError> {
    if bytes.is_empty() { Ok(None) } else { Ok(Some(read_text(what, bytes)?.to_owned())) }
}

fn read_metadata(mut bytes: Bytes) -> Result<Vec<(String, String)>, ProtocolError> {
    const WHAT: &str = "the metadata";
    let mut pairs = Vec::new();
    while !bytes.is_empty() {
        let mut fields = Fields::<4>::take(WHAT, &mut bytes)?;
        let (key, value) = (usize::from(fields.u16()), usize::from(fields.u16()));
        if key + value > bytes.len() {
            return Err(ProtocolError::BodyLength {
                what: WHAT,
                stated: (key + value) as u64,
                actual: bytes.len() as u64,
            });
        }
        let key = read_text("a metadata key", &take(&mut bytes, key))?.to_owned();
        let value = read_text("a metadata value", &take(&mut bytes, value))?.to_owned();
        pairs.push((key, value));
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use snakepit_core::SessionId;

    fn written(request: &Request, time_left: Option<Duration>) -> Bytes {
        let layout = RequestLayout::new(request, time_left, None).unwrap();
        let mut out = BytesMut::new();
        layout.put_head(&mut out);
        assert_eq!(out.len(), layout.head_len());
        out.extend_from_slice(&request.payload.data);
        request.payload.attachments.iter().for_each(|attachment| out.extend_from_slice(attachment));
        assert_eq!(out.len(), layout.body_len());
        out.freeze()
    }

    fn full() -> Request {
        let payload = Payload {
            content_type: "text/x-test".into(),
            data: Bytes::from("data"),
            attachments: vec![Bytes::from("one"), Bytes::new()],
        };
        Request::new("dö", payload)
            .session(SessionId::new("s-1").unwrap())
            .traceparent("00-ab-cd-01")
            .metadata("k", "v")
            .metadata("", "empty key")
    }

    #[test]
    fn a_request_comes_back_as_it_went() {
        let received = read_request(written(&full(), Some(Duration::from_millis(1500)))).unwrap();
        assert_eq!(received.time_left, Some(Duration::from_millis(1500)));
        assert_eq!(received.command, "dö");
        assert_eq!(received.session.as_deref(), Some("s-1"));
        assert_eq!(received.traceparent.as_deref(), Some("00-ab-cd-01"));
        assert_eq!(received.metadata, [("k".into(), "v".into()), (String::new(), "empty key".into())]);
        assert_eq!(received.payload, full().payload);
    }

    #[test]
    fn a_request_without_extras_has_none() {
        let received = read_request(written(&Request::new("x", Payload::json(&()).unwrap()), None)).unwrap();
        let nothing = (received.time_left, received.session, received.traceparent);
        assert_eq!(nothing, (None, None, None));
        assert_eq!(
            (received.metadata.len(), received.payload.content_type.as_ref()),
            (0, snakepit_core::JSON)
        );
    }

    #[test]
    fn time_left_is_rounded_up_and_never_says_no_limit_by_accident_of_size() {
        assert_eq!(whole_millis(Duration::ZERO), 0);
        assert_eq!(whole_millis(Duration::from_micros(1)), 1);
        assert_eq!(whole_millis(Duration::from_millis(7)), 7);
        // Seven weeks are more than the field can say, and as good as no limit.
        assert_eq!(whole_millis(Duration::from_secs(5_000_000)), NO_LIMIT);
    }

    #[test]
    fn the_credit_of_a_stream_stands_first() {
        let (request, window) = (full(), StreamWindow { chunks: 3, bytes: 70_000 });
        let layout = RequestLayout::new(&request, None, Some(window)).unwrap();
        let mut out = BytesMut::new();
        layout.put_head(&mut out);
        assert_eq!(out.len(), layout.head_len());
        let mut body = out.freeze();
        assert_eq!(take_credit(&mut body), Ok(window));
        assert!(take_credit(&mut Bytes::from_static(b"short")).is_err());
    }

    #[test]
    fn every_cut_of_a_body_is_refused() {
        let whole = written(&full(), None);
        for len in 0..whole.len() {
            assert!(
                matches!(read_request(whole.slice(..len)), Err(ProtocolError::BodyLength { .. })),
                "{len}"
            );
        }
    }

    #[test]
    fn broken_fields_are_named() {
        let whole = written(&full(), None);
        let changed = |at: usize, to: u8| {
            let mut bytes = BytesMut::from(&whole[..]);
            bytes[at] = to;
            read_request(bytes.freeze()).unwrap_err().to_string()
        };
        assert_eq!(changed(19, 1), "a request body has 0x0001 in its reserved field");
        let command = FIXED + 8;
        assert!(changed(command, 0xff).starts_with("the command is not UTF-8"));
        let metadata = command + 3 + 3 + 11 + 11;
        assert!(changed(metadata + 1, 200).starts_with("the metadata states"));
    }

    #[test]
    fn a_field_that_the_wire_cannot_say_is_named() {
        let long = "x".repeat(65_536);
        let plain = || Request::new("x", Payload::bytes(""));
        let cases = [
            (Request::new(long.as_str(), Payload::bytes("")), "the command"),
            (plain().traceparent(long.as_str()), "the traceparent"),
            (plain().metadata(long.as_str(), ""), "a metadata key"),
            (plain().metadata("", long.as_str()), "a metadata value"),
        ];
        for (request, what) in cases {
            let error = RequestLayout::new(&request, None, None).unwrap_err();
            assert_eq!(error, FieldTooLong { what, size: 65_536, limit: 65_535 });
        }
    }
}
