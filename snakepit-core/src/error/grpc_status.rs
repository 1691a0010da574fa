//! What an error is over gRPC: the table of status codes. Behind the feature `grpc-status`; needs no gRPC library.

use crate::error::execute::ExecuteError;

/// The status codes of gRPC that an [`ExecuteError`] may be, with their numbers on the wire:
/// `tonic::Code::from_i32(code.number())`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "gRPC's own words: https://grpc.io/docs/guides/status-codes/")]
pub enum GrpcCode {
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    ResourceExhausted = 8,
    Aborted = 10,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
}

impl GrpcCode {
    /// The code's number on the wire.
    pub fn number(self) -> i32 {
        self as i32
    }
}

impl ExecuteError {
    /// The status that a service answers with over gRPC. The feature `grpc-status` brings it.
    ///
    /// | status | [`code`](Self::code) |
    /// |---|---|
    /// | `CANCELLED` | `cancelled` |
    /// | `UNKNOWN` | `worker_error` unless the worker says that trying again may help |
    /// | `INVALID_ARGUMENT` | `invalid_argument` |
    /// | `DEADLINE_EXCEEDED` | `deadline_exceeded` |
    /// | `NOT_FOUND` | `pool_not_found` |
    /// | `RESOURCE_EXHAUSTED` | `payload_too_large` |
    /// | `ABORTED` | `session_lost`: the caller begins its session anew |
    /// | `UNIMPLEMENTED` | `unknown_command`, `streaming_not_supported` |
    /// | `INTERNAL` | `adapter_failed`, `poisoned`, `invalid_answer` |
    /// | `UNAVAILABLE` | whatever [`is_retryable`](Self::is_retryable), and `shutting_down` |
    ///
    /// gRPC's clients retry `UNAVAILABLE` by themselves where they are told to. A request that is not idempotent may have
    /// run: `worker_lost`, `protocol_error` and `pool_restarted` are for the caller to judge.
    pub fn grpc_code(&self) -> GrpcCode {
        match self {
            Self::Cancelled => GrpcCode::Cancelled,
            Self::Worker { error } if error.retryable => GrpcCode::Unavailable,
            Self::Worker { .. } => GrpcCode::Unknown,
            Self::InvalidArgument { .. } => GrpcCode::InvalidArgument,
            Self::DeadlineExceeded { .. } => GrpcCode::DeadlineExceeded,
            Self::PoolNotFound { .. } => GrpcCode::NotFound,
            Self::PayloadTooLarge { .. } => GrpcCode::ResourceExhausted,
            Self::SessionLost { .. } => GrpcCode::Aborted,
            Self::UnknownCommand { .. } | Self::StreamingNotSupported { .. } => GrpcCode::Unimplemented,
            Self::AdapterFailed { .. } | Self::Poisoned { .. } | Self::Payload(_) => GrpcCode::Internal,
            Self::Saturated { .. }
            | Self::ShuttingDown { .. }
            | Self::PoolFailed { .. }
            | Self::PoolDraining { .. }
            | Self::PoolRestarted { .. }
            | Self::WorkerLost { .. }
            | Self::Protocol { .. }
            | Self::WorkerBusy { .. } => GrpcCode::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::tests::{CODES, one_of_each};

    #[test]
    fn every_code_has_its_status() {
        let table = [
            ("pool_not_found", 5),
            ("saturated", 14),
            ("shutting_down", 14),
            ("pool_failed", 14),
            ("pool_draining", 14),
            ("pool_restarted", 14),
            ("deadline_exceeded", 4),
            ("cancelled", 1),
            ("worker_lost", 14),
            ("worker_busy", 14),
            ("session_lost", 10),
            ("protocol_error", 14),
            ("adapter_failed", 13),
            ("poisoned", 13),
            ("worker_error", 2),
            ("unknown_command", 12),
            ("invalid_argument", 3),
            ("payload_too_large", 8),
            ("streaming_not_supported", 12),
            ("invalid_answer", 13),
        ];
        assert_eq!(table.map(|(code, _)| code), CODES);
        for (error, (code, status)) in one_of_each().iter().zip(table) {
            assert_eq!((error.code(), error.grpc_code().number()), (code, status));
        }
    }

    #[test]
    fn what_may_be_tried_again_is_unavailable() {
        for mut error in one_of_each() {
            if let ExecuteError::Worker { error } = &mut error {
                error.retryable = true;
            }
            let is_unavailable = error.grpc_code() == GrpcCode::Unavailable;
            assert_eq!(is_unavailable, error.is_retryable() || error.code() == "shutting_down", "{error}");
        }
    }
}
