//! An adapter of one's own: an actor inside this program instead of a process. Pool, sessions, restarts are the same.
//!
//! `cargo run --example custom_adapter`

use std::error::Error;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use snakepit_adapters::adapter::{
    Adapter, AdapterFailure, AdapterMessage, AdapterReports, Connect, Connected, Connecting, Outcome,
    WorkerContext,
};
use snakepit_adapters::{Payload, PoolConfig, ProcessSpec, Request, Snakepit};

/// Workers that write texts in capitals.
struct Capitals;

impl Adapter for Capitals {
    fn name(&self) -> &'static str {
        "capitals"
    }

    /// No process: the worker is its adapter actor.
    fn process_spec(&self, _worker: &WorkerContext) -> Result<Option<ProcessSpec>, AdapterFailure> {
        Ok(None)
    }

    fn connect(&self, connect: Connect) -> Connecting {
        Box::pin(async move {
            let started = Actor::spawn_linked(None, CapitalsActor, connect.reports, connect.supervisor).await;
            let (actor, _) = started.map_err(|error| AdapterFailure::Failed { what: error.to_string() })?;
            let agent = "capitals 1.0".to_owned();
            let adapter = actor.get_derived().into();
            Ok(Connected { adapter, capacity: 1, tells_started: false, agent })
        })
    }
}

/// One worker. Its message may be any type that an `AdapterMessage` converts into; this one needs no other.
struct CapitalsActor;

impl Actor for CapitalsActor {
    type Msg = AdapterMessage;
    type State = AdapterReports;
    type Arguments = AdapterReports;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        reports: AdapterReports,
    ) -> Result<AdapterReports, ActorProcessingErr> {
        Ok(reports)
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: AdapterMessage,
        reports: &mut AdapterReports,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            AdapterMessage::Execute { request, .. } if &*request.command == "fall" => {
                let what = "it was asked to fall".to_owned();
                return Err(Box::new(AdapterFailure::Failed { what }));
            }
            AdapterMessage::Execute { id, request, .. } => {
                let capitals = Payload::bytes(request.payload.data.to_ascii_uppercase());
                reports.finished(id, Outcome::Answered(capitals));
            }
            // Any report is a sign of life.
            AdapterMessage::Ping => reports.alive(),
            // What is asked is done at once: there is nothing to cancel, to give credit for, or to finish.
            _ => {}
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let data = std::env::temp_dir().join(format!("snakepit-custom-adapter-{}", std::process::id()));
    let pit = Snakepit::builder().data_dir(&data).pool(PoolConfig::new("default", Capitals)).start().await?;
    let pool = pit.default_pool()?;
    let response = pool.execute(Request::new("write", Payload::bytes("hello"))).await?;
    println!("worker {}: {}", response.worker, String::from_utf8_lossy(&response.payload.data));
    if response.payload.data != "HELLO" {
        return Err("not in capitals".into());
    }
    // An actor that fails, or panics, costs its own request, and its worker is started again.
    let error =
        pool.execute(Request::new("fall", Payload::bytes(""))).await.err().ok_or("it did not fall")?;
    println!("{}: {error}", error.code());
    if error.code() != "worker_lost" {
        return Err("the caller was not told".into());
    }
    let response = pool.execute(Request::new("write", Payload::bytes("again"))).await?;
    println!("worker {}: {}", response.worker, String::from_utf8_lossy(&response.payload.data));
    pit.shutdown(Duration::from_secs(10)).await;
    std::fs::remove_dir_all(data)?;
    Ok(())
}
