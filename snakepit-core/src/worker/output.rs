//! What a worker prints and logs, handed on to the host's own log, as far as its budgets of lines go.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tracing::Level;

use crate::adapter::WorkerLog;
use crate::id::WorkerLife;
use crate::pool::PoolShared;
use crate::process::{OutputLine, OutputStream};
use crate::telemetry::Event;
use crate::worker::line_budget::LineBudget;

/// The output of one life. What it prints is read to the end in any case, so that it never waits for a reader.
#[derive(Debug)]
pub(super) struct WorkerOutput {
    life: WorkerLife,
    pool: Arc<PoolShared>,
    /// One for each way that it has: a flood on stdout must not drown what is wrong, which stderr and the log tell.
    stdout: Mutex<LineBudget>,
    stderr: Mutex<LineBudget>,
    log: Mutex<LineBudget>,
}

impl WorkerOutput {
    pub(super) fn new(life: WorkerLife, pool: Arc<PoolShared>) -> Self {
        let budget = || Mutex::new(LineBudget::new(pool.options.output_limit));
        let (stdout, stderr, log) = (budget(), budget(), budget());
        Self { life, pool, stdout, stderr, log }
    }

    /// It printed a line.
    pub(super) fn printed(&self, stream: OutputStream, line: &OutputLine) {
        let budget = match stream {
            OutputStream::Stdout => &self.stdout,
            OutputStream::Stderr => &self.stderr,
        };
        if self.admits(budget) {
            trace_output(&self.life, stream, line);
        }
    }

    /// It logged something.
    pub(super) fn logged(&self, log: &WorkerLog) {
        if self.admits(&self.log) {
            trace_log(&self.life, log);
        }
    }

    /// All that it ever said has been read, as far as it can be: what was left out is told.
    pub(super) fn ended(&self) {
        let rest = [&self.stdout, &self.stderr, &self.log].map(|budget| lock(budget).rest());
        self.tell(rest.into_iter().sum());
    }

    fn admits(&self, budget: &Mutex<LineBudget>) -> bool {
        let verdict = lock(budget).on_line(Instant::now());
        self.tell(verdict.left_out);
        verdict.passes
    }

    fn tell(&self, lines: u64) {
        if lines > 0 {
            let limit = self.pool.options.output_limit;
            self.pool.emit(Event::WorkerOutputSuppressed { worker: self.life.clone(), lines, limit });
        }
    }
}

fn lock(budget: &Mutex<LineBudget>) -> MutexGuard<'_, LineBudget> {
    budget.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for WorkerOutput {
    /// A life that was cut short tells it here.
    fn drop(&mut self) {
        self.ended();
    }
}

/// Hands a worker's log record on. The level is the worker's; the macros want it fixed at each call.
fn trace_log(life: &WorkerLife, log: &WorkerLog) {
    let request = log.request.map(|id| id.0);
    macro_rules! at {
        ($level:expr) => {
            tracing::event!(target: "snakepit::worker", $level, worker = %life, request, logger = %log.logger, "{}", log.message)
        };
    }
    match log.level {
        Level::ERROR => at!(Level::ERROR),
        Level::WARN => at!(Level::WARN),
        Level::INFO => at!(Level::INFO),
        Level::DEBUG => at!(Level::DEBUG),
        Level::TRACE => at!(Level::TRACE),
    }
}

/// Hands a printed line on.
fn trace_output(worker: &WorkerLife, stream: OutputStream, line: &OutputLine) {
    let stream = match stream {
        OutputStream::Stdout => "stdout",
        OutputStream::Stderr => "stderr",
    };
    tracing::info!(target: "snakepit::worker", %worker, stream, cut = line.cut, "{}", line.text);
}
