//! What is counted, measured and traced of a call.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::Level;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::adapter::AdapterFailure;
use crate::payload::Payload;
use crate::pool::tests::bench::{Bench, done, in_session, options, request};
use crate::pool::tests::scenes::SECRET;
use crate::request::Request;
use crate::telemetry::recorder::Told;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_a_span_with_its_queue_and_its_run_below_it() {
    let written = Written::default();
    let writer = written.clone();
    // With one subscriber alone, tracing asks the thread that first meets a span whether anybody listens, and that may be
    // another test's. With two it asks them all.
    let _second = tracing::Dispatch::new(tracing_subscriber::fmt().with_max_level(Level::ERROR).finish());
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(Level::DEBUG)
        .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE)
        .with_writer(move || writer.clone())
        .finish();
    let _listening = tracing::subscriber::set_default(subscriber);
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    bench.settled(|stats| stats.available == 1).await;
    let outer = tracing::info_span!("outer");
    let call = {
        let pool = bench.pool.clone();
        let call = async move { pool.execute(in_session("work", "s")).await };
        tokio::spawn(tracing::Instrument::instrument(call, outer))
    };
    let id = life.next_request().await;
    life.answer(id, &done());
    call.await.unwrap().unwrap();
    let lines = written.lines();
    let calls = lines.iter().filter(|line| line.contains("snakepit::calls") && line.contains(" INFO "));
    // The level, the spans, the target, and what happened.
    let steps: Vec<_> = calls.map(|line| line.split(" INFO ").nth(1).unwrap()).collect();
    let span = "outer:snakepit.call{pool=bench request=1 command=\"work\"";
    let expected = [
        format!("{span}}}: snakepit::calls: new"),
        format!("{span}}}:queue: snakepit::calls: new"),
        format!("{span}}}:execute{{worker=bench/0#1}}: snakepit::calls: new"),
        format!("{span}}}:queue: snakepit::calls: close"),
        format!("{span} outcome=\"ok\"}}:execute{{worker=bench/0#1}}: snakepit::calls: close"),
        format!("{span} outcome=\"ok\"}}: snakepit::calls: close"),
    ];
    assert_eq!(steps.len(), expected.len(), "{steps:#?}");
    for step in &expected {
        assert!(steps.iter().any(|said| said.starts_with(step)), "{step} is not in {steps:#?}");
    }
    let ended: Vec<_> = lines.iter().filter(|line| line.contains("call ended")).collect();
    assert_eq!(ended.len(), 1, "{lines:#?}");
    for field in ["command=\"work\"", "bytes=11", "outcome=\"ok\"", "session=s", "worker=bench/0#1", "ran="] {
        assert!(ended[0].contains(field), "{field} is not in {}", ended[0]);
    }
    assert!(!lines.iter().any(|line| line.contains(SECRET)), "{lines:#?}");
}

#[tokio::test(start_paused = true)]
async fn calls_are_measured_by_what_became_of_them() {
    let recorder = Told::default();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    let call = bench.call("work");
    let late = bench.send(request("late").timeout(Duration::from_secs(1)));
    let id = life.next_request().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    life.answer(id, &done());
    assert!(call.await.unwrap().is_ok() && late.await.unwrap().is_err());
    let lost = bench.call("work");
    life.next_request().await;
    life.end(AdapterFailure::Disconnected);
    assert!(lost.await.unwrap().is_err());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let durations: Vec<_> = recorder.of("snakepit.call.duration").into_iter().map(|(name, _)| name).collect();
    let named = |command: &str, outcome: &str| {
        format!("snakepit.call.duration{{pool=bench,command={command},outcome={outcome}}}")
    };
    assert_eq!(
        durations,
        [named("late", "deadline_exceeded"), named("work", "ok"), named("work", "worker_lost")]
    );
    assert_eq!(
        recorder.of("snakepit.call.timeouts"),
        [("snakepit.call.timeouts{pool=bench,stage=waiting}".to_owned(), 1.0)]
    );
    assert_eq!(
        recorder.of("snakepit.worker.restarts"),
        [("snakepit.worker.restarts{pool=bench,cause=disconnected}".to_owned(), 1.0)]
    );
    let workers = recorder.of("snakepit.worker.count");
    let available = |(name, count): &&(String, f64)| name.contains("state=available") && *count > 0.5;
    assert!(workers.iter().any(|worker| available(&worker)), "{workers:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_refused_at_the_door_is_measured_and_makes_no_label() {
    // The pool's actor measured what it refused itself, and nobody the rest.
    let recorder = Told::default();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let mut bench = Bench::start(options(|o| o.payload_limit = 1000)).await;
    let mut life = bench.life().await;
    assert!(bench.run(request("work"), &mut life).await.is_ok());
    let large = |command: &str| Request::new(command, Payload::bytes(vec![0; 1001]));
    for request in [large("work"), large("made up"), request("")] {
        bench.pool.execute(request).await.unwrap_err();
    }
    bench.spend_budget().await;
    assert!(bench.pool.execute(request("work")).await.is_err());
    let mut durations: Vec<_> =
        recorder.of("snakepit.call.duration").into_iter().map(|(name, _)| name).collect();
    durations.sort_unstable();
    let expected = [
        ("other", "invalid_argument"),
        ("other", "payload_too_large"),
        ("work", "ok"),
        ("work", "payload_too_large"),
        ("work", "pool_failed"),
    ];
    let expected = expected.map(|(command, outcome)| {
        format!("snakepit.call.duration{{pool=bench,command={command},outcome={outcome}}}")
    });
    assert_eq!(durations, expected);
}

#[tokio::test(start_paused = true)]
async fn the_statistics_go_on_over_a_restart_of_the_pool_and_no_request_falls_out() {
    let mut bench = Bench::start(options(|_| {})).await;
    let mut life = bench.life().await;
    assert!(bench.run(request("before"), &mut life).await.is_ok());
    let calls = [bench.call("running"), bench.call("waiting")];
    let id = life.next_request().await;
    bench.settled(|stats| stats.waiting == 1).await;
    bench.kill_pool().await;
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap_err().code(), "pool_restarted");
    }
    assert_eq!(life.next_cancel().await, id);
    life.answer(id, &done());
    bench.settled(|stats| stats.available == 1).await;
    assert!(bench.run(request("after"), &mut life).await.is_ok());
    let stats = bench.stats().await;
    assert_eq!((stats.requests, stats.succeeded, stats.failed), (4, 2, 2), "{stats:?}");
    assert_eq!(stats.failed_by_code, [("pool_restarted", 2)].into());
}
