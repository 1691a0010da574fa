//! Options that were written are read as the same options, from files and from variables.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::{Case, ONE_POOL};
use crate::adapter::StreamWindow;
use crate::config::{Affinity, Heartbeat, OnStuck, PoolOptions, RecycleOptions, RestartOptions, Telemetry};

/// A duration as short and as long as options may have, and as precise as the clock.
fn duration() -> impl Strategy<Value = Duration> {
    let whole = (1..1_000_000_000_u64).prop_map(Duration::from_secs);
    prop_oneof![(1..u64::MAX >> 4).prop_map(Duration::from_nanos), whole]
}

fn restart() -> impl Strategy<Value = RestartOptions> {
    let codes = prop::collection::vec(0..=255_i32, 0..4);
    (any::<u32>(), duration(), any::<u32>(), duration(), duration(), codes).prop_map(
        |(intensity, period, consecutive, one, other, fatal_exit_codes)| RestartOptions {
            intensity,
            period,
            consecutive,
            backoff_base: one.min(other),
            backoff_max: one.max(other),
            stable_after: None,
            fatal_exit_codes,
        },
    )
}

fn options() -> impl Strategy<Value = PoolOptions> {
    let counts = (1..=u16::MAX, 1..2048_u16, 0..2048_u16, 0..1_usize << 62, 1..=u16::MAX, 1..1_usize << 62);
    let durations = prop::array::uniform8(duration());
    let sizes = (1..=u32::MAX, 1..=u32::MAX, 1..=u32::MAX);
    let affinity = prop::sample::select(vec![
        Affinity::Off,
        Affinity::Hint,
        Affinity::StrictQueue,
        Affinity::StrictFailFast,
    ]);
    let stuck = prop::sample::select(vec![OnStuck::Wait, OnStuck::Kill]);
    (counts, durations, sizes, affinity, stuck, restart(), any::<u32>(), 1..=u32::MAX, any::<bool>())
        .prop_map(
            |(counts, times, sizes, affinity, on_stuck, mut restart, some, positive, is_stable_said)| {
                restart.stable_after = is_stable_said.then_some(times[1] + times[0]);
                PoolOptions {
                    size: counts.0,
                    capacity: counts.1,
                    prefetch: counts.2,
                    timeout: times[0],
                    queue_limit: counts.3,
                    startup_timeout: times[1],
                    startup_concurrency: counts.4,
                    affinity,
                    session_ttl: times[2],
                    session_limit: counts.5,
                    max_retries: some,
                    retry_backoff: times[3],
                    poison_limit: positive,
                    cancel_grace: times[4],
                    on_stuck,
                    heartbeat: Heartbeat { interval: times[5], misses: positive },
                    payload_limit: sizes.0 as usize,
                    output_limit: some,
                    stream_window: StreamWindow { chunks: sizes.1, bytes: sizes.2 },
                    stop_grace: times[6],
                    kill_grace: times[7],
                    telemetry: Telemetry { enabled: is_stable_said, interval: times[5] },
                    recycle: RecycleOptions {
                        max_requests: is_stable_said.then_some(u64::from(positive)),
                        max_age: is_stable_said.then_some(times[0]),
                        idle: is_stable_said.then_some(times[2]),
                        max_rss: is_stable_said.then_some(u64::from(sizes.0)),
                        jitter: 0.5,
                        at_once: counts.4,
                    },
                    restart,
                }
            },
        )
}

/// Every option as a variable would say it.
fn variables(above: &str, table: &toml::Table, found: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let name = format!("{above}__{}", key.to_uppercase());
        match value {
            toml::Value::Table(table) => variables(&name, table, found),
            toml::Value::String(text) => found.push((name, text.clone())),
            other => found.push((name, other.to_string())),
        }
    }
}

proptest! {
    #[test]
    fn options_that_were_written_to_a_file_are_read_as_the_same(options in options()) {
        prop_assert_eq!(options.check(), Ok(()));
        let mut pool: toml::Table = toml::to_string(&options).unwrap().parse().unwrap();
        pool.insert("adapter".to_owned(), "queue".into());
        let text = toml::to_string(&BTreeMap::from([("pools", BTreeMap::from([("default", pool)]))])).unwrap();
        prop_assert_eq!(Case::new(&text).pool().options, options);
    }

    #[test]
    fn options_that_were_said_by_variables_are_read_as_the_same(options in options()) {
        let table: toml::Table = toml::to_string(&options).unwrap().parse().unwrap();
        let mut said = Vec::new();
        variables("SNAKEPIT__POOLS__DEFAULT", &table, &mut said);
        let case = said.iter().fold(Case::new(ONE_POOL), |case, (name, value)| case.variable(name, value));
        prop_assert_eq!(case.pool().options, options);
    }
}

#[test]
fn every_option_is_among_those_that_are_written() {
    // These have no value of their own, and are written only where one is said.
    let mut options = PoolOptions::default();
    options.restart.stable_after = Some(Duration::from_mins(5));
    options.recycle.max_requests = Some(1);
    (options.recycle.max_age, options.recycle.idle) =
        (Some(Duration::from_mins(5)), Some(Duration::from_mins(5)));
    options.recycle.max_rss = Some(1);
    let table: toml::Table = toml::to_string(&options).unwrap().parse().unwrap();
    let mut said = Vec::new();
    variables("", &table, &mut said);
    let known = super::mistakes::known_keys();
    let own = ["adapter", "url", "tags", "env", "tls.verify"];
    for key in known.iter().filter(|key| !own.contains(&key.as_str())) {
        let name = format!("__{}", key.to_uppercase().replace('.', "__"));
        assert!(said.iter().any(|(said, _)| *said == name), "{key} is not written");
    }
}
