//! Between what a pool says and the messages of the unary calls.

use std::borrow::Cow;

use prost::Message;
use snakepit_core::{
    InvalidName, JSON, OCTET_STREAM, Payload, Request, RequestId, SessionId, WorkerError, WorkerErrorKind,
};
use tonic::{Code, Status};

use crate::grpc::generated;
use crate::grpc::status::{CAUSES_LIMIT, ERROR_TYPE};

pub(super) fn request(id: RequestId, request: &Request) -> generated::ExecuteRequest {
    let pair = |(key, value): &(std::sync::Arc<str>, std::sync::Arc<str>)| generated::MetadataPair {
        key: key.to_string(),
        value: value.to_string(),
    };
    generated::ExecuteRequest {
        id: id.0,
        command: request.command.to_string(),
        session: request.session.as_ref().map(|session| session.as_str().to_owned()).unwrap_or_default(),
        payload: Some(to_message(&request.payload)),
        metadata: request.metadata.iter().map(pair).collect(),
    }
}

/// What a message asks, apart from what its metadata says.
///
/// # Errors
/// A session that no session can be called.
pub(crate) fn from_request(message: generated::ExecuteRequest) -> Result<Request, InvalidName> {
    let mut request = Request::new(message.command, from_message(message.payload));
    if !message.session.is_empty() {
        request.session = Some(SessionId::new(&message.session)?);
    }
    request.metadata =
        message.metadata.into_iter().map(|pair| (pair.key.into(), pair.value.into())).collect();
    Ok(request)
}

pub(crate) fn to_message(payload: &Payload) -> generated::Payload {
    let content_type =
        if payload.content_type == JSON { String::new() } else { payload.content_type.to_string() };
    generated::Payload { content_type, data: payload.data.clone(), attachments: payload.attachments.clone() }
}

/// A payload that is left out is an empty one.
pub(super) fn from_message(message: Option<generated::Payload>) -> Payload {
    let message = message.unwrap_or_default();
    let content_type = match message.content_type.as_str() {
        "" | JSON => Cow::Borrowed(JSON),
        OCTET_STREAM => Cow::Borrowed(OCTET_STREAM),
        _ => Cow::Owned(message.content_type),
    };
    Payload { content_type, data: message.data, attachments: message.attachments }
}

/// What a worker's status says went wrong: all that it told where it told it in our words, otherwise what the code says.
pub(super) fn worker_error(status: &Status) -> WorkerError {
    detail(status).unwrap_or_else(|| {
        let (kind, retryable) = kind_of(status.code());
        WorkerError {
            kind,
            type_name: format!("{:?}", status.code()),
            message: status.message().to_owned(),
            traceback: None,
            retryable,
            details: None,
            cause: None,
        }
    })
}

/// What is reported of a request that the worker says it has cancelled.
pub(super) fn cancelled() -> WorkerError {
    found(WorkerErrorKind::Cancelled, "the worker has cancelled it".to_owned())
}

/// What is reported of an answer that is larger than the pool allows.
pub(super) fn too_large(size: usize, limit: usize) -> WorkerError {
    found(WorkerErrorKind::PayloadTooLarge, format!("the answer is {size} bytes, limit {limit}"))
}

/// What is reported of a request that came after Drain.
pub(super) fn draining() -> WorkerError {
    let kind = WorkerErrorKind::Draining;
    WorkerError { retryable: true, ..found(kind, "the worker takes no more work".to_owned()) }
}

/// An error that this end has found.
fn found(kind: WorkerErrorKind, message: String) -> WorkerError {
    WorkerError {
        kind,
        type_name: "GrpcAdapter".into(),
        message,
        traceback: None,
        retryable: false,
        details: None,
        cause: None,
    }
}

/// The error in our words that a status carries.
pub(super) fn detail(status: &Status) -> Option<WorkerError> {
    let rich = generated::Status::decode(status.details()).ok()?;
    let ours = rich.details.into_iter().find(|detail| detail.type_url == ERROR_TYPE)?;
    generated::Error::decode(ours.value).ok().map(|error| from_error(error, 0))
}

fn kind_of(code: Code) -> (WorkerErrorKind, bool) {
    match code {
        Code::Cancelled => (WorkerErrorKind::Cancelled, false),
        Code::InvalidArgument => (WorkerErrorKind::InvalidArgument, false),
        // A server that lacks a method says the same as one that lacks a command.
        Code::Unimplemented => (WorkerErrorKind::UnknownCommand, false),
        Code::OutOfRange => (WorkerErrorKind::PayloadTooLarge, false),
        Code::DeadlineExceeded => (WorkerErrorKind::DeadlineExceeded, false),
        Code::Unavailable => (WorkerErrorKind::Error, true),
        Code::Ok
        | Code::Unknown
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Internal
        | Code::DataLoss
        | Code::Unauthenticated => (WorkerErrorKind::Error, false),
    }
}

