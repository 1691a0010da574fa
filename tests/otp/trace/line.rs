//! The log of a trace: its lines, and the shared book that they are written into.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use ractor::ActorCell;
use serde::Serialize;

use crate::otp::trace::form::PlanForm;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Line {
    Start {
        id: String,
        n: usize,
        result: PlanForm,
    },
    Stop {
        id: String,
        reason: String,
    },
    Reply {
        #[serde(rename = "do")]
        call: &'static str,
        result: Answer,
    },
    SupervisorExit {
        id: String,
        reason: String,
    },
    End,
}

/// What a call answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Answer {
    Word(&'static str),
    Children(Vec<(String, &'static str)>),
    Counts([usize; 4]),
}

/// The book of one trace. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Book(Arc<Mutex<Pages>>);

#[derive(Debug, Default)]
struct Pages {
    lines: Vec<Line>,
    written: usize,
    starts: HashMap<String, usize>,
    actors: HashMap<String, Vec<ActorCell>>,
}

impl Book {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().expect("nobody panics while writing the book")
    }

    pub(super) fn write(&self, line: Line) {
        let mut pages = self.pages();
        pages.lines.push(line);
        pages.written += 1;
    }

    /// How much was ever written: as long as this grows, something goes on.
    pub(super) fn volume(&self) -> usize {
        self.pages().written
    }

    /// The lines since last asked.
    pub(super) fn take(&self) -> Vec<Line> {
        std::mem::take(&mut self.pages().lines)
    }

    /// Counts one more start of a path.
    pub(super) fn count_start(&self, path: &str) -> usize {
        let mut pages = self.pages();
        let count = pages.starts.entry(path.to_owned()).or_default();
        *count += 1;
        *count
    }

    /// A worker has come up.
    pub(super) fn introduce(&self, path: &str, cell: ActorCell) {
        self.pages().actors.entry(path.to_owned()).or_default().push(cell);
    }

    /// The worker of that path that came up last of those that live.
    pub(super) fn worker(&self, path: &str) -> Option<ActorCell> {
        let pages = self.pages();
        let mut cells = pages.actors.get(path)?.iter().rev();
        cells.find(|cell| cell.get_status() < ractor::ActorStatus::Stopping).cloned()
    }
}
