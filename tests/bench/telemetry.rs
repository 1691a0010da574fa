//! What it costs that calls are told of: telemetry off, on with nobody who listens, and on with somebody who does.
//!
//! Each way is measured in a process of its own, since a process has one subscriber and one recorder for all its life.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString};
use snakepit_adapters::{Payload, PoolOptions};
use tracing_subscriber::fmt;

use crate::figures::Aim::Open;
use crate::figures::Judged::Ratio;
use crate::figures::{Brought, Program, Unit};
use crate::full_path::{Bench, Language, PATIENCE, one_caller, port_worker};
use crate::{in_process, memory};

pub(crate) const PROGRAMS: &[Program] = &[
    Program::new("pool_untold", Unit::Micros, &[]),
    Program::new("pool_unheard", Unit::Micros, &[Ratio("pool_untold", Open)]),
    Program::new("pool_counted", Unit::Micros, &[Ratio("pool_untold", Open)]),
    Program::new("pool_at_info", Unit::Micros, &[Ratio("pool_untold", Open)]),
    Program::new("pool_at_debug", Unit::Micros, &[Ratio("pool_untold", Open)]),
    Program::new("pipe_untold", Unit::Micros, &[]),
    Program::new("pipe_unheard", Unit::Micros, &[Ratio("pipe_untold", Open)]),
    Program::new("pipe_counted", Unit::Micros, &[Ratio("pipe_untold", Open)]),
    Program::new("pipe_at_info", Unit::Micros, &[Ratio("pipe_untold", Open)]),
    Program::new("pipe_at_debug", Unit::Micros, &[Ratio("pipe_untold", Open)]),
];

/// One round of one program.
pub(crate) fn measure(program: &'static str, calls: usize) -> Result<Brought, Box<dyn Error>> {
    Ok(vec![(program, memory::alone(program, calls)?[0])])
}

/// One caller, in this process: microseconds.
pub(crate) async fn alone(program: &str, calls: usize) -> Result<Vec<f64>, Box<dyn Error>> {
    let (shape, told) = program.split_once('_').ok_or("a program has a shape")?;
    match told {
        "untold" | "unheard" => {}
        "counted" => metrics::set_global_recorder(Counting).map_err(|error| error.to_string())?,
        "at_info" => fmt().with_max_level(tracing::Level::INFO).with_writer(std::io::sink).init(),
        "at_debug" => fmt().with_max_level(tracing::Level::DEBUG).with_writer(std::io::sink).init(),
        other => return Err(format!("nobody listens as {other}").into()),
    }
    let tune = |options: &mut PoolOptions| {
        (options.size, options.capacity, options.telemetry.enabled) = (1, 64, told != "untold");
    };
    let bench = if shape == "pool" {
        Bench::begin(tempfile::tempdir()?, in_process::Echo { capacity: 64 }, tune).await?
    } else {
        let (folder, worker) = port_worker(Language::Rust)?;
        Bench::begin(folder, worker, tune).await?
    };
    let pool = bench.pool()?;
    pool.await_full(PATIENCE).await?;
    let p50 = one_caller(pool, "echo", Payload::bytes(vec![7; 64]), calls).await?;
    bench.end().await?;
    Ok(vec![p50])
}

/// Counts what it is told, and keeps no more: the least that a recorder can do.
struct Counting;

#[derive(Default)]
struct Sum(AtomicU64);

impl HistogramFn for Sum {
    fn record(&self, _: f64) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Recorder for Counting {
    fn describe_counter(&self, _: KeyName, _: Option<metrics::Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<metrics::Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<metrics::Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(AtomicU64::new(0)))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::new(AtomicU64::new(0)))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Sum::default()))
    }
}
