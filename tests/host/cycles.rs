//! Pits that are started and stopped many times over: whatever grows with it is said.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::host::PATIENCE;
use crate::host::plan::Plan;
use crate::oracle::descendants;

/// How often the host says what it has.
const SAYINGS: u32 = 4;
/// How long what a stopped pit had open may take to be closed: its threads end a moment after it. A limit and no
/// expectation; what is open then has been leaked, and is said.
const CLOSING_PATIENCE: Duration = Duration::from_secs(10);

/// Says `cycle N zombies Z descendants D fds F rss_kb R registry_bytes B` for the first tenth and at each quarter.
pub(super) async fn run(plan: &Plan, count: u32) -> Result<(), Box<dyn Error>> {
    let quarter = (count / SAYINGS).max(1);
    let mut fewest = usize::MAX;
    for cycle in 1..=count {
        let pit = plan.builder().start().await?;
        pit.await_ready("default", PATIENCE).await?;
        let report = pit.shutdown(plan.grace + Duration::from_secs(5)).await;
        if !report.processes_left.is_empty() {
            return Err(format!("cycle {cycle}: {report:?}").into());
        }
        fewest = fewest.min(open_files()?);
        if cycle % quarter == 0 || cycle == (count / 10).max(1) {
            say(plan.data_dir(), cycle, until_closed(fewest).await?)?;
        }
    }
    println!("done {count}");
    Ok(())
}

/// The number of open files, once it is as low as it has ever been, or the patience is over.
async fn until_closed(fewest: usize) -> Result<usize, Box<dyn Error>> {
    let deadline = Instant::now() + CLOSING_PATIENCE;
    loop {
        let open = open_files()?;
        if open <= fewest || Instant::now() > deadline {
            return Ok(open);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn open_files() -> Result<usize, Box<dyn Error>> {
    Ok(fs::read_dir("/proc/self/fd")?.count())
}

fn say(data_dir: &Path, cycle: u32, fds: usize) -> Result<(), Box<dyn Error>> {
    let family = descendants(i32::try_from(std::process::id())?);
    let zombies = family.iter().filter(|process| process.state == 'Z').count();
    let status = fs::read_to_string("/proc/self/status")?;
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next());
    println!(
        "cycle {cycle} zombies {zombies} descendants {} fds {fds} rss_kb {} registry_bytes {}",
        family.len(),
        rss.ok_or("no VmRSS")?,
        registry_bytes(data_dir)?,
    );
    Ok(())
}

/// The size of all redb files in the data directory.
fn registry_bytes(data_dir: &Path) -> Result<u64, Box<dyn Error>> {
    let mut bytes = 0;
    for entry in fs::read_dir(data_dir)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "redb") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}
