//! The metrics that a pit tells of itself, through the `metrics` facade: without a recorder they cost nothing.

use metrics::{counter, gauge, histogram};

use crate::process::Containment;
use crate::process_registry::RecoveryReport;
use crate::telemetry::{Event, EventSink, metric};

/// How firmly workers are held: an event, and a number that grows with it (`in_process` is 0) with a label.
pub(crate) fn contained(containment: &Containment, events: &EventSink) {
    let level = containment.level();
    events.emit(match containment.shortfall() {
        None => Event::ContainmentFull { level },
        Some(shortfall) => Event::ContainmentShort { level, shortfall: shortfall.to_owned() },
    });
    gauge!(metric::CONTAINMENT_LEVEL.name, "level" => level.to_string()).set(f64::from(level as u8));
}

/// What the start found of earlier runs.
pub(crate) fn recovered(report: &RecoveryReport) {
    let outcomes =
        [("ended", report.ended), ("survived", report.survivors), ("unreadable", report.unreadable)];
    for (outcome, count) in outcomes {
        counter!(metric::RECOVERY_PROCESSES.name, "outcome" => outcome).increment(count as u64);
    }
}

/// What an event means in figures.
pub(super) fn count(event: &Event) {
    counter!(metric::EVENT_COUNT.name, "event" => event.name()).increment(1);
    match event {
        Event::WorkerReady { worker, took, .. } => {
            let pool = worker.worker.pool.to_string();
            histogram!(metric::WORKER_CREATE_TIME.name, "pool" => pool).record(*took);
        }
        Event::WorkerLost { worker, cause, .. } => {
            let pool = worker.worker.pool.to_string();
            counter!(metric::WORKER_RESTARTS.name, "pool" => pool, "cause" => cause.name()).increment(1);
        }
        Event::RequestRetried { worker, .. } => {
            let pool = worker.worker.pool.to_string();
            counter!(metric::CALL_RETRIES.name, "pool" => pool).increment(1);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::recorder::Told;

    #[test]
    fn the_level_and_what_was_found_are_told() {
        let told = Told::default();
        metrics::with_local_recorder(&told, || {
            contained(&Containment::tree(), &EventSink::default());
            contained(&Containment::in_process("a test"), &EventSink::default());
            recovered(&RecoveryReport { ended: 3, survivors: 1, ..RecoveryReport::default() });
        });
        let told = [told.of("snakepit.containment.level"), told.of("snakepit.recovery.processes")].concat();
        let told: Vec<_> = told.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(
            told,
            [
                ("snakepit.containment.level{level=tree}", 2.0),
                ("snakepit.containment.level{level=in_process}", 0.0),
                ("snakepit.recovery.processes{outcome=ended}", 3.0),
                ("snakepit.recovery.processes{outcome=survived}", 1.0),
                ("snakepit.recovery.processes{outcome=unreadable}", 0.0),
            ]
        );
    }
}
