//! Sessions: requests that share state in a worker, what happens when that worker is lost, and how a session ends.
//!
//! `cargo run --example sessions`

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use snakepit_adapters::{Affinity, PoolConfig, PortAdapter, Response, SessionId, Snakepit};

/// What a worker has kept for a session.
#[derive(Deserialize)]
struct Kept {
    kept: Map<String, Value>,
}

fn told(what: &str, response: &Response) -> Result<Map<String, Value>, Box<dyn Error>> {
    let Kept { kept } = response.payload.decode()?;
    println!("{what}: worker {} keeps {}", response.worker, Value::from(kept.clone()));
    Ok(kept)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let worker = PortAdapter::python(here.join("workers/pit_worker.py"));
    let pit = Snakepit::builder()
        .data_dir(here.join("var/sessions"))
        .pool(PoolConfig::new("default", worker).size(3))
        .start()
        .await?;
    let pool = pit.default_pool()?;
    pool.await_ready(Duration::from_secs(15)).await?;

    // Three requests of one session, and one worker that holds its state.
    let mut workers = Vec::new();
    for (key, value) in [("colour", "green"), ("animal", "snake"), ("food", "mouse")] {
        let args = json!({"key": key, "value": value});
        let response = pool.request("remember").args(&args)?.session("user 123").send().await?;
        told(key, &response)?;
        workers.push(response.worker);
    }
    if workers.iter().any(|worker| *worker != workers[0]) {
        return Err(format!("one session on several workers: {workers:?}").into());
    }

    // By default a session is a hint: when its worker is lost another goes on, and says that the state is gone.
    let crash = pool.request("crash").session("user 123").send().await.err().ok_or("it did not crash")?;
    println!("crash: {} ({crash})", crash.code());
    let response = pool.request("recall").session("user 123").send().await?;
    if !response.session_reset || !told("after the crash", &response)?.is_empty() {
        return Err("the session went on as if nothing had been lost".into());
    }

    // Who cannot do without the state asks for a strict session, and hears of the loss as an error, once.
    let strict = |command: &str| pool.request(command).session("job 7").affinity(Affinity::StrictQueue);
    strict("remember").args(&json!({"key": "step", "value": 1}))?.send().await?;
    strict("crash").send().await.err().ok_or("it did not crash")?;
    let lost = strict("recall").send().await.err().ok_or("the loss was not told")?;
    println!("a strict session: {} ({lost})", lost.code());
    if lost.code() != "session_lost" || strict("recall").send().await.is_err() {
        return Err("a lost session is told once, and then begins afresh".into());
    }

    // Ended by name, a session begins anew, and its worker has been told to free what it kept.
    let session = SessionId::new("user 123")?;
    pool.request("remember")
        .args(&json!({"key": "colour", "value": "red"}))?
        .session("user 123")
        .send()
        .await?;
    pool.end_session(&session).await?;
    let response = pool.request("recall").session("user 123").send().await?;
    if !told("after the end", &response)?.is_empty() || response.session_reset {
        return Err("the session outlived its end".into());
    }

    let report = pit.shutdown(Duration::from_secs(10)).await;
    if report.processes_left.is_empty() { Ok(()) } else { Err(format!("left: {report:?}").into()) }
}
