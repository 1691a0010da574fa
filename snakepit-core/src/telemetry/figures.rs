//! The metrics that a pit tells of itself, through the `metrics` facade: without a recorder they cost nothing.

use metrics::{counter, gauge};

use crate::process::Containment;
use crate::process_registry::RecoveryReport;
use crate::telemetry::{Event, EventSink};

/// How firmly workers are held: an event, and a number that grows with it (`in_process` is 0) with a label.
pub(crate) fn contained(containment: &Containment, events: &EventSink) {
    let level = containment.level();
    events.emit(match containment.shortfall() {
        None => Event::ContainmentFull { level },
        Some(shortfall) => Event::ContainmentShort { level, shortfall: shortfall.to_owned() },
    });
    gauge!("snakepit.containment.level", "level" => level.to_string()).set(f64::from(level as u8));
}

/// What the start found of earlier runs.
pub(crate) fn recovered(report: &RecoveryReport) {
    let outcomes =
        [("ended", report.ended), ("survived", report.survivors), ("unreadable", report.unreadable)];
    for (outcome, count) in outcomes {
        counter!("snakepit.recovery.processes", "outcome" => outcome).increment(count as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics::{
        Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    };
    use std::sync::{Arc, Mutex};

    /// Remembers every metric and its last value.
    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<Vec<(String, f64)>>>);

    struct Teller(Told, String);

    impl Told {
        fn teller(&self, key: &Key) -> Arc<Teller> {
            let labels: Vec<_> =
                key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            Arc::new(Teller(self.clone(), format!("{}{{{}}}", key.name(), labels.join(","))))
        }
    }

    impl Teller {
        fn tell(&self, value: f64) {
            self.0.0.lock().unwrap().push((self.1.clone(), value));
        }
    }

    impl GaugeFn for Teller {
        fn increment(&self, value: f64) {
            self.tell(value);
        }
        fn decrement(&self, value: f64) {
            self.tell(-value);
        }
        fn set(&self, value: f64) {
            self.tell(value);
        }
    }

    impl CounterFn for Teller {
        fn increment(&self, value: u64) {
            self.tell(value as f64);
        }
        fn absolute(&self, value: u64) {
            self.tell(value as f64);
        }
    }

    impl Recorder for Told {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(self.teller(key))
        }
        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(self.teller(key))
        }
        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[test]
    fn the_level_and_what_was_found_are_told() {
        let told = Told::default();
        metrics::with_local_recorder(&told, || {
            contained(&Containment::tree(), &EventSink::default());
            contained(&Containment::in_process("a test"), &EventSink::default());
            recovered(&RecoveryReport { ended: 3, survivors: 1, ..RecoveryReport::default() });
        });
        let told = told.0.lock().unwrap();
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
