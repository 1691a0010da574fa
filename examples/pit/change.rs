//! How a pool is changed while it serves.

use std::time::Duration;

use serde_json::{Value, json};
use snakepit_core::{DrainError, PoolRef, RecycleError, RollOutcome, RolledWorker, SessionId, Slot};

use crate::pit::answer;

/// What is to change.
#[derive(Debug)]
pub(crate) enum Change {
    EndSession { session: SessionId },
    Resize { size: u16 },
    Recycle { slot: Slot },
    RollingRestart,
    Drain { patience: Duration },
    Resume,
}

impl Change {
    /// Changes it, and says what became of it.
    pub(crate) async fn carry_out(self, pool: &PoolRef) -> Result<Value, Value> {
        match self {
            Self::EndSession { session } => match pool.end_session(&session).await {
                Ok(()) => Ok(json!({"ended": true})),
                Err(error) => Err(answer::told(error.code(), error.is_retryable(), &error)),
            },
            Self::Resize { size } => match pool.resize(size).await {
                Ok(resized) => Ok(json!(resized)),
                Err(error) => Err(answer::told(error.code(), error.is_retryable(), &error)),
            },
            Self::Recycle { slot } => match pool.recycle(slot).await {
                Ok(recycled) => Ok(json!(recycled)),
                Err(error) => Err(recycle_error(&error)),
            },
            Self::RollingRestart => match pool.rolling_restart().await {
                Ok(report) => {
                    let workers: Vec<_> = report.workers.iter().map(rolled).collect();
                    Ok(json!({"complete": report.is_complete(), "workers": workers}))
                }
                Err(error) => Err(recycle_error(&error)),
            },
            Self::Drain { patience } => match pool.drain(patience).await {
                Ok(drained) => Ok(json!(drained)),
                Err(error) => Err(drain_error(&error)),
            },
            Self::Resume => match pool.resume().await {
                Ok(()) => Ok(json!({"resumed": true})),
                Err(error) => Err(answer::told(error.code(), error.is_retryable(), &error)),
            },
        }
    }
}

/// What became of one worker.
fn rolled(worker: &RolledWorker) -> Value {
    let mut value = json!({"slot": worker.slot});
    let outcome = match &worker.outcome {
        RollOutcome::Replaced(recycled) => {
            value["new"] = json!(recycled.new);
            "replaced"
        }
        RollOutcome::Kept(error) => {
            value["error"] = recycle_error(error);
            "kept"
        }
        RollOutcome::Left => "left",
        RollOutcome::NotTried => "not_tried",
        _ => "unknown",
    };
    value["outcome"] = outcome.into();
    value
}

/// Says what is left, where anything is.
fn drain_error(error: &DrainError) -> Value {
    let mut value = answer::told(error.code(), error.is_retryable(), error);
    if let DrainError::TimedOut { waiting, running, .. } = error {
        value["details"] = json!({"waiting": waiting, "running": running});
    }
    value
}

fn recycle_error(error: &RecycleError) -> Value {
    let mut value = answer::told(error.code(), error.is_retryable(), error);
    if let RecycleError::Failed { loss, .. } = error {
        value["details"] = json!(loss);
    }
    value
}
