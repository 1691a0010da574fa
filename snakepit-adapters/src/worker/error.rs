//! Why a command failed, in the words of the worker contract.

use serde_json::Value;
use snakepit_core::{WorkerError, WorkerErrorKind};

/// What a command returns.
pub type CommandResult<T> = Result<T, CommandError>;

/// Why a command failed. Any error becomes one with `?`: its type, its text and its causes travel to the caller.
#[derive(Clone, Debug)]
pub struct CommandError(pub(super) Box<WorkerError>);

impl CommandError {
    /// A failure of the command's own, with a text for people.
    pub fn new(message: impl Into<String>) -> Self {
        Self::of(WorkerErrorKind::Error, "CommandError", message)
    }

    /// Arguments that do not fit the command.
    pub fn invalid_argument(message: impl Into<String>) -> Self {
        Self::of(WorkerErrorKind::InvalidArgument, "InvalidArgument", message)
    }

    /// A command that stopped because it was told to.
    pub fn cancelled() -> Self {
        Self::of(WorkerErrorKind::Cancelled, "Cancelled", "the request was cancelled")
    }

    /// Says what kind of failure it is, for programs.
    pub fn kind(mut self, kind: WorkerErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Says that the same request may well succeed on another try.
    pub fn retryable(mut self) -> Self {
        self.0.retryable = true;
        self
    }

    /// Adds data for programs.
    pub fn details(mut self, details: Value) -> Self {
        self.0.details = Some(details);
        self
    }

    pub(super) fn of(kind: WorkerErrorKind, type_name: &str, message: impl Into<String>) -> Self {
        Self(Box::new(WorkerError {
            kind,
            type_name: type_name.into(),
            message: message.into(),
            traceback: None,
            retryable: false,
            details: None,
            cause: None,
        }))
    }

    /// What a handler said when it panicked.
    pub(super) fn panicked(panic: &(dyn std::any::Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Self::of(WorkerErrorKind::Error, "panic", text.unwrap_or("the command panicked"))
    }
}

impl<E: std::error::Error> From<E> for CommandError {
    fn from(error: E) -> Self {
        let mut failure = Self::of(WorkerErrorKind::Error, std::any::type_name::<E>(), error.to_string());
        failure.0.cause = cause(error.source());
        failure
    }
}

/// What an error says it comes from. Such causes have a text and no name.
fn cause(source: Option<&(dyn std::error::Error + 'static)>) -> Option<Box<WorkerError>> {
    source.map(|source| {
        let mut cause = CommandError::of(WorkerErrorKind::Error, "", source.to_string());
        cause.0.cause = self::cause(source.source());
        cause.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::num::ParseIntError);

    #[test]
    fn any_error_travels_with_its_name_and_its_causes() {
        let failing = || -> CommandResult<()> { Err(Outer("x".parse::<i32>().unwrap_err()))? };
        let error = failing().unwrap_err().0;
        assert!(error.type_name.ends_with("Outer"), "{}", error.type_name);
        assert_eq!((error.kind, error.message.as_str()), (WorkerErrorKind::Error, "outer"));
        assert_eq!(error.cause.unwrap().message, "invalid digit found in string");
    }

    #[test]
    fn a_failure_says_what_programs_need() {
        let error = CommandError::new("busy")
            .kind(WorkerErrorKind::Other("model_busy".into()))
            .retryable()
            .details(serde_json::json!({"queue": 3}));
        let json = serde_json::to_value(&*error.0).unwrap();
        let expected = serde_json::json!({
            "kind": "model_busy", "type": "CommandError", "message": "busy", "retryable": true, "details": {"queue": 3},
        });
        assert_eq!(json, expected);
    }
}
