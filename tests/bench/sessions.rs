//! A million sessions: a look-up, the memory, and their end, beside a plain map of the same keys. T20 and T21.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use snakepit_adapters::testkit::TestSessions;
use snakepit_adapters::{SessionId, Slot};
use tokio::time::Instant;

use crate::erlang;
use crate::figures::Aim::{AtMost, Open};
use crate::figures::Judged::{Itself, Ratio};
use crate::figures::{Brought, Program, Unit, micros};
use crate::memory::{self, resident};

pub(crate) const PROGRAMS: &[Program] = &[
    Program::new("map_look_up", Unit::Nanos, &[]),
    Program::new("map_memory", Unit::Bytes, &[]),
    Program::new("map_remove", Unit::Nanos, &[]),
    Program::new("erl_ets", Unit::Nanos, &[]),
    Program::new("t20_look_up", Unit::Nanos, &[Ratio("erl_ets", AtMost(1.0)), Ratio("map_look_up", Open)]),
    Program::new("t20_memory", Unit::Bytes, &[Itself(AtMost(120.0)), Ratio("map_memory", Open)]),
    Program::new("t21_expire", Unit::Nanos, &[Itself(AtMost(50.0)), Ratio("map_remove", Open)]),
    Program::new("t21_longest_share", Unit::Micros, &[Itself(AtMost(1000.0))]),
];

/// How many sessions there are, where nothing else is asked for.
const SESSIONS: usize = 1_000_000;
/// How many sessions one message of the sweep ends, as in the actor.
const SHARE: usize = 256;
/// A prime: every session is looked up once, and never its neighbour next.
const STRIDE: usize = 618_041;

pub(crate) fn measure(program: &'static str, calls: usize) -> Result<Brought, Box<dyn Error>> {
    let sessions = SESSIONS.min(calls * 200);
    if program == "erl_ets" {
        return Ok(vec![(program, erlang::ets(STRIDE, sessions)?.p50_us * 1e3)]);
    }
    let (names, what): (&[_], _) = if program.starts_with("map") {
        (&["map_look_up", "map_memory", "map_remove"], "map")
    } else {
        (&["t20_look_up", "t20_memory", "t21_expire", "t21_longest_share"], "table")
    };
    Ok(names.iter().copied().zip(memory::alone(what, sessions)?).collect())
}

fn id(number: usize) -> Result<SessionId, Box<dyn Error>> {
    Ok(SessionId::new(&format!("session {number:08}"))?)
}

fn slot(number: usize) -> Slot {
    Slot(u16::try_from(number % 8).unwrap_or(0))
}

/// Keys of the callers' own, which do not share the table's memory, in the order in which they are asked for.
fn keys(sessions: usize) -> Result<Vec<SessionId>, Box<dyn Error>> {
    (0..sessions).map(|n| id(n * STRIDE % sessions)).collect()
}

fn nanos_each(since: Instant, count: usize) -> f64 {
    since.elapsed().as_secs_f64() * 1e9 / count as f64
}

/// The library's table: a request from its question to its end, in nanoseconds; all of the process's memory that came with
/// the sessions, keys included, for each of them; the end of each by a sweep; and the longest that one message of the sweep
/// held others up, in microseconds.
pub(crate) fn table(sessions: usize) -> Result<Vec<f64>, Box<dyn Error>> {
    let keys = keys(sessions)?;
    let (born, before) = (Instant::now(), resident()?);
    let ttl = Duration::from_hours(1);
    let mut table = TestSessions::new(ttl, sessions, born);
    for number in 0..sessions {
        table.begin(&id(number)?, slot(number), born);
    }
    let bytes = (resident()? - before) / sessions as f64;
    let began = Instant::now();
    for (n, key) in keys.iter().enumerate() {
        if table.again(key, born) != Some(slot(n * STRIDE % sessions)) {
            return Err("a session is not where it was bound".into());
        }
    }
    let look_up_ns = nanos_each(began, sessions);
    let (late, mut longest_us, mut ended) = (born + 2 * ttl, 0.0_f64, 0);
    let began = Instant::now();
    loop {
        let share = Instant::now();
        let count = table.sweep(SHARE, late);
        longest_us = longest_us.max(micros(share.elapsed()));
        ended += count;
        if count < SHARE {
            break;
        }
    }
    if ended != sessions {
        return Err(format!("{ended} sessions ended").into());
    }
    Ok(vec![look_up_ns, bytes, nanos_each(began, sessions), longest_us])
}

/// The same keys in a plain map of theirs to slots: look-ups, memory and removals, without an order or an expiry.
pub(crate) fn map(sessions: usize) -> Result<Vec<f64>, Box<dyn Error>> {
    let keys = keys(sessions)?;
    let before = resident()?;
    let mut map = HashMap::new();
    for number in 0..sessions {
        map.insert(id(number)?, slot(number));
    }
    let bytes = (resident()? - before) / sessions as f64;
    let began = Instant::now();
    if keys.iter().filter(|key| map.contains_key(*key)).count() != sessions {
        return Err("a key is missing".into());
    }
    let look_up_ns = nanos_each(began, sessions);
    let began = Instant::now();
    for key in &keys {
        map.remove(key);
    }
    Ok(vec![look_up_ns, bytes, nanos_each(began, sessions)])
}
