//! Operations, carried out.

use serde_json::{Value, json};
use snakepit_core::{ExecuteError, PoolRef, Request, Snakepit};
use tokio::sync::oneshot;

use crate::pit::answer::{self, Answers};
use crate::pit::request::{LineId, Operation};
use crate::pit::under_way::Taken;

/// A request with a way to be cancelled.
pub(crate) struct Work {
    pub(crate) pit: Snakepit,
    pub(crate) answers: Answers,
    pub(crate) id: LineId,
    pub(crate) taken: Taken,
    pub(crate) cancelled: oneshot::Receiver<()>,
}

impl Work {
    /// Carries an operation out and answers it. Cancelling drops what is under way, which cancels it in the pool.
    pub(crate) async fn run(self, operation: Operation) {
        let Self { pit, answers, id, taken, cancelled } = self;
        let last = tokio::select! {
            last = carry_out(&pit, &answers, &id, operation) => last,
            Ok(()) = cancelled => answer::error_line(&id, &answer::execute_error(&ExecuteError::Cancelled)),
        };
        // Whoever reads the last line may use the id again at once.
        drop(taken);
        answers.say(last).await;
    }
}

/// Carries an operation out, and returns the line that ends it.
async fn carry_out(pit: &Snakepit, answers: &Answers, id: &LineId, operation: Operation) -> Value {
    let result = match operation {
        Operation::Execute { pool, request } => execute(pit, pool.as_deref(), request).await,
        Operation::Stream { pool, request } => {
            match stream(pit, answers, id, pool.as_deref(), request).await {
                Ok(()) => return json!({"id": id, "end": true}),
                Err(error) => Err(error),
            }
        }
        Operation::Stats { pool } => stats(pit, pool.as_deref()).await,
        Operation::Workers { pool } => workers(pit, pool.as_deref()).await,
        Operation::Tree => Ok(json!(pit.tree().await)),
        Operation::AwaitReady { pool, patience } => match find(pit, pool.as_deref()) {
            Ok(pool) => match pool.await_ready(patience).await {
                Ok(()) => Ok(json!({"ready": true})),
                Err(error) => Err(answer::await_ready_error(&error)),
            },
            Err(error) => Err(answer::execute_error(&error)),
        },
    };
    match result {
        Ok(ok) => answer::ok_line(id, &ok),
        Err(error) => answer::error_line(id, &error),
    }
}

fn find<'a>(pit: &'a Snakepit, name: Option<&str>) -> Result<&'a PoolRef, ExecuteError> {
    name.map_or_else(|| pit.default_pool(), |name| pit.pool(name))
}

async fn execute(pit: &Snakepit, pool: Option<&str>, request: Request) -> Result<Value, Value> {
    let run = async { find(pit, pool)?.execute(request).await };
    match run.await {
        Ok(response) => Ok(answer::payload(&response.payload)),
        Err(error) => Err(answer::execute_error(&error)),
    }
}

async fn stream(
    pit: &Snakepit,
    answers: &Answers,
    id: &LineId,
    pool: Option<&str>,
    request: Request,
) -> Result<(), Value> {
    let started = find(pit, pool).and_then(|pool| pool.execute_stream(request));
    let mut stream = started.map_err(|error| answer::execute_error(&error))?;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| answer::execute_error(&error))?;
        answers.say(json!({"id": id, "chunk": answer::payload(&chunk)})).await;
    }
    Ok(())
}

async fn stats(pit: &Snakepit, pool: Option<&str>) -> Result<Value, Value> {
    let ask = async { find(pit, pool)?.stats().await };
    ask.await.map(|stats| json!(stats)).map_err(|error| answer::execute_error(&error))
}

/// The workers of one pool, or of all where none is named.
async fn workers(pit: &Snakepit, pool: Option<&str>) -> Result<Value, Value> {
    let ask = async {
        let pools = match pool {
            Some(pool) => vec![pit.pool(pool)?],
            None => pit.pools().collect(),
        };
        let mut workers = Vec::new();
        for pool in pools {
            workers.extend(pool.workers().await?);
        }
        Ok(workers)
    };
    ask.await.map(|workers| json!(workers)).map_err(|error: ExecuteError| answer::execute_error(&error))
}
