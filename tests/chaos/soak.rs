//! The soak: strikes at random on hosts that come back on the directory of those that were killed.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};

use snakepit_tests::chance::Chance;
use tokio::time::Instant;

use crate::ask::Ask;
use crate::bed::{self, Bed};
use crate::rounds;
use crate::strike::Strike;
use crate::sum::Sum;

/// Threads that compute beside it, so that nothing ever has the machine for itself.
const LOAD: usize = 2;
/// After how many rounds it says how far it is.
const SAYS_EVERY: u32 = 100;

pub(crate) fn run(bed: &Bed, ask: &Ask, sum: &mut Sum) -> Result<(), Box<dyn Error>> {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..LOAD {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let soaked = soak(bed, ask, sum);
        is_over.store(true, Ordering::Relaxed);
        soaked
    })
}

fn soak(bed: &Bed, ask: &Ask, sum: &mut Sum) -> Result<(), Box<dyn Error>> {
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
