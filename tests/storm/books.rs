//! What the callers count, each request once: as it is sent, and as it ends for its caller.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use snakepit_adapters::ExecuteError;

#[derive(Debug, Default)]
pub(crate) struct Books(Mutex<Counts>);

#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    /// Answers that were as they should be.
    pub(crate) succeeded: u64,
    /// Errors, by their code.
    pub(crate) errors: BTreeMap<&'static str, u64>,
    /// Requests that their caller left on purpose.
    pub(crate) left: u64,
    /// Requests whose caller heard nothing, long after their deadline.
    pub(crate) unheard: u64,
    /// Answers of others, and streams that said more after their end.
    pub(crate) twice: u64,
    /// Whatever else was wrong, in words.
    pub(crate) complaints: u64,
}

impl Books {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn sent(&self) {
        self.counts().sent += 1;
    }

    pub(crate) fn succeeded(&self) {
        self.counts().succeeded += 1;
    }

    pub(crate) fn left(&self, count: usize) {
        self.counts().left += count as u64;
    }

    pub(crate) fn unheard(&self, what: &str) {
        println!("no answer, long after its deadline: {what}");
        self.counts().unheard += 1;
    }

    pub(crate) fn twice(&self, what: &str) {
        println!("answered twice, or for another: {what}");
        self.counts().twice += 1;
    }

    /// An error, as the caller heard it. Some must not come in a pool that is only short of workers.
    pub(crate) fn failed(&self, what: &str, error: &ExecuteError) {
        let is_fair = matches!(
            error,
            ExecuteError::WorkerLost { .. }
                | ExecuteError::DeadlineExceeded { .. }
                | ExecuteError::Saturated { .. }
                | ExecuteError::Poisoned { .. }
        );
        *self.counts().errors.entry(error.code()).or_default() += 1;
        if !is_fair {
            self.complain(&format!("{what}: {error}"));
        }
    }

    /// An error that only a strict session hears.
    pub(crate) fn failed_strictly(&self, what: &str, error: &ExecuteError) {
        match error {
            ExecuteError::SessionLost { .. } => {
                *self.counts().errors.entry(error.code()).or_default() += 1;
            }
            other => self.failed(what, other),
        }
    }

    pub(crate) fn complain(&self, what: &str) {
        println!("{what}");
        self.counts().complaints += 1;
    }

    pub(crate) fn read(&self) -> Counts {
        self.counts().clone()
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.read();
        write!(
            f,
            "callers: {} sent, {} succeeded, {} left, errors {:?}",
            counts.sent, counts.succeeded, counts.left, counts.errors
        )
    }
}
