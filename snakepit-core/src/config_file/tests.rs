//! Files, environments and variables, laid over each other and read; the files are real.

mod mistakes;
mod round_trip;

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::adapter::scripted::{Boot, Scripted};
use crate::config::{Affinity, PoolOptions};
use crate::config_file::ConfigFile;
use crate::error::ConfigError;

/// The options of an adapter of somebody's own.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct QueueOptions {
    url: String,
    tags: Vec<String>,
    env: std::collections::BTreeMap<String, String>,
    tls: Option<Tls>,
}

#[derive(Debug, Deserialize)]
struct Tls {
    verify: bool,
}

/// Files in a folder of their own, and variables beside them.
struct Case {
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

/// What was read of a pool.
#[derive(Debug)]
struct Read {
    name: String,
    options: PoolOptions,
    /// What its adapter was made from.
    queue: QueueOptions,
    folder: PathBuf,
}

const ONE_POOL: &str = "[pools.default]\nadapter = \"queue\"\n";

impl Case {
    fn new(text: &str) -> Self {
        let case = Self { folder: tempfile::tempdir().unwrap(), variables: Vec::new() };
        case.file("snakepit.toml", text)
    }

    fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.folder.path().join(name), text).unwrap();
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn read(&self) -> Result<Vec<Read>, ConfigError> {
        let (seen, made) = std::sync::mpsc::channel();
        let file = ConfigFile::new(self.folder.path().join("snakepit.toml"))
            .variables(self.variables.clone())
            .adapter("queue", move |options: QueueOptions, folder| {
                seen.send((options, folder.to_owned())).map_err(|error| error.to_string())?;
                Ok::<_, String>(Scripted::new(1, Boot::Ready).0)
            });
        let pools = file.read()?.pools.into_iter().map(|pool| {
            let pool = pool.check().unwrap();
            let (queue, folder) = made.recv().unwrap();
            Read { name: pool.name.to_string(), options: pool.options, queue, folder }
        });
        Ok(pools.collect())
    }

    /// The only pool.
    fn pool(&self) -> Read {
        let mut pools = self.read().unwrap();
        assert_eq!(pools.len(), 1);
        pools.remove(0)
    }
}

#[test]
fn a_file_that_says_nothing_of_an_option_leaves_it_as_it_is() {
    let case = Case::new(ONE_POOL);
    let pool = case.pool();
    assert_eq!((pool.name.as_str(), &pool.options), ("default", &PoolOptions::default()));
    assert_eq!(pool.folder, case.folder.path());
}

#[test]
fn a_file_sets_options_of_the_pool_and_of_its_adapter() {
    let text = "size = 2\naffinity = \"strict_queue\"\ntimeout = \"250ms\"\npayload_limit = \"512MiB\"\n\
                url = \"u\"\ntls.verify = false\nheartbeat = { misses = 7 }\n";
    let Read { options, queue, .. } = Case::new(&format!("{ONE_POOL}{text}")).pool();
    let mut expected = PoolOptions {
        size: 2,
        affinity: Affinity::StrictQueue,
        timeout: Duration::from_millis(250),
        payload_limit: 512 << 20,
        ..PoolOptions::default()
    };
    expected.heartbeat.misses = 7;
    assert_eq!(options, expected);
    assert_eq!((queue.url.as_str(), queue.tls.unwrap().verify), ("u", false));
}

#[test]
fn the_file_of_an_environment_lies_over_the_first_and_variables_over_both() {
    let case =
        Case::new(&format!("{ONE_POOL}size = 1\nqueue_limit = 1\nprefetch = 1\nrestart.intensity = 1\n"))
            .file(
                "snakepit.test.toml",
                "[pools.default]\nsize = 2\nqueue_limit = 2\nrestart.consecutive = 2\n",
            )
            .variable("SNAKEPIT_ENV", "test")
            .variable("SNAKEPIT__POOLS__DEFAULT__SIZE", "3")
            .variable("SNAKEPIT__POOLS__DEFAULT__RESTART__INTENSITY", "3");
    let options = case.pool().options;
    assert_eq!((options.size, options.queue_limit, options.prefetch), (3, 2, 1));
    assert_eq!((options.restart.intensity, options.restart.consecutive), (3, 2));
}

#[test]
fn the_file_of_an_environment_may_bring_pools_and_variables_may_change_them() {
    let pools = Case::new(ONE_POOL)
        .file("snakepit.test.toml", "[pools.gpu-2]\nadapter = \"queue\"\n")
        .variable("SNAKEPIT_ENV", "test")
        .variable("SNAKEPIT__POOLS__GPU_2__SIZE", "3")
        .read()
        .unwrap();
    let sizes: Vec<_> = pools.iter().map(|pool| (pool.name.as_str(), pool.options.size)).collect();
    assert_eq!(sizes, [("default", 4), ("gpu-2", 3)]);
}

