//! What an error is over HTTP: the table, and the headers beside it. Behind the feature `http`.

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};

use crate::error::execute::{ExecuteError, THE_ANSWER};

/// nginx's "client closed request"; the registry of statuses has no word for it.
const CLIENT_CLOSED_REQUEST: u16 = 499;

impl ExecuteError {
    /// The status that a service answers with over HTTP. The feature `http` brings it.
    ///
    /// | status | [`code`](Self::code) |
    /// |---|---|
    /// | 400 | `invalid_argument` |
    /// | 404 | `pool_not_found` |
    /// | 409 | `session_lost`: what the session knew is gone, and the next request begins it anew |
    /// | 413 | `payload_too_large`, of a request |
    /// | 499 | `cancelled` |
    /// | 500 | `adapter_failed`, `poisoned`, and `worker_error` unless the worker says that trying again may help |
    /// | 501 | `unknown_command`, `streaming_not_supported` |
    /// | 502 | `worker_lost`, `protocol_error`, `invalid_answer`, `payload_too_large` of an answer |
    /// | 503 | `saturated`, `shutting_down`, `pool_failed`, `pool_draining`, `pool_restarted`, `worker_busy`, a `worker_error` that may pass |
    /// | 504 | `deadline_exceeded` |
    ///
    /// Whatever [`is_retryable`](Self::is_retryable) is 502 or 503.
    pub fn http_status(&self) -> StatusCode {
        match self {
            Self::InvalidArgument { .. } => StatusCode::BAD_REQUEST,
            Self::PoolNotFound { .. } => StatusCode::NOT_FOUND,
            Self::SessionLost { .. } => StatusCode::CONFLICT,
            Self::PayloadTooLarge { what: THE_ANSWER, .. } => StatusCode::BAD_GATEWAY,
            Self::PayloadTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Cancelled => {
                StatusCode::from_u16(CLIENT_CLOSED_REQUEST).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
            Self::Worker { error } if error.retryable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Worker { .. } | Self::AdapterFailed { .. } | Self::Poisoned { .. } => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::UnknownCommand { .. } | Self::StreamingNotSupported { .. } => StatusCode::NOT_IMPLEMENTED,
            Self::WorkerLost { .. } | Self::Protocol { .. } | Self::Payload(_) => StatusCode::BAD_GATEWAY,
            Self::Saturated { .. }
            | Self::ShuttingDown { .. }
            | Self::PoolFailed { .. }
            | Self::PoolDraining { .. }
            | Self::PoolRestarted { .. }
            | Self::WorkerBusy { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::DeadlineExceeded { .. } => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The headers beside the status: `Retry-After`, in whole seconds and 1 at least, where
    /// [`retry_after`](Self::retry_after) says when trying again is likely to help. The feature `http` brings it.
    pub fn http_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(after) = self.retry_after() {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, seconds.max(1).into());
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::tests::{CODES, one_of_each};
    use std::time::Duration;

    #[test]
    fn every_code_has_its_status() {
        let table = [
            ("pool_not_found", 404),
            ("saturated", 503),
            ("shutting_down", 503),
            ("pool_failed", 503),
            ("pool_draining", 503),
            ("pool_restarted", 503),
            ("deadline_exceeded", 504),
            ("cancelled", 499),
            ("worker_lost", 502),
            ("worker_busy", 503),
            ("session_lost", 409),
            ("protocol_error", 502),
            ("adapter_failed", 500),
            ("poisoned", 500),
            ("worker_error", 500),
            ("unknown_command", 501),
            ("invalid_argument", 400),
            ("payload_too_large", 413),
            ("streaming_not_supported", 501),
            ("invalid_answer", 502),
        ];
        assert_eq!(table.map(|(code, _)| code), CODES);
        for (error, (code, status)) in one_of_each().iter().zip(table) {
            assert_eq!((error.code(), error.http_status().as_u16()), (code, status));
        }
    }

    #[test]
    fn an_answer_that_is_too_large_is_not_the_callers_fault() {
        let error = ExecuteError::PayloadTooLarge { what: THE_ANSWER, size: 2, limit: 1 };
        assert_eq!(error.http_status().as_u16(), 502);
    }

    #[test]
    fn a_client_may_try_again_what_may_be_tried_again() {
        for mut error in one_of_each() {
            if let ExecuteError::Worker { error } = &mut error {
                error.retryable = true;
            }
            let says_so = [502, 503].contains(&error.http_status().as_u16());
            assert!(says_so || !error.is_retryable(), "{}", error.code());
        }
    }

    #[test]
    fn the_header_says_whole_seconds_and_never_none() {
        for error in one_of_each() {
            assert_eq!(error.http_headers().len(), usize::from(error.retry_after().is_some()), "{error}");
        }
        for (ms, seconds) in [(0, "1"), (10, "1"), (1000, "1"), (1001, "2"), (30_000, "30")] {
            let mut errors = one_of_each().into_iter();
            let mut error = errors.find(|error| error.code() == "saturated").unwrap();
            if let ExecuteError::Saturated { retry_after, .. } = &mut error {
                *retry_after = Duration::from_millis(ms);
            }
            assert_eq!(error.http_headers()[RETRY_AFTER], seconds);
        }
    }
}
