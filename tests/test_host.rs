//! A host to be killed: `test-host DATA_DIR MARK PROGRAM FLAGS..` runs two workers, prints their process ids, and waits.

use std::future::pending;
use std::time::Duration;

use snakepit_adapters::{PoolConfig, PortAdapter, Snakepit};
use snakepit_tests::oracle::Mark;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let mut next = |what: &str| args.next().ok_or(format!("{what} is missing"));
    let (data_dir, mark, program) = (next("DATA_DIR")?, next("MARK")?, next("PROGRAM")?);
    let adapter = PortAdapter::new(program).args(args).env(Mark::VARIABLE, mark);
    let pit = Snakepit::builder()
        .data_dir(data_dir)
        .pool(PoolConfig::new("default", adapter).size(2))
        .start()
        .await?;
    loop {
        pit.await_ready("default", Duration::from_mins(1)).await?;
        let workers = pit.workers("default").await?;
        let pids: Vec<_> =
            workers.iter().filter(|worker| worker.agent.is_some()).filter_map(|w| w.os_pid).collect();
        if pids.len() == 2 {
            println!("{} {}", pids[0], pids[1]);
            return pending().await;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
