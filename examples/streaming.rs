//! Streaming: chunks arrive as they are made, a reader that stops stops the worker, and a stream that fails says so.
//!
//! `cargo run --example streaming`

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use snakepit_adapters::{PoolConfig, PortAdapter, Snakepit};
use tokio::time::Instant;

/// One chunk of the command `count`.
#[derive(Deserialize)]
struct Counted {
    i: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let worker = PortAdapter::python(here.join("workers/pit_worker.py"));
    let pit = Snakepit::builder()
        .data_dir(here.join("var/streaming"))
        .pool(PoolConfig::new("default", worker).size(1))
        .start()
        .await?;
    let pool = pit.default_pool()?;
    pool.await_ready(Duration::from_secs(15)).await?;

    println!("== three chunks, one each 50 ms");
    let began = Instant::now();
    let mut stream = pool.request("count").args(&json!({"n": 3, "delay_ms": 50}))?.stream()?;
    let mut next = 0;
    while let Some(chunk) = stream.next().await {
        let Counted { i } = chunk?.decode()?;
        println!("after {:>3} ms: chunk {i}", began.elapsed().as_millis());
        if i != next {
            return Err(format!("expected chunk {next}, got {i}").into());
        }
        next += 1;
    }
    if next != 3 {
        return Err(format!("the stream ended after {next} chunks").into());
    }

    println!("== a stream that would take for ever, of which five chunks are wanted");
    let mut stream = pool.request("count").args(&json!({"n": 1_000_000_000_000_u64}))?.stream()?;
    for _ in 0..5 {
        let Counted { i } = stream.next().await.ok_or("it ended")??.decode()?;
        println!("chunk {i}");
    }
    // At most a window of chunks is under way, so the worker has been waiting for its reader. Now it is told to stop.
    drop(stream);
    let sum: i64 = pool.call("add", &json!({"a": 1, "b": 2})).await?;
    println!("dropped; the one worker serves the next request: 1 + 2 = {sum}");
    if sum != 3 || pool.stats().await?.cancelled != 1 {
        return Err("the stream was not cancelled".into());
    }

    println!("== a stream that does not go well");
    let mut stream = pool.request("count").args(&json!({"n": "many"}))?.stream()?;
    let error = stream.next().await.ok_or("it ended as if all were well")?.err().ok_or("it counted")?;
    println!("the error is its last item: {} ({error})", error.code());
    if stream.next().await.is_some() {
        return Err("something followed the error".into());
    }

    let report = pit.shutdown(Duration::from_secs(10)).await;
    if report.processes_left.is_empty() { Ok(()) } else { Err(format!("left: {report:?}").into()) }
}
