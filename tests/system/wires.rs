//! The other places of the wire: the frames on stdin and stdout, for programs that cannot use others.

use std::path::Path;

use serde_json::{Value, json};
use snakepit_adapters::PortAdapter;
use snakepit_tests::oracle::Mark;

use crate::system::subject::{HANG, Kind, Subject, adapter, everywhere, on_both_runtimes};

async fn started(adapter: PortAdapter, mark: Mark) -> Subject {
    let subject = Subject::start_adapter(adapter.stdio(), mark, |options| options.size = 1).await;
    subject.pit.await_ready("default", HANG).await.unwrap();
    subject
}

async fn serves(subject: &Subject) {
    let sum: i64 = subject.pit.call("add", &json!({"a": 1, "b": 2})).await.unwrap();
    assert_eq!(sum, 3);
    let mut stream = subject.pit.execute_stream("count", &json!({"n": 100})).unwrap();
    for i in 0..100 {
        assert_eq!(stream.next().await.unwrap().unwrap().decode::<Value>().unwrap(), json!({"i": i}));
    }
    assert!(stream.next().await.is_none());
    let value = "x".repeat(1 << 20);
    let echoed: String = subject.pit.call("echo", &json!({"value": value})).await.unwrap();
    assert!(echoed == value);
}

#[test]
fn a_worker_serves_on_stdin_and_stdout_and_what_it_prints_does_no_harm() {
    everywhere(|kind: Kind| async move {
        let mark = Mark::new();
        let subject = started(adapter(kind, &mark), mark).await;
        for _ in 0..20 {
            subject.pit.execute("shout", &json!({"text": "this is no frame"})).await.unwrap();
        }
        serves(&subject).await;
        assert_eq!(subject.pit.stats("default").await.unwrap().restarts, 0);
        subject.stop().await;
    });
}

#[test]
fn a_worker_without_an_sdk_serves_on_stdin_and_stdout() {
    on_both_runtimes(|| async {
        let mark = Mark::new();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/workers/worker.pl");
        let perl = PortAdapter::new("perl").arg(script).env(Mark::VARIABLE, mark.value());
        let subject = started(perl, mark).await;
        serves(&subject).await;
        subject.stop().await;
    });
}

#[test]
fn a_print_on_the_wire_costs_that_worker_and_is_named() {
    on_both_runtimes(|| async {
        let mark = Mark::new();
        let shell = PortAdapter::new("sh").args(["-c", "echo ready to serve; exec sleep 600"]);
        let shell = shell.stdio().env(Mark::VARIABLE, mark.value());
        let subject = Subject::start_adapter(shell, mark, |options| options.size = 1).await;
        let ready = subject.pit.await_ready("default", HANG).await.unwrap_err().to_string();
        assert!(ready.contains("broke the protocol: length_too_long"), "{ready}");
        subject.stop().await;
    });
}
