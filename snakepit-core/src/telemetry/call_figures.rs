//! What is measured of a pool's calls. Handles are kept, so that a call costs a look into a table and, without a recorder,
//! nothing else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{Histogram, counter, gauge, histogram};

use crate::id::PoolName;
use crate::telemetry::metric;

/// How many commands of a pool have a label of their own. A worker has few; a caller that makes names up must not make
/// series without end.
const COMMANDS: usize = 100;

/// What the others are called.
const OTHER: &str = "other";

/// The figures of one pool.
///
/// Its handles go to the recorder that is installed when the pit starts.
pub(crate) struct CallFigures {
    pool: PoolName,
    wait_time: Histogram,
    run_time: Histogram,
    durations: Mutex<CallDurations>,
}

/// How long callers waited for their answers.
#[derive(Default)]
struct CallDurations {
    /// Where the durations of a command are.
    places: HashMap<Arc<str>, usize>,
    of: Vec<Durations>,
    others: Durations,
}

/// The durations of one command, by outcome. There are few, and most calls have the first.
#[derive(Default)]
struct Durations(Vec<(&'static str, Histogram)>);

/// How a pool stands, for its gauges.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolGauges {
    pub(crate) size: usize,
    pub(crate) available: usize,
    pub(crate) busy: usize,
    pub(crate) starting: usize,
    pub(crate) quarantined: usize,
    pub(crate) retiring: usize,
    pub(crate) waiting: usize,
    pub(crate) running: usize,
}

/// One call that is over for its caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallFigure<'a> {
    pub(crate) command: &'a Arc<str>,
    /// `ok`, or the error's code.
    pub(crate) outcome: &'static str,
    pub(crate) waited: Duration,
    /// `None` where no worker had it.
    pub(crate) ran: Option<Duration>,
    /// Whether it was its deadline that ended it.
    pub(crate) timed_out: bool,
}

impl CallFigures {
    pub(crate) fn new(pool: PoolName) -> Self {
        let label = || pool.to_string();
        Self {
            wait_time: histogram!(metric::CALL_WAIT_TIME.name, "pool" => label()),
            run_time: histogram!(metric::CALL_RUN_TIME.name, "pool" => label()),
            durations: Mutex::default(),
            pool,
        }
    }

    /// Measures a call.
    pub(crate) fn call(&self, call: CallFigure<'_>) {
        let CallFigure { command, outcome, waited, ran, timed_out } = call;
        self.wait_time.record(waited);
        if let Some(ran) = ran {
            self.run_time.record(ran);
        }
        if timed_out {
            let stage = if ran.is_some() { "running" } else { "waiting" };
            counter!(metric::CALL_TIMEOUTS.name, "pool" => self.pool.to_string(), "stage" => stage)
                .increment(1);
        }
        let duration = self.durations().of(&self.pool, command, outcome).clone();
        duration.record(waited + ran.unwrap_or_default());
    }

    /// Measures a call that was refused before the pool saw it. A command that no call has come with gets no label for it: a
    /// caller may have made it up.
    pub(crate) fn refused(&self, command: &str, outcome: &'static str) {
        let duration = self.durations().of_known(&self.pool, command, outcome).clone();
        duration.record(Duration::ZERO);
    }

    /// Held for as long as it takes to find a handle: what is told to a recorder is told without it, since a recorder may make
    /// calls of its own.
    fn durations(&self) -> MutexGuard<'_, CallDurations> {
        self.durations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how the pool stands.
    pub(crate) fn gauge(&self, gauges: &PoolGauges) {
        let pool = || self.pool.to_string();
        let PoolGauges { size, available, busy, starting, quarantined, retiring, waiting, running } = *gauges;
        let states = [
            ("available", available),
            ("busy", busy),
            ("starting", starting),
            ("quarantined", quarantined),
            ("retiring", retiring),
        ];
        for (state, count) in states {
            gauge!(metric::WORKER_COUNT.name, "pool" => pool(), "state" => state).set(count as f64);
        }
        gauge!(metric::WORKER_MAX.name, "pool" => pool()).set(size as f64);
        gauge!(metric::CALL_PENDING.name, "pool" => pool()).set(waiting as f64);
        gauge!(metric::CALL_RUNNING.name, "pool" => pool()).set(running as f64);
    }
}

