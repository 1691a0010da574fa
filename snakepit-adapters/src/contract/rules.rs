//! The rules, in the order in which a person who writes a worker meets them.

use std::future::Future;
use std::pin::Pin;

use crate::contract::examination::Examination;
use crate::contract::finding::Findings;

mod answers;
mod cancels;
mod frames;
mod life;
mod streams;

/// The future of a rule.
type Going<'a> = Pin<Box<dyn Future<Output = Findings> + Send + 'a>>;

/// One rule of the contract.
#[derive(Clone, Copy)]
pub struct Rule {
    /// A short name, such as `ping_while_busy`.
    pub name: &'static str,
    /// What it says, in a sentence.
    pub says: &'static str,
    pub(super) run: for<'a> fn(&'a Examination) -> Going<'a>,
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rule").field("name", &self.name).field("says", &self.says).finish_non_exhaustive()
    }
}

macro_rules! rules {
    ($($room:ident::$name:ident: $says:literal),* $(,)?) => {
        /// Every rule.
        pub const RULES: &[Rule] = &[$(Rule {
            name: stringify!($name),
            says: $says,
            run: |examination| Box::pin($room::$name(examination)),
        }),*];
    };
}

rules! {
    answers::handshake: "it says that it is ready, and with a capacity of at least 1",
    answers::echo: "data and content type come back byte for byte",
    answers::attachments: "attachments come back byte for byte, empty ones too",
    answers::large_bodies: "bodies that must be cut come through whole, both ways",
    answers::both_ways_at_once: "large requests and large answers at the same time do not stop each other",
    answers::many_requests: "of many requests at once each gets its own answer",
    answers::everything_beside: "session, traceparent, metadata and time left do no harm",
    answers::unknown_command: "an unknown command is `unknown_command`, and costs nothing",
    answers::error_shape: "a failure is an error of kind `error` with its message, and costs nothing",
    answers::arguments: "arguments travel by name and by position; others are `invalid_argument`",
    answers::streaming_not_supported: "a stream asked for as an answer, or the other way round, is refused",
    answers::payload_limit: "what is over `payload_limit` is `payload_too_large`",
    answers::several_at_once: "with a capacity over 1, a short request does not wait for a long one",
    answers::tells_started: "where it tells when a request begins, it does so before the answer",
    streams::stream_order: "chunks come in order, and then the end",
    streams::empty_stream: "a stream without chunks just ends",
    streams::credit: "nothing is sent without credit, everything else goes on, and credit sets it going again",
    streams::large_chunk: "a chunk larger than the whole window gets through",
    cancels::cancel_running: "a request that is cancelled while it runs has exactly one answer",
    cancels::cancel_waiting: "a request that is cancelled before its turn has exactly one answer",
    cancels::cancel_stream: "a stream that is cancelled half way comes to its end",
    life::ping: "a ping is answered",
    life::ping_while_busy: "a ping is answered while a request runs",
    life::sessions: "the end of a session, also of an unknown one, disturbs nobody",
    life::drain: "after Drain what has come is answered, and the process leaves with code 0",
    life::terminate: "SIGTERM when idle: it leaves with code 0",
    life::terminate_while_busy: "SIGTERM when busy: what runs is finished, then it leaves with code 0",
    life::interrupt: "SIGINT is the host's affair",
    life::host_death: "when its host is gone it leaves with code 0",
    life::host_death_while_busy: "also in the middle of its work",
    frames::byte_by_byte: "frames that come byte by byte are frames",
    frames::version: "of the versions that the host speaks it chooses one that it speaks, too",
    frames::features: "it honours features that the host has offered and that it knows, and no others",
    frames::pong_numbers: "Ready comes before any Pong, and a Pong carries its Ping's number",
    frames::optional_frames: "what is optional and unknown is skipped",
    frames::cut_requests: "a request cut anywhere is put together, and others pass between",
    frames::cancel_between_parts: "a Cancel between the parts of a request takes effect when that is complete",
    frames::late_words: "Cancel and Credit for what is unknown are ignored",
    frames::no_common_version: "a host that speaks none of its versions: it leaves with code 78",
    frames::torn_frame: "a host that dies inside a frame is a dead host: it leaves with code 0",
    frames::breaches: "a host that breaks the contract: it leaves with code 70",
}
