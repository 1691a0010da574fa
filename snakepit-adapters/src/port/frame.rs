//! The frames of the port wire, version 1: `proto/README.md` is the contract, this is its reading in Rust.
//!
//! Both ends use it, and so may a test that plays one of them. It touches no file and no clock.

mod kind;

mod error;
mod header;

mod control;
mod payload;
mod request;

mod decode;
mod encode;
mod large_pages;
#[cfg(test)]
mod tests;

pub use control::{
    CommandInfo, Event, Hello, LogLevel, LogLine, PROTOCOL, Ready, Recycle, STARTED, credit_body,
    read_credit, read_json, read_nothing, read_session,
};
pub use decode::{BESIDE_PAYLOAD, Decoder, Frame, Incoming, REQUESTS_LIMIT};
pub use encode::{BodyPart, CUT_AT, CutBody, put_frame, put_layout};
pub use error::ProtocolError;
pub use header::{HEADER_LEN, Header, MAX_LENGTH, MIN_LENGTH};
pub use kind::{Kind, Side};
pub use payload::{BodyLayout, FieldTooLong, PayloadLayout, read_payload};
pub use request::{ReceivedRequest, RequestLayout, read_request, take_credit};
