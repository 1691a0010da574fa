//! Bad input and bad luck: each a typed error, nothing lost, nothing left running.

use std::collections::HashMap;

use serde_json::json;
use snakepit_adapters::{
    ConfigError, ExecuteError, PoolConfig, PortAdapter, Snakepit, SnakepitBuilder, StartError,
};
use snakepit_tests::oracle::Mark;

use crate::system::subject::{HANG, Kind, Subject, adapter, everywhere, on_both_runtimes};

fn builder() -> SnakepitBuilder {
    Snakepit::builder()
}

fn pool(name: &str) -> PoolConfig {
    PoolConfig::new(name, PortAdapter::new("true"))
}

#[test]
fn a_configuration_that_cannot_work_is_refused_before_anything_starts() {
    on_both_runtimes(|| async {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = directory.path().join("never made");
        let with_dir = || builder().data_dir(&data_dir);
        let table = [
            (with_dir().instance("a/b").pool(pool("a")), "instance name \"a/b\" is not valid"),
            (with_dir(), "a pit needs at least one pool"),
            (with_dir().pool(pool("a b")), "pool name \"a b\" is not valid"),
            (with_dir().pool(pool("a")).pool(pool("a")), "two pools are named a"),
            (with_dir().pool(pool("a").size(0)), "pool a: size must be at least 1"),
        ];
        for (builder, words) in table {
            let error = builder.start().await.unwrap_err();
            assert!(matches!(error, StartError::Config(_)), "{error:?}");
            assert!(error.to_string().contains(words), "{error}");
        }
        assert!(!data_dir.exists());
        let none = with_dir().start().await.unwrap_err();
        assert!(matches!(none, StartError::Config(ConfigError::NoPool)));
    });
}

#[test]
fn a_data_dir_that_cannot_be_written_is_named() {
    on_both_runtimes(|| async {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let error = builder().data_dir(file.join("below")).pool(pool("a")).start().await.unwrap_err();
        let StartError::DataDir { path, .. } = &error else { panic!("{error}") };
        assert_eq!(*path, file.join("below"));
    });
}

#[test]
fn a_registry_that_cannot_be_opened_and_not_put_aside_is_named() {
    on_both_runtimes(|| async {
        let directory = tempfile::tempdir().unwrap();
        let start = async || builder().data_dir(directory.path()).pool(pool("a")).start().await;
        start().await.unwrap().shutdown(HANG).await;
        let mut files = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
        let file = files.find(|path| path.extension().is_some_and(|end| end == "redb")).unwrap();
        std::fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/nowhere/at/all", &file).unwrap();
        let error = start().await.unwrap_err();
        let StartError::Registry { path, .. } = &error else { panic!("{error}") };
        assert_eq!(*path, directory.path());
    });
}

#[test]
fn arguments_that_cannot_be_written_down_are_refused_before_they_are_sent() {
    everywhere(|kind| async move {
        let subject = Subject::start(kind).await;
        let odd: HashMap<Vec<u8>, u8> = HashMap::from([(vec![1], 1)]);
        let error = subject.pit.execute("echo", &odd).await.unwrap_err();
        assert_eq!(error.code(), "invalid_argument");
        assert_eq!(subject.pit.stats("default").await.unwrap().requests, 0);
        subject.stop().await;
    });
}

#[test]
fn payloads_over_the_limit_are_refused_both_ways() {
    everywhere(|kind| async move {
        let subject = Subject::start_with(kind, |options| options.payload_limit = 10_000).await;
        let large = "x".repeat(10_000);
        let error = subject.pit.execute("echo", &json!({"value": large})).await.unwrap_err();
        assert!(matches!(error, ExecuteError::PayloadTooLarge { limit: 10_000, .. }), "{error}");
        // What a session keeps is answered each time, and is too much with the second value.
        let half = json!("x".repeat(6_000));
        let remember = async |key| {
            subject.pit.execute_in_session("s", "remember", &json!({"key": key, "value": half})).await
        };
        assert!(remember("first").await.is_ok());
        let error = remember("second").await.unwrap_err();
        assert!(
            matches!(error, ExecuteError::PayloadTooLarge { what: "the answer", limit: 10_000, .. }),
            "{error}"
        );
        let sum: i64 = subject.pit.call("add", &json!({"a": 1, "b": 2})).await.unwrap();
        assert_eq!(sum, 3);
        assert_eq!(subject.pit.stats("default").await.unwrap().restarts, 0);
        subject.stop().await;
    });
}

