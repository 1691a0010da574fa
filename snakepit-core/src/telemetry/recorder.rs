//! A recorder for tests: it remembers every metric that it is told.

use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

/// Every metric that was told, with its labels and its value.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<(String, f64)>>>);

struct Teller(Told, String);

impl Told {
    /// What was told of one metric, in its order.
    pub(crate) fn of(&self, name: &str) -> Vec<(String, f64)> {
        let is_it = |told: &&(String, f64)| told.0.split('{').next() == Some(name);
        self.0.lock().unwrap().iter().filter(is_it).cloned().collect()
    }

    /// The names of all metrics that were told.
    pub(crate) fn names(&self) -> std::collections::BTreeSet<String> {
        let name = |told: &(String, f64)| told.0.split('{').next().unwrap().to_owned();
        self.0.lock().unwrap().iter().map(name).collect()
    }

    fn teller(&self, key: &Key) -> Arc<Teller> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
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

impl HistogramFn for Teller {
    fn record(&self, value: f64) {
        self.tell(value);
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
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.teller(key))
    }
}
