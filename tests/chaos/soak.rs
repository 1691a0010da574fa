//! The soak: strikes at random on hosts that come back on the directory of those that were killed.

use std::error::Error;

use tokio::time::Instant;

use crate::ask::Ask;
use crate::bed::{self, Bed};
use crate::chance::Chance;
use crate::rounds;
use crate::strike::Strike;
use crate::sum::Sum;

/// After how many rounds it says how far it is.
const SAYS_EVERY: u32 = 100;

pub(crate) fn run(bed: &Bed, ask: &Ask, sum: &mut Sum) -> Result<(), Box<dyn Error>> {
    let mut chance = Chance::new(ask.seed);
    let directory = bed::directory()?;
    let until = Instant::now() + ask.lasts;
    for round in 1.. {
        if Instant::now() >= until {
            break;
        }
        let strike = chance.of(&Strike::ALL);
        rounds::play(bed, strike, round, directory.path(), &mut chance, sum)?;
        if round % SAYS_EVERY == 0 {
            println!("{} rounds, {} survivors", round, sum.survivors);
        }
    }
    Ok(())
}
