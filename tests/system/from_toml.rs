//! A pit from a file: workers run as it says, and what cannot work starts nothing.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use snakepit_adapters::adapter::{Adapter, AdapterFailure, Connect, Connecting, WorkerContext};
use snakepit_adapters::{FromToml, PortAdapter, ProcessSpec, Snakepit, config_file};
use snakepit_tests::oracle::Mark;
use tempfile::TempDir;

use crate::system::subject::{HANG, on_both_runtimes, stub};

const NO_VARIABLES: [(&str, &str); 0] = [];

/// A folder with a file in it, whose workers carry a mark.
fn folder(mark: &Mark, options: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (program, variable, value) = (stub(), Mark::VARIABLE, mark.value());
    let text = format!(
        "data_dir = \"var\"\n[pools.default]\nadapter = \"port\"\nsize = 1\n\
         program = \"{}\"\nenv.{variable} = {value:?}\n{options}",
        program.display()
    );
    std::fs::write(folder.path().join("snakepit.toml"), text).unwrap();
    folder
}

async fn total(pit: &Snakepit) -> usize {
    pit.stats("default").await.unwrap().total
}

async fn stop(pit: Snakepit, mark: &Mark) {
    let report = pit.shutdown(Duration::from_secs(20)).await;
    assert_eq!(report.processes_left, [0_i32; 0], "{report:?}");
    mark.assert_nothing_left().await;
}

#[test]
fn a_pit_starts_as_its_file_says() {
    on_both_runtimes(|| async {
        let mark = Mark::new();
        let folder = folder(&mark, "");
        let pit = Snakepit::from_toml(folder.path().join("snakepit.toml")).unwrap().start().await.unwrap();
        pit.await_ready("default", HANG).await.unwrap();
        let sum: i64 = pit.call("add", &json!({"a": 1, "b": 2})).await.unwrap();
        assert_eq!((sum, total(&pit).await), (3, 1));
        assert_eq!(pit.data_dir(), folder.path().join("var"));
        stop(pit, &mark).await;
    });
}

#[test]
fn a_pit_starts_as_its_environment_says() {
    on_both_runtimes(|| async {
        let mark = Mark::new();
        let folder = folder(&mark, "");
        std::fs::write(
            folder.path().join("snakepit.test.toml"),
            "pools.default.size = 2\ndata_dir = \"test\"\n",
        )
        .unwrap();
        let file = || config_file(folder.path().join("snakepit.toml"));
        let environment = ("SNAKEPIT_ENV", "test");
        let pit = file().variables([environment]).load().unwrap().start().await.unwrap();
        assert_eq!(total(&pit).await, 2);
        assert_eq!(pit.data_dir(), folder.path().join("test"));
        stop(pit, &mark).await;
        let size = ("SNAKEPIT__POOLS__DEFAULT__SIZE", "3");
        let pit = file().variables([environment, size]).load().unwrap().start().await.unwrap();
        assert_eq!(total(&pit).await, 3);
        stop(pit, &mark).await;
    });
}

#[test]
fn what_cannot_work_starts_nothing() {
    on_both_runtimes(|| async {
        let mark = Mark::new();
        for (options, said) in [
            ("queue_limt = 1\n", "unknown key queue_limt; did you mean queue_limit?"),
            ("kill_grace = \"0s\"\n", "kill_grace must be longer than zero"),
            ("script = \"worker.py\"\n", "a worker runs a program or a script, not both"),
        ] {
            let folder = folder(&mark, options);
            let file = config_file(folder.path().join("snakepit.toml")).variables(NO_VARIABLES);
            let error = file.load().unwrap_err().to_string();
            assert!(error.contains("snakepit.toml, line") && error.contains(said), "{error}");
            assert!(!folder.path().join("var").exists());
        }
        mark.assert_nothing_left().await;
    });
}

/// An adapter of somebody's own, around the one there is.
struct Greeting(PortAdapter);

#[derive(serde::Deserialize)]
struct GreetingOptions {
    greeting: String,
}

impl Adapter for Greeting {
    fn name(&self) -> &'static str {
        "greeting"
    }

    fn prepare(&self, data_dir: &Path) -> Result<(), AdapterFailure> {
        self.0.prepare(data_dir)
    }

    fn process_spec(&self, worker: &WorkerContext) -> Result<Option<ProcessSpec>, AdapterFailure> {
        self.0.process_spec(worker)
    }

    fn connect(&self, connect: Connect) -> Connecting {
        self.0.connect(connect)
    }
}

#[test]
fn a_file_can_name_an_adapter_of_ones_own() {
    on_both_runtimes(|| async {
        let mark = Mark::new();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snakepit.toml");
        std::fs::write(
            &path,
            "data_dir = \"var\"\n[pools.hello]\nadapter = \"greeting\"\ngreeting = \"hi\"\nsize = 1\n",
        )
        .unwrap();
        let value = mark.value().to_owned();
        let file = config_file(&path).variables(NO_VARIABLES).adapter(
            "greeting",
            move |options: GreetingOptions, _| {
                let adapter = PortAdapter::new(stub()).env(Mark::VARIABLE, &value);
                Ok::<_, String>(Greeting(adapter.env("GREETING", options.greeting)))
            },
        );
        let pit = file.load().unwrap().start().await.unwrap();
        pit.await_ready("hello", HANG).await.unwrap();
        let echoed: String = pit.call("echo", &json!({"value": "hello"})).await.unwrap();
        assert_eq!(echoed, "hello");
        stop(pit, &mark).await;
    });
}
