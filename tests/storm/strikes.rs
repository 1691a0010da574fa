//! The script carried out on the workers that there are.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use nix::sys::signal::Signal;
use snakepit_tests::oracle::ProcessHandle;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::bed::{Bed, Kind};
use crate::script::{Blow, Script};

/// How many blows of each kind have met somebody.
#[derive(Debug, Default)]
pub(crate) struct Struck(BTreeMap<&'static str, u32>);

impl Struck {
    fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }
}

impl fmt::Display for Struck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "blows: {:?}", self.0)
    }
}

/// Every blow at its time. One that finds no worker is not made up for.
pub(crate) async fn rain(bed: &Bed, script: &Script) -> Result<Struck, Box<dyn Error>> {
    let (began, mut struck, mut held) = (Instant::now(), Struck::default(), JoinSet::new());
    for entry in &script.blows {
        sleep_until(began + entry.at).await;
        match entry.blow {
            Blow::Resize { size } => {
                bed.pool(entry.pool)?.resize(size).await?;
                struck.count("resizes");
            }
            Blow::Kill { nth } => {
                if let Some(worker) = worker(bed, entry.pool, nth).await? {
                    worker.signal(Signal::SIGKILL);
                    struck.count("kills");
                }
            }
            Blow::Stop { nth } => {
                if let Some(worker) = worker(bed, entry.pool, nth).await? {
                    worker.signal(Signal::SIGSTOP);
                    struck.count("stops");
                }
            }
            Blow::Hold { nth, lasts } => {
                if let Some(worker) = worker(bed, entry.pool, nth).await? {
                    worker.signal(Signal::SIGSTOP);
                    struck.count("holds");
                    held.spawn(async move {
                        sleep(lasts).await;
                        worker.signal(Signal::SIGCONT);
                    });
                }
            }
        }
    }
    held.join_all().await;
    Ok(struck)
}

/// One of a pool's processes.
async fn worker(bed: &Bed, kind: Kind, nth: u64) -> Result<Option<ProcessHandle>, Box<dyn Error>> {
    let workers = bed.pool(kind)?.workers().await?;
    let pids: Vec<i32> = workers.iter().filter_map(|worker| worker.os_pid).collect();
    if pids.is_empty() {
        return Ok(None);
    }
    let at = usize::try_from(nth % pids.len() as u64)?;
    let Ok(worker) = ProcessHandle::open(pids[at]) else { return Ok(None) };
    // Held first and looked at then: it is one of ours, and stays the one that it is.
    Ok(bed.mark.is_on(worker.pid()).then_some(worker))
}
