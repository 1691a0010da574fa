//! A worker's error as the status of a call, no longer than the caller can take.

use bytes::Bytes;
use prost::Message;
use snakepit_core::{WorkerError, WorkerErrorKind};
use tonic::codegen::http::HeaderMap;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use crate::grpc::generated;

/// The name of our detail in a rich status.
pub(super) const ERROR_TYPE: &str = "type.googleapis.com/snakepit.worker.v1.Error";
/// A chain of causes is cut here: prost reads no deeper than 100 messages.
pub(super) const CAUSES_LIMIT: usize = 32;

/// The most bytes of the trailers that say an error, where the caller does not say that it takes more. Each field counts with its
/// name, its value, and 32 bytes. It is what gRPC for Java takes, and what the libraries on the C core take gladly; beyond it they
/// report a broken call in the error's place.
const TRAILERS_LIMIT: usize = 8 << 10;
/// The most bytes that any caller is believed to take, and that our host does: as much as gRPC for Go takes.
pub(super) const TRAILERS_TAKEN: u32 = 16 << 20;
/// How a caller says that it takes more, in bytes.
pub(super) const TRAILERS_SAID: &str = "snakepit-trailers-limit";
/// For what a server adds of its own, such as its date.
const OTHER_FIELDS: usize = 512;
/// More than the three fields of an error count beside their texts.
const NAMES: usize = 160;
/// What is kept of each text at least.
const FEWEST: usize = 256;
/// Room for the words that say how much was left out.
const NOTE: usize = 48;

/// The status that says what a worker's error says, for programs that know the contract's words and for those that do not:
/// for a worker that is a tonic server.
///
/// Its trailers have 8,192 bytes at most, as any client takes them: of longer texts the middle is left out, of `details` all,
/// and of a long chain of causes the last. [`error_status_for`] may say more.
pub fn error_status(error: &WorkerError) -> Status {
    status_within(error, TRAILERS_LIMIT)
}

/// As [`error_status`], with as much as the caller has said that it takes in the metadata of what it `asked`; a pool takes 16 MiB.
pub fn error_status_for(error: &WorkerError, asked: &MetadataMap) -> Status {
    status_within(error, trailers_limit(asked))
}

/// What a caller takes, as it has said or as any does.
pub(crate) fn trailers_limit(asked: &MetadataMap) -> usize {
    let said = asked.get(TRAILERS_SAID).and_then(|said| said.to_str().ok()?.parse().ok());
    said.map_or(TRAILERS_LIMIT, |said: usize| said.clamp(TRAILERS_LIMIT, TRAILERS_TAKEN as usize))
}

/// What is kept of an error.
#[derive(Clone, Copy)]
struct Kept {
    /// Bytes of each text.
    text: usize,
    causes: usize,
}

pub(crate) fn status_within(error: &WorkerError, limit: usize) -> Status {
    let room = limit - OTHER_FIELDS;
    let whole = status(error, Kept { text: usize::MAX, causes: CAUSES_LIMIT });
    if size(&whole) <= room {
        return whole;
    }
    for causes in [CAUSES_LIMIT, 16, 8, 4, 2, 1] {
        let mut text = room;
        while text >= FEWEST {
            let cut = status(error, Kept { text, causes });
            let size = size(&cut);
            if size <= room {
                return cut;
            }
            // In proportion: part of the size is not text, so this comes near to what there is room for, and never far below.
            text = (text / 16 * 15).min(text.saturating_mul(room) / size);
        }
    }
    status(error, Kept { text: FEWEST, causes: 0 })
}

/// What the fields that say the error count; an estimate upwards, where that is small.
fn size(status: &Status) -> usize {
    // At its longest every byte of the message is three.
    let estimate = NAMES + 3 * status.message().len() + status.details().len().div_ceil(3) * 4;
    if estimate <= TRAILERS_LIMIT - OTHER_FIELDS {
        return estimate;
    }
    let mut fields = HeaderMap::new();
    match status.add_header(&mut fields) {
        Ok(()) => fields.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum(),
        // What cannot be said as headers fits nowhere.
        Err(_) => usize::MAX,
    }
}

fn status(error: &WorkerError, kept: Kept) -> Status {
    let code = code_of(error);
    let message = cut(&error.message, kept.text);
    let value = to_error(error, kept, 0).encode_to_vec().into();
    let detail = generated::Detail { type_url: ERROR_TYPE.to_owned(), value };
    let rich = generated::Status { code: code as i32, message: message.clone(), details: vec![detail] };
    Status::with_details(code, message, Bytes::from(rich.encode_to_vec()))
}

fn code_of(error: &WorkerError) -> Code {
    match &error.kind {
        _ if error.retryable => Code::Unavailable,
        WorkerErrorKind::UnknownCommand | WorkerErrorKind::StreamingNotSupported => Code::Unimplemented,
        WorkerErrorKind::InvalidArgument => Code::InvalidArgument,
        WorkerErrorKind::Cancelled => Code::Cancelled,
        WorkerErrorKind::PayloadTooLarge => Code::OutOfRange,
        WorkerErrorKind::DeadlineExceeded => Code::DeadlineExceeded,
        _ => Code::Unknown,
    }
}

fn to_error(error: &WorkerError, kept: Kept, depth: usize) -> generated::Error {
    let text = |text: &str| cut(text, kept.text);
    let details = error.details.as_ref().and_then(|details| serde_json::to_vec(details).ok());
    let details = details.map(|details| match details.len() {
        size if size > kept.text => format!("\"(details of {size} bytes left out)\"").into_bytes(),
        _ => details,
    });
    let cause = error.cause.as_ref().map(|cause| {
        if depth < kept.causes { to_error(cause, kept, depth + 1) } else { further_causes(cause) }
    });
    generated::Error {
        kind: text(&word(&error.kind)),
        r#type: text(&error.type_name),
        message: text(&error.message),
        traceback: text(error.traceback.as_deref().unwrap_or_default()),
        retryable: error.retryable,
        details: details.unwrap_or_default().into(),
        cause: cause.map(Box::new),
    }
}

