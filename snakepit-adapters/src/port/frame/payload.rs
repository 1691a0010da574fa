//! The body of a Result or a Chunk, and the two-part shape that it shares with a request's body.

use std::borrow::Cow;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use snakepit_core::{JSON, OCTET_STREAM, Payload};

use crate::port::frame::error::ProtocolError;

/// A body that ends in a payload: a small head that is written out, then bytes that are shared, not copied.
pub trait BodyLayout {
    /// How many bytes [`put_head`](Self::put_head) writes.
    fn head_len(&self) -> usize;
    /// Writes all that stands before the payload's bytes.
    fn put_head(&self, out: &mut BytesMut);
    /// Whose data and attachments follow the head.
    fn payload(&self) -> &Payload;

    /// The length of the whole body.
    fn body_len(&self) -> usize {
        self.head_len() + self.payload().size()
    }
}

/// A field that is longer than the wire can say, so that the frame cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is {size} long, the wire allows {limit}")]
pub struct FieldTooLong {
    /// Which field.
    pub what: &'static str,
    /// Its length: bytes, or pieces where it is a list.
    pub size: usize,
    /// The most that the wire can say.
    pub limit: usize,
}

/// Checks a length for a field of two bytes.
pub(super) fn short(what: &'static str, size: usize) -> Result<u16, FieldTooLong> {
    u16::try_from(size).map_err(|_| FieldTooLong { what, size, limit: usize::from(u16::MAX) })
}

/// Checks a length for a field of four bytes.
pub(super) fn long(what: &'static str, size: usize) -> Result<u32, FieldTooLong> {
    u32::try_from(size).map_err(|_| FieldTooLong { what, size, limit: u32::MAX as usize })
}

/// The content type as it stands on the wire: JSON is the default and is left out.
pub(super) fn content_type_on_wire(payload: &Payload) -> &str {
    if payload.content_type == JSON { "" } else { &payload.content_type }
}

/// The body of a Result or a Chunk, ready to be written.
#[derive(Debug)]
pub struct PayloadLayout<'a> {
    payload: &'a Payload,
    content_type: u16,
    attachments: u16,
    data: u32,
}

impl<'a> PayloadLayout<'a> {
    /// Checks that every length can be said.
    ///
    /// # Errors
    /// [`FieldTooLong`] names the field.
    pub fn new(payload: &'a Payload) -> Result<Self, FieldTooLong> {
        for attachment in &payload.attachments {
            long("an attachment", attachment.len())?;
        }
        Ok(Self {
            content_type: short("the content type", content_type_on_wire(payload).len())?,
            attachments: short("the list of attachments", payload.attachments.len())?,
            data: long("the data", payload.data.len())?,
            payload,
        })
    }
}

impl BodyLayout for PayloadLayout<'_> {
    fn head_len(&self) -> usize {
        8 + 4 * usize::from(self.attachments) + usize::from(self.content_type)
    }

    fn put_head(&self, out: &mut BytesMut) {
        out.put_u16(self.content_type);
        out.put_u16(self.attachments);
        out.put_u32(self.data);
        put_lengths(out, &self.payload.attachments);
        out.put_slice(content_type_on_wire(self.payload).as_bytes());
    }

    fn payload(&self) -> &Payload {
        self.payload
    }
}

/// Appends the lengths of attachments that a layout has checked.
pub(super) fn put_lengths(out: &mut BytesMut, attachments: &[Bytes]) {
    for attachment in attachments {
        out.put_u32(
            u32::try_from(attachment.len()).expect("a layout checks its attachments when it is made"),
        );
    }
}

/// Reads the body of a Result or a Chunk.
///
/// # Errors
/// A [`ProtocolError`] where the lengths do not add up to the body's exactly, or the content type is not UTF-8.
pub fn read_payload(mut body: Bytes) -> Result<Payload, ProtocolError> {
    const WHAT: &str = "a payload body";
    let actual = body.len() as u64;
    let mut fields = Fields::<8>::take(WHAT, &mut body)?;
    let content_type = fields.u16();
    let attachments = fields.u16();
    let data = fields.u32();
    let lengths = read_lengths(WHAT, attachments, &mut body)?;
    let stated =
        [8 + 4 * u64::from(attachments), u64::from(content_type), u64::from(data)].iter().sum::<u64>()
            + lengths.iter().copied().map(u64::from).sum::<u64>();
    if stated != actual {
        return Err(ProtocolError::BodyLength { what: WHAT, stated, actual });
    }
    let content_type = read_content_type(&take(&mut body, content_type.into()))?;
    Ok(split_payload(content_type, data, &lengths, body))
}

/// The fixed-size fields at the start of a body, read one after the other.
pub(super) struct Fields<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Fields<N> {
    /// Takes `N` bytes off the body.
    pub(super) fn take(what: &'static str, body: &mut Bytes) -> Result<Self, ProtocolError> {
        let Some((bytes, _)) = body.split_first_chunk::<N>() else {
            return Err(ProtocolError::BodyLength { what, stated: N as u64, actual: body.len() as u64 });
        };
        let bytes = *bytes;
        body.advance(N);
        Ok(Self { bytes, at: 0 })
    }

