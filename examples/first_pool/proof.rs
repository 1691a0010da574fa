//! The proof from the operating system that no worker is left.

use std::collections::BTreeMap;
use std::error::Error;

use snakepit_core::{ShutdownReport, Snakepit};

/// The workers' processes, by their number.
pub(crate) async fn pids(pit: &Snakepit) -> Result<BTreeMap<i32, String>, Box<dyn Error>> {
    let workers = pit.workers("default").await?;
    Ok(workers.into_iter().filter_map(|worker| Some((worker.os_pid?, worker.id))).collect())
}

/// Says that nothing is left, or fails with what is: first by the marks that workers carry, then by their numbers.
pub(crate) fn nothing_left(
    report: &ShutdownReport,
    pids: &BTreeMap<i32, String>,
) -> Result<(), Box<dyn Error>> {
    if !report.processes_left.is_empty() {
        return Err(format!("worker processes left: {:?}", report.processes_left).into());
    }
    for (pid, worker) in pids {
        if std::path::Path::new(&format!("/proc/{pid}")).exists() {
            return Err(format!("process {pid} of worker {worker} is left").into());
        }
    }
    println!("no worker process left");
    Ok(())
}
