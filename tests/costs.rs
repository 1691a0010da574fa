//! What the promise costs: a start through the shim beside a bare one, memory, the last death, a commit, a recovery.
//!
//! `cargo run --release -p snakepit-tests --bin costs -- [--rounds N]`
//!
//! References run in the same run, interleaved with what is measured; medians are printed, and only ratios mean anything
//! on a shared machine.

#[path = "costs/deaths.rs"]
mod deaths;
#[path = "costs/figures.rs"]
mod figures;
#[path = "costs/memory.rs"]
mod memory;
#[path = "costs/recovery.rs"]
mod recovery;
#[path = "costs/spawns.rs"]
mod spawns;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use snakepit_tests::keeper::{Keeping, Kept};
use snakepit_tests::roles;

use crate::figures::Figures;

fn main() -> ExitCode {
    if let Some(played) = roles::play() {
        return played;
    }
    match measure() {
        Ok(figures) => {
            println!("{}", figures.table());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("costs: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<Figures, Box<dyn Error>> {
    let mut rounds = 5;
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        match (flag.as_str(), args.next()) {
            ("--rounds", Some(value)) => rounds = value.parse()?,
            (other, _) => return Err(format!("unknown argument {other}").into()),
        }
    }
    let roles = std::env::current_exe()?;
    let mut figures = Figures::default();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        spawns::measure(&roles, &mut figures)?;
        memory::measure(&roles, &mut figures)?;
        deaths::measure(&roles, &mut figures)?;
        recovery::measure(&roles, &mut figures)?;
    }
    Ok(figures)
}

/// Starts a host under the keeper: its own flags, and those of its workers.
fn host(roles: &Path, data_dir: &Path, flags: &[&str], misdeeds: &[&str]) -> Result<Kept, Box<dyn Error>> {
    let data_dir = data_dir.to_str().ok_or("the directory has no plain name")?;
    let program = roles.to_str().ok_or("the program has no plain name")?;
    let worker = [data_dir, "costs", program, "worst-worker"];
    let args = ["host", "--level", "tree"].iter().chain(flags).chain(&worker).chain(misdeeds);
    Ok(Keeping::by(roles).run(roles, args)?)
}
