//! Lines of output, and the one writer of them.

use std::fmt::Write as _;
use std::io::Write;

use serde_json::{Value, json};
use snakepit_core::{AwaitReadyError, ExecuteError, JSON, Payload, Response};
use tokio::sync::{mpsc, oneshot};

use crate::pit::request::LineId;

/// How many lines may wait for a reader of stdout before requests wait for it.
const LINES: usize = 1024;

/// Where answers go. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Answers(mpsc::Sender<Value>);

impl Answers {
    /// Starts the writer; it ends when the last clone is gone, and says so.
    ///
    /// It has a thread of its own, which a runtime does not wait for: a write to a full pipe cannot be taken back, and must
    /// not keep the host.
    pub(crate) fn start() -> (Self, oneshot::Receiver<()>) {
        let (sender, mut lines) = mpsc::channel::<Value>(LINES);
        let (written, writer) = oneshot::channel();
        std::thread::spawn(move || {
            let mut stdout = std::io::stdout().lock();
            while let Some(line) = lines.blocking_recv() {
                // A reader that is gone is no reason to leave requests half done.
                let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
            }
            // A host that does not wait has ended.
            let _ = written.send(());
        });
        (Self(sender), writer)
    }

    pub(crate) async fn say(&self, line: Value) {
        // The writer goes last.
        let _ = self.0.send(line).await;
    }

    /// Says a line if there is room, and gives it back if there is none.
    pub(crate) fn say_at_once(&self, line: Value) -> Option<Value> {
        self.0.try_send(line).err().map(mpsc::error::TrySendError::into_inner)
    }
}

pub(crate) fn ok_line(id: &LineId, ok: &Value) -> Value {
    json!({"id": id, "ok": ok})
}

/// The answer of a worker. That its session had lost its worker is said where it is so.
pub(crate) fn response_line(id: &LineId, response: &Response) -> Value {
    let mut line = ok_line(id, &payload(&response.payload));
    if response.session_reset {
        line["session_reset"] = true.into();
    }
    line
}

pub(crate) fn error_line(id: &LineId, error: &Value) -> Value {
    json!({"id": id, "error": error})
}

/// An answer of a worker. What is not JSON is given in hexadecimal.
pub(crate) fn payload(payload: &Payload) -> Value {
    if payload.content_type == JSON
        && let Ok(value) = payload.decode()
    {
        return value;
    }
    let mut hex = String::with_capacity(payload.data.len() * 2);
    for byte in &payload.data {
        let _ = write!(hex, "{byte:02x}");
    }
    json!({"content_type": payload.content_type, "hex": hex})
}

pub(crate) fn error(code: &str, message: impl std::fmt::Display) -> Value {
    json!({"code": code, "message": message.to_string()})
}

/// An error that says whether asking again may help.
pub(crate) fn told(code: &str, is_retryable: bool, message: impl std::fmt::Display) -> Value {
    let mut value = error(code, message);
    value["retryable"] = is_retryable.into();
    value
}

/// An error with what a program can act on.
pub(crate) fn execute_error(error: &ExecuteError) -> Value {
    let mut value = told(error.code(), error.is_retryable(), error);
    if let Some(retry_after) = error.retry_after() {
        value["retry_after_ms"] = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX).into();
    }
    value["details"] = match error {
        ExecuteError::WorkerLost { loss } | ExecuteError::Protocol { loss } => json!(loss),
        ExecuteError::PoolFailed { reason, .. } => json!(reason),
        ExecuteError::Worker { error } => json!(error),
        _ => return value,
    };
    value
}

pub(crate) fn await_ready_error(error: &AwaitReadyError) -> Value {
    let code = match error {
        AwaitReadyError::PoolNotFound { .. } => "pool_not_found",
        AwaitReadyError::TimedOut { .. } => "deadline_exceeded",
        AwaitReadyError::PoolFailed { .. } => "pool_failed",
        _ => "shutting_down",
    };
    let mut value = self::error(code, error);
    if let AwaitReadyError::PoolFailed { reason, .. } = error {
        value["details"] = json!(reason);
    }
    value
}