/// Stands in the place of the causes that are left out.
fn further_causes(first: &WorkerError) -> generated::Error {
    let count = std::iter::successors(Some(first), |error| error.cause.as_deref()).count();
    let message = format!("({count} more left out)");
    generated::Error { kind: word(&WorkerErrorKind::Error), message, ..generated::Error::default() }
}

/// The text with its middle left out where it is longer: the start says what, the end says where.
fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let side = limit.saturating_sub(NOTE) / 2;
    let (head, tail) = (text.floor_char_boundary(side), text.ceil_char_boundary(text.len() - side));
    format!("{}\n.. {} bytes left out ..\n{}", &text[..head], tail - head, &text[tail..])
}

fn word(kind: &WorkerErrorKind) -> String {
    match serde_json::to_value(kind) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(_) | Err(_) => "error".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(message: String) -> WorkerError {
        WorkerError {
            kind: WorkerErrorKind::Error,
            type_name: "T".into(),
            message,
            traceback: None,
            retryable: false,
            details: None,
            cause: None,
        }
    }

    /// What a client counts: all fields of an answer that is nothing but a status.
    fn counted(status: &Status) -> usize {
        let headers = status.clone().into_http::<()>().into_parts().0.headers;
        headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
    }

    fn said(status: &Status) -> WorkerError {
        crate::grpc::convert::detail(status).expect("it says all that fits in our words")
    }

    #[test]
    fn an_error_that_fits_is_whole_and_a_longer_one_says_what_is_left_out() {
        for length in [0, 100, 1_500, 3_000, 10_000, 100_000] {
            for letter in ["a", " ", "\u{fc}", "\u{1f40d}", "\n"] {
                let error = error(letter.repeat(length / letter.len()));
                let status = error_status(&error);
                assert!(counted(&status) <= TRAILERS_LIMIT - OTHER_FIELDS + 100, "{length} {letter:?}");
                let said = said(&status);
                assert_eq!(said.message, status.message());
                let is_whole = said.message == error.message;
                assert!(is_whole || said.message.contains(" bytes left out .."), "{}", said.message);
                assert_eq!(
                    is_whole,
                    length <= 1_000 || length == 1_500 && letter == "a",
                    "{length} {letter:?}"
                );
            }
        }
    }

    #[test]
    fn what_is_cut_is_cut_no_more_than_it_must_be() {
        let whole = WorkerError { traceback: Some("line\n".repeat(20_000)), ..error("short".into()) };
        let status = error_status(&whole);
        assert!(counted(&status) > (TRAILERS_LIMIT - OTHER_FIELDS) / 10 * 9, "{}", counted(&status));
        let said = said(&status);
        assert_eq!(said.message, "short");
        let traceback = said.traceback.unwrap();
        assert!(traceback.starts_with("line\n") && traceback.ends_with("line\n"), "{traceback}");
        assert!(traceback.contains(" bytes left out .."), "{traceback}");
    }

    #[test]
    fn a_chain_of_causes_is_cut_at_its_end_and_details_are_left_out_whole() {
        let details = Some(serde_json::json!({"rows": vec![1; 50_000]}));
        let one = || WorkerError { details: details.clone(), ..error("\u{fc}".repeat(5_000)) };
        let chain =
            |count| (1..count).fold(one(), |cause, _| WorkerError { cause: Some(Box::new(cause)), ..one() });
        for count in [1, 2, 9, 32, 33, 34, 100] {
            let status = error_status(&chain(count));
            assert!(counted(&status) <= TRAILERS_LIMIT - OTHER_FIELDS + 100, "{count}");
            let said = said(&status);
            assert!(
                said.details.as_ref().is_some_and(|left| left.to_string().contains("left out")),
                "{said:?}"
            );
            let all: Vec<_> = std::iter::successors(Some(&said), |said| said.cause.as_deref()).collect();
            let last = &all[all.len() - 1].message;
            let left_out = last.strip_prefix('(').and_then(|last| last.strip_suffix(" more left out)"));
            let kept = if left_out.is_some() { all.len() - 1 } else { all.len() };
            let left_out: usize = left_out.map_or(0, |count| count.parse().unwrap());
            assert_eq!(kept + left_out, count);
            assert!(kept >= count.min(3), "{kept} of {count}");
        }
    }

    #[test]
    fn who_says_that_it_takes_more_is_told_more() {
        let limit = |said: &str| {
            let mut asked = MetadataMap::new();
            asked.insert(TRAILERS_SAID, said.parse().unwrap());
            trailers_limit(&asked)
        };
        assert_eq!(trailers_limit(&MetadataMap::new()), 8_192);
        let table = [("16777216", 16 << 20), ("99999999999", 16 << 20), ("20000", 20_000), ("1", 8_192)];
        for (said, expected) in table.into_iter().chain([("", 8_192), ("-5", 8_192), ("much", 8_192)]) {
            assert_eq!(limit(said), expected, "{said:?}");
        }
        let long = error("x".repeat(1_000_000));
        assert_eq!(said(&status_within(&long, 16 << 20)), long);
        let status = status_within(&long, 1_000_000);
        assert!(said(&status).message.len() > 250_000 && counted(&status) <= 1_000_000);
    }
}
