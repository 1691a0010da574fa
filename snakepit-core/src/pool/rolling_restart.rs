//! All workers of a pool replaced, one after the other; the work of the handle, so that dropping it ends it.

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::error::{ExecuteError, RecycleError};
use crate::id::Slot;
use crate::pool::handle::PoolRef;
use crate::pool::message::{PoolCommand, PoolMessage};
use crate::pool::recycling::Recycled;
use crate::pool::slot_plan::Duty;

/// What a rolling restart came to, worker by worker.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RollingReport {
    /// What became of each worker that the pool had when it began, by slot.
    pub workers: Vec<RolledWorker>,
}

/// What a rolling restart did about one worker.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RolledWorker {
    /// The slot that it was in.
    pub slot: Slot,
    /// What became of it.
    pub outcome: RollOutcome,
}

/// What became of a worker that was to be replaced.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RollOutcome {
    /// Another has taken over, and it has left.
    Replaced(Recycled),
    /// It works on: its replacement did not get ready, or could not be asked for.
    Kept(RecycleError),
    /// It left meanwhile for another reason, such as a smaller size.
    Left,
    /// It works on: one before it could not be replaced, and what keeps one from booting keeps the next.
    NotTried,
}

impl RollingReport {
    /// Whether no worker is left that was there when it began.
    pub fn is_complete(&self) -> bool {
        self.workers.iter().all(|worker| match worker.outcome {
            RollOutcome::Replaced(_) | RollOutcome::Left => true,
            RollOutcome::Kept(_) | RollOutcome::NotTried => false,
        })
    }
}

impl PoolRef {
    /// Replaces a worker while the pool serves: another boots in another slot, and when it is ready, this one takes no
    /// more requests, finishes those it has, and leaves. The pool never has fewer ready workers than before. A slot that
    /// gave up, if for good, is tried anew in this way, too.
    ///
    /// Answers when the old worker has left. Where the new one does not get ready, it is withdrawn and the old one stays.
    /// Few are replaced at once; others wait for their turn, no longer than the old workers' requests may take: each has a
    /// deadline, and at its deadline a request holds up nobody any more. What the old worker's sessions hear is as in
    /// [`resize`](Self::resize).
    ///
    /// # Errors
    /// [`RecycleError`].
    ///
    /// # Cancellation
    /// Dropping the future calls off a replacement that has not begun; one that has goes on.
    pub async fn recycle(&self, slot: Slot) -> Result<Recycled, RecycleError> {
        let (reply, answer) = oneshot::channel();
        let asked = PoolMessage::Command(PoolCommand::Recycle { slot, reply });
        if self.shared().address.cast(asked)
            && let Ok(answer) = answer.await
        {
            return answer;
        }
        Err(self.no_answer())
    }

    /// Replaces every worker of the pool as [`recycle`](Self::recycle) does, few at once. Ends at the first that cannot be
    /// replaced: the old workers that are left then go on serving.
    ///
    /// # Errors
    /// [`RecycleError::PoolRestarted`], [`RecycleError::PoolFailed`] or [`RecycleError::ShuttingDown`] where nobody said which
    /// workers there are.
    /// What becomes of each is in the report.
    ///
    /// # Cancellation
    /// Dropping the future ends it after the replacements that are under way.
    pub async fn rolling_restart(&self) -> Result<RollingReport, RecycleError> {
        let roster = self.ask(|reply| PoolCommand::GetRoster { reply }).await;
        let roster = roster.map_err(|_| self.no_answer())?;
        let kept = roster.iter().filter(|row| row.duty == Duty::Kept).map(|row| row.slot);
        let mut workers: Vec<_> =
            kept.map(|slot| RolledWorker { slot, outcome: RollOutcome::NotTried }).collect();
        let (mut next, mut goes_on, mut asked) = (0, true, JoinSet::new());
        loop {
            while goes_on && next < workers.len() && asked.len() < self.shared().replacements_at_once() {
                let (pool, place, slot) = (self.clone(), next, workers[next].slot);
                asked.spawn(async move { (place, pool.recycle(slot).await) });
                next += 1;
            }
            let Some(Ok((place, result))) = asked.join_next().await else { break };
            workers[place].outcome = match result {
                Ok(recycled) => RollOutcome::Replaced(recycled),
                Err(RecycleError::NotFound { .. } | RecycleError::InTransit { .. }) => RollOutcome::Left,
                Err(error) => RollOutcome::Kept(error),
            };
            goes_on &= !matches!(workers[place].outcome, RollOutcome::Kept(_));
        }
        Ok(RollingReport { workers })
    }

    fn no_answer(&self) -> RecycleError {
        match self.gone() {
            ExecuteError::ShuttingDown { pool } => RecycleError::ShuttingDown { pool },
            ExecuteError::PoolFailed { pool, reason } => RecycleError::PoolFailed { pool, reason },
            _ => RecycleError::PoolRestarted { pool: self.name().clone() },
        }
    }
}
