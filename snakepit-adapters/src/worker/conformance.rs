//! The four commands that every worker can be checked by (`proto/README.md`, section 13), offered where `--conformance` is
//! among its arguments.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::worker::builder::Worker;
use crate::worker::error::CommandError;

#[derive(Deserialize)]
struct Count {
    n: u64,
}

#[derive(Deserialize)]
struct Sleep {
    ms: u64,
}

#[derive(Deserialize)]
struct Fail {
    message: String,
}

/// Adds them to what a worker offers.
pub(super) fn offer(worker: Worker) -> Worker {
    worker
        .raw_command("snakepit.test.echo", |_ctx, payload| Ok(payload))
        .stream("snakepit.test.count", |_ctx, Count { n }, out| {
            (0..n).try_for_each(|i| out.send(&json!({"i": i})))
        })
        .command("snakepit.test.sleep", |ctx, Sleep { ms }| {
            if ctx.cancelled_within(Duration::from_millis(ms)) {
                Err(CommandError::cancelled())
            } else {
                Ok(ms)
            }
        })
        .command("snakepit.test.fail", |_ctx, Fail { message }| Err::<(), _>(CommandError::new(message)))
}
