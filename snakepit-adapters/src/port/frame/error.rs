//! What can be wrong with the frames of a peer: which rule, and what was sent instead.

use crate::port::frame::header::{MAX_LENGTH, MIN_LENGTH};
use crate::port::frame::kind::Kind;

/// A rule of the wire that a peer broke. Nothing that it sends afterwards can be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The length field is outside its bounds; nothing was allocated for it.
    #[error("a frame states a length of {length} bytes, allowed are {MIN_LENGTH} to {MAX_LENGTH}")]
    FrameLength {
        /// What the field says.
        length: u32,
    },
    /// A kind that this version does not know, in a frame that is not marked optional.
    #[error("a frame has the unknown kind {code:#04x}")]
    UnknownKind {
        /// The kind's code.
        code: u8,
    },
    /// Flags that this version does not know.
    #[error(
        "a frame of kind {code:#04x} has the flags {flags:#04x}, of which only 0x01 and 0x02 are defined"
    )]
    UnknownFlags {
        /// The kind's code.
        code: u8,
        /// All flags.
        flags: u8,
    },
    /// The reserved field of a frame is not 0.
    #[error("a frame of kind {code:#04x} has {value:#06x} in its reserved field")]
    ReservedField {
        /// The kind's code.
        code: u8,
        /// What the field holds.
        value: u16,
    },
    /// A kind that this side never sends.
    #[error("{kind} came from the side that does not send it")]
    WrongSide {
        /// Which kind.
        kind: Kind,
    },
    /// A request id where 0 belongs, or the other way round.
    #[error("{kind} carries request id {id}")]
    WrongId {
        /// Which kind.
        kind: Kind,
        /// The id it carries.
        id: u64,
    },
    /// The wire ended inside a frame, or before a cut body was complete.
    #[error("the wire ended inside a frame: {what}")]
    Torn {
        /// How far it had come.
        what: String,
    },
    /// A part of a body whose beginning never came.
    #[error("Part for request {id}, of which no cut body is under way")]
    StrayPart {
        /// The request id.
        id: u64,
    },
    /// A frame that may not come before the cut body of the same request is complete.
    #[error("{kind} for request {id} while a cut body of it is under way")]
    BodyUnfinished {
        /// Which kind.
        kind: Kind,
        /// The request id.
        id: u64,
    },
    /// A body over the limit.
    #[error("{kind} for request {id} has a body of more than {limit} bytes")]
    BodyTooLarge {
        /// Which kind.
        kind: Kind,
        /// The request id.
        id: u64,
        /// The payload limit and what may stand beside the payload.
        limit: usize,
    },
    /// More cut bodies under way than a peer can have use for.
    #[error("more than {limit} cut bodies are under way")]
    TooManyBodies {
        /// How many may be.
        limit: usize,
    },
    /// The lengths in a body do not add up to the body's.
    #[error("{what} states {stated} bytes and has {actual}")]
    BodyLength {
        /// Which body, or which part of one.
        what: &'static str,
        /// What its lengths add up to.
        stated: u64,
        /// What there is.
        actual: u64,
    },
    /// The reserved field of a body is not 0.
    #[error("{what} has {value:#06x} in its reserved field")]
    BodyReserved {
        /// Which body.
        what: &'static str,
        /// What the field holds.
        value: u16,
    },
    /// A text field that is not UTF-8.
    #[error("{what} is not UTF-8: {bytes}")]
    NotText {
        /// Which field.
        what: &'static str,
        /// How it begins.
        bytes: String,
    },
    /// A field that may not be empty.
    #[error("{what} is empty")]
    Empty {
        /// Which field.
        what: &'static str,
    },
    /// A JSON body that cannot be read.
    #[error("{kind} holds no valid JSON: {message}")]
    Json {
        /// Which kind.
        kind: Kind,
        /// What the reader said.
        message: String,
    },
    /// Another frame than Log or Event before the worker was ready.
    #[error("{kind} came before Ready")]
    BeforeReady {
        /// Which kind.
        kind: Kind,
    },
    /// A second Ready.
    #[error("Ready came twice")]
    ReadyTwice,
    /// A protocol version that was not offered.
    #[error("the worker chose protocol version {chosen}, offered was {offered}")]
    Version {
        /// What the worker chose.
        chosen: u32,
        /// What the host speaks.
        offered: u32,
    },
    /// A worker that takes no request at all.
    #[error("the worker is ready with a capacity of 0")]
    NoCapacity,
    /// A frame about a request that was never asked.
    #[error("{kind} for request {id}, which was never asked")]
    NeverAsked {
        /// Which kind.
        kind: Kind,
        /// The request id.
        id: u64,
    },
    /// A frame about a request that has already been answered.
    #[error("{kind} for request {id}, which is already answered")]
    AnsweredTwice {
        /// Which kind.
        kind: Kind,
        /// The request id.
        id: u64,
    },
    /// A Chunk or End for an Execute, or a Result for an `ExecuteStream`.
    #[error("{kind} for request {id}, which was asked by {asked}")]
    WrongAnswer {
        /// Which kind.
        kind: Kind,
        /// The request id.
        id: u64,
        /// How it was asked.
        asked: Kind,
    },
    /// A chunk although no credit was left.
    #[error("Chunk for request {id} beyond credit: {chunks} chunks and {bytes} bytes were left")]
    BeyondCredit {
        /// The request id.
        id: u64,
        /// How many chunks were left.
        chunks: u64,
        /// How many bytes were left; less than 0 after a chunk that overdrew them.
        bytes: i64,
    },
}
