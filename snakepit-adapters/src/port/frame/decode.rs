//! Reading frames: from bytes as they arrive to whole frames, cut bodies put together.

use std::collections::HashMap;

use bytes::buf::Limit;
use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::port::frame::encode::CUT_AT;
use crate::port::frame::error::ProtocolError;
use crate::port::frame::header::{HEADER_LEN, Header};
use crate::port::frame::kind::{Kind, Side};
use crate::port::frame::large_pages;

/// How much is asked of the pipe at once: as much as it holds.
const READ_SIZE: usize = 64 << 10;
/// Up to this size a body is taken from the read buffer in one piece, when all of it is there.
const SMALL: usize = 16 << 10;
/// How much is asked of the pipe at once between two parts of a cut body: a header and some small frames. What it brings
/// of the next part is copied once more, the rest is not.
const BETWEEN_PARTS: usize = 4 << 10;
/// What a body may hold beside the payload: texts, metadata, lengths.
pub const BESIDE_PAYLOAD: usize = 1 << 20;
/// How many requests a worker may have that it has not answered, and so how many cut bodies may be under way.
pub const REQUESTS_LIMIT: u16 = 4096;

/// A whole frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// The request, or 0.
    pub id: u64,
    /// The whole body, its parts put together.
    pub body: Bytes,
}

/// What has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A frame with all of its body.
    Frame(Frame),
    /// A large body has begun. Its receiver may refuse it now, before its bytes are kept.
    Begun {
        /// What it will be.
        kind: Kind,
        /// The request, or 0.
        id: u64,
    },
}

/// Turns bytes into frames, however they were split on their way.
///
/// A body grows with what has arrived, up to the limit: no length that the peer states allocates more than one piece.
#[derive(Debug)]
pub struct Decoder {
    from: Side,
    body_limit: usize,
    buffer: BytesMut,
    frames_ended: u64,
    /// The frame whose body is arriving, if it is too large to wait for in the buffer.
    arriving: Option<Arriving>,
    /// Cut bodies of which a frame has come with the promise of more.
    cut: HashMap<u64, Growing>,
}

#[derive(Debug)]
struct Arriving {
    id: u64,
    more: bool,
    body: Growing,
    /// How long the body is when all of this frame has come.
    end: usize,
}

/// A body under way: what it belongs to, and its bytes so far. A frame that is skipped keeps none.
#[derive(Debug)]
struct Growing {
    kind: Option<Kind>,
    bytes: BytesMut,
    skipped: usize,
}

impl Decoder {
    /// Reads what `from` sends.
    pub fn new(from: Side, payload_limit: usize) -> Self {
        Self {
            from,
            body_limit: payload_limit.saturating_add(BESIDE_PAYLOAD),
            buffer: BytesMut::new(),
            frames_ended: 0,
            arriving: None,
            cut: HashMap::new(),
        }
    }

    /// Sets the limit once it is known: a worker learns it from the first frame.
    pub fn set_payload_limit(&mut self, payload_limit: usize) {
        self.body_limit = payload_limit.saturating_add(BESIDE_PAYLOAD);
    }

    /// Where to put what was read, behind what is already there.
    pub fn buffer(&mut self) -> &mut BytesMut {
        self.buffer.reserve(READ_SIZE);
        &mut self.buffer
    }

    /// The same for whoever can read as much as fits and no more: the rest of a large body is read to where it stays.
    pub fn room(&mut self) -> Limit<&mut BytesMut> {
        let wanted = if self.cut.is_empty() { READ_SIZE } else { BETWEEN_PARTS };
        match &mut self.arriving {
            Some(arriving) if self.buffer.is_empty() && arriving.is_kept() && arriving.left() > 0 => {
                let left = arriving.left();
                arriving.body.make_room(left.min(CUT_AT));
                (&mut arriving.body.bytes).limit(left)
            }
            _ => {
                self.buffer.reserve(wanted);
                (&mut self.buffer).limit(wanted)
            }
        }
    }

    /// Takes the next frame out of the buffer, or nothing if more must arrive first.
    ///
    /// # Errors
    /// The rule that the peer broke. The decoder is of no use afterwards.
    pub fn next_incoming(&mut self) -> Result<Option<Incoming>, ProtocolError> {
        loop {
            if let Some(arriving) = &mut self.arriving {
                arriving.grow(&mut self.buffer);
                if arriving.left() > 0 {
                    return Ok(None);
                }
                if let Some(frame) = self.arrived() {
                    return Ok(Some(Incoming::Frame(frame)));
                }
            }
            let Some(header) = Header::read(&self.buffer)? else { return Ok(None) };
            let kind = self.admit(&header)?;
            match kind {
                Some(kind) if kind != Kind::Part && !header.more && header.body_len <= SMALL => {
                    return Ok(self.small(kind, &header).map(Incoming::Frame));
                }
                _ => {}
            }
            self.buffer.advance(HEADER_LEN);
            let body = self.open(kind, &header)?;
            let begun = body.kind.filter(|_| kind != Some(Kind::Part));
            let end = body.len() + header.body_len;
            self.arriving = Some(Arriving { id: header.id, more: header.more, body, end });
            if let Some(kind) = begun {
                return Ok(Some(Incoming::Begun { kind, id: header.id }));
            }
        }
    }