impl CallDurations {
    fn of(&mut self, pool: &PoolName, command: &Arc<str>, outcome: &'static str) -> &Histogram {
        if !self.places.contains_key(command) && self.of.len() < COMMANDS {
            self.places.insert(Arc::clone(command), self.of.len());
            self.of.push(Durations::default());
        }
        self.of_known(pool, command, outcome)
    }

    /// The same for a command that gets no label of its own, unless it has one.
    fn of_known(&mut self, pool: &PoolName, command: &str, outcome: &'static str) -> &Histogram {
        match self.places.get(command) {
            Some(place) => self.of[*place].of(pool, command, outcome),
            None => self.others.of(pool, OTHER, outcome),
        }
    }
}

impl Durations {
    fn of(&mut self, pool: &PoolName, command: &str, outcome: &'static str) -> &Histogram {
        let place = self.0.iter().position(|(known, _)| *known == outcome).unwrap_or_else(|| {
            let (pool, command) = (pool.to_string(), command.to_owned());
            let labels = [("pool", pool), ("command", command), ("outcome", outcome.to_owned())];
            self.0.push((outcome, histogram!(metric::CALL_DURATION.name, &labels)));
            self.0.len() - 1
        });
        &self.0[place].1
    }
}

impl std::fmt::Debug for CallFigures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallFigures").field("pool", &self.pool).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use metrics::HistogramFn;

    use super::*;
    use crate::telemetry::recorder::Told;

    /// Makes a call of its own when it is told of one, which is refused.
    #[derive(Default)]
    struct Calling {
        figures: OnceLock<Arc<CallFigures>>,
        told: AtomicUsize,
    }

    impl HistogramFn for Calling {
        fn record(&self, _: f64) {
            if self.told.fetch_add(1, Ordering::Relaxed) == 0 {
                self.figures.get().unwrap().refused("work", "saturated");
            }
        }
    }

    #[test]
    fn a_recorder_may_make_a_call_that_is_refused() {
        // The figures were held while the recorder was told, and it waited for them for ever.
        let (figures, calling) =
            (Arc::new(CallFigures::new(PoolName::new("p").unwrap())), Arc::new(Calling::default()));
        calling.figures.set(Arc::clone(&figures)).unwrap();
        let histogram = Histogram::from_arc(Arc::clone(&calling));
        figures.durations().others.0.push(("saturated", histogram));
        let (done, is_done) = mpsc::channel();
        std::thread::spawn(move || {
            figures.refused("work", "saturated");
            done.send(()).unwrap();
        });
        is_done.recv_timeout(Duration::from_mins(1)).expect("it waits for itself");
        assert_eq!(calling.told.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn commands_beyond_the_limit_share_a_label() {
        let told = Told::default();
        metrics::with_local_recorder(&told, || {
            let figures = CallFigures::new(PoolName::new("p").unwrap());
            for number in 0..150 {
                let command: Arc<str> = format!("c{number}").into();
                let (waited, ran) = (Duration::from_millis(250), Some(Duration::from_millis(500)));
                let call = CallFigure { command: &command, outcome: "ok", waited, ran, timed_out: false };
                figures.call(call);
                figures.call(call);
            }
        });
        let told = told.of("snakepit.call.duration");
        let count = |labels: &str| {
            told.iter().filter(|(told, value)| told == labels && (value - 0.75).abs() < 1e-9).count()
        };
        assert_eq!(count("snakepit.call.duration{pool=p,command=c99,outcome=ok}"), 2);
        assert_eq!(count("snakepit.call.duration{pool=p,command=other,outcome=ok}"), 100);
        assert_eq!(told.len(), 300);
    }
}