fn from_error(error: generated::Error, depth: usize) -> WorkerError {
    let text = |text: String| Some(text).filter(|text| !text.is_empty());
    let cause = error.cause.filter(|_| depth < CAUSES_LIMIT);
    WorkerError {
        kind: kind(&error.kind),
        type_name: error.r#type,
        message: error.message,
        traceback: text(error.traceback),
        retryable: error.retryable,
        details: serde_json::from_slice(&error.details).ok(),
        cause: cause.map(|cause| Box::new(from_error(*cause, depth + 1))),
    }
}

/// The kind that a word of the contract names.
fn kind(word: &str) -> WorkerErrorKind {
    serde_json::from_value(serde_json::Value::String(word.to_owned()))
        .unwrap_or_else(|_| WorkerErrorKind::Other(word.to_owned()))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use tonic::metadata::MetadataMap;

    use crate::grpc::status::{TRAILERS_SAID, error_status_for};

    fn any_error() -> impl Strategy<Value = WorkerError> {
        let kind = prop_oneof![
            prop::sample::select(WorkerErrorKind::KNOWN),
            "[a-z]{1,9}_own".prop_map(WorkerErrorKind::Other),
        ];
        let details = prop::option::of(
            (any::<i64>(), ".*").prop_map(|(n, text)| serde_json::json!({"n": n, "t": text})),
        );
        let one = (kind, ".*", ".*", prop::option::of(".+"), any::<bool>(), details);
        let one = one.prop_map(|(kind, type_name, message, traceback, retryable, details)| WorkerError {
            kind,
            type_name,
            message,
            traceback,
            retryable,
            details,
            cause: None,
        });
        prop::collection::vec(one, 1..5).prop_map(|chain| {
            let cause = |cause: Option<WorkerError>, error: WorkerError| {
                Some(WorkerError { cause: cause.map(Box::new), ..error })
            };
            chain.into_iter().fold(None, cause).expect("there is one")
        })
    }

    proptest! {
        #[test]
        fn any_error_comes_out_of_a_status_as_it_went_in(error in any_error()) {
            // As it travels: in the headers of an answer.
            let mut asked = MetadataMap::new();
            asked.insert(TRAILERS_SAID, "1000000".parse().unwrap());
            let headers = error_status_for(&error, &asked).into_http::<()>().into_parts().0.headers;
            let received = Status::from_header_map(&headers).expect("there is a status");
            prop_assert_eq!(worker_error(&received), error);
        }

        #[test]
        fn any_payload_comes_out_of_a_message_as_it_went_in(
            content_type in prop_oneof![Just(JSON.to_owned()), Just(OCTET_STREAM.to_owned()), "[a-z]{1,9}/[a-z]{1,9}"],
            data in prop::collection::vec(any::<u8>(), 0..300),
            attachments in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..5),
        ) {
            let attachments = attachments.into_iter().map(Bytes::from).collect();
            let payload = Payload { content_type: content_type.into(), data: data.into(), attachments };
            let sent = to_message(&payload).encode_to_vec();
            prop_assert_eq!(from_message(Some(generated::Payload::decode(&sent[..]).unwrap())), payload);
        }

        #[test]
        fn any_bytes_in_place_of_details_are_an_error_and_no_more(
            bytes in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let detail = generated::Detail { type_url: ERROR_TYPE.into(), value: bytes.clone().into() };
            let rich = generated::Status { code: 2, message: String::new(), details: vec![detail] };
            for details in [bytes, rich.encode_to_vec()] {
                let status = Status::with_details(Code::Unknown, "said", details.into());
                prop_assert!(!worker_error(&status).to_string().is_empty());
            }
        }
    }

    #[test]
    fn a_plain_status_says_what_its_code_says() {
        let table = [
            (Code::InvalidArgument, WorkerErrorKind::InvalidArgument, false),
            (Code::Unimplemented, WorkerErrorKind::UnknownCommand, false),
            (Code::Cancelled, WorkerErrorKind::Cancelled, false),
            (Code::DeadlineExceeded, WorkerErrorKind::DeadlineExceeded, false),
            (Code::OutOfRange, WorkerErrorKind::PayloadTooLarge, false),
            (Code::Unavailable, WorkerErrorKind::Error, true),
            (Code::Internal, WorkerErrorKind::Error, false),
        ];
        for (code, kind, retryable) in table {
            let error = worker_error(&Status::new(code, "why"));
            assert_eq!(
                (error.kind, error.retryable, error.message.as_str()),
                (kind, retryable, "why"),
                "{code:?}"
            );
            assert_eq!(error.type_name, format!("{code:?}"));
        }
    }

    #[test]
    fn what_is_asked_stands_in_the_message() {
        let asked = Request::new("add", Payload::bytes("x"))
            .session(snakepit_core::SessionId::new("s").unwrap())
            .metadata("key", "one")
            .metadata("key", "two");
        let message = request(RequestId(7), &asked);
        assert_eq!((message.id, message.command.as_str(), message.session.as_str()), (7, "add", "s"));
        let values: Vec<&str> = message.metadata.iter().map(|pair| pair.value.as_str()).collect();
        assert_eq!(values, ["one", "two"]);
        let received = from_request(message).unwrap();
        assert_eq!(received.command, asked.command);
        assert_eq!(
            (received.session, received.metadata, received.payload),
            (asked.session, asked.metadata, asked.payload)
        );
    }
}