    /// How many frames have come to their end, parts of a cut body and those that are skipped among them.
    pub fn frames_ended(&self) -> u64 {
        self.frames_ended
    }

    /// Says whether the wire may end here.
    ///
    /// # Errors
    /// [`ProtocolError::Torn`] where a frame or a cut body is incomplete.
    pub fn finish(&self) -> Result<(), ProtocolError> {
        let what = if let Some(arriving) = &self.arriving {
            format!("{} bytes of a frame for request {} are missing", arriving.left(), arriving.id)
        } else if !self.buffer.is_empty() {
            format!("only its first {} bytes came", self.buffer.len())
        } else if let Some((id, body)) = self.cut.iter().min_by_key(|(id, _)| **id) {
            let kind = body.kind.map_or("an unknown kind", Kind::name);
            format!("the rest of {kind} for request {id} is missing")
        } else {
            return Ok(());
        };
        Err(ProtocolError::Torn { what })
    }

    /// Checks a header against what may come now. `None` is a kind to skip.
    fn admit(&self, header: &Header) -> Result<Option<Kind>, ProtocolError> {
        let (code, id) = (header.code, header.id);
        let kind = Kind::from_code(code).filter(|kind| kind.may_come_from(self.from));
        if kind.is_none() && !header.optional {
            return Err(ProtocolError::UnknownKind { code });
        }
        if header.more && !kind.is_some_and(Kind::may_be_cut) {
            return Err(ProtocolError::MoreNotAllowed { code });
        }
        match kind {
            Some(kind) if kind.is_about_request() && id == 0 => Err(ProtocolError::NoRequestId { kind }),
            Some(kind) if kind.waits_for_body() && self.cut.contains_key(&id) => {
                Err(ProtocolError::BodyUnderWay { kind, id })
            }
            kind => Ok(kind),
        }
    }

    /// Takes a frame whose body is short, if all of it has arrived.
    fn small(&mut self, kind: Kind, header: &Header) -> Option<Frame> {
        let len = HEADER_LEN + header.body_len;
        let whole = self.buffer.get(HEADER_LEN..len)?;
        // A short body is copied: a slice would keep the whole read buffer alive for as long as its receiver likes.
        let body = Bytes::copy_from_slice(whole);
        self.buffer.advance(len);
        self.frames_ended += 1;
        Some(Frame { kind, id: header.id, body })
    }

    /// Finds the body that the bytes of this frame belong to.
    fn open(&mut self, kind: Option<Kind>, header: &Header) -> Result<Growing, ProtocolError> {
        let body = if kind == Some(Kind::Part) {
            self.cut.remove(&header.id).ok_or(ProtocolError::StrayPart { id: header.id })?
        } else if header.more && self.cut.len() >= usize::from(REQUESTS_LIMIT) {
            return Err(ProtocolError::TooManyRequests { limit: REQUESTS_LIMIT });
        } else {
            Growing { kind, bytes: BytesMut::new(), skipped: 0 }
        };
        match body.kind {
            Some(kind) if body.len() + header.body_len > self.body_limit => {
                Err(ProtocolError::BodyTooLarge { kind, id: header.id, limit: self.body_limit })
            }
            _ => Ok(body),
        }
    }

    /// Ends the frame that was arriving: puts its body aside if more of it is to come.
    fn arrived(&mut self) -> Option<Frame> {
        let Arriving { id, more, body, .. } = self.arriving.take()?;
        self.frames_ended += 1;
        if more {
            self.cut.insert(id, body);
            return None;
        }
        Some(Frame { kind: body.kind?, id, body: body.bytes.freeze() })
    }
}

impl Arriving {
    fn is_kept(&self) -> bool {
        self.body.kind.is_some()
    }

    fn left(&self) -> usize {
        self.end - self.body.len()
    }

    /// Takes what has arrived of this frame.
    fn grow(&mut self, buffer: &mut BytesMut) {
        let len = self.left().min(buffer.len());
        match self.body.kind {
            Some(_) => {
                self.body.make_room(len);
                self.body.bytes.extend_from_slice(&buffer[..len]);
            }
            None => self.body.skipped += len,
        }
        buffer.advance(len);
    }
}

impl Growing {
    fn len(&self) -> usize {
        self.bytes.len() + self.skipped
    }

    /// Sees to memory for so many bytes more.
    fn make_room(&mut self, more: usize) {
        let before = self.bytes.capacity();
        self.bytes.reserve(more);
        if self.bytes.capacity() > before {
            large_pages::ask_for(&mut self.bytes);
        }
    }
}
