//! What can be wrong with the frames of a peer: which rule, and what was sent instead.

use snakepit_core::adapter::AdapterFailure;

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
    /// A cut body where none may be.
    #[error("a frame of kind {code:#04x} says that more follows, and may not be cut")]
    MoreNotAllowed {
        /// The kind's code.
        code: u8,
    },
    /// No request where one is meant.
    #[error("{kind} carries request id 0")]
    NoRequestId {
        /// Which kind.
        kind: Kind,
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
    BodyUnderWay {
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
    /// More requests under way than the contract allows.
    #[error("more than {limit} requests are under way")]
    TooManyRequests {
        /// How many may be.
        limit: u16,
    },
    /// A request id that is still under way.
    #[error("{kind} for request {id}, which is still under way")]
    DuplicateRequest {
        /// Which kind.
        kind: Kind,
        /// The request id.
        id: u64,
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
    /// A JSON body that cannot be read.
    #[error("{kind} cannot be read: {message}")]
    Json {
        /// Which kind.
        kind: Kind,
        /// What the reader said.
        message: String,
    },
    /// A frame that may not come before the two sides have greeted each other, or a second greeting.
    #[error("{kind} came {when}")]
    OutOfOrder {
        /// Which kind.
        kind: Kind,
        /// When it came.
        when: &'static str,
    },
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
    #[error("{kind} for request {id}, which was never asked, or answered long ago")]
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

impl From<ProtocolError> for AdapterFailure {
    fn from(error: ProtocolError) -> Self {
        let what = format!("{}: {error}", error.word());
        if matches!(error, ProtocolError::Torn { .. }) {
            Self::Torn { what }
        } else {
            Self::Protocol { what }
        }
    }
}

impl ProtocolError {
    /// The word that the contract has for such a breach, such as `torn_frame`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::FrameLength { length } if *length < MIN_LENGTH => "length_too_short",
            Self::FrameLength { .. } => "length_too_long",
            Self::UnknownFlags { .. } | Self::ReservedField { .. } | Self::BodyReserved { .. } => {
                "reserved_bits"
            }
            Self::UnknownKind { .. } => "unknown_kind",
            Self::MoreNotAllowed { .. } => "more_not_allowed",
            Self::NoRequestId { .. } => "request_id",
            Self::StrayPart { .. } => "part_without_start",
            Self::BodyUnderWay { .. } => "body_under_way",
            Self::BodyTooLarge { .. } => "body_too_long",
            Self::BodyLength { .. } => "body_lengths",
            Self::NotText { .. } => "text",
            Self::Json { .. } | Self::Version { .. } | Self::NoCapacity => "json",
            Self::Torn { .. } => "torn_frame",
            Self::OutOfOrder { .. }
            | Self::NeverAsked { .. }
            | Self::AnsweredTwice { .. }
            | Self::WrongAnswer { .. }
            | Self::BeyondCredit { .. } => "out_of_order",
            Self::DuplicateRequest { .. } => "duplicate_request",
            Self::TooManyRequests { .. } => "too_many_requests",
        }
    }
}
