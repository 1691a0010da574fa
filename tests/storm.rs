//! The storm: pools of real workers under load, while their workers are killed, stopped,
//! replaced, and made more and fewer.
//!
//! `cargo run --release -p snakepit-tests --bin storm -- [--seconds N] [--seed N]`
//!
//! The seed makes the script of blows; where a promise is broken the script is printed. The last line is the sum:
//! `requests 90000, answered 90000, answered twice 0, lost 0, leaked slots 0, processes left 0`.

#[path = "storm/ask.rs"]
mod ask;
#[path = "storm/bed.rs"]
mod bed;
#[path = "storm/books.rs"]
mod books;
#[path = "storm/callers.rs"]
mod callers;
#[path = "storm/calls.rs"]
mod calls;
#[path = "storm/script.rs"]
mod script;
#[path = "storm/strict.rs"]
mod strict;
#[path = "storm/strikes.rs"]
mod strikes;
#[path = "storm/sum.rs"]
mod sum;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use snakepit_tests::roles;

use crate::ask::Ask;
use crate::bed::Bed;
use crate::books::Books;
use crate::script::Script;
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
            eprintln!("storm: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(ask: &Ask) -> Result<Sum, Box<dyn Error>> {
    let script = Script::new(ask.seed, ask.lasts);
    println!("seed {}, {} blows in {} s", ask.seed, script.blows.len(), ask.lasts.as_secs());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let sum = runtime.block_on(rage(&script, ask))?;
    if !sum.is_clean() {
        println!("{script}");
    }
    println!("{sum}");
    Ok(sum)
}

/// Load and blows beside each other; then calm, and the books are closed.
async fn rage(script: &Script, ask: &Ask) -> Result<Sum, Box<dyn Error>> {
    let bed = Bed::start().await?;
    let books = Arc::new(Books::default());
    let callers = callers::start(&bed, &books, ask)?;
    let struck = strikes::rain(&bed, script, &books).await?;
    callers.join_all().await;
    println!("{struck}");
    let mut sum = Sum::default();
    for kind in bed::ALL {
        sum.leaked_slots += bed.fill(kind, &books).await?;
        sum.leaked_slots += bed.calm(kind).await?;
    }
    sum.leaked_slots += bed.agree().await?;
    println!("{books}");
    sum.close(&books, bed.booked().await?);
    sum.processes_left = bed.end().await;
    Ok(sum)
}
