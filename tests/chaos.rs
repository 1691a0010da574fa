//! Chaos: hosts that are killed in the middle of things, over and over, and the count of what they leave.
//!
//! `cargo run --release -p snakepit-tests --bin chaos -- [--kind KIND] [--rounds N] [--seed N] [--minutes N]`
//!
//! A keeper, the subreaper above each host, says when nothing is left; where a control group can be made, it has to
//! agree. The last line is the sum: `rounds 1000, survivors 0, strangers signalled 0, worst 31 ms`.

#[path = "chaos/ask.rs"]
mod ask;
#[path = "chaos/bed.rs"]
mod bed;
#[path = "chaos/cycles.rs"]
mod cycles;
#[path = "chaos/pit.rs"]
mod pit;
#[path = "chaos/rounds.rs"]
mod rounds;
#[path = "chaos/soak.rs"]
mod soak;
#[path = "chaos/strike.rs"]
mod strike;
#[path = "chaos/sum.rs"]
mod sum;
#[path = "chaos/threads.rs"]
mod threads;

use std::error::Error;
use std::process::ExitCode;

use snakepit_tests::roles;
use snakepit_tests::stranger::Strangers;

use crate::ask::{Ask, Kind};
use crate::bed::Bed;
use crate::sum::Sum;

fn main() -> ExitCode {
    if let Some(played) = roles::play() {
        return played;
    }
    let sum = Ask::parse(std::env::args().skip(1)).map_err(Into::into).and_then(|ask| run(&ask));
    match sum {
        Ok(sum) if sum.is_clean() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chaos: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(ask: &Ask) -> Result<Sum, Box<dyn Error>> {
    let bed = Bed::new()?;
    println!("kind {}, seed {}, oracle: {}", ask.kind.word(), ask.seed, bed.oracle());
    let strangers = Strangers::start(bed.roles())?;
    let mut sum = Sum::default();
    match ask.kind {
        Kind::Strike(strike) => rounds::run(&bed, strike, ask, &mut sum)?,
        Kind::Pit => pit::run(&bed, ask, &mut sum)?,
        Kind::Soak => soak::run(&bed, ask, &mut sum)?,
        Kind::Cycles => cycles::run(&bed, ask, &mut sum)?,
        Kind::Threads => threads::run(&bed, &mut sum)?,
    }
    sum.strangers_signalled = strangers.signals()?;
    println!("{sum}");
    Ok(sum)
}
