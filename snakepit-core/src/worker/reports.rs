//! Where the reports of a worker's adapter go: answers to the pool, signs of life to the heartbeat, lines to the output.

use std::sync::Arc;

use crate::adapter::{Outcome, ReportSink, WorkerLog};
use crate::id::{RequestId, WorkerLife};
use crate::pool::{Life, PoolReporter, Vitals, WorkerReport};
use crate::worker::output::WorkerOutput;

/// How much is kept of a worker's reason to be replaced, in bytes.
const WHY_LIMIT: usize = 256;

/// The ear of one life.
#[derive(Debug)]
pub(super) struct LifeReports {
    pub(super) life: WorkerLife,
    pub(super) pool: PoolReporter,
    pub(super) vitals: Arc<Vitals>,
    pub(super) output: Arc<WorkerOutput>,
}

impl ReportSink for LifeReports {
    fn finished(&self, id: RequestId, outcome: Outcome) {
        self.pool.finished(Life::from(&self.life), id, outcome, &self.vitals);
    }

    fn started(&self, id: RequestId) {
        self.pool.request(WorkerReport::RequestStarted { life: Life::from(&self.life), id });
    }

    fn unread(&self, id: RequestId) {
        self.pool.request(WorkerReport::RequestUnread { life: Life::from(&self.life), id });
    }

    fn heard_out(&self) {
        self.pool.worker(WorkerReport::HeardOut { life: Life::from(&self.life) });
    }

    fn recycle(&self, mut why: String) {
        why.truncate(why.floor_char_boundary(WHY_LIMIT));
        self.pool.worker(WorkerReport::RecycleAsked { life: Life::from(&self.life), why });
    }

    fn alive(&self) {
        self.vitals.sign();
    }

    fn log(&self, log: WorkerLog) {
        self.output.logged(&log);
    }
}
