//! Back-pressure: a full pool refuses and says when to come again, or lets callers wait for a place before they ask.
//!
//! `cargo run --example backpressure`

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use snakepit_adapters::{
    ExecuteError, Payload, PoolConfig, PoolRef, PortAdapter, Request, Response, Snakepit,
};
use tokio::task::JoinSet;

/// How many callers come at once; the pool has room for six.
const CALLERS: usize = 20;

fn nap() -> Result<Request, ExecuteError> {
    Ok(Request::new("sleep", Payload::json(&json!({"ms": 100}))?))
}

/// Asks at once, and takes a refusal for an answer: right where an end user waits.
async fn ask(pool: PoolRef) -> Result<Response, ExecuteError> {
    pool.execute(nap()?).await
}

/// Waits for a place first: right for work that is taken from a queue, which had better stay there.
async fn ask_in_turn(pool: PoolRef) -> Result<Response, ExecuteError> {
    let permit = pool.reserve().await?;
    permit.execute(nap()?).await
}

/// Lets all callers come at once, and counts who was answered and who was refused.
async fn crowd<F>(pool: &PoolRef, caller: impl Fn(PoolRef) -> F) -> Result<(usize, usize), Box<dyn Error>>
where
    F: Future<Output = Result<Response, ExecuteError>> + Send + 'static,
{
    let mut callers: JoinSet<_> = (0..CALLERS).map(|_| caller(pool.clone())).collect();
    let (mut answered, mut refused) = (0, 0);
    while let Some(answer) = callers.join_next().await {
        match answer? {
            Ok(_) => answered += 1,
            Err(error @ ExecuteError::Saturated { .. }) => {
                refused += 1;
                if refused == 1 {
                    println!(
                        "refused: {error}; come again after {:?}",
                        error.retry_after().unwrap_or_default()
                    );
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    println!("{answered} of {CALLERS} answered, {refused} refused");
    Ok((answered, refused))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let worker = PortAdapter::python(here.join("workers/pit_worker.py"));
    let pit = Snakepit::builder()
        .data_dir(here.join("var/backpressure"))
        .pool(PoolConfig::new("default", worker).size(2).with(|options| options.queue_limit = 4))
        .start()
        .await?;
    let pool = pit.default_pool()?;
    pool.await_full(Duration::from_secs(15)).await?;

    println!("== {CALLERS} callers at once, two workers, four places in the line");
    let (answered, refused) = crowd(pool, ask).await?;
    if refused == 0 || answered + refused != CALLERS {
        return Err("a pool with six places took more".into());
    }
    println!("== the same, each with a place before it asks");
    if crowd(pool, ask_in_turn).await? != (CALLERS, 0) {
        return Err("somebody was refused who had waited for a place".into());
    }

    let report = pit.shutdown(Duration::from_secs(10)).await;
    if report.processes_left.is_empty() { Ok(()) } else { Err(format!("left: {report:?}").into()) }
}
