//! Operations, carried out.

use serde_json::{Value, json};
use snakepit_core::{ExecuteError, PoolRef, ProgressReceiver, Request, Response, Slot, Snakepit};
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
        Operation::Execute { pool, request, progress } => {
            let executed = execute(pit, pool.as_deref(), request);
            match tell_progress(answers, id, progress, executed).await {
                Ok(response) => return answer::response_line(id, &response),
                Err(error) => Err(answer::execute_error(&error)),
            }
        }
        Operation::Stream { pool, request, progress } => {
            let streamed = stream(pit, answers, id, pool.as_deref(), request);
            match tell_progress(answers, id, progress, streamed).await {
                Ok(()) => return json!({"id": id, "end": true}),
                Err(error) => Err(answer::execute_error(&error)),
            }
        }
        Operation::Change { pool, change } => match find(pit, pool.as_deref()) {
            Ok(pool) => change.carry_out(pool).await,
            Err(error) => Err(answer::execute_error(&error)),
        },
        Operation::Health { pool: None } => Ok(json!(pit.health().await)),
        Operation::Health { pool: Some(pool) } => match pit.pool(&pool) {
            Ok(pool) => Ok(json!(pool.health().await)),
            Err(error) => Err(answer::execute_error(&error)),
        },
        Operation::Explain { pool, slot } => explain(pit, &pool, slot).await,
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

async fn execute(pit: &Snakepit, pool: Option<&str>, request: Request) -> Result<Response, ExecuteError> {
    find(pit, pool)?.execute(request).await
}

async fn stream(
    pit: &Snakepit,
    answers: &Answers,
    id: &LineId,
    pool: Option<&str>,
    request: Request,
) -> Result<(), ExecuteError> {
    let mut stream = find(pit, pool)?.execute_stream(request)?;
    while let Some(chunk) = stream.next().await {
        answers.say(json!({"id": id, "chunk": answer::payload(&chunk?)})).await;
    }
    Ok(())
}

/// Tells the progress of a request until the request has ended: no word of it comes behind the last line.
async fn tell_progress<T>(
    answers: &Answers,
    id: &LineId,
    progress: Option<ProgressReceiver>,
    request: impl Future<Output = T>,
) -> T {
    let Some(mut progress) = progress else { return request.await };
    let telling = async {
        while let Some(progress) = progress.next().await {
            answers.say(json!({"id": id, "progress": progress})).await;
        }
    };
    tokio::pin!(request, telling);
    tokio::select! {
        // What was told before the end is said before it.
        biased;
        () = &mut telling => request.await,
        result = &mut request => result,
    }
}

/// Why a worker is in its present life, for programs and, as `text`, for people.
async fn explain(pit: &Snakepit, pool: &str, slot: Slot) -> Result<Value, Value> {
    let pool = pit.pool(pool).map_err(|error| answer::execute_error(&error))?;
    let Some(explanation) = pool.explain(slot).await else {
        let worker = format!("pool {} has no worker {slot}", pool.name());
        return Err(answer::told("not_found", false, &worker));
    };
    let mut value = json!(explanation);
    value["text"] = explanation.to_string().into();
    Ok(value)
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
