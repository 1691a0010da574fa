//! Rounds of one strike: a host in mid-churn is hit at a random moment, and nothing may be left.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use snakepit_tests::chance::Chance;
use snakepit_tests::keeper::{HANG, Kept};
use snakepit_tests::oracle::{self, Relative};
use tokio::time::Instant;

use crate::ask::Ask;
use crate::bed::{self, Bed};
use crate::strike::Strike;
use crate::sum::Sum;

/// The latest moment after the host's first word at which it is hit, in microseconds.
const LATEST_US: u64 = 80_000;
/// How long what is left may take to go before it has survived.
const PATIENCE: Duration = Duration::from_secs(5);
/// A mark is inherited, and only what has it can be found again: the daemon keeps its environment.
const MARKED: &[&str] = &["--keep-env"];

pub(crate) fn run(bed: &Bed, strike: Strike, ask: &Ask, sum: &mut Sum) -> Result<(), Box<dyn Error>> {
    let mut chance = Chance::new(ask.seed);
    for round in 1..=ask.rounds {
        let directory = bed::directory()?;
        play(bed, strike, round, directory.path(), &mut chance, sum)?;
    }
    Ok(())
}

/// One round. The directory may be one that earlier rounds have left.
pub(crate) fn play(
    bed: &Bed,
    strike: Strike,
    round: u32,
    data_dir: &Path,
    chance: &mut Chance,
    sum: &mut Sum,
) -> Result<(), Box<dyn Error>> {
    sum.rounds = round;
    if strike.spares_the_host() {
        return spared(bed, strike, round, data_dir, chance, sum);
    }
    let misdeeds = if strike.needs_recovery() { MARKED } else { &[] };
    let mut kept = bed.host(data_dir, &["--mode", "churn", "--grace", "5"], misdeeds)?;
    kept.answer("churning")?;
    let wait = Duration::from_micros(chance.below(LATEST_US));
    if let Some(line) = kept.line(wait) {
        sum.complain(round, &line);
    }
    if !kept.host().runs() {
        sum.complain(round, "the host had ended before it was hit");
    }
    let hit = Instant::now();
    strike.hit(&mut kept, chance);
    if strike.needs_recovery() {
        recover(bed, data_dir, round, sum)?;
    }
    match kept.until_empty(PATIENCE) {
        Ok(empty) => sum.emptied(empty - hit),
        Err(left) => sum.survived(round, strike.word(), &left),
    }
    sum.orphans += kept.orphans();
    Ok(())
}

/// The next start of a host on each directory of the one that was killed.
fn recover(bed: &Bed, data_dir: &Path, round: u32, sum: &mut Sum) -> Result<(), Box<dyn Error>> {
    for lane in std::fs::read_dir(data_dir)? {
        let lane = lane?.path();
        if !lane.is_dir() {
            continue;
        }
        let mut next = bed.host(&lane, &["--size", "1", "--grace", "5"], MARKED)?;
        match next.ask("recovered") {
            Ok(recovered) if recovered.ends_with(" 0") => {
                next.ask("shutdown 1000")?;
            }
            Ok(recovered) => sum.complain(round, &format!("the recovery says {recovered}")),
            Err(silence) => sum.complain(round, &format!("the next start: {silence}")),
        }
        next.say("leave");
        if let Err(left) = next.until_empty(PATIENCE) {
            sum.survived(round, "the start after both", &left);
        }
    }
    Ok(())
}

/// The shims are hit and the host lives: their trees go, and their slots are filled again.
fn spared(
    bed: &Bed,
    strike: Strike,
    round: u32,
    data_dir: &Path,
    chance: &mut Chance,
    sum: &mut Sum,
) -> Result<(), Box<dyn Error>> {
    let mut kept = bed.host(data_dir, &["--size", "3", "--grace", "5"], MARKED)?;
    kept.line(HANG).ok_or("the host is not ready")?;
    // None of it may be new when it is hit: whoever comes later has a shim.
    let doomed: Vec<Relative> = kept.others();
    let hit = Instant::now();
    strike.hit(&mut kept, chance);
    match gone(&kept, &doomed) {
        Ok(()) => sum.emptied(hit.elapsed()),
        Err(left) => sum.survived(round, strike.word(), &left),
    }
    let again = kept.ask("pids")?;
    if again.split(' ').count() != 3 {
        sum.complain(round, &format!("the pool has only {again}"));
    }
    kept.host().signal(nix::sys::signal::Signal::SIGKILL);
    if let Err(left) = kept.until_empty(PATIENCE) {
        sum.survived(round, strike.word(), &left);
    }
    Ok(())
}

/// Waits until none of some processes runs.
fn gone(kept: &Kept, doomed: &[Relative]) -> Result<(), Vec<Relative>> {
    let mut left = Vec::new();
    let all_gone = oracle::holds_within(PATIENCE, || {
        left = kept.others();
        left.retain(|other| other.state != 'Z' && doomed.iter().any(|doomed| doomed.pid == other.pid));
        left.is_empty()
    });
    if all_gone { Ok(()) } else { Err(left) }
}
