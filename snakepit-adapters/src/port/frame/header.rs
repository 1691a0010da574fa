//! The 16 bytes that open every frame.

use bytes::{BufMut, BytesMut};

use crate::port::frame::error::ProtocolError;
use crate::port::frame::kind::Kind;

/// The size of the header, its length field included.
pub const HEADER_LEN: usize = 16;
/// The least that the length field may say: the header behind the field, and no body.
pub const MIN_LENGTH: u32 = 12;
/// The most that the length field may say.
pub const MAX_LENGTH: u32 = 1 << 20;

const OPTIONAL: u8 = 0b01;
const MORE: u8 = 0b10;

/// A header as it stands on the wire, checked as far as it can be without knowing its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The kind's code, which this version may not know.
    pub code: u8,
    /// A receiver that does not know the kind skips the frame.
    pub optional: bool,
    /// The body goes on in Part frames.
    pub more: bool,
    /// The request, or 0.
    pub id: u64,
    /// How many bytes of body follow.
    pub body_len: usize,
}

impl Header {
    /// A frame that holds its whole body.
    ///
    /// # Panics
    /// Where the body does not fit in a frame.
    pub fn whole(kind: Kind, id: u64, body_len: usize) -> Self {
        Self::of(kind, id, body_len, false)
    }

    /// A frame whose body goes on, unless this is the last of its parts.
    ///
    /// # Panics
    /// Where the body does not fit in a frame.
    pub fn of(kind: Kind, id: u64, body_len: usize, more: bool) -> Self {
        assert!(body_len <= (MAX_LENGTH - MIN_LENGTH) as usize, "a body of {body_len} bytes must be cut");
        Self { code: kind.code(), optional: false, more, id, body_len }
    }

    /// Reads the header at the start of `bytes`, or nothing if there is too little. The length is checked as soon as
    /// its own four bytes are there, so that nobody waits for a frame that may not be.
    ///
    /// # Errors
    /// A [`ProtocolError`] that names the field.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, ProtocolError> {
        let Some((length, _)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length);
        if !(MIN_LENGTH..=MAX_LENGTH).contains(&length) {
            return Err(ProtocolError::FrameLength { length });
        }
        let Some((header, _)) = bytes.split_first_chunk::<HEADER_LEN>() else { return Ok(None) };
        let [_, _, _, _, code, flags, r0, r1, id @ ..] = *header;
        if flags & !(OPTIONAL | MORE) != 0 {
            return Err(ProtocolError::UnknownFlags { code, flags });
        }
        let reserved = u16::from_be_bytes([r0, r1]);
        if reserved != 0 {
            return Err(ProtocolError::ReservedField { code, value: reserved });
        }
        Ok(Some(Self {
            code,
            optional: flags & OPTIONAL != 0,
            more: flags & MORE != 0,
            id: u64::from_be_bytes(id),
            body_len: (length - MIN_LENGTH) as usize,
        }))
    }

    /// The header as it stands on the wire.
    ///
    /// # Panics
    /// Where the body does not fit in a frame.
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let length = MIN_LENGTH + u32::try_from(self.body_len).expect("a body in a frame is less than 1 MiB");
        let flags = if self.optional { OPTIONAL } else { 0 } | if self.more { MORE } else { 0 };
        let mut bytes = [0; HEADER_LEN];
        bytes[0..4].copy_from_slice(&length.to_be_bytes());
        bytes[4] = self.code;
        bytes[5] = flags;
        bytes[8..16].copy_from_slice(&self.id.to_be_bytes());
        bytes
    }

    /// Appends the header.
    pub fn put(self, out: &mut BytesMut) {
        out.put_slice(&self.to_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(length: u32, flags: u8, reserved: u16) -> Vec<u8> {
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend([0x43, flags]);
        bytes.extend(reserved.to_be_bytes());
        bytes.extend(7_u64.to_be_bytes());
        bytes
    }

    #[test]
    fn a_header_comes_back_as_it_went() {
        for header in [
            Header::whole(Kind::Ping, 7, 0),
            Header::of(Kind::Part, u64::MAX, 262_144, true),
            Header { code: 0x7f, optional: true, more: true, id: 1, body_len: 1_048_564 },
        ] {
            assert_eq!(Header::read(&header.to_bytes()), Ok(Some(header)));
        }
    }

    #[test]
    fn a_short_header_is_waited_for() {
        let whole = bytes(12, 0, 0);
        for len in 0..whole.len() {
            assert_eq!(Header::read(&whole[..len]), Ok(None), "{len} bytes");
        }
    }

    #[test]
    fn a_length_out_of_bounds_is_refused_by_its_first_four_bytes() {
        for length in [0, 11, MAX_LENGTH + 1, u32::MAX] {
            let error = Header::read(&length.to_be_bytes()).unwrap_err();
            assert_eq!(error, ProtocolError::FrameLength { length });
        }
        assert_eq!(
            ProtocolError::FrameLength { length: u32::MAX }.to_string(),
            "a frame states a length of 4294967295 bytes, allowed are 12 to 1048576"
        );
    }

    #[test]
    fn unknown_flags_and_a_used_reserved_field_are_refused() {
        assert_eq!(
            Header::read(&bytes(12, 0b100, 0)),
            Err(ProtocolError::UnknownFlags { code: 0x43, flags: 0b100 })
        );
        assert_eq!(
            Header::read(&bytes(12, 0, 9)),
            Err(ProtocolError::ReservedField { code: 0x43, value: 9 })
        );
    }
}
