//! What a worker prints and logs reaches the host's tracing, with the worker's name beside it.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use snakepit_adapters::{PoolConfig, PortAdapter, Snakepit};
use snakepit_tests::oracle::{Mark, eventually};

/// Everything that was traced, as text.
#[derive(Clone, Default)]
struct Trace(Arc<Mutex<Vec<u8>>>);

impl Trace {
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
    let trace = Trace::default();
    let writer = trace.clone();
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
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
    let by_the_pit = |line: &String| !line.contains("logged with care");
    let loud: Vec<_> = trace.lines().into_iter().filter(is_loud).filter(by_the_pit).collect();
    assert_eq!(loud, [""; 0], "a normal start and stop are nothing above info");
}
