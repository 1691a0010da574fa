//! Input made by chance: frames that are nearly right, then damaged.

use bytes::BytesMut;
use snakepit_adapters::adapter::StreamWindow;
use snakepit_adapters::port::frame::{
    Header, Kind, PayloadLayout, RequestLayout, Side, credit_body, put_layout,
};
use snakepit_adapters::{OCTET_STREAM, Payload, Request};

use crate::chance::Chance;

/// All that comes at once stays below what a pipe holds, so that nobody need read while it is written.
const TOTAL: usize = 40_000;

/// Texts that mean something to one end or the other, right and wrong.
const TEXTS: &[&str] = &[
    "",
    "{}",
    "[]",
    "null",
    "{\"kind\":\"error\"}",
    "{\"kind\":\"cancelled\",\"message\":\"m\",\"cause\":{\"kind\":\"x\"}}",
    "{\"protocol\":[1],\"features\":[\"started\"],\"payload_limit\":100}",
    "{\"protocol\":[1]}",
    "{\"protocol\":[2]}",
    "{\"protocol\":1,\"capacity\":2}",
    "{\"protocol\":1,\"capacity\":0}",
    "{\"level\":\"warn\",\"message\":\"m\"}",
    "{\"progress\":{\"done\":1,\"total\":null}}",
    "{\"progress\":7}",
    "{\"reason\":\"r\"}",
    "{\"n\":3}",
    "[3]",
    "{\"a\":1e999}",
    "\u{1f40d}",
];

pub(super) struct Input(Chance);

impl Input {
    pub(super) fn new(seed: u64) -> Self {
        Self(Chance::new(seed))
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0.below(end)
    }

    pub(super) fn one_in(&mut self, odds: u64) -> bool {
        self.0.below(odds) == 0
    }

    fn size(&mut self, end: u64) -> usize {
        usize::try_from(self.0.below(end)).unwrap_or(0)
    }

    fn noise(&mut self, limit: u64) -> Vec<u8> {
        let len = self.size(limit);
        (0..len).map(|_| self.0.below(256).to_le_bytes()[0]).collect()
    }

    pub(super) fn text(&mut self) -> &'static str {
        self.0.of(TEXTS)
    }

    /// What one side might say, more or less.
    pub(super) fn bytes(&mut self, from: Side) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..self.below(12) {
            let frame = self.frame(from);
            if self.one_in(12) {
                // Said twice.
                bytes.extend_from_slice(&frame);
            }
            bytes.extend(frame);
        }
        self.damage(&mut bytes);
        bytes.truncate(TOTAL);
        bytes
    }

    fn frame(&mut self, from: Side) -> Vec<u8> {
        if self.one_in(30) {
            return self.noise(60);
        }
        let kind = self.0.of(Kind::ALL);
        let kind = if kind.may_come_from(from) || self.one_in(10) { kind } else { self.usual(from) };
        let id = if self.one_in(10) { self.below(u64::MAX) } else { self.below(5) };
        let body = self.body(kind);
        let header = Header {
            code: if self.one_in(30) { 0x7e } else { kind.code() },
            optional: self.one_in(20),
            more: self.one_in(6),
            id,
            body_len: body.len(),
        };
        [&header.to_bytes()[..], &body].concat()
    }

    fn usual(&mut self, from: Side) -> Kind {
        match from {
            Side::Host => {
                self.0.of(&[Kind::Execute, Kind::ExecuteStream, Kind::Part, Kind::Cancel, Kind::Credit])
            }
            Side::Worker => self.0.of(&[Kind::Result, Kind::Error, Kind::Chunk, Kind::Part, Kind::End]),
        }
    }

    fn body(&mut self, kind: Kind) -> Vec<u8> {
        if self.one_in(15) {
            return self.noise(80);
        }
        match kind {
            Kind::Execute | Kind::ExecuteStream => self.request(kind),
            Kind::Result | Kind::Chunk => self.payload(),
            Kind::Credit => {
                let window = StreamWindow { chunks: 1 << self.below(32), bytes: 1 << self.below(32) };
                credit_body(window).to_vec()
            }
            Kind::Hello | Kind::Ready | Kind::Error | Kind::Log | Kind::Event | Kind::Recycle => {
                self.text().as_bytes().to_vec()
            }
            Kind::EndSession => b"s".to_vec(),
            Kind::Part => self.noise(3_000),
            _ => Vec::new(),
        }
    }

    fn content(&mut self) -> Payload {
        let data = if self.one_in(4) { self.noise(2_000) } else { self.text().as_bytes().to_vec() };
        let content_type = self.0.of(&["application/json", OCTET_STREAM, "text/plain", "a/b+json"]);
        let attachments = (0..self.below(4)).map(|_| self.noise(50).into()).collect();
        Payload { content_type: content_type.into(), data: data.into(), attachments }
    }

    fn request(&mut self, kind: Kind) -> Vec<u8> {
        let command = self.0.of(&["echo", "count", "sum", "none", ""]);
        let mut request = Request::new(command, self.content());
        if self.one_in(3) {
            request = request.metadata(self.text(), self.text()).traceparent(self.text());
        }
        let window = StreamWindow { chunks: 3, bytes: 100 };
        let layout = RequestLayout::new(&request, None, (kind == Kind::ExecuteStream).then_some(window));
        let mut out = BytesMut::new();
        // Every text here is short enough for the wire.
        if let Ok(layout) = layout {
            put_layout(&mut out, kind, 1, &layout);
        }
        out.split_off(out.len().min(16)).to_vec()
    }

    fn payload(&mut self) -> Vec<u8> {
        let (content, mut out) = (self.content(), BytesMut::new());
        if let Ok(layout) = PayloadLayout::new(&content) {
            put_layout(&mut out, Kind::Result, 1, &layout);
        }
        out.split_off(out.len().min(16)).to_vec()
    }

    /// Turns bits, takes bytes out, puts others in; every other time nothing.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        if self.one_in(2) {
            return;
        }
        for _ in 0..=self.below(3) {
            if bytes.is_empty() {
                return;
            }
            let at = self.size(bytes.len() as u64);
            match self.below(5) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = self.0.of(&[0, 1, 0x7f, 0x80, 0xff]),
                2 => drop(bytes.remove(at)),
                3 => bytes.insert(at, self.below(256).to_le_bytes()[0]),
                _ => bytes.truncate(at),
            }
        }
    }

    /// The same bytes in pieces.
    pub(super) fn pieces<'a>(&mut self, mut bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let longest = 1 + self.below(3_000);
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at((1 + self.size(longest)).min(bytes.len()));
            pieces.push(piece);
            bytes = rest;
        }
        pieces
    }
}
