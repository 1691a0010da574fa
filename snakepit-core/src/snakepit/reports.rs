//! What supervisors report, as events.

use std::sync::Arc;

use snakepit_supervisor::{GaveUp, Report, ReportSink};

use crate::pool::PoolShared;
use crate::telemetry::{Event, EventSink};

/// Where the supervisor above all reports.
pub(super) fn of_pit(events: &EventSink) -> ReportSink {
    let events = events.clone();
    ReportSink::new(move |report| tell_of_pit(&report, &events))
}

pub(super) fn tell_of_pit(report: &Report, events: &EventSink) {
    match report {
        Report::GaveUp(gave_up) => events.emit(Event::PitGaveUp { reason: reason(gave_up) }),
        other => tell(other, events),
    }
}

/// Where the supervisor of a pool's own actors reports.
pub(super) fn of_pool(shared: &Arc<PoolShared>) -> ReportSink {
    let shared = Arc::clone(shared);
    ReportSink::new(move |report| match &report {
        Report::GaveUp(gave_up) => shared.goes_down(reason(gave_up)),
        other => tell(other, shared.events()),
    })
}

/// Tells what is the same whoever reports it. Ends and restarts are told by those whom they befall.
pub(super) fn tell(report: &Report, events: &EventSink) {
    if let Report::Unstoppable { child, .. } = report {
        events.emit(Event::ActorUnstoppable { actor: child.to_string() });
    }
}

fn reason(gave_up: &GaveUp) -> String {
    format!("{}: {}; {} ended last: {}", gave_up.supervisor, gave_up.reason, gave_up.child, gave_up.last)
}
