//! What is said of a mistake: which key, where it stands, and what may have been meant.

use proptest::prelude::*;

use super::{Case, ONE_POOL, QueueOptions};
use crate::adapter::scripted::{Boot, Scripted};
use crate::config_file::ConfigFile;
use crate::error::{ConfigError, ConfigPlace};

/// What is said of it, with the file's folder left out.
fn said(case: &Case) -> String {
    let folder = format!("{}/", case.folder.path().display());
    case.read().unwrap_err().to_string().replace(&folder, "")
}

#[test]
fn a_mistake_in_a_file_is_named_with_its_line() {
    let table = [
        ("siz = 2", "snakepit.toml, line 3: pool default: unknown key siz; did you mean size?"),
        (
            "[pools.default.heartbeat]\nmiss = 1",
            "snakepit.toml, line 4: pool default: unknown key heartbeat.miss; did you mean heartbeat.misses?",
        ),
        ("ulr = \"u\"", "snakepit.toml, line 3: pool default: unknown key ulr; did you mean url?"),
        (
            "tls = { verfy = true }",
            "snakepit.toml, line 3: pool default: unknown key tls.verfy; did you mean tls.verify?",
        ),
        (
            "timeout = 250",
            "snakepit.toml, line 3: pool default: timeout: it must be a duration such as \"250ms\", not 250",
        ),
        (
            "\nsize = 70000",
            "snakepit.toml, line 4: pool default: size: it must be a whole number from 0 to 65535, not 70000",
        ),
        (
            "size = \"2\"",
            "snakepit.toml, line 3: pool default: size: it must be a whole number from 0 to 65535, not \"2\"",
        ),
        (
            "affinity = \"strict\"",
            "snakepit.toml, line 3: pool default: affinity: \"strict\" is not one of off, hint, strict_queue, \
             strict_fail_fast; did you mean \"hint\"?",
        ),
        ("tags = [\"a\", 1]", "snakepit.toml, line 3: pool default: tags: it must be a text, not 1"),
        ("env.A = 1", "snakepit.toml, line 3: pool default: env.A: it must be a text, not 1"),
        (
            "affinity = 3",
            "snakepit.toml, line 3: pool default: affinity: it must be one of off, hint, strict_queue, strict_fail_fast, not 3",
        ),
        ("size = 0", "snakepit.toml, line 3: pool default: size must be at least 1"),
        ("restart = 3", "snakepit.toml, line 3: pool default: restart: it must be a table, not 3"),
        ("size = 1\nsize = 2", "snakepit.toml, line 4: duplicate key"),
    ];
    for (text, expected) in table {
        assert_eq!(said(&Case::new(&format!("{ONE_POOL}{text}\n"))), expected);
    }
}

#[test]
fn a_mistake_in_a_variable_is_named_with_the_variable() {
    let table = [
        ("POOLS__DEFAULT__SIZ", "2", "pool default: unknown key siz; did you mean size?"),
        (
            "POOLS__DEFAULT__RESTART__PERIODE",
            "2s",
            "pool default: unknown key restart.periode; did you mean restart.period?",
        ),
        (
            "POOLS__DEFAULT__SIZE",
            "two",
            "pool default: size: it must be a whole number from 0 to 65535, not \"two\"",
        ),
        ("POOLS__DEFAULT__SIZE", "0", "pool default: size must be at least 1"),
        ("POOLS__DEFAULT__HEARTBEAT__MISSES", "0", "pool default: heartbeat.misses must be at least 1"),
        (
            "POOLS__DEFAULT__SIZE__X",
            "1",
            "pool default: size: it must be a whole number from 0 to 65535, not a table",
        ),
        (
            "POOLS__DEFAULT__TAGS",
            "a, b",
            "pool default: tags: \"a, b\" is not written as in TOML, such as [\"a\", \"b\"]",
        ),
        ("DATA_DRI", "x", "unknown key data_dri; did you mean data_dir?"),
        ("RAISE_FILE_LIMIT", "1", "raise_file_limit: it must be true or false, not \"1\""),
        ("POOLS__OTHER__SIZE", "1", "unknown key pools.other; did you mean pools.default?"),
        ("POOLS", "1", "pools: it must be a table"),
        (
            "REQUIRE_LEVEL",
            "tee",
            "require_level: \"tee\" is not one of in_process, group, tree, kernel; did you mean \"tree\"?",
        ),
    ];
    for (name, value, expected) in table {
        let name = format!("SNAKEPIT__{name}");
        assert_eq!(said(&Case::new(ONE_POOL).variable(&name, value)), format!("{name}: {expected}"));
    }
}

