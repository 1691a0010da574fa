//! What holds for every error that a caller meets.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{
    AwaitReadyError, ConfigError, DrainError, EndSessionError, ExecuteError, LossCause, PoolFailure,
    RecycleError, ResizeError, ResumeError, StartError, WorkerError, WorkerErrorKind, WorkerLoss,
};
use crate::id::{Incarnation, PoolName, SessionId, Slot, WorkerId, WorkerLife};
use crate::payload::{Payload, PayloadError};

/// The codes of [`one_of_each`], in its order.
pub(super) const CODES: [&str; 20] = [
    "pool_not_found",
    "saturated",
    "shutting_down",
    "pool_failed",
    "pool_draining",
    "pool_restarted",
    "deadline_exceeded",
    "cancelled",
    "worker_lost",
    "worker_busy",
    "session_lost",
    "protocol_error",
    "adapter_failed",
    "poisoned",
    "worker_error",
    "unknown_command",
    "invalid_argument",
    "payload_too_large",
    "streaming_not_supported",
    "invalid_answer",
];

/// One error of each kind.
pub(super) fn one_of_each() -> [ExecuteError; CODES.len()] {
    let pool = PoolName::new("p").unwrap();
    let worker =
        WorkerLife { worker: WorkerId { pool: pool.clone(), slot: Slot(0) }, incarnation: Incarnation(1) };
    let loss = |cause| Arc::new(WorkerLoss { life: worker.clone(), cause, stderr_tail: Vec::new() });
    let session = SessionId::new("s").unwrap();
    let message = || "why".to_owned();
    [
        ExecuteError::PoolNotFound { pool: "p".to_owned() },
        ExecuteError::Saturated {
            pool: pool.clone(),
            queued: 1,
            limit: 1,
            retry_after: Duration::from_millis(1500),
        },
        ExecuteError::ShuttingDown { pool: pool.clone() },
        ExecuteError::PoolFailed {
            pool: pool.clone(),
            reason: PoolFailure::Workers { last: loss(LossCause::Disconnected) },
        },
        ExecuteError::PoolDraining { pool: pool.clone() },
        ExecuteError::PoolRestarted { pool },
        ExecuteError::DeadlineExceeded { running: true, timeout: Duration::ZERO },
        ExecuteError::Cancelled,
        ExecuteError::WorkerLost { loss: loss(LossCause::Disconnected) },
        ExecuteError::WorkerBusy { session: session.clone(), worker: worker.clone() },
        ExecuteError::SessionLost { session, worker: worker.clone() },
        ExecuteError::Protocol { loss: loss(LossCause::Protocol { what: message() }) },
        ExecuteError::AdapterFailed { worker: worker.clone(), what: message() },
        ExecuteError::Poisoned { crashes: 2, loss: loss(LossCause::Disconnected) },
        ExecuteError::Worker {
            error: Box::new(WorkerError {
                kind: WorkerErrorKind::Error,
                type_name: "ValueError".to_owned(),
                message: message(),
                traceback: None,
                retryable: false,
                details: None,
                cause: None,
            }),
        },
        ExecuteError::UnknownCommand { command: "c".to_owned(), message: message() },
        ExecuteError::InvalidArgument { message: message() },
        ExecuteError::PayloadTooLarge { what: "the request", size: 2, limit: 1 },
        ExecuteError::StreamingNotSupported { message: message() },
        ExecuteError::Payload(Payload::bytes("x").decode::<i64>().unwrap_err()),
    ]
}

/// Where an error stands in [`one_of_each`]. A kind that is new does not compile until it is there, too.
fn place(error: &ExecuteError) -> usize {
    match error {
        ExecuteError::PoolNotFound { .. } => 0,
        ExecuteError::Saturated { .. } => 1,
        ExecuteError::ShuttingDown { .. } => 2,
        ExecuteError::PoolFailed { .. } => 3,
        ExecuteError::PoolDraining { .. } => 4,
        ExecuteError::PoolRestarted { .. } => 5,
        ExecuteError::DeadlineExceeded { .. } => 6,
        ExecuteError::Cancelled => 7,
        ExecuteError::WorkerLost { .. } => 8,
        ExecuteError::WorkerBusy { .. } => 9,
        ExecuteError::SessionLost { .. } => 10,
        ExecuteError::Protocol { .. } => 11,
        ExecuteError::AdapterFailed { .. } => 12,
        ExecuteError::Poisoned { .. } => 13,
        ExecuteError::Worker { .. } => 14,
        ExecuteError::UnknownCommand { .. } => 15,
        ExecuteError::InvalidArgument { .. } => 16,
        ExecuteError::PayloadTooLarge { .. } => 17,
        ExecuteError::StreamingNotSupported { .. } => 18,
        ExecuteError::Payload(_) => 19,
    }
}

#[test]
fn every_kind_of_error_has_a_code_of_its_own() {
    let errors = one_of_each();
    for (expected, error) in errors.iter().enumerate() {
        assert_eq!((place(error), error.code()), (expected, CODES[expected]));
    }
    assert_eq!(CODES.iter().collect::<BTreeSet<_>>().len(), CODES.len());
}

