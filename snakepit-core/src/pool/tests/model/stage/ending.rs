//! The end of a script: every caller has its answer, every place is free, and nothing is left behind.

use std::collections::HashSet;
use std::time::Duration;

use crate::pool::PoolStats;
use crate::pool::tests::model::Boots;
use crate::pool::tests::model::callers::Call;
use crate::pool::tests::model::stage::{PATIENCE, QUIET, Stage, tasks};
use crate::pool::tests::model::workers::{Production, Worker};

impl Stage {
    /// Workers answer whatever they have, until every caller has its answer and every place is free.
    pub(in crate::pool::tests::model) async fn end(mut self) {
        self.permits.clear();
        self.boot(Boots::Quick);
        self.resume().await;
        self.calls.iter().for_each(Call::read_all);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self.calls.iter().any(|call| call.task.is_some())
            || self.changes.iter().any(|change| !change.is_finished())
            || self.workers.iter().any(|w| !w.has.is_empty())
            || !self.drains.is_empty()
        {
            assert!(tokio::time::Instant::now() < deadline, "somebody still waits");
            self.finish_streams().await;
            for worker in 0..self.workers.len() {
                self.answer(worker, 0);
            }
            self.let_happen(Duration::from_millis(10)).await;
        }
        for change in self.changes.drain(..) {
            change.await.expect("a change panicked");
        }
        let stats = self.calm_down().await;
        assert_eq!((stats.waiting, stats.stalls), (0, 0), "{stats:?}");
        if !self.was_killed {
            let calls = self.calls.len() as u64;
            assert!(
                stats.requests == calls || self.may_not_have_asked && stats.requests < calls,
                "{stats:?}"
            );
        }
        // Nothing falls out of the books, also where the pool was restarted.
        assert_eq!(stats.requests, stats.succeeded + stats.failed, "{stats:?}");
        let lives: HashSet<_> = self.workers.iter().map(Worker::life).collect();
        assert_eq!((lives.len(), self.workers.len()), (self.size.into(), self.size.into()));
        self.leaves_nothing_behind().await;
    }

    /// Every stream that is read goes on, however slow its reader was until now.
    async fn finish_streams(&mut self) {
        for worker in 0..self.workers.len() {
            for which in 0..self.workers[worker].has.len() {
                self.produce(worker, which, u8::MAX);
            }
        }
        self.let_happen(Duration::from_millis(1)).await;
        for task in self.workers.iter().flat_map(|worker| &worker.has) {
            let is_read = self.calls[task.call].task.is_some() && !task.is_cancelled;
            let has_credit = task.stream.as_ref().is_none_or(Production::has_credit);
            assert!(!is_read || has_credit, "all was taken, and no more may be sent");
        }
    }

    /// Waits until the pool is as it is to be, with nothing to do.
    async fn calm_down(&mut self) -> PoolStats {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let size = usize::from(self.size);
        loop {
            self.let_happen(Duration::from_millis(50)).await;
            let stats = self.bench.stats().await;
            if (stats.available, stats.total, stats.running) == (size, size, 0) {
                self.let_happen(Duration::from_millis(1)).await;
                return stats;
            }
            assert!(tokio::time::Instant::now() < deadline, "the pool never got there: {stats:?}");
        }
    }

    /// As many workers as in the beginning are as many tasks: actors, timers and whatever else.
    async fn leaves_nothing_behind(&mut self) {
        self.resize(self.setting.size).await;
        self.calm_down().await;
        // Every timer that was set has rung by then.
        self.let_happen(QUIET).await;
        assert_eq!(tasks(), self.tasks_at_rest, "tasks at rest");
    }
}
