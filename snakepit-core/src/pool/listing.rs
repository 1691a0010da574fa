//! The pool's workers, listed: what the pool knows of each slot, joined with what its worker says of itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ractor::rpc::CallResult;
use tokio::task::JoinSet;

use crate::error::ExecuteError;
use crate::pool::handle::PoolRef;
use crate::pool::message::{Life, PoolCommand, RosterRow};
use crate::pool::shared::PoolShared;
use crate::session_affinity::SessionAffinityMessage;
use crate::worker::{WorkerMessage, WorkerStatus};

/// How long a worker may take to describe itself before it is listed without details.
const STATUS_PATIENCE: Duration = Duration::from_secs(1);

impl PoolRef {
    /// The pool's workers, one for each slot, joined from what the pool and the workers themselves know.
    ///
    /// # Errors
    /// # Cancellation
    /// As [`stats`](Self::stats).
    pub async fn workers(&self) -> Result<Vec<WorkerStatus>, ExecuteError> {
        let roster = self.ask(|reply| PoolCommand::GetRoster { reply }).await?;
        let sessions = Arc::new(self.sessions_by_life().await);
        let mut asked = JoinSet::new();
        for row in roster {
            asked.spawn(describe(Arc::clone(self.shared()), row, Arc::clone(&sessions)));
        }
        let mut workers = asked.join_all().await;
        workers.sort_by_key(|worker: &WorkerStatus| worker.slot);
        Ok(workers)
    }

    /// How many sessions each life keeps; `None`: nobody is there to say.
    async fn sessions_by_life(&self) -> Option<HashMap<Life, u64>> {
        let affinity = self.shared().sessions.current()?;
        let question = |reply| SessionAffinityMessage::GetCounts { reply };
        match affinity.call(question, Some(STATUS_PATIENCE)).await {
            Ok(CallResult::Success(counts)) => Some(counts),
            Ok(CallResult::Timeout | CallResult::SenderError) | Err(_) => None,
        }
    }
}

/// Joins what the pool knows of a slot with what its worker says of itself.
async fn describe(
    shared: Arc<PoolShared>,
    row: RosterRow,
    sessions: Arc<Option<HashMap<Life, u64>>>,
) -> WorkerStatus {
    let (slot, last_loss) = (row.slot, shared.last_loss(row.slot));
    let mut status = WorkerStatus::unknown(shared.worker(slot), shared.lives(slot), last_loss.as_ref());
    if let Some(worker) = row.worker {
        let asked = worker.call(|reply| WorkerMessage::GetStatus { reply }, Some(STATUS_PATIENCE)).await;
        if let Ok(CallResult::Success(mut report)) = asked {
            let usage = match report.usage.take() {
                Some(gauge) => gauge.read().await,
                None => None,
            };
            status.report(report, usage);
            let life = Life { slot, incarnation: status.incarnation };
            status.sessions =
                sessions.as_ref().as_ref().map(|counts| counts.get(&life).copied().unwrap_or(0));
        }
    }
    if let Some(loss) = row.quarantined {
        status.gave_up(loss, shared.given_up_for_good(slot).is_some());
    }
    status.running = usize::from(row.running);
    if row.is_leaving {
        status.retiring();
    }
    status
}
