//! A pool inside an axum service that is itself a tree of actors: a client that hangs up cancels its request, a full pool
//! is 503 with `Retry-After`, `/readyz` tells the truth, and at the end nothing is left.
//!
//! `cargo run --example embedded_service`: the service listens on a free port, and is driven from here.

mod embedded_service {
    pub(crate) mod client;
    pub(crate) mod routes;
    pub(crate) mod service;
}

use std::error::Error;
use std::path::Path;

use ractor::Actor;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::embedded_service::client::Client;
use crate::embedded_service::service::{Service, ServiceArgs};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = Client(listener.local_addr()?);
    let (stopped, report) = oneshot::channel();
    let (service, end) = Actor::spawn(None, Service, ServiceArgs { listener, stopped }).await?;

    println!("== readiness");
    let first = client.get("/readyz").await?;
    println!("at once: {} {}", first.status, first.body);
    client.until("/readyz", |ready| ready.status == 200).await?;
    println!("and soon: 200");

    println!("== a client that hangs up");
    let nap = client.open("/nap?ms=60000").await?;
    client.until("/stats", |stats| stats.body["running"] == 1).await?;
    drop(nap);
    let stats = client.until("/stats", |stats| stats.body["available"] == 1).await?;
    println!("cancelled: {}; the worker is free again", stats.body["cancelled"]);
    if stats.body["cancelled"] != 1 {
        return Err(format!("the request was not cancelled: {}", stats.body).into());
    }

    println!("== a full pool");
    let nap = client.open("/nap?ms=60000").await?;
    client.until("/stats", |stats| stats.body["running"] == 1).await?;
    let refused = client.get("/nap?ms=1").await?;
    let come_again = refused.header("retry-after").unwrap_or("never");
    println!("{} {}; Retry-After: {come_again}", refused.status, refused.body["code"]);
    if (refused.status, come_again.parse::<u64>().is_ok()) != (503, true) {
        return Err("a full pool is 503, and says when to come again".into());
    }
    drop(nap);
    client.until("/stats", |stats| stats.body["available"] == 1).await?;
    let served = client.get("/nap?ms=1").await?;
    println!("there is room again: {} {}", served.status, served.body);

    println!("== the end, while a request runs");
    let nap = client.open("/nap?ms=60000").await?;
    client.until("/stats", |stats| stats.body["running"] == 1).await?;
    service.stop(None);
    let ready = client.until("/readyz", |ready| ready.status == 503).await?;
    println!("/readyz: {} {}", ready.status, ready.body["pools"][0]["reason"]["is"]);
    drop(nap);
    end.await?;
    let report = report.await?;
    println!("{} ms; worker processes left: {:?}", report.took_ms, report.processes_left);
    let pid = &served.body["pid"];
    if !report.processes_left.is_empty() || Path::new(&format!("/proc/{pid}")).exists() {
        return Err(format!("process {pid} of a worker is left: {report:?}").into());
    }
    match client.get("/readyz").await {
        Ok(_) => Err("the service still answers".into()),
        Err(_) => Ok(()),
    }
}
