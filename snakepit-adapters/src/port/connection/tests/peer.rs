//! The worker's end, played by a thread with blocking reads and writes: each test says what it does.

use std::io::{PipeReader, PipeWriter, Read, Write};

use bytes::{Bytes, BytesMut};
use serde_json::json;
use snakepit_core::Payload;

use crate::port::frame::{
    BodyLayout, CutBody, Decoder, Frame, Header, Incoming, Kind, PayloadLayout, ReceivedRequest, Side,
    put_frame, put_layout, read_request, take_credit,
};

pub(super) struct Peer {
    from_host: Option<PipeReader>,
    to_host: Option<PipeWriter>,
    decoder: Decoder,
}

impl Peer {
    pub(super) fn new(from_host: PipeReader, to_host: PipeWriter) -> Self {
        let decoder = Decoder::new(Side::Host, 1 << 30);
        Self { from_host: Some(from_host), to_host: Some(to_host), decoder }
    }

    /// Whatever comes next, the announcement of a large body included; `None` at the end.
    pub(super) fn incoming(&mut self) -> Option<Incoming> {
        loop {
            if let Some(incoming) = self.decoder.next_incoming().unwrap() {
                return Some(incoming);
            }
            let mut bytes = [0; 16 << 10];
            let read = self.from_host.as_mut().unwrap().read(&mut bytes).unwrap();
            if read == 0 {
                return None;
            }
            self.decoder.buffer().extend_from_slice(&bytes[..read]);
        }
    }

    /// The next whole frame; `None` at the end.
    pub(super) fn next(&mut self) -> Option<Frame> {
        loop {
            if let Incoming::Frame(frame) = self.incoming()? {
                return Some(frame);
            }
        }
    }

    pub(super) fn expect(&mut self, kind: Kind) -> Frame {
        let frame = self.next().expect("the host has closed its end");
        assert_eq!(frame.kind, kind, "{frame:?}");
        frame
    }

    pub(super) fn expect_request(&mut self) -> (u64, ReceivedRequest) {
        let frame = self.expect(Kind::Execute);
        (frame.id, read_request(frame.body).unwrap())
    }

    pub(super) fn expect_stream(&mut self) -> u64 {
        let mut frame = self.expect(Kind::ExecuteStream);
        take_credit(&mut frame.body).unwrap();
        read_request(frame.body).unwrap();
        frame.id
    }

    pub(super) fn expect_end(&mut self) {
        let frame = self.next();
        assert_eq!(frame, None, "the host has more to say");
    }

    /// Stays until the host is gone, whatever it says meanwhile.
    pub(super) fn linger(mut self) {
        while self.next().is_some() {}
    }

    pub(super) fn handshake(&mut self) {
        self.expect(Kind::Hello);
        self.send_json(Kind::Ready, 0, &json!({"protocol": 1, "capacity": 4, "agent": "peer"}));
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.to_host.as_mut().unwrap().write_all(bytes).unwrap();
    }

    pub(super) fn send(&mut self, kind: Kind, id: u64, body: &[u8]) {
        self.write(&frame(kind, id, body));
    }

    pub(super) fn send_json(&mut self, kind: Kind, id: u64, json: &serde_json::Value) {
        self.send(kind, id, json.to_string().as_bytes());
    }

    pub(super) fn answer(&mut self, id: u64, data: &'static [u8]) {
        self.write(&payload_frame(Kind::Result, id, data));
    }

    pub(super) fn chunk(&mut self, id: u64, data: &'static [u8]) {
        self.write(&payload_frame(Kind::Chunk, id, data));
    }

    /// Sends a payload in as many frames as it needs; `between` may send others.
    pub(super) fn answer_cut(&mut self, id: u64, payload: &Payload, mut between: impl FnMut(&mut Self)) {
        let layout = PayloadLayout::new(payload).unwrap();
        assert!(layout.body_len() > crate::port::frame::CUT_AT);
        let mut body = CutBody::of_layout(Kind::Result, id, &layout);
        loop {
            let part = body.next_part();
            for piece in &part.pieces {
                self.write(piece);
            }
            if part.last {
                return;
            }
            between(self);
        }
    }

    /// Waits until so many bytes lie there, and reads none of them.
    #[cfg(target_os = "linux")]
    pub(super) fn await_bytes(&self, wanted: usize) {
        let began = tokio::time::Instant::now();
        while crate::port::pipe_end::unread(self.from_host.as_ref().unwrap()) < wanted {
            assert!(began.elapsed() < std::time::Duration::from_mins(1), "they do not come");
            std::thread::yield_now();
        }
    }

    /// Reads so many bytes, wherever that is.
    pub(super) fn read_bytes(&mut self, bytes: usize) {
        self.from_host.as_mut().unwrap().read_exact(&mut vec![0; bytes]).unwrap();
    }

    /// Another end of the pipe that the host writes, as a child would inherit it.
    pub(super) fn another_reader(&self) -> PipeReader {
        self.from_host.as_ref().unwrap().try_clone().unwrap()
    }

    /// Closes the pipe that the host writes.
    pub(super) fn stop_reading(&mut self) {
        self.from_host = None;
    }

    /// Closes the pipe that the host reads.
    pub(super) fn stop_writing(&mut self) {
        self.to_host = None;
    }
}

/// A whole frame as bytes.
pub(super) fn frame(kind: Kind, id: u64, body: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    put_frame(&mut out, kind, id, body);
    out.to_vec()
}

/// The first frame of a cut body as bytes.
pub(super) fn begun(kind: Kind, id: u64, body: &[u8]) -> Vec<u8> {
    [&Header::of(kind, id, body.len(), true).to_bytes()[..], body].concat()
}

/// A Result or a Chunk as bytes.
pub(super) fn payload_frame(kind: Kind, id: u64, data: &'static [u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    let payload = Payload { data: Bytes::from_static(data), ..Payload::json(&()).unwrap() };
    put_layout(&mut out, kind, id, &PayloadLayout::new(&payload).unwrap());
    out.to_vec()
}
