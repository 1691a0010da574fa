//! The example `pit` as it is, under load, killed at random moments and started again on the same directory.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use snakepit_adapters::registry;
use snakepit_tests::chance::Chance;
use snakepit_tests::keeper::Kept;
use snakepit_tests::oracle::Relative;
use tokio::time::Instant;

use crate::ask::Ask;
use crate::bed::{self, Bed};
use crate::sum::Sum;

const WORKERS: u64 = 3;
/// The latest moment at which it is killed, in microseconds: half of them come before its workers are ready.
const LATEST_US: u64 = 400_000;
/// How long what is left may take to go before it has survived.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn run(bed: &Bed, ask: &Ask, sum: &mut Sum) -> Result<(), Box<dyn Error>> {
    let program = program(bed.roles())?;
    let directory = bed::directory()?;
    let config = config(directory.path())?;
    let mut chance = Chance::new(ask.seed);
    for round in 1..=ask.rounds {
        sum.rounds = round;
        let mut kept = bed.keeping().quiet().run(&program, [&config])?;
        load(&mut kept, &mut chance);
        let until = Instant::now() + Duration::from_micros(chance.below(LATEST_US));
        while kept.line(until.saturating_duration_since(Instant::now())).is_some() {}
        let hit = Instant::now();
        kept.host().signal(Signal::SIGKILL);
        match kept.until_empty(PATIENCE) {
            Ok(empty) => sum.emptied(empty - hit),
            Err(left) => sum.survived(round, "pit", &left),
        }
        sum.orphans += kept.orphans();
    }
    last(bed, &program, &config, ask.rounds, sum)
}

/// Requests of all kinds, more than there are workers.
fn load(kept: &mut Kept, chance: &mut Chance) {
    for id in 0..24 {
        let line = match chance.below(5) {
            0 => json!({"id": id, "op": "execute", "command": "sleep", "args": {"ms": chance.below(200)}}),
            1 => json!({"id": id, "op": "stream", "command": "count", "args": {"n": chance.below(1000)}}),
            2 => json!({"id": id, "op": "execute", "command": "crash", "args": {"code": 3}}),
            3 => json!({"id": id, "op": "workers"}),
            _ => json!({"id": id, "op": "execute", "command": "add", "args": {"a": 1, "b": 2}}),
        };
        kept.say(&line.to_string());
    }
}

/// The last start: what the pit says of its workers is what lives, and after a shutdown nothing does.
fn last(bed: &Bed, program: &Path, config: &Path, round: u32, sum: &mut Sum) -> Result<(), Box<dyn Error>> {
    let mut kept = bed.keeping().quiet().run(program, [config])?;
    let by = Instant::now() + Duration::from_secs(30);
    let said = loop {
        kept.say(&json!({"id": 1, "op": "workers"}).to_string());
        let line = kept.line(PATIENCE).ok_or("the pit does not answer")?;
        let answer: Value = serde_json::from_str(&line)?;
        let pids: Vec<i32> = answer["ok"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|worker| !worker["agent"].is_null())
            .filter_map(|worker| i32::try_from(worker["os_pid"].as_i64()?).ok())
            .collect();
        if pids.len() as u64 == WORKERS {
            break pids;
        }
        if Instant::now() > by {
            return Err(format!("the pit is not up: {answer}").into());
        }
    };
    let is_worker = |process: &&Relative| process.command.contains("pit_worker.py");
    let live = kept.family().iter().filter(is_worker).map(|worker| worker.pid).collect();
    let recorded = recorded(config)?;
    let (said, live, recorded) = (sorted(said), sorted(live), sorted(recorded));
    if said != live || recorded != live {
        sum.complain(round, &format!("{live:?} live, the pit has {said:?}, its registry {recorded:?}"));
    }
    kept.host().signal(Signal::SIGTERM);
    if let Err(left) = kept.until_empty(Duration::from_secs(20)) {
        sum.survived(round, "pit", &left);
    }
    Ok(())
}

/// What the registry has as alive, read beside the live host.
fn recorded(config: &Path) -> Result<Vec<i32>, Box<dyn Error>> {
    let data_dir = config.with_file_name("var");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let view = runtime.block_on(registry::list(&data_dir))?;
    let alive = view.rows.iter().filter(|row| row.state == registry::ProcessState::Alive);
    Ok(alive.filter_map(|row| row.pid).collect())
}

fn sorted(mut pids: Vec<i32>) -> Vec<i32> {
    pids.sort_unstable();
    pids
}

/// The example beside this program.
fn program(roles: &Path) -> Result<PathBuf, String> {
    let folder = roles.parent().unwrap_or(Path::new("."));
    let program = folder.join("examples/pit");
    if program.is_file() {
        return Ok(program);
    }
    let profile = if folder.ends_with("release") { " --release" } else { "" };
    Err(format!("{} is missing: cargo build{profile} --example pit", program.display()))
}

fn config(folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let worker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/workers/pit_worker.py");
    let path = folder.join("pit.toml");
    let text = format!(
        "data_dir = \"var\"\n[pools.default]\nadapter = \"port\"\nprogram = \"python3\"\nargs = [{}]\nsize = {WORKERS}\n\
         [pools.default.restart]\nintensity = 1000\nconsecutive = 1000\n",
        json!(worker.canonicalize()?)
    );
    std::fs::write(&path, text)?;
    Ok(path)
}