#[test]
fn an_option_that_contradicts_another_is_refused_with_the_rule() {
    let table = [
        (
            "startup_timeout = \"2min\"\nrestart.stable_after = \"1min\"",
            "line 4: pool default: restart.stable_after must be longer than startup_timeout (120s), or a worker that never \
             gets ready would look stable",
        ),
        (
            "restart.backoff_max = \"10ms\"",
            "line 3: pool default: restart.backoff_max must not be shorter than restart.backoff_base (100ms)",
        ),
        (
            "restart.fatal_exit_codes = [78, 256]",
            "line 3: pool default: restart.fatal_exit_codes has 256, and no process ends with that: an exit code is from 0 \
             to 255",
        ),
        (
            "capacity = 97\nprefetch = 4000",
            "line 4: pool default: prefetch and capacity together must not be over 4096",
        ),
        ("kill_grace = \"0s\"", "line 3: pool default: kill_grace must be longer than zero"),
    ];
    for (text, expected) in table {
        assert_eq!(said(&Case::new(&format!("{ONE_POOL}{text}\n"))), format!("snakepit.toml, {expected}"));
    }
}

#[test]
fn what_is_missing_is_named() {
    let table = [
        ("", "a pit needs at least one pool"),
        ("[pools]", "a pit needs at least one pool"),
        ("[pools.default]\nsize = 1", "snakepit.toml, line 1: pool default: adapter: it is missing"),
        (
            "[pools.default]\nadapter = \"que\"",
            "snakepit.toml, line 2: pool default: adapter: \"que\" is not one of queue; did you mean \"queue\"?",
        ),
        ("pools = 1", "snakepit.toml, line 1: pools: it must be a table"),
        ("[pools]\na = 1", "snakepit.toml, line 2: pools.a: it must be a table"),
        ("pool = 1", "snakepit.toml, line 1: unknown key pool; did you mean pools?"),
        ("[pools.\"a b\"]", "pool name \"a b\" is not valid: 1 to 64 ASCII letters, digits, '_' and '-'"),
    ];
    for (text, expected) in table {
        assert_eq!(said(&Case::new(text)), expected);
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let case = Case::new(ONE_POOL);
    std::fs::remove_file(case.folder.path().join("snakepit.toml")).unwrap();
    assert!(said(&case).starts_with("snakepit.toml: No such file"), "{}", said(&case));
}

#[test]
fn an_environment_without_a_file_does_not_run_as_another() {
    let case = Case::new(ONE_POOL).variable("SNAKEPIT_ENV", "prodution");
    let said_of = said(&case);
    assert!(
        said_of.starts_with("SNAKEPIT_ENV is prodution, and its file snakepit.prodution.toml cannot be read"),
        "{said_of}"
    );
    let outside = Case::new(ONE_POOL).variable("SNAKEPIT_ENV", "../x");
    assert!(
        said(&outside).starts_with("environment of SNAKEPIT_ENV \"../x\" is not valid"),
        "{}",
        said(&outside)
    );
}

#[test]
fn a_mistake_in_the_file_of_an_environment_is_named_there() {
    let case = Case::new(ONE_POOL).file("snakepit.test.toml", "\n[pools.default]\nsiz = 1\n");
    let case = case.variable("SNAKEPIT_ENV", "test");
    assert_eq!(said(&case), "snakepit.test.toml, line 3: pool default: unknown key siz; did you mean size?");
}

#[test]
fn an_adapter_whose_option_would_hide_one_of_the_pools_is_refused() {
    #[derive(serde::Deserialize)]
    #[expect(dead_code, reason = "only its names matter")]
    struct Hides {
        timeout: String,
    }
    let case = Case::new("[pools.default]\nadapter = \"hides\"\n");
    let file = ConfigFile::new(case.folder.path().join("snakepit.toml")).variables([("", ""); 0]);
    let file = file.adapter("hides", |_: Hides, _| Ok::<_, String>(Scripted::new(1, Boot::Ready).0));
    let error = file.load().unwrap_err().to_string();
    assert!(
        error.ends_with("line 2: pool default: adapter: its option timeout would hide the pool's own"),
        "{error}"
    );
}

#[test]
fn what_an_adapter_says_of_its_options_is_told() {
    let case = Case::new("[pools.default]\nadapter = \"never\"\n");
    let file = ConfigFile::new(case.folder.path().join("snakepit.toml")).variables([("", ""); 0]);
    let file = file.adapter("never", |_: QueueOptions, _| Err::<Scripted, _>("no queue today"));
    let error = file.load().unwrap_err().to_string();
    assert!(error.ends_with("pool default: adapter: no queue today"), "{error}");
}

/// Every key of a pool, as a file and as a variable would have it.
pub(super) fn known_keys() -> Vec<String> {
    let file = ConfigFile::new("a.toml")
        .adapter("queue", |_: QueueOptions, _| Ok::<_, String>(Scripted::new(1, Boot::Ready).0));
    file.keys().iter().filter_map(|key| key.strip_prefix("pools.NAME.")).map(str::to_owned).collect()
}

/// One slip of the finger in the last part of a dotted key.
fn slip(key: &str, kind: u8, at: usize, letter: char) -> String {
    let (above, name) = key.rsplit_once('.').map_or(("", key), |(above, name)| (above, name));
    let mut letters: Vec<char> = name.chars().collect();
    let at = at % letters.len();
    match kind {
        0 => _ = letters.remove(at),
        1 => letters.insert(at, letter),
        2 => letters[at] = letter,
        _ if at + 1 < letters.len() => letters.swap(at, at + 1),
        _ => letters.push(letter),
    }
    let name: String = letters.into_iter().collect();
    if above.is_empty() { name } else { format!("{above}.{name}") }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_key_that_is_nearly_right_is_named_with_the_right_one(
        which: prop::sample::Index, kind in 0..4_u8, at: usize, letter in "[a-z_]", in_file: bool,
    ) {
        let known = known_keys();
        let meant = which.get(&known);
        let written = slip(meant, kind, at, letter.chars().next().unwrap());
        let last = written.rsplit('.').next().unwrap();
        // What became another key is no mistake, and two separators in a row divide a variable's name.
        prop_assume!(!last.is_empty() && !known.contains(&written) && !written.contains("__"));
        prop_assume!(!last.starts_with('_') && !last.ends_with('_'));
        let name = format!("SNAKEPIT__POOLS__DEFAULT__{}", written.to_uppercase().replace('.', "__"));
        let case = if in_file {
            Case::new(&format!("{ONE_POOL}{written} = 1\n"))
        } else {
            Case::new(ONE_POOL).variable(&name, "1")
        };
        let Err(ConfigError::UnknownKey { place, key, nearest, .. }) = case.read() else {
            return Err(TestCaseError::fail(format!("{written}: {:?}", case.read())));
        };
        prop_assert_eq!(&key, &written);
        // Another key may be as near by chance, such as `size` and `nice` of `sice`; none is nearer.
        let nearest = nearest.unwrap();
        let slips = |key: &str| strsim::damerau_levenshtein(key, &written);
        prop_assert!(slips(&nearest) <= slips(meant), "{} is taken for {}", written, nearest);
        match place {
            ConfigPlace::File { line, .. } => prop_assert!(in_file && line == 3),
            ConfigPlace::Variable { name: said } => prop_assert!(!in_file && said == name),
        }
    }
}