#[test]
fn only_what_says_when_may_be_tried_at_a_known_time() {
    let known: Vec<_> =
        one_of_each().iter().filter_map(|error| Some((error.code(), error.retry_after()?))).collect();
    assert_eq!(known, [("saturated", Duration::from_millis(1500))]);
}

#[test]
fn an_error_says_its_cause_either_itself_or_by_its_source() {
    for error in one_of_each() {
        let text = error.to_string();
        assert!(!text.is_empty() && !text.ends_with('.'), "{text}");
        if let Some(source) = error.source() {
            assert!(!source.to_string().is_empty(), "{text}");
        }
    }
}

#[test]
fn the_same_trouble_has_the_same_code_wherever_it_is_met() {
    let (pool, failed) = (PoolName::new("p").unwrap(), one_of_each());
    let ExecuteError::PoolFailed { reason, .. } = &failed[3] else { panic!("{}", failed[3]) };
    let ready = [
        (AwaitReadyError::PoolNotFound { pool: "p".to_owned() }, "pool_not_found", false),
        (AwaitReadyError::TimedOut { pool: pool.clone(), timeout: Duration::ZERO }, "timed_out", true),
        (AwaitReadyError::PoolFailed { pool: pool.clone(), reason: reason.clone() }, "pool_failed", true),
        (AwaitReadyError::ShuttingDown { pool: pool.clone() }, "shutting_down", false),
    ];
    for (error, code, retryable) in ready {
        assert_eq!((error.code(), error.is_retryable()), (code, retryable));
    }
    let ends = [
        (EndSessionError::PoolNotFound { pool: "p".to_owned() }, "pool_not_found", false),
        (EndSessionError::InvalidArgument { message: "empty".to_owned() }, "invalid_argument", false),
        (
            EndSessionError::SessionNotFound { session: SessionId::new("s").unwrap() },
            "session_not_found",
            false,
        ),
        (EndSessionError::PoolFailed { pool: pool.clone(), reason: reason.clone() }, "pool_failed", true),
        (EndSessionError::PoolRestarted { pool: pool.clone() }, "pool_restarted", true),
        (EndSessionError::ShuttingDown { pool: pool.clone() }, "shutting_down", false),
    ];
    for (error, code, retryable) in ends {
        assert_eq!((error.code(), error.is_retryable()), (code, retryable));
    }
    let sizes = [
        (ResizeError::PoolNotFound { pool: "p".to_owned() }, "pool_not_found", false),
        (ResizeError::NoWorkers { pool: pool.clone() }, "no_workers", false),
        (ResizeError::OpenFilesLimit { pool: pool.clone(), need: 2, limit: 1 }, "open_files_limit", false),
        (ResizeError::PoolFailed { pool: pool.clone(), reason: reason.clone() }, "pool_failed", true),
        (ResizeError::PoolRestarted { pool: pool.clone() }, "pool_restarted", true),
        (ResizeError::ShuttingDown { pool: pool.clone() }, "shutting_down", false),
    ];
    for (error, code, retryable) in sizes {
        assert_eq!((error.code(), error.is_retryable()), (code, retryable));
    }
    let timed_out =
        DrainError::TimedOut { pool: pool.clone(), timeout: Duration::ZERO, waiting: 1, running: 1 };
    let drains = [
        (DrainError::PoolNotFound { pool: "p".to_owned() }, "pool_not_found", false),
        (timed_out, "timed_out", true),
        (DrainError::Resumed { pool: pool.clone() }, "resumed", true),
        (DrainError::PoolRestarted { pool: pool.clone() }, "pool_restarted", true),
        (DrainError::ShuttingDown { pool: pool.clone() }, "shutting_down", false),
    ];
    for (error, code, retryable) in drains {
        assert_eq!((error.code(), error.is_retryable()), (code, retryable));
    }
    let resumes = [
        (ResumeError::PoolNotFound { pool: "p".to_owned() }, "pool_not_found", false),
        (ResumeError::ShuttingDown { pool }, "shutting_down", false),
    ];
    for (error, code, retryable) in resumes {
        assert_eq!((error.code(), error.is_retryable()), (code, retryable));
    }
    let nowhere = RecycleError::PoolNotFound { pool: "p".to_owned() };
    assert_eq!((nowhere.code(), nowhere.is_retryable()), ("pool_not_found", false));
    let in_use = StartError::DataDirInUse { path: "d".into(), holder: "1".to_owned() };
    let limit = StartError::OpenFilesLimit { need: 2, limit: 1 };
    let config = StartError::from(ConfigError::NoPool);
    let starts =
        [(in_use, "data_dir_in_use", true), (limit, "open_files_limit", false), (config, "no_pool", false)];
    for (error, code, retryable) in starts {
        assert_eq!((error.code(), error.is_retryable()), (code, retryable));
    }
    let unreadable = PayloadError::NotDecodable { content_type: "text/plain".to_owned() };
    assert_eq!(unreadable.code(), ExecuteError::from(unreadable).code());
    let no_form = Payload::json(&std::collections::HashMap::from([(vec![1], 1)])).unwrap_err();
    assert_eq!(no_form.code(), ExecuteError::from(no_form).code());
}
