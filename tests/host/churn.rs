//! Workers that come and go without end, in every way that the public interface has.

use std::error::Error;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::host::plan::Plan;
use crate::host::{commands, service};

/// Pits side by side, each in a directory of its own: those that come and go, beside the one that stays.
const LANES: u32 = 2;
/// How long a pit may take to be ready before it is stopped anyway.
const PATIENCE: Duration = Duration::from_millis(200);

pub(super) async fn run(plan: &Plan) -> Result<(), Box<dyn Error>> {
    let mut said = commands::listen();
    let (service, service_ends) = service::start().await?;
    println!("churning");
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        let (plan, cell) = (plan.clone(), service.get_cell());
        lanes.spawn(async move { churn(&plan, lane, cell).await.map_err(|error| error.to_string()) });
    }
    let (steady, cell) = (plan.clone(), service.get_cell());
    lanes.spawn(async move { replace(&steady, cell).await.map_err(|error| error.to_string()) });
    let told = async {
        while let Some(word) = said.recv().await {
            if word == "panic" {
                service::panic(&service);
            }
        }
    };
    tokio::select! {
        Some(ended) = lanes.join_next() => ended?.map_err(Into::into),
        _ = service_ends => panic!("the service has ended, and the host with it"),
        // A driver that says no more is gone, and nobody would ever end this host.
        () = told => Ok(()),
    }
}

/// Starts a pit, lets it live for a while, and stops it: in the middle of a boot, once it is ready, or after a worker of
/// it has crashed.
async fn churn(plan: &Plan, lane: u32, service: ractor::ActorCell) -> Result<(), Box<dyn Error>> {
    for turn in lane.. {
        let builder = plan.builder_below(&format!("lane-{lane}"));
        let pit = builder.start_linked(service.clone()).await?;
        let recovery = pit.recovery();
        if recovery.survivors > 0 {
            return Err(format!("a recovery left something: {recovery:?}").into());
        }
        match turn % 4 {
            0 => {}
            1 => sleep(Duration::from_millis(3)).await,
            _ => {
                if pit.await_ready("default", PATIENCE).await.is_ok() {
                    let crash = pit.clone();
                    tokio::spawn(async move { crash.execute("crash", &json!({})).await });
                    let value = json!({"value": 1});
                    let echo = tokio::time::timeout(PATIENCE, pit.execute("echo", &value));
                    // Whether it is answered or lost with its worker is not this test's matter.
                    let _ = echo.await;
                }
            }
        }
        let report = pit.shutdown(Duration::from_millis(10)).await;
        if !report.processes_left.is_empty() {
            return Err(format!("a shutdown left something: {report:?}").into());
        }
    }
    Ok(())
}

/// Holds a pit whose workers crash one after the other and are replaced, so that there are always some of each age.
async fn replace(plan: &Plan, service: ractor::ActorCell) -> Result<(), Box<dyn Error>> {
    let pit = plan.builder_below("lane-steady").start_linked(service).await?;
    loop {
        // One that is not ready in time is left to it.
        let _ = pit.await_ready("default", PATIENCE).await;
        let crash = pit.clone();
        tokio::spawn(async move { crash.execute("crash", &json!({})).await });
        sleep(Duration::from_millis(10)).await;
    }
}