    pub(super) fn u16(&mut self) -> u16 {
        let value = u16::from_be_bytes([self.bytes[self.at], self.bytes[self.at + 1]]);
        self.at += 2;
        value
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from(self.u16()) << 16 | u32::from(self.u16())
    }
}

/// Takes the lengths of `count` attachments off the body. What is allocated is bounded by what has arrived.
pub(super) fn read_lengths(
    what: &'static str,
    count: u16,
    body: &mut Bytes,
) -> Result<Vec<u32>, ProtocolError> {
    let stated = 4 * usize::from(count);
    if body.len() < stated {
        return Err(ProtocolError::BodyLength { what, stated: stated as u64, actual: body.len() as u64 });
    }
    Ok((0..count).map(|_| body.get_u32()).collect())
}

/// Takes bytes off the body that a check of the lengths has found to be there. Nothing is shared for an empty field.
pub(super) fn take(body: &mut Bytes, len: usize) -> Bytes {
    if len == 0 { Bytes::new() } else { body.split_to(len) }
}

/// Reads a text field.
pub(super) fn read_text<'a>(what: &'static str, bytes: &'a [u8]) -> Result<&'a str, ProtocolError> {
    std::str::from_utf8(bytes).map_err(|_| ProtocolError::NotText {
        what,
        bytes: bytes[..bytes.len().min(40)].escape_ascii().to_string(),
    })
}

/// Reads a content type; the two that nearly every payload has cost no allocation.
pub(super) fn read_content_type(bytes: &[u8]) -> Result<Cow<'static, str>, ProtocolError> {
    Ok(match read_text("a content type", bytes)? {
        "" | JSON => Cow::Borrowed(JSON),
        OCTET_STREAM => Cow::Borrowed(OCTET_STREAM),
        other => Cow::Owned(other.to_owned()),
    })
}

/// Splits what is left of a body, whose lengths have been checked, into data and attachments.
pub(super) fn split_payload(
    content_type: Cow<'static, str>,
    data: u32,
    lengths: &[u32],
    body: Bytes,
) -> Payload {
    // The usual payload has no attachments: its data is the rest, and nothing need be split.
    if lengths.is_empty() {
        return Payload { content_type, data: body, attachments: Vec::new() };
    }
    let mut body = body;
    let data = take(&mut body, data as usize);
    let attachments = lengths.iter().map(|len| take(&mut body, *len as usize)).collect();
    Payload { content_type, data, attachments }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(payload: &Payload) -> Bytes {
        let layout = PayloadLayout::new(payload).unwrap();
        let mut out = BytesMut::new();
        layout.put_head(&mut out);
        assert_eq!(out.len(), layout.head_len());
        out.extend_from_slice(&payload.data);
        payload.attachments.iter().for_each(|attachment| out.extend_from_slice(attachment));
        assert_eq!(out.len(), layout.body_len());
        out.freeze()
    }

    #[test]
    fn a_payload_comes_back_as_it_went() {
        let with =
            |content_type, attachments| Payload { content_type, data: Bytes::from("data"), attachments };
        for payload in [
            Payload::json(&1).unwrap(),
            Payload::bytes(""),
            with(Cow::Borrowed("text/plain; charset=utf-8"), vec![]),
            with(Cow::Borrowed(JSON), vec![Bytes::from("one"), Bytes::new(), Bytes::from("three")]),
        ] {
            assert_eq!(read_payload(written(&payload)), Ok(payload));
        }
    }

    #[test]
    fn json_is_left_out_of_the_body() {
        assert_eq!(&written(&Payload::json(&1).unwrap())[..], b"\0\0\0\0\0\0\0\x011");
    }

    #[test]
    fn lengths_that_do_not_add_up_are_refused() {
        let whole = written(&Payload { attachments: vec![Bytes::from("abc")], ..Payload::bytes("x") });
        for len in 0..whole.len() {
            let error = read_payload(whole.slice(..len)).unwrap_err();
            assert!(matches!(error, ProtocolError::BodyLength { .. }), "{len} bytes: {error}");
        }
        let mut longer = BytesMut::from(&whole[..]);
        longer.put_u8(0);
        let error = read_payload(longer.freeze()).unwrap_err().to_string();
        assert!(error.starts_with("a payload body states"), "{error}");
    }

    #[test]
    fn a_content_type_must_be_text() {
        let error = read_payload(Bytes::from_static(b"\0\x02\0\0\0\0\0\0\xff\xfe")).unwrap_err();
        assert_eq!(error, ProtocolError::NotText { what: "a content type", bytes: "\\xff\\xfe".into() });
    }

    #[test]
    fn a_field_that_the_wire_cannot_say_is_named() {
        let payload = Payload { content_type: "x".repeat(70_000).into(), ..Payload::bytes("") };
        let error = PayloadLayout::new(&payload).unwrap_err();
        assert_eq!(error.to_string(), "the content type is 70000 long, the wire allows 65535");
    }
}
