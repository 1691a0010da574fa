//! What the documents say of configuration, held against the program: every key, every default, every example.

mod configuration {
    pub(crate) mod source;
}

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use snakepit_adapters::{ConfigFile, PoolConfig, PoolOptions, PortAdapter, Snakepit, config_file};
use toml::Value;

use crate::configuration::source::{Key, Source};

/// What is said where there is no value to show.
const NO_DEFAULT: &str = "";
/// What differs from machine to machine.
const PROCESSORS: (&str, &str) = ("startup_concurrency", "processors");

/// What the example sets where there is no default, because a pit needs it.
const SET: [(&str, &str); 4] = [
    ("data_dir", "\"var/snakepit\""),
    ("adapter", "\"port\""),
    ("program", "\"python3\""),
    ("args", "[\"workers/pit_worker.py\"]"),
];

/// What the example shows of the others.
const SHOWN: [(&str, &str); 32] = [
    ("instance", "\"replica-0\""),
    ("require_level", "\"tree\""),
    ("shim_program", "\"bin/snakepit-shim\""),
    ("raise_file_limit", "false"),
    ("script", "\"worker.py\""),
    ("env", "{ MODEL = \"small\" }"),
    ("clear_env", "false"),
    ("cwd", "\"workers\""),
    ("user.uid", "1000"),
    ("user.gid", "1000"),
    ("user.groups", "[1000]"),
    ("nice", "5"),
    ("oom_score_adj", "500"),
    ("stdio", "false"),
    ("tcp", "false"),
    ("by_calls", "false"),
    ("calls_at_once", "4"),
    ("limits.address_space", "\"4GiB\""),
    ("limits.core_size", "0"),
    ("limits.cpu_time", "3600"),
    ("limits.file_size", "\"1GiB\""),
    ("limits.open_files", "1024"),
    ("limits.processes", "4096"),
    ("limits.stack", "\"8MiB\""),
    ("term", "\"main\""),
    ("orphan_grace", "\"0s\""),
    ("startup_concurrency", "4"),
    ("recycle.max_requests", "10000"),
    ("recycle.max_age", "\"12h\""),
    ("recycle.idle", "\"30m\""),
    ("recycle.max_rss", "\"2GiB\""),
    ("restart.stable_after", "\"1m\""),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn file(path: &Path) -> ConfigFile {
    config_file(path).variables([("", ""); 0])
}

/// A part of a file: what it is called, what its keys stand below, and who reads them.
struct Part {
    title: &'static str,
    above: &'static str,
    keys: Vec<Key>,
}

fn parts() -> Vec<Part> {
    let source = Source::read(&root());
    let part = |title, above, name| Part { title, above, keys: source.keys(name) };
    let mut parts = vec![
        part("The pit: the top of the file", "", "PitOptions"),
        part("Every pool: `[pools.NAME]`", "pools.NAME.", "PoolOptions"),
        part("A pool with `adapter = \"port\"`, or `\"grpc\"`", "pools.NAME.", "PortOptions"),
    ];
    let meaning =
        "The way to speak to the pool's workers: `port`, or one that the program has added.".to_owned();
    parts[1].keys.insert(0, Key { name: "adapter".to_owned(), meaning });
    parts
}

/// The default of a pool's option, as a file would say it.
fn default(key: &str) -> Option<String> {
    if key == PROCESSORS.0 {
        return None;
    }
    let options = Value::try_from(PoolOptions::default()).unwrap();
    let value = key.split('.').try_fold(&options, |value, name| value.get(name));
    value.map(Value::to_string)
}

/// Writes what it should be where that is asked for, and compares.
#[expect(clippy::disallowed_methods, reason = "who runs the test says whether it writes")]
fn hold(path: &str, expected: &str) {
    let path = root().join(path);
    if std::env::var("SNAKEPIT_WRITE_DOCS").is_ok() {
        std::fs::write(&path, expected).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(
        written == expected,
        "{} is out of date: `SNAKEPIT_WRITE_DOCS=1 cargo test -p snakepit-tests --test configuration` writes it anew",
        path.display()
    );
}

#[test]
fn the_source_declares_the_keys_that_the_program_reads() {
    let declared: Vec<_> = parts()
        .into_iter()
        .flat_map(|Part { above, keys, .. }| keys.into_iter().map(move |key| format!("{above}{}", key.name)))
        .collect();
    assert_eq!(declared, config_file("snakepit.toml").keys());
}

#[test]
fn every_key_has_a_meaning() {
    for Part { keys, .. } in parts() {
        for Key { name, meaning } in keys {
            assert!(!meaning.is_empty(), "{name} is not documented");
        }
    }
}

#[test]
fn the_guide_lists_every_key_as_it_is_declared() {
    const BEGIN: &str = "<!-- The keys, written by a test from the source. -->\n";
    let guide = std::fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let (before, _) = guide.split_once(BEGIN).unwrap();
    let mut text = format!("{before}{BEGIN}");
    for Part { title, keys, .. } in parts() {
        write!(text, "\n### {title}\n| key | default | meaning |\n|---|---|---|\n").unwrap();
        for Key { name, meaning } in keys {
            let default = match default(&name) {
                Some(value) => format!("`{value}`"),
                None if name == PROCESSORS.0 => PROCESSORS.1.to_owned(),
                None => NO_DEFAULT.to_owned(),
            };
            writeln!(text, "| `{name}` | {default} | {} |", meaning.replace('|', "\\|")).unwrap();
        }
    }
    hold("docs/configuration.md", &text);
}

/// What begins a line of the example that shows a key and does not set it.
const NOT_SET: &str = "#: ";

/// The example, from the declarations: what has a default is set to it, the rest is shown.
fn example() -> String {
    let parts = parts();
    let keys = || parts[1].keys[..1].iter().chain(&parts[2].keys).chain(&parts[1].keys[1..]);
    let mut text = format!(
        "# Every key that a configuration file may hold, set to its default; lines behind `{NOT_SET}` show one that has none.\n\
         # Written by a test, as the lists of docs/configuration.md are. Relative paths count from this file.\n"
    );
    entries(&mut text, parts[0].keys.iter());
    writeln!(text, "\n[pools.default]").unwrap();
    entries(&mut text, keys().filter(|key| !key.name.contains('.')));
    let mut tables: Vec<_> = keys().filter_map(|key| Some(key.name.split_once('.')?.0)).collect();
    tables.dedup();
    for table in tables {
        let in_it = || keys().filter(|key| key.name.split_once('.').is_some_and(|(above, _)| above == table));
        // A table of which nothing is set is not there at all.
        let not_set = if in_it().any(|key| default(&key.name).is_some()) { "" } else { NOT_SET };
        writeln!(text, "\n{not_set}[pools.default.{table}]").unwrap();
        entries(&mut text, in_it());
    }
    text
}

fn entries<'a>(text: &mut String, keys: impl Iterator<Item = &'a Key>) {
    for Key { name, meaning } in keys {
        let (not_set, value) = match (default(name), SET.iter().find(|(set, _)| set == name)) {
            (Some(value), _) => ("", value),
            (None, Some((_, value))) => ("", (*value).to_owned()),
            (None, None) => {
                let shown = SHOWN.iter().find(|(shown, _)| shown == name);
                (NOT_SET, shown.unwrap_or_else(|| panic!("{name} has no example")).1.to_owned())
            }
        };
        let sentence =
            meaning.split_once(". ").map_or(meaning.as_str(), |(first, _)| first).trim_end_matches('.');
        comment(text, sentence);
        let name = name.rsplit('.').next().unwrap_or(name);
        writeln!(text, "{not_set}{name} = {value}").unwrap();
    }
}

/// A sentence on lines of bearable length.
fn comment(text: &mut String, sentence: &str) {
    const WIDTH: usize = 118;
    let mut line = "#".to_owned();
    for word in sentence.split(' ') {
        if line.len() + 1 + word.len() > WIDTH {
            writeln!(text, "{line}").unwrap();
            "#".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    writeln!(text, "{line}").unwrap();
}

#[test]
fn the_example_has_every_key_as_it_is_declared() {
    hold("examples/snakepit.toml", &example());
}

#[test]
fn the_example_is_what_a_pit_is_when_nothing_is_said() {
    let folder = root().join("examples");
    let builder = file(&folder.join("snakepit.toml")).load().unwrap();
    let adapter = PortAdapter::new("python3").arg("workers/pit_worker.py").cwd(&folder);
    let said_nothing =
        Snakepit::builder().data_dir(folder.join("var/snakepit")).pool(PoolConfig::new("default", adapter));
    assert_eq!(format!("{builder:?}"), format!("{said_nothing:?}"));
}

#[test]
fn what_the_example_shows_can_be_set() {
    let shown = |text: &str, set: &dyn Fn(&str) -> bool| {
        let lines =
            text.lines().map(|line| line.strip_prefix(NOT_SET).filter(|line| set(line)).unwrap_or(line));
        lines.map(|line| format!("{line}\n")).collect::<Vec<_>>().concat()
    };
    let text = std::fs::read_to_string(root().join("examples/snakepit.toml")).unwrap();
    let is_script = |line: &str| line.starts_with("script = ");
    let is_grpc = |line: &str| line.starts_with("calls_at_once = ");
    let a_script_instead = shown(&text, &is_script).replace("\nprogram = ", "\n# program = ");
    let over_grpc = shown(&text, &|line| !is_script(line)).replace("\"port\"", "\"grpc\"");
    let over_port = shown(&text, &|line| !is_script(line) && !is_grpc(line));
    for text in [over_port, a_script_instead, over_grpc] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snakepit.toml");
        std::fs::write(&path, &text).unwrap();
        let loaded = file(&path).load();
        assert!(loaded.is_ok(), "{:?} in\n{text}", loaded.err());
    }
}
