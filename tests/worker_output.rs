//! What a worker prints and logs reaches the host's tracing, with the worker's name beside it.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::json;
use snakepit_adapters::{Event, PoolConfig, PortAdapter, Snakepit};
use snakepit_tests::oracle::{Mark, eventually};

/// Everything that was traced, as text.
#[derive(Clone, Default)]
struct Trace(Arc<Mutex<Vec<u8>>>);

impl Trace {
    /// The one trace of this program, which every test of it sees.
    fn of_all() -> Self {
        static ALL: OnceLock<Trace> = OnceLock::new();
        let begin = || {
            let trace = Self::default();
            let writer = trace.clone();
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
            trace
        };
        ALL.get_or_init(begin).clone()
    }

    fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
    }

    fn has(&self, words: &[&str]) -> bool {
        self.lines().iter().any(|line| words.iter().all(|word| line.contains(word)))
    }
}

impl Write for Trace {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn s41_printed_and_logged_lines_reach_the_trace_with_their_worker_and_nothing_else_is_loud() {
    let trace = Trace::of_all();
    let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("workers/test_worker.py");
    let adapter = PortAdapter::python(script).env(Mark::VARIABLE, mark.value());
    let config = PoolConfig::new("loud", adapter).size(1);
    let pit = Snakepit::builder().data_dir(directory.path()).pool(config).start().await.unwrap();
    pit.await_ready("loud", Duration::from_mins(1)).await.unwrap();
    pit.execute("shout", &json!({"text": "printed by hand"})).await.unwrap();
    pit.execute("log", &json!({"text": "logged with care"})).await.unwrap();
    eventually("the printed line is traced", || {
        trace.has(&["INFO", "snakepit::worker", "worker=loud/0#1", "stream=\"stdout\"", "printed by hand"])
    })
    .await;
    eventually("the log record is traced", || {
        trace.has(&["WARN", "snakepit::worker", "worker=loud/0#1", "logger=test.worker", "logged with care"])
    })
    .await;
    assert_eq!(pit.shutdown(Duration::from_secs(20)).await.processes_left, [0_i32; 0]);
    mark.assert_nothing_left().await;
    let is_loud = |line: &String| line.contains(" WARN ") || line.contains(" ERROR ");
    let asked_for = |line: &String| line.contains("logged with care");
    // The trace is one for all tests of this program, and the other one floods it.
    let of_the_flood = |line: &String| line.contains("worker=flood/");
    let loud: Vec<_> = trace
        .lines()
        .into_iter()
        .filter(|line| is_loud(line) && !asked_for(line) && !of_the_flood(line))
        .collect();
    assert_eq!(loud, [""; 0], "a normal start and stop are nothing above info");
}

#[tokio::test]
async fn s44_a_worker_that_prints_a_hundred_megabytes_stalls_nobody_and_fills_no_log() {
    const EACH: u64 = 50_000_000;
    const LIMIT: u32 = 100;
    let trace = Trace::of_all();
    let (directory, mark) = (tempfile::tempdir().unwrap(), Mark::new());
    let adapter = PortAdapter::new(env!("CARGO_BIN_EXE_stub-worker"))
        .args(["--print-flood".to_owned(), EACH.to_string()])
        .env(Mark::VARIABLE, mark.value());
    let config = PoolConfig::new("flood", adapter).size(1).with(|options| {
        options.output_limit = LIMIT;
        options.timeout = Duration::from_mins(5);
    });
    let pit = Snakepit::builder().data_dir(directory.path()).pool(config).start().await.unwrap();
    let mut events = pit.pool("flood").unwrap().events();
    pit.await_ready("flood", Duration::from_mins(1)).await.unwrap();
    let began = tokio::time::Instant::now();
    // The first is answered when all has been printed: the worker waited for no reader for ever.
    for n in 0..10 {
        let sum: i64 = pit.call("add", &json!({"a": n, "b": 1})).await.unwrap();
        assert_eq!(sum, n + 1);
    }
    assert_eq!(pit.stats("flood").await.unwrap().restarts, 0);
    assert_eq!(pit.shutdown(Duration::from_secs(20)).await.processes_left, [0_i32; 0]);
    let seconds = began.elapsed().as_secs() + 2;
    mark.assert_nothing_left().await;
    drop(pit);

    let mut suppressed = 0;
    while let Some(record) = events.next().await {
        if let Event::WorkerOutputSuppressed { lines, limit, worker, .. } = &record.unwrap().event {
            assert_eq!((worker.to_string().as_str(), *limit), ("flood/0#1", LIMIT));
            suppressed += lines;
        }
    }
    let handed_on = ["stdout", "stderr"].map(|stream| {
        let words = ["snakepit::worker", "worker=flood/0#1", &format!("stream=\"{stream}\""), "flood flood"];
        let is_ours = |line: &&String| words.iter().all(|word| line.contains(word));
        let lines = trace.lines().iter().filter(is_ours).count() as u64;
        // Neither flood drowns the other, and neither has more than its own share.
        assert!(
            (1..=u64::from(LIMIT) * seconds).contains(&lines),
            "{lines} lines of {stream} in {seconds} s"
        );
        lines
    });
    // Every line was handed on or counted. Both streams' last ones have no end.
    assert_eq!(handed_on.iter().sum::<u64>() + suppressed, 2 * EACH.div_ceil(97));
}