#[test]
fn a_variable_has_the_type_of_its_option() {
    let Read { options, queue, .. } = Case::new(ONE_POOL)
        .variable("SNAKEPIT__POOLS__DEFAULT__TIMEOUT", "250ms")
        .variable("SNAKEPIT__POOLS__DEFAULT__PAYLOAD_LIMIT", "2MiB")
        .variable("SNAKEPIT__POOLS__DEFAULT__STREAM_WINDOW__BYTES", "4096")
        .variable("SNAKEPIT__POOLS__DEFAULT__ON_STUCK", "kill")
        .variable("SNAKEPIT__POOLS__DEFAULT__RESTART__FATAL_EXIT_CODES", "[1, 2]")
        .variable("SNAKEPIT__POOLS__DEFAULT__RESTART__STABLE_AFTER", "10min")
        .variable("SNAKEPIT__POOLS__DEFAULT__URL", "1234")
        .variable("SNAKEPIT__POOLS__DEFAULT__TAGS", r#"["a", "b"]"#)
        .variable("SNAKEPIT__POOLS__DEFAULT__TLS", "{ verify = true }")
        .pool();
    assert_eq!(options.timeout, Duration::from_millis(250));
    assert_eq!((options.payload_limit, options.stream_window.bytes), (2 << 20, 4096));
    assert_eq!(options.on_stuck, crate::config::OnStuck::Kill);
    assert_eq!(options.restart.fatal_exit_codes, [1, 2]);
    assert_eq!(options.restart.stable_after, Some(Duration::from_mins(10)));
    assert_eq!((queue.url.as_str(), queue.tags), ("1234", vec!["a".to_owned(), "b".to_owned()]));
    assert!(queue.tls.unwrap().verify);
}

#[test]
fn the_keys_of_a_table_of_the_workers_own_are_taken_as_they_are_written() {
    let Read { queue, .. } = Case::new(&format!("{ONE_POOL}env = {{ MODEL = \"small\", Path = \"p\" }}\n"))
        .variable("SNAKEPIT__POOLS__DEFAULT__ENV__MODEL", "large")
        .variable("SNAKEPIT__POOLS__DEFAULT__ENV__model", "tiny")
        .pool();
    let env: Vec<_> = queue.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(env, [("MODEL", "large"), ("Path", "p"), ("model", "tiny")]);
}

#[test]
fn zero_and_false_are_respected() {
    let text = "queue_limit = 0\nmax_retries = 0\nstop_grace = \"0s\"\nprefetch = 0\nrestart.intensity = 0\n\
                restart.fatal_exit_codes = []\n";
    let options = Case::new(&format!("{ONE_POOL}{text}")).pool().options;
    assert_eq!((options.queue_limit, options.max_retries, options.restart.intensity), (0, 0, 0));
    assert_eq!((options.stop_grace, options.restart.fatal_exit_codes), (Duration::ZERO, vec![]));
    let pit = |text: &str, variable: &[(&str, &str)]| {
        let case = Case::new(&format!("{text}\n{ONE_POOL}"));
        let file = ConfigFile::new(case.folder.path().join("snakepit.toml")).variables(variable.to_vec());
        let file =
            file.adapter("queue", |_: QueueOptions, _| Ok::<_, String>(Scripted::new(1, Boot::Ready).0));
        file.read().map_err(|error| error.to_string()).unwrap().pit
    };
    assert!(pit("raise_file_limit = true", &[]).raise_file_limit);
    assert!(!pit("raise_file_limit = true", &[("SNAKEPIT__RAISE_FILE_LIMIT", "false")]).raise_file_limit);
}

#[test]
fn an_adapter_that_reads_any_key_gets_those_that_no_pool_has() {
    let case = Case::new("[pools.default]\nadapter = \"any\"\nsize = 2\nanything = 1\n");
    let (seen, made) = std::sync::mpsc::channel();
    let file = ConfigFile::new(case.folder.path().join("snakepit.toml")).variables([("", ""); 0]);
    let file = file.adapter("any", move |options: serde_json::Value, _| {
        seen.send(options).map_err(|error| error.to_string())?;
        Ok::<_, String>(Scripted::new(1, Boot::Ready).0)
    });
    let pools = file.read().map_err(|error| error.to_string()).unwrap().pools;
    assert_eq!(pools.into_iter().next().unwrap().check().unwrap().options.size, 2);
    assert_eq!(made.recv().unwrap(), serde_json::json!({"anything": 1}));
}

#[test]
fn every_key_can_be_asked_for() {
    let file = ConfigFile::new("a.toml")
        .adapter("queue", |_: QueueOptions, _| Ok::<_, String>(Scripted::new(1, Boot::Ready).0));
    let keys = file.keys();
    for key in [
        "data_dir",
        "raise_file_limit",
        "pools.NAME.adapter",
        "pools.NAME.size",
        "pools.NAME.heartbeat.interval",
        "pools.NAME.restart.stable_after",
        "pools.NAME.stream_window.bytes",
        "pools.NAME.tls.verify",
    ] {
        assert!(keys.iter().any(|known| known == key), "{key} is not among {keys:?}");
    }
    let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
    assert_eq!(distinct.len(), keys.len());
}
