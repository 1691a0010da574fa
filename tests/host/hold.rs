//! One pit, held for as long as the driver likes, and asked about by lines on stdin.
//!
//! `pids`, `busy`, `stats`, `recovered`, `took` (the start, in microseconds), `shutdown MS`, `panic`, `drop`; each is answered by a line that begins with the same
//! word. The first line of all is the process ids of the workers, once all are ready.

use std::error::Error;
use std::future::pending;
use std::time::Duration;

use serde_json::json;
use snakepit_adapters::{ExecuteError, LossCause, Snakepit};
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep};

use crate::host::plan::{Plan, StartedOn};
use crate::host::{PATIENCE, commands, service};

pub(super) async fn run(plan: &Plan) -> Result<(), Box<dyn Error>> {
    let said = commands::listen();
    let (service, _service_ends) = service::start().await?;
    let builder = plan.builder();
    let start = async move |cell| builder.start_linked(cell).await;
    let cell = service.get_cell();
    let began = Instant::now();
    let pit = match plan.started_on {
        StartedOn::Task => start(cell).await?,
        StartedOn::SpawnBlocking => {
            tokio::task::spawn_blocking(move || Handle::current().block_on(start(cell))).await??
        }
        StartedOn::BlockInPlace => {
            let task = async move { tokio::task::block_in_place(|| Handle::current().block_on(start(cell))) };
            tokio::spawn(task).await??
        }
    };
    let took = began.elapsed();
    let Some(budget) = plan.shutdown_budget else { return obey(pit, plan, said, &service, took).await };
    let obeys = obey(pit.clone(), plan, said, &service, took);
    tokio::select! {
        // First, so that it listens before the host says that it is there.
        biased;
        report = pit.shutdown_on_signal(budget) => {
            println!("shutdown {}", serde_json::to_string(&report?)?);
            Ok(())
        }
        obeyed = obeys => obeyed,
    }
}

async fn obey(
    pit: Snakepit,
    plan: &Plan,
    mut said: UnboundedReceiver<String>,
    service: &ractor::ActorRef<()>,
    started_in: Duration,
) -> Result<(), Box<dyn Error>> {
    println!("{}", pids(&pit, plan.size).await?);
    while let Some(line) = said.recv().await {
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match word {
            "pids" => println!("pids {}", pids(&pit, plan.size).await?),
            "busy" => busy(&pit, plan.size).await?,
            "stats" => println!("stats {}", serde_json::to_string(&pit.stats("default").await?)?),
            "recovered" => {
                let report = pit.recovery();
                println!("recovered {} {} {}", report.records, report.ended, report.survivors);
            }
            "took" => println!("took {}", started_in.as_micros()),
            "shutdown" => {
                let report = pit.shutdown(Duration::from_millis(rest.parse()?)).await;
                println!("shutdown {}", serde_json::to_string(&report)?);
            }
            "panic" => service::panic(service),
            "leave" => return Ok(()),
            "drop" => {
                drop(pit);
                println!("drop");
                return pending().await;
            }
            unknown => return Err(format!("unknown command {unknown}").into()),
        }
    }
    // Nobody says anything any more, and the host stays until it is killed.
    pending().await
}

/// The process ids of all workers, as soon as all are ready.
async fn pids(pit: &Snakepit, size: u16) -> Result<String, Box<dyn Error>> {
    let by = Instant::now() + PATIENCE;
    loop {
        let workers = pit.workers("default").await?;
        let ready: Vec<String> = workers
            .iter()
            .filter(|worker| worker.agent.is_some())
            .filter_map(|worker| Some(worker.os_pid?.to_string()))
            .collect();
        if ready.len() == usize::from(size) {
            return Ok(ready.join(" "));
        }
        if Instant::now() > by {
            return Err(format!("not all are ready: {workers:?}").into());
        }
        sleep(Duration::from_millis(2)).await;
    }
}

/// Gives every worker a request that is never answered, and says how each ends.
async fn busy(pit: &Snakepit, size: u16) -> Result<(), Box<dyn Error>> {
    for _ in 0..size {
        let pit = pit.clone();
        tokio::spawn(async move {
            match pit.execute("hold", &json!({})).await {
                Ok(_) => println!("lost nothing"),
                Err(ExecuteError::WorkerLost { loss }) => println!("lost {}", cause(&loss.cause)),
                Err(error) => println!("lost {}", error.code()),
            }
        });
    }
    let by = Instant::now() + PATIENCE;
    while pit.stats("default").await?.running < usize::from(size) {
        if Instant::now() > by {
            return Err("not all are busy".into());
        }
        sleep(Duration::from_millis(2)).await;
    }
    println!("busy {size}");
    Ok(())
}

/// The cause by the name that it has in JSON.
fn cause(cause: &LossCause) -> String {
    let json = json!(cause);
    json["cause"].as_str().unwrap_or("unknown").to_owned()
}
