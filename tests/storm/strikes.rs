//! The script carried out on the workers that there are.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use nix::sys::signal::Signal;
use snakepit_adapters::{PoolRef, RecycleError, Slot};
use snakepit_tests::oracle::ProcessHandle;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::bed::{Bed, Kind, PATIENCE};
use crate::books::Books;
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
pub(crate) async fn rain(bed: &Bed, script: &Script, books: &Books) -> Result<Struck, Box<dyn Error>> {
    let (began, mut struck, mut held) = (Instant::now(), Struck::default(), JoinSet::new());
    let (mut changes, mut rolling) = (JoinSet::new(), Vec::<(Kind, AbortHandle)>::new());
    for entry in &script.blows {
        sleep_until(began + entry.at).await;
        match entry.blow {
            Blow::Resize { size } => {
                bed.pool(entry.pool)?.resize(size).await?;
                struck.count("resizes");
            }
            Blow::Recycle { nth } => {
                let (pool, workers) = (bed.pool(entry.pool)?, bed.pool(entry.pool)?.workers().await?);
                let at = usize::try_from(nth)?.checked_rem(workers.len());
                if let Some(slot) = at.map(|at| workers[at].slot) {
                    changes.spawn(recycle(pool, slot));
                    struck.count("recycles");
                }
            }
            Blow::Roll => {
                // One at a time: a second one would be over only when the first is.
                rolling.retain(|(_, roll)| !roll.is_finished());
                if rolling.iter().all(|(pool, _)| *pool != entry.pool) {
                    rolling.push((entry.pool, changes.spawn(roll(bed.pool(entry.pool)?))));
                    struck.count("rolling restarts");
                }
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
    for complaint in changes.join_all().await.into_iter().flatten() {
        books.complain(&complaint);
    }
    Ok(struck)
}

/// Returns what is wrong with what came of it.
async fn recycle(pool: PoolRef, slot: Slot) -> Option<String> {
    match timeout(PATIENCE, pool.recycle(slot)).await {
        // The replacement may be hit as well as any other worker, and the slot may be on its way out.
        Ok(
            Ok(_)
            | Err(
                RecycleError::Failed { .. }
                | RecycleError::TimedOut { .. }
                | RecycleError::InTransit { .. }
                | RecycleError::NotFound { .. },
            ),
        ) => None,
        Ok(Err(error)) => Some(format!("recycle of {slot}: {error}")),
        Err(_) => Some(format!("recycle of {slot} hangs")),
    }
}

/// Returns what is wrong with what came of it.
async fn roll(pool: PoolRef) -> Option<String> {
    match timeout(PATIENCE, pool.rolling_restart()).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(format!("rolling restart: {error}")),
        Err(_) => Some("a rolling restart hangs".to_owned()),
    }
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
