//! Writing frames: small ones whole, large bodies cut into parts.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::port::frame::header::Header;
use crate::port::frame::kind::Kind;
use crate::port::frame::payload::BodyLayout;

/// Longer bodies are cut into parts of this size, so that small frames need not wait for large ones.
pub const CUT_AT: usize = 262_144;

/// Appends a frame with a body that is at hand and not over [`CUT_AT`].
pub fn put_frame(out: &mut BytesMut, kind: Kind, id: u64, body: &[u8]) {
    Header::whole(kind, id, body.len()).put(out);
    out.extend_from_slice(body);
}

/// Appends a frame with a body that is not over [`CUT_AT`].
pub fn put_layout(out: &mut BytesMut, kind: Kind, id: u64, layout: &impl BodyLayout) {
    Header::whole(kind, id, layout.body_len()).put(out);
    layout.put_head(out);
    let payload = layout.payload();
    out.extend_from_slice(&payload.data);
    for attachment in &payload.attachments {
        out.extend_from_slice(attachment);
    }
}

/// A body that leaves in several frames. Its bytes are shared with the payload, not copied.
#[derive(Debug)]
pub struct CutBody {
    kind: Kind,
    id: u64,
    begun: bool,
    left: usize,
    pieces: VecDeque<Bytes>,
}

/// One frame of a cut body, ready to be written piece by piece.
#[derive(Debug)]
pub struct BodyPart {
    /// The header, then slices of the body.
    pub pieces: VecDeque<Bytes>,
    /// Whether the body is complete with it.
    pub last: bool,
}

impl CutBody {
    /// Cuts a body that ends in a payload.
    pub fn of_layout(kind: Kind, id: u64, layout: &impl BodyLayout) -> Self {
        let mut head = BytesMut::with_capacity(layout.head_len());
        layout.put_head(&mut head);
        let payload = layout.payload();
        let data = [head.freeze(), payload.data.clone()].into_iter();
        Self::of_pieces(kind, id, data.chain(payload.attachments.iter().cloned()).collect())
    }

    /// Cuts a body that is at hand.
    pub fn of_pieces(kind: Kind, id: u64, pieces: VecDeque<Bytes>) -> Self {
        Self { kind, id, begun: false, left: pieces.iter().map(Bytes::len).sum(), pieces }
    }

    /// The request that it belongs to.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether the peer has been sent some of it, so that the rest must follow.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// The next frame. After the last one there is nothing left to ask for.
    ///
    /// # Panics
    /// Never: the count of what is left is the sum of the pieces.
    pub fn next_part(&mut self) -> BodyPart {
        let len = self.left.min(CUT_AT);
        self.left -= len;
        let last = self.left == 0;
        let kind = if self.begun { Kind::Part } else { self.kind };
        self.begun = true;
        let header = Header::of(kind, self.id, len, !last);
        let mut part = VecDeque::with_capacity(3);
        part.push_back(Bytes::copy_from_slice(&header.to_bytes()));
        let mut wanted = len;
        while wanted > 0 {
            let mut piece = self.pieces.pop_front().expect("the pieces add up to what is left");
            if piece.len() > wanted {
                self.pieces.push_front(piece.split_off(wanted));
            }
            wanted -= piece.len();
            if !piece.is_empty() {
                part.push_back(piece);
            }
        }
        BodyPart { pieces: part, last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::frame::payload::PayloadLayout;
    use snakepit_core::Payload;

    fn parts_of(mut body: CutBody) -> Vec<(Header, Vec<u8>)> {
        let mut parts = Vec::new();
        loop {
            let BodyPart { mut pieces, last } = body.next_part();
            let header = Header::read(&pieces.pop_front().unwrap()).unwrap().unwrap();
            parts.push((header, pieces.iter().flatten().copied().collect()));
            if last {
                return parts;
            }
        }
    }

    #[test]
    fn a_large_body_leaves_in_parts_that_add_up_to_it() {
        let payload = Payload {
            attachments: vec![Bytes::from(vec![2; CUT_AT]), Bytes::new(), Bytes::from_static(b"end")],
            ..Payload::bytes(vec![1; 2 * CUT_AT])
        };
        let layout = PayloadLayout::new(&payload).unwrap();
        let parts = parts_of(CutBody::of_layout(Kind::Result, 9, &layout));
        let lengths: Vec<usize> = parts.iter().map(|(header, _)| header.body_len).collect();
        assert_eq!(lengths, [CUT_AT, CUT_AT, CUT_AT, layout.body_len() - 3 * CUT_AT]);
        let kinds: Vec<_> = parts.iter().map(|(header, _)| Kind::from_code(header.code).unwrap()).collect();
        assert_eq!(kinds, [Kind::Result, Kind::Part, Kind::Part, Kind::Part]);
        let more: Vec<_> = parts.iter().map(|(header, _)| header.more).collect();
        assert_eq!(more, [true, true, true, false]);

        let joined: Vec<u8> = parts.into_iter().flat_map(|(_, body)| body).collect();
        assert_eq!(crate::port::frame::read_payload(joined.into()), Ok(payload));
    }

    #[test]
    fn a_body_that_fits_is_one_frame() {
        let parts = parts_of(CutBody::of_pieces(Kind::Error, 1, [Bytes::from_static(b"{}")].into()));
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].0, Header::whole(Kind::Error, 1, 2));
    }
}