#[test]
fn a_worker_killed_in_the_middle_of_an_answer_is_lost_and_one_that_leaves_there_broke_the_protocol() {
    on_both_runtimes(|| async {
        for (flag, code) in [("--die-writing", "worker_lost"), ("--leave-writing", "protocol_error")] {
            let subject = Subject::start_stub(&[flag], |options| {
                options.size = 1;
                options.restart.intensity = 1000;
                options.restart.consecutive = 1000;
            })
            .await;
            for _ in 0..5 {
                let error = subject.pit.execute("echo", &json!({"value": 1})).await.unwrap_err();
                assert_eq!(error.code(), code, "{flag}: {error}");
            }
            subject.stop().await;
        }
    });
}

#[test]
fn a_worker_that_speaks_rubbish_from_the_start_fails_the_pool_with_the_breach() {
    on_both_runtimes(|| async {
        let mark = Mark::new();
        let shell = PortAdapter::new("sh").args(["-c", "echo this is no frame at all >&4; exec sleep 600"]);
        let shell = shell.env(Mark::VARIABLE, mark.value());
        let subject = Subject::start_adapter(shell, mark, |options| options.size = 1).await;
        let ready = subject.pit.await_ready("default", HANG).await.unwrap_err().to_string();
        assert!(ready.contains("broke the protocol"), "{ready}");
        subject.stop().await;
    });
}

#[test]
fn a_worker_that_dies_in_the_middle_of_its_ready_is_told_by_how_it_ended_and_by_its_last_words() {
    on_both_runtimes(|| async {
        let mark = Mark::new();
        let script = "printf '\\0\\0\\0\\100\\101' >&4; echo 'no model for me' >&2; exit 3";
        let shell = PortAdapter::new("sh").args(["-c", script]).env(Mark::VARIABLE, mark.value());
        let subject = Subject::start_adapter(shell, mark, |options| options.size = 1).await;
        let ready = subject.pit.await_ready("default", HANG).await.unwrap_err().to_string();
        assert!(ready.contains("exited with code 3") && ready.contains("no model for me"), "{ready}");
        subject.stop().await;
    });
}

#[test]
fn printing_does_no_damage() {
    on_both_runtimes(|| async {
        let mark = Mark::new();
        let subject = Subject::start_adapter(adapter(Kind::Python, &mark), mark, |o| o.size = 1).await;
        for n in 0..100 {
            let text = format!("line {n}\nand a half");
            subject.pit.execute("shout", &json!({"text": text})).await.unwrap();
        }
        assert_eq!(subject.pit.stats("default").await.unwrap().restarts, 0);
        subject.stop().await;
        // A flood from a worker that prints before and while it serves.
        let subject = Subject::start_stub(&["--print-flood", "20000000"], |o| o.size = 1).await;
        subject.pit.await_ready("default", HANG).await.unwrap();
        let sum: i64 = subject.pit.call("add", &json!({"a": 1, "b": 2})).await.unwrap();
        assert_eq!(sum, 3);
        subject.stop().await;
    });
}

#[test]
fn a_worker_that_is_never_ready_is_given_up() {
    on_both_runtimes(|| async {
        // Silent from the start, or in the middle of its first word.
        for flag in ["--never-ready", "--half-ready"] {
            let subject = Subject::start_stub(&[flag], |options| {
                options.size = 1;
                options.startup_timeout = std::time::Duration::from_millis(50);
            })
            .await;
            let ready = subject.pit.await_ready("default", HANG).await.unwrap_err().to_string();
            assert!(ready.contains("not ready within 50 ms"), "{flag}: {ready}");
            subject.stop().await;
        }
    });
}
