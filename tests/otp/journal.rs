//! What happened to the children of a case, in order, and who they were.

use std::sync::{Arc, Mutex, MutexGuard};

use ractor::{ActorCell, ActorId};
use snakepit_supervisor::{ExitReason, Report, ReportSink, StoppedWith};

/// The record of one case. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal(Arc<Mutex<Pages>>);

#[derive(Debug, Default)]
struct Pages {
    lines: Vec<String>,
    all: usize,
    cells: Vec<(String, ActorCell)>,
    reports: Vec<String>,
    raw_reports: Vec<Report>,
}

impl Journal {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().expect("nobody panics while writing the journal")
    }

    pub(crate) fn note(&self, line: String) {
        let mut pages = self.pages();
        pages.lines.push(line);
        pages.all += 1;
    }

    /// A child has come up.
    pub(crate) fn introduce(&self, id: &str, cell: ActorCell) {
        self.pages().cells.push((id.to_owned(), cell));
    }

    /// What was written since last asked, as one line.
    pub(crate) fn take(&self) -> String {
        std::mem::take(&mut self.pages().lines).join(", ")
    }

    pub(crate) fn says(&self, line: &str) -> bool {
        self.pages().lines.iter().any(|written| written == line)
    }

    /// How much was ever written: as long as this grows, something goes on.
    pub(crate) fn volume(&self) -> usize {
        let pages = self.pages();
        pages.all + pages.reports.len()
    }

    /// The last actor that a child was.
    pub(crate) fn cell(&self, id: &str) -> ActorCell {
        let pages = self.pages();
        let found = pages.cells.iter().rev().find(|(known, _)| known == id);
        found.unwrap_or_else(|| panic!("{id} has not been up")).1.clone()
    }

    pub(crate) fn actor(&self, id: &str) -> ActorId {
        self.cell(id).get_id()
    }

    /// How often a child has come up.
    pub(crate) fn times_up(&self, id: &str) -> usize {
        self.pages().cells.iter().filter(|(known, _)| known == id).count()
    }

    pub(crate) fn all_cells(&self) -> Vec<(String, ActorCell)> {
        self.pages().cells.clone()
    }

    pub(crate) fn sink(&self) -> ReportSink {
        let journal = self.clone();
        ReportSink::new(move |report| {
            let mut pages = journal.pages();
            pages.reports.push(in_short(&report));
            pages.raw_reports.push(report);
        })
    }

    /// The reports since last asked, as one line.
    pub(crate) fn take_reports(&self) -> String {
        let mut pages = self.pages();
        pages.raw_reports.clear();
        std::mem::take(&mut pages.reports).join(", ")
    }

    pub(crate) fn reports(&self) -> Vec<Report> {
        self.pages().raw_reports.clone()
    }
}

/// A report in a few words. A report also stands in the journal's volume, but not among its lines.
fn in_short(report: &Report) -> String {
    match report {
        Report::Progress { child, incarnation, .. } => format!("progress {child}{incarnation}"),
        Report::ChildTerminated { child, reason, .. } => format!("terminated {child} {}", word(reason)),
        Report::StartFailed { child, .. } => format!("start failed {child}"),
        Report::RestartDelayed { child, delay, .. } => format!("delayed {child} {delay:?}"),
        Report::ShutdownError { child, reason, .. } => format!("shutdown error {child} {}", word(reason)),
        Report::AutoShutdown { child, .. } => format!("auto shutdown by {child}"),
        Report::GaveUp(gave_up) => format!("gave up {}", gave_up.child),
        Report::Unstoppable { child, .. } => format!("unstoppable {child}"),
        other => format!("{other:?}"),
    }
}

/// An exit reason in the words of the cases: an error that a probe was told to return is `err`, a panic `panic`.
pub(crate) fn word(reason: &ExitReason) -> String {
    match reason {
        ExitReason::Error(_) if reason.downcast_ref::<StoppedWith>().is_some() => "err".to_owned(),
        ExitReason::Error(_) => "panic".to_owned(),
        ExitReason::Fatal(_) => "fatal".to_owned(),
        ExitReason::Normal | ExitReason::Shutdown(_) | ExitReason::Killed | ExitReason::Cancelled => {
            reason.to_string()
        }
    }
}
